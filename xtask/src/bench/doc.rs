//! Tables inside a Markdown file that is otherwise written by hand: each between two markers.

use std::ops::Range;

/// Replaces what stands between the markers of `name`; `None` where they are missing.
pub(super) fn replace(text: &str, name: &str, between: &str) -> Option<String> {
    let place = place(text, name)?;
    let (before, after) = (&text[..place.start], &text[place.end..]);
    Some(format!("{before}\n{}\n\n{after}", between.trim_end()))
}

/// Reads the rows below the head of the table between the markers of `name`; none where those or
/// the table are missing.
pub(super) fn rows(text: &str, name: &str) -> Vec<Vec<String>> {
    let between = place(text, name).map_or("", |place| &text[place]);
    let cells = |line: &str| {
        let inner = line.trim().strip_prefix('|')?.strip_suffix('|')?;
        Some(inner.split('|').map(|cell| cell.trim().to_owned()).collect())
    };
    // The head, and the line that says which columns hold numbers.
    between.lines().filter_map(cells).skip(2).collect()
}

/// Returns where the text between the markers of `name` stands.
fn place(text: &str, name: &str) -> Option<Range<usize>> {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- end of {name} -->"));
    let from = text.find(&begin)? + begin.len();
    Some(from..from + text[from..].find(&end)?)
}

#[cfg(test)]
mod tests {
    use super::super::table::Table;
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let text = "a\n<!-- bench x -->\nold\n<!-- end of x -->\nb\n";
        let once = replace(text, "x", "| new |\n").expect("markers");
        assert_eq!(once, "a\n<!-- bench x -->\n\n| new |\n\n<!-- end of x -->\nb\n");
        assert_eq!(replace(&once, "x", "| new |\n").as_ref(), Some(&once), "it is stable");
        assert_eq!(replace(text, "y", "z"), None);
    }

    #[test]
    fn the_rows_of_a_table_are_read_as_they_were_written() {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        let rows_written = vec![row(["", "a, b", "1 000"]), row(["R1", "c: d", ""])];
        let table = Table::new(["", "what", "n"], 2, rows_written.clone());
        let empty = "| x |\n<!-- bench t -->\n<!-- end of t -->\n| y |\n";
        let text = replace(empty, "t", &table.markdown()).expect("markers");
        assert_eq!(rows(&text, "t"), rows_written);
        assert!(rows(empty, "t").is_empty() && rows(empty, "u").is_empty());
    }
}

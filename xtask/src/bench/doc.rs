//! Tables inside a Markdown file that is otherwise written by hand: each between two markers.

/// Replaces what stands between the markers of `name`; `None` where they are missing.
pub(super) fn replace(text: &str, name: &str, between: &str) -> Option<String> {
    let (begin, end) = (format!("<!-- bench {name} -->\n"), format!("<!-- end of {name} -->"));
    let from = text.find(&begin)? + begin.len();
    let to = from + text[from..].find(&end)?;
    Some(format!("{}\n{}\n\n{}", &text[..from], between.trim_end(), &text[to..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_markers_changes() {
        let text = "a\n<!-- bench x -->\nold\n<!-- end of x -->\nb\n";
        let once = replace(text, "x", "| new |\n").expect("markers");
        assert_eq!(once, "a\n<!-- bench x -->\n\n| new |\n\n<!-- end of x -->\nb\n");
        assert_eq!(replace(&once, "x", "| new |\n").as_ref(), Some(&once), "it is stable");
        assert_eq!(replace(text, "y", "z"), None);
    }
}

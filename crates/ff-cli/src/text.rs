//! Numbers, spans, tables and errors for people.

use console::{Alignment, measure_text_width, pad_str};

/// Writes a number with a space between groups of three digits.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{a0}');
        }
        text.push(digit);
    }
    text
}

/// Writes a size.
pub fn kilobytes(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes}\u{a0}B"),
        1_024..1_048_576 => format!("{}\u{a0}KiB", bytes / 1_024),
        _ => format!("{:.1}\u{a0}MiB", bytes as f64 / 1_048_576.0),
    }
}

/// Writes a span.
pub fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        60_000..3_600_000 => two(ms / 1_000, 60, "min", "s"),
        3_600_000..86_400_000 => two(ms / 60_000, 60, "h", "min"),
        _ => two(ms / 3_600_000, 24, "d", "h"),
    }
}

/// Writes a URL without its user and password.
pub fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://***@{host}"),
        None => url.to_owned(),
    }
}

fn two(all: u64, of: u64, large: &str, small: &str) -> String {
    match all % of {
        0 => format!("{} {large}", all / of),
        rest => format!("{} {large} {rest} {small}", all / of),
    }
}

/// Joins an error and its sources into one line; what was said already is not said again.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        source = inner.source();
    }
    text
}

/// Lays out rows under a head, numbers to the right and the rest to the left. Cells may be
/// coloured.
pub fn table(head: &[&str], numbers: &[bool], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        let widest = cells.map(|cell| measure_text_width(cell)).max().unwrap_or(0);
        widest.max(head.get(column).map_or(0, |name| measure_text_width(name)))
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let line = |cells: Vec<&str>| {
        let mut text = String::from(" ");
        for (column, cell) in cells.iter().enumerate() {
            let side = match numbers.get(column) {
                Some(true) => Alignment::Right,
                _ => Alignment::Left,
            };
            let cell = pad_str(cell, widths[column], side, None);
            text.push_str(&format!(" {cell} "));
        }
        text.trim_end().to_owned()
    };
    let mut lines = vec![line(head.to_vec())];
    lines.push(format!("  {}", "─".repeat(widths.iter().sum::<usize>() + 2 * head.len() - 2)));
    lines.extend(rows.iter().map(|row| line(row.iter().map(String::as_str).collect())));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_three() {
        let texts = [0, 999, 1_000, 1_234_567].map(|n| grouped(n).replace('\u{a0}', " "));
        assert_eq!(texts, ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn spans_name_their_two_largest_units() {
        let spans = [999, 1_500, 60_000, 61_000, 5_400_000, 90_000_000].map(span);
        assert_eq!(spans, ["999 ms", "1.5 s", "1 min", "1 min 1 s", "1 h 30 min", "1 d 1 h"]);
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = [vec!["a".to_owned(), "10".to_owned()], vec!["bcd".to_owned(), "7".to_owned()]];
        let text = table(&["x", "n"], &[false, true], &rows);
        assert_eq!(text, "  x     n\n  ───────\n  a    10\n  bcd   7");
    }

    #[test]
    fn a_coloured_cell_is_as_wide_as_its_text() {
        let rows = [vec!["\u{1b}[31ma\u{1b}[0m".to_owned(), "1".to_owned()]];
        let text = table(&["xy", "n"], &[false, true], &rows);
        assert!(text.ends_with("  \u{1b}[31ma\u{1b}[0m   1"), "{text:?}");
    }
}

//! Free text on its way to the engine: made to fit rather than refused.

use ff_core::limits::REASON_BYTES_MAX;

/// Cuts a reason to the engine's limit at a character boundary, and puts spaces in place of the
/// control characters that the engine refuses (colour codes of a panic message, say).
pub(crate) fn fit_reason(text: &str) -> String {
    let cut = cut_at_char(text, REASON_BYTES_MAX);
    let forbidden = |c: char| c.is_control() && c != '\n' && c != '\t';
    // A control character beyond ASCII is longer than the space that replaces it: still fits.
    cut.chars().map(|c| if forbidden(c) { ' ' } else { c }).collect()
}

/// Cuts text to at most `bytes_max` bytes, not inside a character.
pub(crate) fn cut_at_char(text: &str, bytes_max: usize) -> &str {
    let end =
        (0..=bytes_max.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_reason_is_cut_between_characters() {
        let long = "é".repeat(REASON_BYTES_MAX);
        let fitted = fit_reason(&format!("x{long}"));
        assert_eq!(fitted.len(), REASON_BYTES_MAX - 1);
        assert!(fitted.ends_with('é'));
    }

    #[test]
    fn control_characters_become_spaces_and_lines_stay() {
        assert_eq!(fit_reason("a\u{1b}[31m\nb\tc\0"), "a [31m\nb\tc ");
    }
}

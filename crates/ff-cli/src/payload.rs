//! Payloads: bytes that are read from where the user says, and shown as what they are.

use std::fs;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Value;

use crate::error::CliError;
use crate::out::harmless;

/// Reads what an argument stands for: `-` is the standard input, `@file` a file, anything else
/// itself.
pub(crate) fn read(argument: &str) -> Result<Vec<u8>, CliError> {
    if argument == "-" {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        read.map_err(|source| CliError::Unreadable { path: PathBuf::from("-"), source })?;
        return Ok(bytes);
    }
    match argument.strip_prefix('@') {
        Some(path) => fs::read(path)
            .map_err(|source| CliError::Unreadable { path: PathBuf::from(path), source }),
        None => Ok(argument.as_bytes().to_vec()),
    }
}

/// A payload in an answer to programs: text if it is UTF-8, else base64.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Told {
    /// How `payload` is to be read.
    pub(crate) payload_encoding: &'static str,
    /// The text, or its base64.
    pub(crate) payload: String,
}

impl Told {
    /// Tells these bytes.
    pub(crate) fn new(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self { payload_encoding: "utf8", payload: text.to_owned() },
            Err(_) => Self { payload_encoding: "base64", payload: STANDARD.encode(bytes) },
        }
    }
}

/// Writes a payload for people: JSON spread out, other text as it is, else its size and base64.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return format!("({} bytes, base64) {}", bytes.len(), STANDARD.encode(bytes));
    };
    let parsed: Option<Value> = serde_json::from_str(text).ok();
    let nested = parsed.filter(|value| value.is_object() || value.is_array());
    let pretty = nested.and_then(|value| serde_json::to_string_pretty(&value).ok());
    pretty.unwrap_or_else(|| harmless(text).into_owned())
}

/// Writes a payload for people beside other columns: further lines are indented to where the first
/// begins.
pub(crate) fn beside(bytes: &[u8], columns: usize) -> String {
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => harmless(text.trim_end_matches('\n')).into_owned(),
        Err(_) => shown(bytes),
    };
    text.replace('\n', &format!("\n{}", " ".repeat(columns)))
}

/// Prints a payload as the whole answer: spread out on a terminal, byte for byte elsewhere.
pub(crate) fn print(bytes: &[u8]) -> Result<(), CliError> {
    if !io::stdout().is_terminal() {
        return crate::out::raw(bytes);
    }
    let mut text = shown(bytes);
    if !text.ends_with('\n') {
        text.push('\n');
    }
    crate::out::raw(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_marked_when_they_are_no_text() {
        let told = Told::new(b"\xff\x00");
        assert_eq!((told.payload_encoding, told.payload.as_str()), ("base64", "/wA="));
        assert_eq!(Told::new("é".as_bytes()).payload_encoding, "utf8");
    }

    #[test]
    fn json_is_spread_out_and_text_is_not() {
        assert_eq!(shown(br#"{"a":1}"#), "{\n  \"a\": 1\n}");
        assert_eq!(shown(b"42"), "42");
        assert_eq!(shown(b"\x1b[2J"), "\u{241b}[2J");
        assert_eq!(shown(b"\xff"), "(1 bytes, base64) /w==");
        assert_eq!(beside(b"a\nb\n", 2), "a\n  b");
    }
}

//! How an answer is printed: for people with colour on a terminal alone, or as JSON for programs.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

use anstyle::{AnsiColor, Style};
use flowfabric::ff_core::state::PublicState;
use serde::Serialize;

use crate::error::CliError;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Text and tables for people.
    Table,
    /// One JSON document; lists and tails are one document a line.
    Json,
}

/// When there is colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Everywhere.
    Always,
    /// Nowhere.
    Never,
}

impl Color {
    /// Sets it for everything that is printed from now on.
    pub(crate) fn set(self) {
        let choice = match self {
            Self::Auto => return,
            Self::Always => anstream::ColorChoice::Always,
            Self::Never => anstream::ColorChoice::Never,
        };
        choice.write_global();
        console::set_colors_enabled(self == Self::Always);
    }
}

/// Prints answers to the standard output in the form that was asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Out {
    format: Format,
}

impl Out {
    /// Prints in this form.
    pub(crate) const fn new(format: Format) -> Self {
        Self { format }
    }

    /// Tells whether programs read the answer.
    pub(crate) fn is_json(self) -> bool {
        self.format == Format::Json
    }

    /// Prints a line for people.
    pub(crate) fn line(self, text: impl Display) -> Result<(), CliError> {
        writeln!(anstream::stdout(), "{text}").map_err(CliError::Unprintable)
    }

    /// Prints a document on a line of its own.
    pub(crate) fn row(self, value: &impl Serialize) -> Result<(), CliError> {
        let mut text = serde_json::to_vec(value)?;
        text.push(b'\n');
        raw(&text)
    }

    /// Prints the one document of an answer, spread out on a terminal.
    pub(crate) fn document(self, value: &impl Serialize) -> Result<(), CliError> {
        if !io::stdout().is_terminal() {
            return self.row(value);
        }
        let mut text = serde_json::to_vec_pretty(value)?;
        text.push(b'\n');
        raw(&text)
    }

    /// Prints what happens on the way to an answer. It is part of an answer to people, and stands
    /// beside one to programs. Who has gone away is not told; the work goes on.
    pub(crate) fn say(self, text: impl Display) {
        match self.format {
            Format::Table => {
                let _ = writeln!(anstream::stdout(), "{text}");
            }
            Format::Json => note(text),
        }
    }
}

/// Prints a remark that is no part of the answer.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to be told that the error output is gone.
    let _ = writeln!(anstream::stderr(), "{text}");
}

/// Prints bytes as they are.
pub(crate) fn raw(bytes: &[u8]) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    out.write_all(bytes).and_then(|()| out.flush()).map_err(CliError::Unprintable)
}

/// Tells whether the error output shows colour.
pub(crate) fn error_has_color() -> bool {
    anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never
}

/// Puts visible signs in place of control characters, so that what others wrote moves no cursor
/// and sets no colour.
pub(crate) fn harmless(text: &str) -> Cow<'_, str> {
    let harmful = |c: char| c.is_control() && c != '\n' && c != '\t';
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let sign = |c: char| match c {
        '\u{0}'..='\u{1f}' if harmful(c) => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}')
        }
        c if harmful(c) => '\u{fffd}',
        c => c,
    };
    Cow::Owned(text.chars().map(sign).collect())
}

/// Colours a state.
pub(crate) fn state(state: PublicState) -> String {
    let color = match state {
        PublicState::Completed => AnsiColor::Green,
        PublicState::Failed | PublicState::Expired => AnsiColor::Red,
        PublicState::Active => AnsiColor::Cyan,
        PublicState::Suspended | PublicState::Delayed | PublicState::Blocked => AnsiColor::Yellow,
        _ => return state.to_string(),
    };
    let style = Style::new().fg_color(Some(color.into()));
    format!("{style}{state}{style:#}")
}

/// Makes a text stand back.
pub(crate) fn dim(text: impl Display) -> String {
    let style = Style::new().dimmed();
    format!("{style}{text}{style:#}")
}

/// Makes a text stand out.
pub(crate) fn bold(text: impl Display) -> String {
    let style = Style::new().bold();
    format!("{style}{text}{style:#}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(harmless("a\u{1b}[31m\r\nb\tc\u{9b}"), "a\u{241b}[31m\u{240d}\nb\tc\u{fffd}");
        assert!(matches!(harmless("plain\ntext"), Cow::Borrowed(_)));
    }
}

//! The one error of every command: what to say, what to do next, and the exit code.

use std::io;
use std::path::PathBuf;

use anstyle::{AnsiColor, Style};
use flowfabric::ff_core::error::{ConflictKind, Entity, StateKind, ValidationKind};
use flowfabric::ff_core::ids::{AttemptIndex, ExecutionId};
use flowfabric::{EngineError, SdkError};

use crate::out;
use crate::text::chain;

/// The answer is no: findings, lost work, an execution that did not end with success.
pub(crate) const NO: u8 = 1;
/// What was asked for cannot be asked so.
const USAGE: u8 = 2;
/// It is not there.
const NOT_FOUND: u8 = 3;
/// The engine refused.
const REFUSED: u8 = 4;
/// The store cannot be opened or reached.
const UNREACHABLE: u8 = 5;
/// Something broke.
const BROKEN: u8 = 6;
/// Somebody pressed Ctrl-C.
const INTERRUPTED: u8 = 130;

/// Every exit code with what it says, for `--help` and the documents.
pub const EXIT_CODES: [(u8, &str); 8] = [
    (0, "done; the answer is yes"),
    (NO, "the answer is no: findings remain, work was lost, the execution did not succeed"),
    (USAGE, "cannot be asked so: an option, a value or an input file is wrong"),
    (NOT_FOUND, "the execution or its attempt is not there, or no longer"),
    (REFUSED, "the engine refused, and changed nothing"),
    (UNREACHABLE, "the store cannot be opened or reached"),
    (BROKEN, "something broke: an output could not be written, or the engine has a bug"),
    (INTERRUPTED, "interrupted by Ctrl-C"),
];

/// Says why a command did not do what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// What was asked for cannot be asked so; the text says how.
    #[error("{0}")]
    Usage(String),
    /// An input could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// An output could not be written.
    #[error("cannot write {}", path.display())]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program, or a part of this one, could not be started.
    #[error("cannot run {program}")]
    NotRun {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// The answer could not be printed.
    #[error("cannot print the answer")]
    Unprintable(#[source] io::Error),
    /// There is no store in the file, and the command does not make one.
    #[error("there is no store at {}: {why}", path.display())]
    NoStore {
        /// The file.
        path: PathBuf,
        /// What is there instead.
        why: &'static str,
    },
    /// The store could not be opened or reached.
    #[error("cannot use {place}")]
    Unreachable {
        /// Which store, without its password.
        place: String,
        /// Whether it is a file that this command would have to own.
        alone: bool,
        /// What the backend said.
        source: EngineError,
    },
    /// What an execution or another process brought could not be understood.
    #[error("what should be JSON of a known form is not")]
    Json(#[from] serde_json::Error),
    /// The execution has no such attempt.
    #[error("there is no attempt {asked}: execution {execution_id} has {}", attempts(*count))]
    NoAttempt {
        /// The execution.
        execution_id: ExecutionId,
        /// The attempt that was asked for.
        asked: AttemptIndex,
        /// How many attempts there are.
        count: u32,
    },
    /// The engine refused, or did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine refused, or did not answer a worker or a client.
    #[error(transparent)]
    Sdk(#[from] SdkError),
    /// The answer is no; the text says to what.
    #[error("{0}")]
    No(String),
    /// What is to be said has been printed.
    #[error("exit code {0}")]
    Said(u8),
    /// Somebody pressed Ctrl-C.
    #[error("stopped before the end")]
    Interrupted,
}

impl CliError {
    /// Returns the exit code.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::Unreadable { .. } | Self::Sdk(SdkError::Config { .. }) => USAGE,
            Self::No(_) => NO,
            Self::NoAttempt { .. } => NOT_FOUND,
            Self::Said(code) => *code,
            Self::NoStore { .. } | Self::Unreachable { .. } => UNREACHABLE,
            Self::Interrupted => INTERRUPTED,
            Self::Unprintable(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
            Self::Unwritable { .. }
            | Self::NotRun { .. }
            | Self::Unprintable(_)
            | Self::Json(_) => BROKEN,
            Self::Engine(_) | Self::Sdk(_) => self.engine_error().map_or(BROKEN, code_of),
        }
    }

    /// Prints the error with what to do next; what needs no words is not printed.
    pub(crate) fn print(&self) {
        match self {
            Self::Said(_) => return,
            Self::Unprintable(error) if error.kind() == io::ErrorKind::BrokenPipe => return,
            _ => {}
        }
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        out::note(format!("{red}error:{red:#} {}", out::harmless(&self.text())));
        if let Some(hint) = self.hint() {
            let green = Style::new().fg_color(Some(AnsiColor::Green.into()));
            out::note(format!("  {green}next:{green:#} {hint}"));
        }
    }

    /// Prints the error while the command goes on. What is left is the first of its errors.
    pub(crate) fn said(&self, first: Option<Self>) -> Self {
        self.print();
        first.unwrap_or_else(|| Self::Said(self.exit_code()))
    }

    fn text(&self) -> String {
        match self {
            // The backend names its file, and that it is about a connection goes without saying.
            Self::Unreachable { place, source: EngineError::Validation { detail, .. }, .. } => {
                match detail.contains(place) {
                    true => detail.clone(),
                    false => format!("cannot use {place}: {detail}"),
                }
            }
            _ => chain(self),
        }
    }

    fn engine_error(&self) -> Option<&EngineError> {
        match self {
            Self::Engine(error) | Self::Unreachable { source: error, .. } => Some(error),
            Self::Sdk(error) => error.engine_error(),
            _ => None,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NoStore { .. } => {
                "name another store with --db or --url; `ff submit`, `ff load` and `ff demo` make \
                 one where none is"
            }
            Self::Unreachable { source: EngineError::Transport { .. }, .. } => {
                "start the server, or name another store with --url or --db"
            }
            Self::Unreachable { alone: true, .. } => {
                "this command runs workers, so it needs the file for itself: name a new one with \
                 --db"
            }
            Self::Unreachable { .. } => "name another store with --db or --url",
            Self::NoAttempt { execution_id, .. } => {
                return Some(format!("`ff describe '{execution_id}'` shows its attempts"));
            }
            _ => return self.engine_error().and_then(hint_of),
        };
        Some(hint.to_owned())
    }
}

/// Says how many attempts there are, and which.
fn attempts(count: u32) -> String {
    match count {
        0 => "none yet".to_owned(),
        1 => "1, attempt 0".to_owned(),
        _ => format!("{count}, attempts 0 to {}", count - 1),
    }
}

fn code_of(error: &EngineError) -> u8 {
    match error {
        EngineError::NotFound { .. } => NOT_FOUND,
        EngineError::Validation { kind: ValidationKind::Connection, .. } => UNREACHABLE,
        EngineError::Validation { .. }
        | EngineError::Contention(_)
        | EngineError::Conflict(_)
        | EngineError::State(_) => REFUSED,
        EngineError::Bug(_) => BROKEN,
        EngineError::Transport { .. } | EngineError::Unavailable { .. } => UNREACHABLE,
    }
}

fn hint_of(error: &EngineError) -> Option<String> {
    let hint = match error {
        EngineError::NotFound { entity: Entity::Execution(_) } => {
            "`ff list` shows what is there, per namespace and store; what has ended is removed \
             after its retention"
        }
        EngineError::Validation { kind: ValidationKind::InvalidToken, .. } => {
            "copy the execution, the waitpoint and the token together: a token is good for its \
             own waitpoint alone"
        }
        EngineError::Validation { kind: ValidationKind::Cursor, .. } => {
            "take the cursor that the page before ended with, unchanged"
        }
        EngineError::State(StateKind::WaitpointClosed { execution_id }) => {
            return Some(format!(
                "nothing waits there any more; `ff explain '{execution_id}'` says where it is"
            ));
        }
        EngineError::State(StateKind::TokenExpired { execution_id }) => {
            return Some(format!(
                "the time to signal is over; `ff explain '{execution_id}'` says where it is"
            ));
        }
        EngineError::State(StateKind::ExecutionNotTerminal { execution_id, .. }) => {
            return Some(format!(
                "only what has ended runs again; wait, or end it with `ff cancel '{execution_id}'`"
            ));
        }
        EngineError::State(StateKind::ExecutionNotActive { execution_id, .. }) => {
            return Some(format!("`ff describe '{execution_id}'` shows how it ended"));
        }
        EngineError::Conflict(ConflictKind::ExecutionExists { .. }) => {
            "the id is taken; submit without it, or with the first content"
        }
        EngineError::Bug(_) => "this is a bug: please report it, with the command that you ran",
        EngineError::Transport { .. } => {
            "the call may have happened: run the command again once the store answers"
        }
        _ => return None,
    };
    Some(hint.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> ExecutionId {
        "{fp:0}:0197b3b4-0000-7000-8000-000000000000".parse().expect("an id")
    }

    #[test]
    fn every_class_of_error_has_its_exit_code() {
        let transport =
            EngineError::Transport { backend: "valkey", source: io::Error::other("gone").into() };
        let refused = EngineError::validation(ValidationKind::InvalidToken, "forged");
        let connection = EngineError::validation(ValidationKind::Connection, "owned by 7");
        let place = || "valkey://h".to_owned();
        let cases = [
            (CliError::Usage(String::new()), USAGE),
            (CliError::Said(NOT_FOUND), NOT_FOUND),
            (EngineError::execution_not_found(id()).into(), NOT_FOUND),
            (refused.into(), REFUSED),
            (
                CliError::Unreachable { place: place(), alone: false, source: connection },
                UNREACHABLE,
            ),
            (transport.into(), UNREACHABLE),
            (CliError::Unprintable(io::ErrorKind::BrokenPipe.into()), 0),
            (CliError::Unprintable(io::ErrorKind::StorageFull.into()), BROKEN),
            (CliError::Interrupted, INTERRUPTED),
        ];
        for (error, code) in cases {
            assert_eq!(error.exit_code(), code, "{error:?}");
            assert!(EXIT_CODES.iter().any(|(known, _)| *known == code));
        }
    }
}

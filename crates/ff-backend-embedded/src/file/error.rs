//! What SQLite and the file system say, in the words of the engine.

use super::sql::Fault;
use ff_core::EngineError;
use ff_core::error::{BugKind, ValidationKind};
use rusqlite::ErrorCode;
use std::path::Path;

/// The name of the backend in transport errors.
pub(crate) const BACKEND: &str = "file";

/// Builds a refusal to open a file.
pub(crate) fn cannot_open(path: &Path, why: impl std::fmt::Display) -> EngineError {
    let detail = format!("cannot open {}: {why}", path.display());
    EngineError::validation(ValidationKind::Connection, detail)
}

/// Says why a file could not be opened by SQLite.
pub(crate) fn not_opened(path: &Path, error: &rusqlite::Error) -> EngineError {
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => cannot_open(path, "it is no SQLite file"),
        Some(ErrorCode::DatabaseCorrupt) => cannot_open(path, DAMAGED),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => EngineError::Unavailable {
            op: "open",
            reason: format!("{} is busy: another process holds its lock", path.display()),
        },
        _ => cannot_open(path, error),
    }
}

const DAMAGED: &str = "it is damaged: restore a copy, or save what can be read with \
                       `sqlite3 <file> .recover`";

/// Says why an operation did not happen. The transaction was undone.
pub(crate) fn refused(op: &'static str, path: &Path, fault: &Fault) -> EngineError {
    let path = path.display();
    let error = match fault {
        Fault::Damaged(what) => {
            return BugKind::Invariant(format!("{path} holds a damaged {what}")).into();
        }
        Fault::Record(execution_id) => {
            return BugKind::RecordDamaged { execution_id: *execution_id }.into();
        }
        Fault::Newer(version) => {
            let reason =
                format!("the schema of {path} is version {version} by now: start a newer program");
            return EngineError::Unavailable { op, reason };
        }
        Fault::Panicked => {
            return BugKind::Invariant(format!("{op} panicked; it was undone")).into();
        }
        Fault::Sqlite(error) => error,
    };
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            format!("another process is writing to {path}: try again")
        }
        Some(ErrorCode::DiskFull) => {
            format!("no space is left for {path}, or its size limit is reached: make room")
        }
        Some(ErrorCode::ReadOnly) => format!("{path} cannot be written"),
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            return BugKind::Invariant(format!("{path}: {DAMAGED} ({error})")).into();
        }
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) => {
            format!("{path} cannot be read or written: {error}")
        }
        _ => return BugKind::Invariant(format!("{path}: {error}")).into(),
    };
    EngineError::Unavailable { op, reason }
}

/// Says that a commit failed: what it held may come to light after a crash.
pub(crate) fn in_doubt(message: &str) -> EngineError {
    EngineError::Transport { backend: BACKEND, source: message.into() }
}

/// Tells whether a fault lies with the file rather than with one operation: no other operation
/// would fare better.
pub(crate) fn concerns_all(fault: &Fault) -> bool {
    let Fault::Sqlite(error) = fault else { return false };
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::ReadOnly
                | ErrorCode::SystemIoFailure
                | ErrorCode::CannotOpen
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
        )
    )
}

//! What can go wrong around a task, sorted by what the caller still holds.

use crate::task::ClaimedTask;
use ff_core::error::EngineError;

/// Why an SDK operation did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// A value is out of its bounds; found before any I/O.
    #[error("{context}: {field} {message}")]
    Config {
        /// What was being set up or called.
        context: &'static str,
        /// The value.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        message: String,
    },
    /// The engine answered that the operation did not happen, or the store could not be reached.
    /// When a task was consumed by the call, its lease is gone.
    #[error(transparent)]
    Engine(Box<EngineError>),
    /// No answer came until the lease had run out. The operation may have happened: the same call
    /// on the task inside is recognised as a repeat.
    #[error("no answer for {} until its lease ran out: {source}", task.execution_id())]
    NotLanded {
        /// The task, as it was.
        task: Box<ClaimedTask>,
        /// The last error.
        source: Box<EngineError>,
    },
    /// The engine refused the operation and changed nothing. The lease is still held and renewed:
    /// go on with the task inside.
    #[error("refused for {}, whose lease is still held: {source}", task.execution_id())]
    Refused {
        /// The task, as it was.
        task: Box<ClaimedTask>,
        /// Why.
        source: Box<EngineError>,
    },
    /// The tokio runtime shut down before the operation was over; its outcome is unknown.
    #[error("{op} was cut off: the runtime shut down")]
    Stopped {
        /// The operation.
        op: &'static str,
    },
}

impl SdkError {
    pub(crate) fn config(
        context: &'static str,
        field: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::Config { context, field, message: message.into() }
    }

    /// Returns what the engine said, whichever way the task went.
    pub fn engine_error(&self) -> Option<&EngineError> {
        match self {
            Self::Engine(source)
            | Self::NotLanded { source, .. }
            | Self::Refused { source, .. } => Some(source),
            Self::Config { .. } | Self::Stopped { .. } => None,
        }
    }

    /// Takes the task out, when the call gave it back.
    pub fn into_task(self) -> Option<ClaimedTask> {
        match self {
            Self::NotLanded { task, .. } | Self::Refused { task, .. } => Some(*task),
            Self::Config { .. } | Self::Engine(_) | Self::Stopped { .. } => None,
        }
    }
}

impl From<EngineError> for SdkError {
    fn from(error: EngineError) -> Self {
        Self::Engine(Box::new(error))
    }
}

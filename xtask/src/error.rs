//! The one error of every command, and the exit code that it ends with.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use ff_testserver::ServerError;

/// Says why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum XtaskError {
    /// An outside program ran and failed.
    #[error("`{command}` failed: {status}")]
    Failed {
        /// The program and its arguments.
        command: String,
        /// How it ended.
        status: ExitStatus,
    },
    /// An outside program could not be started.
    #[error("cannot run {program}; is it installed?")]
    NotRun {
        /// The program.
        program: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// A program that a command needs is missing and cannot be installed from here.
    #[error("{program} is missing; install {hint}")]
    Missing {
        /// The program.
        program: &'static str,
        /// What to install.
        hint: &'static str,
    },
    /// A file could not be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// What `cargo metadata` printed could not be understood.
    #[error("cargo metadata printed what is no description of a workspace")]
    Metadata(#[from] serde_json::Error),
    /// The sources break the guide; each place has been printed.
    #[error("{0} places to tidy")]
    Untidy(usize),
    /// Some stages of a run failed; each has printed why.
    #[error("failed: {}", .0.join(", "))]
    Stages(Vec<&'static str>),
    /// A server could not be found or started.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl XtaskError {
    /// Returns the exit code: that of the program that failed, where one did, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        let code = match self {
            Self::Failed { status, .. } => status.code(),
            _ => None,
        };
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }
}

/// Joins an error and its sources into one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

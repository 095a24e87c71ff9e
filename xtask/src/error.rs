//! The one error of every command, and the exit code that it ends with.

use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;

use ff_cli::CliError;
use ff_testserver::{ClientError, ServerError};
use flowfabric::{EngineError, SdkError};

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
    /// What another program or an execution brought could not be understood.
    #[error("what should be JSON of a known form is not")]
    Json(#[from] serde_json::Error),
    /// The sources break the guide; each place has been printed.
    #[error("{0} places to tidy")]
    Untidy(usize),
    /// Some stages of a run failed; each has printed why.
    #[error("failed: {}", .0.join(", "))]
    Stages(Vec<&'static str>),
    /// What a command is asked for cannot be done; the text says what to do instead.
    #[error("{0}")]
    Told(String),
    /// The engine refused, or did not answer.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine refused, or did not answer a worker or a client.
    #[error(transparent)]
    Sdk(#[from] SdkError),
    /// What the command line does, too, did not work.
    #[error(transparent)]
    Cli(#[from] CliError),
    /// A private server broke off, or refused a command.
    #[error(transparent)]
    Raw(#[from] ClientError),
    /// A server could not be found or started.
    #[error(transparent)]
    Server(#[from] ServerError),
}

impl XtaskError {
    /// Returns the exit code: that of the program that failed, where one did, else 1.
    pub(crate) fn exit_code(&self) -> u8 {
        let code = match self {
            Self::Failed { status, .. } => status.code(),
            Self::Cli(error) => Some(error.exit_code().into()),
            _ => None,
        };
        code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1)
    }
}

//! The one error of everything here that finds, fetches, starts or steers a server.

use std::io;
use std::path::Path;

use crate::client::ClientError;
use crate::find::ServerVersion;

/// Says why a server could not be found, started or steered.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServerError {
    /// No place held a server of the version asked for, and none could be fetched.
    #[error(
        "no valkey-server {major} was found or fetched; tried:\n{tried}\n\
         install Valkey {major}, or set {variable} to the path of its valkey-server",
        major = version.major(),
        tried = list(tried),
        variable = version.variable()
    )]
    NotFound {
        /// The version asked for.
        version: ServerVersion,
        /// Each place that was tried and what it answered, in the order of the look-up.
        tried: Vec<String>,
    },
    /// An environment variable holds what cannot be used.
    #[error("{variable} cannot be used: {reason}; correct or unset it")]
    BadVariable {
        /// The environment variable at fault.
        variable: &'static str,
        /// What is wrong with what it holds.
        reason: String,
    },
    /// The server ended, or did not answer in time, while it was being started.
    #[error("valkey-server on port {port} did not start: {reason}; its log ends:\n{log}")]
    NotStarted {
        /// The port that it was started on.
        port: u16,
        /// What was seen instead of an answer.
        reason: String,
        /// The last lines of the server's log.
        log: String,
    },
    /// Every port of the range is in use.
    #[error("no free loopback port between {first} and {last}; stop servers that nobody uses")]
    NoFreePort {
        /// The first port of the range.
        first: u16,
        /// The last port of the range.
        last: u16,
    },
    /// The server was asked for something that only a running server can do.
    #[error("the server on port {port} is stopped; call restart first")]
    Stopped {
        /// The port that the server had.
        port: u16,
    },
    /// The nodes of a cluster did not come to agree.
    #[error("the cluster is not ready: {reason}")]
    ClusterNotReady {
        /// What the last node that disagreed said.
        reason: String,
    },
    /// A server refused or garbled a command, or did not answer it.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The operating system refused something.
    #[error("cannot {action}")]
    Io {
        /// What was attempted.
        action: String,
        /// What the operating system said.
        source: io::Error,
    },
}

impl ServerError {
    /// Wraps what the operating system said about `action`, a phrase such as `start sh`.
    pub(crate) fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Wraps what the operating system said about `verb` done to the file at `path`.
    pub(crate) fn file(verb: &str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        Self::io(format!("{verb} {}", path.display()))
    }
}

fn list(tried: &[String]) -> String {
    let lines: Vec<String> = tried.iter().map(|line| format!("  - {line}")).collect();
    lines.join("\n")
}

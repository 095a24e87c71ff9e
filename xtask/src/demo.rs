//! `cargo xtask demo`: runs `ff demo`, built for release.

use crate::error::XtaskError;
use crate::run::{cargo, line};

/// What goes to `ff demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// As `ff demo` takes them; `cargo xtask demo -- --help` lists them.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<String>,
}

/// Runs the demo where this was started, on this terminal.
pub(crate) fn run(arguments: &Arguments) -> Result<(), XtaskError> {
    let mut command = cargo(["run", "--quiet", "--release", "--package", "ff-cli", "--", "demo"]);
    command.args(&arguments.arguments);
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    let not_run = |source| XtaskError::NotRun { program: "cargo".to_owned(), source };
    let status = command.status().map_err(not_run)?;
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::Failed { command: line(&command), status })
}

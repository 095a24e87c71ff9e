//! Runs outside programs in the workspace's folder, printing what is run, and async commands.

use std::env;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::XtaskError;

/// Returns the folder of the workspace.
pub(crate) fn root() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    package.parent().unwrap_or(package).to_owned()
}

/// Returns a command that runs `program` in the folder of the workspace.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Returns a command that runs the cargo that runs this.
pub(crate) fn cargo<'a>(arguments: impl IntoIterator<Item = &'a str>) -> Command {
    let program = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = command(&program);
    command.args(arguments);
    command
}

/// Prints `command`, runs it with this process's output, and fails if it fails.
pub(crate) fn show(command: &mut Command) -> Result<(), XtaskError> {
    let line = line(command);
    println!("$ {line}");
    let status = command.stdin(Stdio::null()).status().map_err(not_run(command))?;
    if status.success() {
        return Ok(());
    }
    Err(XtaskError::Failed { command: line, status })
}

/// Runs `command` silently and returns what it printed.
pub(crate) fn read(command: &mut Command) -> Result<Vec<u8>, XtaskError> {
    let output =
        command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().map_err(not_run(command))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(XtaskError::Failed { command: line(command), status: output.status })
}

/// Returns whether `command` can be started and succeeds; nothing is printed.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Prints the beginning of a stage.
pub(crate) fn stage(name: &str) {
    println!("\n==> {name}");
}

fn not_run(command: &Command) -> impl FnOnce(std::io::Error) -> XtaskError + use<> {
    let program = command.get_program().to_string_lossy().into_owned();
    move |source| XtaskError::NotRun { program, source }
}

/// Writes a command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(command.get_program());
    let mut line = name.to_string_lossy().into_owned();
    for argument in command.get_args() {
        let argument = argument.to_string_lossy();
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,".contains(c);
        if argument.chars().all(plain) {
            line = format!("{line} {argument}");
        } else {
            line = format!("{line} '{argument}'");
        }
    }
    line
}

/// Runs an async command on so many threads.
pub(crate) fn on_tokio(
    threads: u16,
    command: impl Future<Output = Result<(), XtaskError>>,
) -> Result<(), XtaskError> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(threads.into()).enable_all().build();
    let not_run = |source| XtaskError::NotRun { program: "tokio".to_owned(), source };
    runtime.map_err(not_run)?.block_on(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_quotes_what_a_shell_would_split() {
        let mut command = Command::new("/opt/bin/cargo");
        command.args(["test", "-E", "package(x) & test(y)"]);
        assert_eq!(line(&command), "cargo test -E 'package(x) & test(y)'");
    }

    #[test]
    fn a_failure_keeps_the_exit_code() {
        let error = read(Command::new("sh").args(["-c", "exit 7"])).expect_err("exit 7");
        assert_eq!(error.exit_code(), 7);
    }

    #[test]
    fn a_missing_program_is_named() {
        let error = read(&mut Command::new("ff-no-such-program")).expect_err("missing");
        assert!(error.to_string().contains("ff-no-such-program"), "{error}");
    }
}

//! Runs outside programs with a time limit and keeps the end of what they said.

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// The longest that one outside program may take; a slow mirror needs minutes.
const PROGRAM_MAX: Duration = Duration::from_secs(300);
/// How often a running program is asked whether it has ended.
const POLL_EVERY: Duration = Duration::from_millis(20);
/// How many lines of a program's output an error quotes.
const QUOTED_LINES_MAX: usize = 8;

/// Runs `command` and returns its standard output; an error is a sentence for the user.
///
/// What it prints goes to files in `folder`, so that a full pipe cannot block it.
pub(crate) fn run(command: &mut Command, folder: &Path) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let said = |error: std::io::Error| format!("{program}: {error}");
    let out = folder.join("stdout");
    let err = folder.join("stderr");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(File::create(&out).map_err(said)?)
        .stderr(File::create(&err).map_err(said)?)
        .spawn()
        .map_err(said)?;
    let deadline = Instant::now() + PROGRAM_MAX;
    let status = loop {
        match child.try_wait().map_err(said)? {
            Some(status) => break status,
            None if Instant::now() >= deadline => {
                child.kill().map_err(said)?;
                child.wait().map_err(said)?;
                return Err(format!("{program}: no end after {PROGRAM_MAX:?}"));
            }
            None => thread::sleep(POLL_EVERY),
        }
    };
    if status.success() {
        return Ok(read_lossy(&out));
    }
    Err(format!("{program}: {status}: {}", tail(&read_lossy(&err))))
}

/// Returns the last few lines of `text`.
pub(crate) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(QUOTED_LINES_MAX)..].join("\n")
}

/// Reads a file that may hold anything or be missing.
pub(crate) fn read_lossy(path: &Path) -> String {
    fs::read(path)
        .map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::places::ScratchDir;

    fn shell(script: &str) -> Result<String, String> {
        let scratch = ScratchDir::new().expect("a scratch folder");
        run(Command::new("sh").arg("-c").arg(script), scratch.path())
    }

    #[test]
    fn run_returns_what_the_program_printed() {
        assert_eq!(shell("echo yes; echo no >&2"), Ok("yes\n".to_owned()));
    }

    #[test]
    fn run_quotes_the_end_of_a_failure() {
        let error = shell("echo first; echo broken pump >&2; exit 3").expect_err("exit 3");
        assert!(error.contains("broken pump"), "{error}");
        assert!(error.contains('3'), "{error}");
    }

    #[test]
    fn run_names_a_program_that_does_not_exist() {
        let scratch = ScratchDir::new().expect("a scratch folder");
        let error = run(&mut Command::new("ff-no-such-program"), scratch.path());
        assert!(error.expect_err("missing").contains("ff-no-such-program"));
    }

    #[test]
    fn tail_keeps_the_last_lines() {
        let text: Vec<String> = (0..20).map(|line| line.to_string()).collect();
        assert_eq!(tail(&text.join("\n")), "12\n13\n14\n15\n16\n17\n18\n19");
    }
}

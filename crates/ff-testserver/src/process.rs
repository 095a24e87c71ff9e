//! A server process that cannot outlive the process that started it.
//!
//! A watchdog shell waits at the end of a pipe whose other end this process alone holds. However
//! this process ends, even by `kill -9`, the pipe closes, and the watchdog kills the server and
//! removes its folder. The server itself starts only after the watchdog knows it, so there is no
//! moment without guard. Both are in process groups of their own, out of reach of a terminal's
//! Ctrl-C and of a test runner that kills the group of its test.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};

use crate::error::ServerError;
use crate::find::library_path;

/// Waits for the word to go, then becomes the server. Without the word it ends.
const STARTER: &str = r#"read -r go && exec "$@""#;
/// Waits for the end of its parent, then removes what the parent would have removed.
const WATCHDOG: &str = r#"read -r _; kill -KILL "$1" 2>/dev/null; rm -rf -- "$2""#;

/// A running server and the watchdog that guards it; both are killed on drop.
#[derive(Debug)]
pub(crate) struct Process {
    server: Child,
    watchdog: Child,
}

impl Process {
    /// Starts `program` with `argument`, its output going to `log`. If this process dies, the
    /// watchdog removes `folder`.
    pub(crate) fn spawn(
        program: &Path,
        argument: &Path,
        log: &Path,
        folder: &Path,
    ) -> Result<Self, ServerError> {
        let opened = File::options()
            .create(true)
            .append(true)
            .open(log)
            .map_err(ServerError::file("open", log))?;
        let errors = opened.try_clone().map_err(ServerError::file("share", log))?;
        let mut command = shell(STARTER);
        command.arg(program).arg(argument).stdin(Stdio::piped()).stdout(opened).stderr(errors);
        if let Some(libraries) = library_path(program) {
            command.env("LD_LIBRARY_PATH", libraries);
        }
        let mut server = command.spawn().map_err(ServerError::io("start sh"))?;
        let word = server.stdin.take();
        let watchdog = shell(WATCHDOG)
            .arg(server.id().to_string())
            .arg(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let watchdog = match watchdog {
            Ok(watchdog) => watchdog,
            Err(error) => {
                reap(&mut server);
                return Err(ServerError::io("start sh")(error));
            }
        };
        let process = Self { server, watchdog };
        if let Some(mut word) = word {
            word.write_all(b"go\n").map_err(ServerError::io("start the server"))?;
        }
        Ok(process)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.id()
    }

    /// Returns how the server ended, if it has.
    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.server.try_wait()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // The watchdog goes before the server is reaped: until then nobody else can have its id.
        let _ = self.server.kill();
        reap(&mut self.watchdog);
        reap(&mut self.server);
    }
}

/// Kills and waits; both fail only if the child is gone already.
fn reap(child: &mut Child) {
    let _ = child.kill();
    let _ = child.wait();
}

/// Sends the signal `name` to the process `pid`.
pub(crate) fn signal(pid: u32, name: &str) -> Result<(), ServerError> {
    let action = format!("send {name} to process {pid}");
    let status = shell(r#"kill -s "$1" "$2""#)
        .arg(name)
        .arg(pid.to_string())
        .stdin(Stdio::null())
        .status()
        .map_err(ServerError::io(action.as_str()))?;
    if status.success() {
        return Ok(());
    }
    Err(ServerError::io(action)(io::Error::other(status.to_string())))
}

/// Returns a shell in a process group of its own that runs `script` with the arguments to come.
fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.arg("-c").arg(script).arg("sh").process_group(0);
    command
}

//! Turns: a busy owner takes SQLite's lock again as soon as it has let go of it, and SQLite lets
//! others only try now and then. So a guest that wants to write says so by a lock on a small file,
//! and the owner pauses while somebody holds it.

use super::config::FileConfig;
use super::error::cannot_open;
use ff_core::EngineResult;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long an owner pauses for guests, at most, and how often it looks.
const PAUSE_MAX: Duration = Duration::from_millis(50);
const PAUSE_LOOK: Duration = Duration::from_micros(500);
/// How long a guest waits for others, at most, and how often it looks.
const WAIT_MAX: Duration = Duration::from_secs(5);
const WAIT_LOOK: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    owns: bool,
}

/// A guest's turn, until dropped.
pub(super) struct Taken<'a>(Option<&'a File>);

impl Taken<'_> {
    /// Tells whether nobody else has the turn.
    pub(super) const fn is_sole(&self) -> bool {
        self.0.is_some()
    }
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        if let Some(file) = self.0 {
            // A lock that cannot be let go of ends with the process.
            let _ = file.unlock();
        }
    }
}

impl Turn {
    pub(super) fn open(path: &Path, owns: bool) -> EngineResult<Self> {
        let beside = FileConfig::beside(path, "-turn");
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&beside).map_err(|error| {
            cannot_open(path, format!("{} cannot be opened: {error}", beside.display()))
        })?;
        Ok(Self { file, owns })
    }

    /// Takes a guest's turn, or lets guests have theirs. Turns are a courtesy: where they cannot
    /// be taken, because a guest was stopped in the middle of its own, SQLite's lock decides.
    pub(super) fn take(&self) -> Taken<'_> {
        let (longest, pause) =
            if self.owns { (PAUSE_MAX, PAUSE_LOOK) } else { (WAIT_MAX, WAIT_LOOK) };
        let since = Instant::now();
        loop {
            let taken = if self.owns { self.file.try_lock_shared() } else { self.file.try_lock() };
            match taken {
                Ok(()) => return Taken(Some(&self.file)),
                Err(TryLockError::WouldBlock) if since.elapsed() < longest => {}
                Err(_) => return Taken(None),
            }
            std::thread::sleep(pause);
        }
    }
}

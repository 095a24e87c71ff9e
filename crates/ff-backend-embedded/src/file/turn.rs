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

#[derive(Debug)]
pub(super) struct Turn {
    file: File,
    owns: bool,
}

/// A guest's turn, until dropped.
pub(super) struct Taken<'a>(Option<&'a File>);

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
    /// be taken, SQLite's own lock decides.
    pub(super) fn take(&self) -> Taken<'_> {
        if !self.owns {
            return Taken(self.file.lock().ok().map(|()| &self.file));
        }
        let since = Instant::now();
        while let Err(TryLockError::WouldBlock) = self.file.try_lock_shared() {
            if since.elapsed() > PAUSE_MAX {
                return Taken(None);
            }
            std::thread::sleep(PAUSE_LOOK);
        }
        Taken(Some(&self.file))
    }
}

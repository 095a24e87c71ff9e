//! Who owns a file: an advisory lock on a small file beside it, which says who holds it. The
//! system lets go of the lock when its process ends, however that ends.

use super::config::FileConfig;
use super::error::cannot_open;
use ff_core::EngineResult;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// Most of what is read of the name of an owner.
const NAME_BYTES_MAX: u64 = 512;

/// The lock, held until dropped.
#[derive(Debug)]
pub(crate) struct Ownership {
    file: File,
}

impl Ownership {
    /// Takes the lock; `None` when another process holds it.
    fn try_take(path: &Path) -> EngineResult<Option<Self>> {
        let beside = lock_path(path);
        let refuse = |error: std::io::Error| {
            cannot_open(path, format!("its lock {} cannot be taken: {error}", beside.display()))
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut file = loop {
            let file = options.open(&beside).map_err(refuse)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => return Ok(None),
                Err(TryLockError::Error(error)) => return Err(refuse(error)),
            }
            if is_still(&beside, &file) {
                break file;
            }
        };
        let program = std::env::current_exe().ok();
        let program = program.as_deref().and_then(Path::file_name).map(|n| n.to_string_lossy());
        let name = format!(
            "process {} ({})\n",
            std::process::id(),
            program.as_deref().unwrap_or("unknown")
        );
        file.set_len(0).map_err(refuse)?;
        file.write_all(name.as_bytes()).map_err(refuse)?;
        Ok(Some(Self { file }))
    }

    /// Takes the lock, or says who holds it.
    pub(crate) fn take(path: &Path) -> EngineResult<Self> {
        Self::try_take(path)?.ok_or_else(|| {
            cannot_open(
                path,
                format!(
                    "it is owned by {}; one process at a time runs workers on a file. Open it as \
                     a guest (access=guest) to read, submit, signal, cancel or replay",
                    holder(path)
                ),
            )
        })
    }
}

impl Drop for Ownership {
    fn drop(&mut self) {
        // The name goes with its owner. If this fails the lock is free all the same.
        let _ = self.file.set_len(0);
        let _ = self.file.rewind();
    }
}

/// Tells whether a path still names the file: a lock on one that was taken away holds nothing.
#[cfg(unix)]
fn is_still(path: &Path, file: &File) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (std::fs::metadata(path), file.metadata()) {
        (Ok(named), Ok(locked)) => named.ino() == locked.ino() && named.dev() == locked.dev(),
        _ => false,
    }
}

/// Tells whether a path still names the file: here an open file cannot be taken away.
#[cfg(not(unix))]
fn is_still(_path: &Path, _file: &File) -> bool {
    true
}

fn lock_path(path: &Path) -> PathBuf {
    FileConfig::beside(path, "-owner")
}

/// Returns what the owner of a file said of itself.
pub(crate) fn holder(path: &Path) -> String {
    let mut name = String::new();
    let read = File::open(lock_path(path))
        .and_then(|file| file.take(NAME_BYTES_MAX).read_to_string(&mut name));
    match read {
        Ok(_) if !name.trim().is_empty() => name.trim().to_owned(),
        _ => "another process".to_owned(),
    }
}

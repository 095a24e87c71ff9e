//! Where files go: the cache that outlives a run, lock files, and private scratch folders.

use std::env;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::ServerError;

/// Returns the folder for what is worth keeping between runs.
pub(crate) fn cache_root() -> PathBuf {
    let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
    cache_root_of(set("XDG_CACHE_HOME"), set("HOME"))
}

fn cache_root_of(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> PathBuf {
    let base = match (xdg_cache_home, home) {
        (Some(cache), _) => PathBuf::from(cache),
        (None, Some(home)) => PathBuf::from(home).join(".cache"),
        (None, None) => env::temp_dir(),
    };
    base.join("flowfabric")
}

/// Opens the lock file `name` without locking it; dropping the file releases its lock.
pub(crate) fn open_lock(name: &str) -> Result<File, ServerError> {
    let folder = cache_root().join("locks");
    fs::create_dir_all(&folder).map_err(ServerError::file("create", &folder))?;
    let path = folder.join(format!("{name}.lock"));
    File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(&path)
        .map_err(ServerError::file("open", &path))
}

/// Waits for the exclusive lock `name`, held until the returned file is dropped.
pub(crate) fn lock(name: &str) -> Result<File, ServerError> {
    let file = open_lock(name)?;
    file.lock().map_err(ServerError::io(format!("lock {name}")))?;
    Ok(file)
}

/// A folder for this user alone that is removed when dropped.
#[derive(Debug)]
pub(crate) struct ScratchDir {
    path: PathBuf,
}

impl ScratchDir {
    /// Creates a fresh folder below the system's folder for temporary files.
    pub(crate) fn new() -> Result<Self, ServerError> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let name = format!("flowfabric-{}-{number}", process::id());
            let path = env::temp_dir().join(name);
            match DirBuilder::new().mode(0o700).create(&path) {
                Ok(()) => return Ok(Self { path }),
                // A process with the same id left it behind.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(ServerError::file("create", &path)(error)),
            }
        }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for ScratchDir {
    fn drop(&mut self) {
        // Nothing depends on its removal, and a drop has nobody to tell.
        let _ = fs::remove_dir_all(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cache_root_prefers_the_xdg_variable_to_the_home() {
        let both = cache_root_of(Some("/xdg".into()), Some("/home/a".into()));
        assert_eq!(both, Path::new("/xdg/flowfabric"));
        let home = cache_root_of(None, Some("/home/a".into()));
        assert_eq!(home, Path::new("/home/a/.cache/flowfabric"));
    }

    #[test]
    fn scratch_dir_is_private_and_removed_on_drop() {
        use std::os::unix::fs::PermissionsExt;

        let scratch = ScratchDir::new().expect("a scratch folder");
        let path = scratch.path().to_owned();
        let mode = fs::metadata(&path).expect("it exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        drop(scratch);
        assert!(!path.exists());
    }

    #[test]
    fn a_held_lock_is_refused_to_another_opener() {
        let held = lock("places-test").expect("the first lock");
        let other = open_lock("places-test").expect("the file opens");
        assert!(other.try_lock().is_err());
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}

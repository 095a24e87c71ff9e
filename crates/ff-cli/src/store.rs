//! Which store is meant, and how it is opened.

use std::env;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flowfabric::{EngineBackend, EngineError};

use crate::error::CliError;
use crate::invocation::quote;
use crate::text::without_password;

/// The file inside the user's data folder.
const DEFAULT_FILE: &str = "flowfabric/ff.db";
/// The scheme of a file.
const FILE: &str = "file:";
/// The scheme of a store that ends with its process.
const MEMORY: &str = "memory:";

/// What a command does with a store that is a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Access {
    /// Runs workers: it must be the only one that does. A file that is missing is made.
    Owner,
    /// Hands work in beside the owner. A file that is missing is made.
    Submitter,
    /// Reads and changes what is there, beside the owner. A file that is missing is refused.
    Guest,
}

/// A store that somebody named, or the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    url: String,
    named: bool,
}

impl Place {
    /// The store of this URL.
    pub(crate) fn url(url: impl Into<String>) -> Self {
        Self { url: url.into(), named: true }
    }

    /// The store in this file.
    pub(crate) fn file(path: &Path) -> Result<Self, CliError> {
        let path = std::path::absolute(path)
            .map_err(|source| CliError::Unreadable { path: path.to_owned(), source })?;
        let text = path.to_str().filter(|text| !text.contains('?'));
        let text = text.ok_or_else(|| {
            CliError::Usage(format!(
                "{} cannot be a store: its path must be UTF-8 and hold no question mark",
                path.display()
            ))
        })?;
        Ok(Self::url(format!("{FILE}{text}")))
    }

    /// The file in the user's data folder.
    pub(crate) fn default() -> Result<Self, CliError> {
        let folder = data_folder().ok_or_else(|| {
            CliError::Usage(
                "there is no home folder for the store; name a file with --db or a server with \
                 --url"
                    .to_owned(),
            )
        })?;
        Ok(Self { named: false, ..Self::file(&folder.join(DEFAULT_FILE))? })
    }

    /// Tells whether the store ends with this process.
    pub(crate) fn is_memory(&self) -> bool {
        self.url.starts_with(MEMORY)
    }

    /// Tells whether the store is inside this process: then its workers are, too.
    pub(crate) fn is_embedded(&self) -> bool {
        self.is_memory() || self.is_file()
    }

    fn is_file(&self) -> bool {
        self.url.starts_with(FILE)
    }

    /// Returns the URL, with its password if it has one.
    pub(crate) fn as_url(&self) -> &str {
        &self.url
    }

    /// Returns how to name the store on a command line, from any folder.
    pub(crate) fn option(&self) -> String {
        match self.url.strip_prefix(FILE) {
            Some(path) if !path.contains('?') => format!("--db {}", quote(path)),
            _ => format!("--url {}", quote(&self.url)),
        }
    }

    /// As [`option`](Self::option), with a space before it; nothing for the default store.
    pub(crate) fn option_if_named(&self) -> String {
        if self.named { format!(" {}", self.option()) } else { String::new() }
    }

    /// Returns what people read: the file, or the URL without its password.
    pub(crate) fn shown(&self) -> String {
        self.path().map_or_else(|| without_password(&self.url), str::to_owned)
    }

    /// Returns the path of a file.
    fn path(&self) -> Option<&str> {
        let rest = self.url.strip_prefix(FILE)?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        rest.split('?').next()
    }

    /// Connects to the store and makes it ready.
    pub(crate) async fn open(&self, access: Access) -> Result<Arc<dyn EngineBackend>, CliError> {
        if let Some(path) = self.path().map(Path::new) {
            match access {
                Access::Guest => refuse_missing(path)?,
                Access::Owner | Access::Submitter => self.make_folder(path)?,
            }
        }
        let alone = access == Access::Owner && self.is_file();
        let failed =
            |source: EngineError| CliError::Unreachable { place: self.shown(), alone, source };
        flowfabric::connect(&self.with(access)).await.map_err(failed)
    }

    /// Makes the folder of the default store; whoever names a file has made its folder.
    fn make_folder(&self, path: &Path) -> Result<(), CliError> {
        let Some(folder) = path.parent().filter(|_| !self.named) else { return Ok(()) };
        fs::create_dir_all(folder)
            .map_err(|source| CliError::Unwritable { path: folder.to_owned(), source })
    }

    fn with(&self, access: Access) -> String {
        if access == Access::Owner || !self.is_file() || self.url.contains("access=") {
            return self.url.clone();
        }
        let sign = if self.url.contains('?') { '&' } else { '?' };
        format!("{}{sign}access=guest", self.url)
    }
}

/// Refuses a file that is not there, or empty: a store would be made of it. Any other trouble is
/// the backend's to tell.
fn refuse_missing(path: &Path) -> Result<(), CliError> {
    let why = match fs::metadata(path) {
        Ok(found) if found.is_file() && found.len() == 0 => "the file is empty",
        Err(error) if error.kind() == io::ErrorKind::NotFound => "the file is missing",
        _ => return Ok(()),
    };
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    if fs::metadata(log).is_ok_and(|found| found.len() > 0) {
        return Ok(());
    }
    Err(CliError::NoStore { path: path.to_owned(), why })
}

/// Returns the folder for the data of the user's programs.
fn data_folder() -> Option<PathBuf> {
    // A relative path is to be ignored, says the specification.
    let absolute = |name| env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(windows) {
        return absolute("LOCALAPPDATA");
    }
    let below =
        if cfg!(target_os = "macos") { "Library/Application Support" } else { ".local/share" };
    absolute("XDG_DATA_HOME").or_else(|| Some(env::home_dir()?.join(below)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_not_shown() {
        let shown = |url| Place::url(url).shown();
        assert_eq!(shown("valkey://me:se@cret@host:1"), "valkey://***@host:1");
        assert_eq!(shown("valkey://host:1"), "valkey://host:1");
        assert_eq!(shown("memory:"), "memory:");
        assert_eq!(shown("file:/tmp/a.db?durability=fast"), "/tmp/a.db");
        assert_eq!(shown("file:///tmp/a.db"), "/tmp/a.db");
    }

    #[test]
    fn a_guest_says_so_to_a_file_alone() {
        let guest = |url| Place::url(url).with(Access::Guest);
        assert_eq!(guest("file:a.db"), "file:a.db?access=guest");
        assert_eq!(guest("file:a.db?durability=fast"), "file:a.db?durability=fast&access=guest");
        assert_eq!(guest("valkey://host:1"), "valkey://host:1");
        assert_eq!(Place::url("file:a.db").with(Access::Owner), "file:a.db");
    }

    #[test]
    fn a_store_is_named_so_that_a_shell_takes_it() {
        let file = Place::file(Path::new("/tmp/my files/ff.db")).expect("a place");
        assert_eq!(file.option(), "--db '/tmp/my files/ff.db'");
        assert_eq!(Place::url("valkey://h:1").option(), "--url valkey://h:1");
        assert!(Place::file(Path::new("a?b")).is_err());
    }
}

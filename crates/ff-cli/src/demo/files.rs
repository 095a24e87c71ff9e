//! Which files a demo works on, and their checksums, computed directly.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::error::CliError;

/// Most files of one run: what one batch may hold.
const FILES_MAX: usize = flowfabric::ff_core::limits::SUBMIT_ITEMS_MAX;
/// Largest file that is read.
const FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Folders that hold what programs made.
const SKIPPED_FOLDERS: [&str; 2] = ["target", "node_modules"];
/// The files of a folder.
#[derive(Debug)]
pub(super) struct Folder {
    pub(super) root: PathBuf,
    pub(super) name: String,
    pub(super) files: Vec<SourceFile>,
    /// What was left out, and why.
    pub(super) skipped: Vec<String>,
}

/// A file before it is submitted.
#[derive(Debug, Clone)]
pub(super) struct SourceFile {
    /// The path from the folder, with `/` between its parts.
    pub(super) path: String,
    pub(super) bytes: u64,
    pub(super) sha256: String,
}

/// Finds the files of `folder`, by path.
pub(super) fn scan(folder: &Path) -> Result<Folder, CliError> {
    let unreadable = |source| CliError::Unreadable { path: folder.to_owned(), source };
    let root = fs::canonicalize(folder).map_err(unreadable)?;
    let name = root.file_name().unwrap_or(root.as_os_str()).to_string_lossy().into_owned();
    let mut found = Folder { root: root.clone(), name, files: Vec::new(), skipped: Vec::new() };
    found.walk(&root)?;
    if found.files.is_empty() {
        return Err(CliError::Usage(format!(
            "{} holds no file to work on; name a folder with some: ff demo docs",
            root.display()
        )));
    }
    found.files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

/// Returns the checksum that a worker must arrive at, too.
pub(super) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Returns the extension that says what a file is.
pub(super) fn extension(path: &str) -> &str {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map_or("other", |(_, extension)| extension)
}

impl Folder {
    fn walk(&mut self, folder: &Path) -> Result<(), CliError> {
        let unreadable = |source| CliError::Unreadable { path: folder.to_owned(), source };
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let Ok(kind) = fs::symlink_metadata(&path) else { continue };
            if name.starts_with('.') {
                continue;
            }
            if kind.is_dir() && !SKIPPED_FOLDERS.contains(&name.as_str()) {
                self.walk(&path)?;
            } else if kind.is_file() {
                self.take(&path, kind.len());
            }
            if self.files.len() > FILES_MAX {
                return Err(CliError::Usage(format!(
                    "{} holds more than the {FILES_MAX} files that a demo takes; name a smaller \
                     folder: ff demo docs",
                    self.root.display()
                )));
            }
        }
        Ok(())
    }

    fn take(&mut self, path: &Path, bytes: u64) {
        let relative = path.strip_prefix(&self.root).unwrap_or(path);
        let Some(name) = relative.to_str() else {
            self.skipped.push(format!("{} (its name is not UTF-8)", relative.display()));
            return;
        };
        if bytes > FILE_BYTES_MAX {
            self.skipped.push(format!("{name} ({bytes} bytes, {FILE_BYTES_MAX} are read)"));
            return;
        }
        match fs::read(path) {
            Ok(content) => self.files.push(SourceFile {
                path: name.to_owned(),
                bytes: content.len() as u64,
                sha256: sha256(&content),
            }),
            Err(error) => self.skipped.push(format!("{name} ({error})")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_below_and_in_order() {
        let found = scan(Path::new(env!("CARGO_MANIFEST_DIR"))).expect("this crate has sources");
        assert!(found.files.iter().any(|file| file.path == "src/demo/files.rs"));
        assert!(found.files.windows(2).all(|pair| pair[0].path < pair[1].path));
    }

    #[test]
    fn a_folder_that_is_not_there_is_named() {
        let error = scan(Path::new("no/such/folder")).expect_err("missing");
        assert!(error.to_string().contains("no/such/folder"), "{error}");
    }

    #[test]
    fn an_extension_says_what_a_file_is() {
        assert_eq!(extension("a/b.tar.gz"), "gz");
        assert_eq!(extension("a.b/Makefile"), "other");
    }
}

//! `cargo xtask tidy`: checks the rules of the guide that no compiler or linter knows.

use std::fmt;
use std::fs;
use std::str;

use crate::error::XtaskError;
use crate::run::{command, read, root};

mod capabilities;
mod edges;
mod gateway;
mod sizes;
mod words;

/// The kinds of files that are read.
const EXTENSIONS: [&str; 4] = [".rs", ".lua", ".md", ".toml"];

/// Prints every place that breaks a rule; fails if there is one.
pub(crate) fn run() -> Result<(), XtaskError> {
    let files = files()?;
    let packages = edges::packages()?;
    let mut violations = edges::check(&packages, &files);
    violations.extend(sizes::check(&files));
    violations.extend(capabilities::check(&files));
    violations.extend(gateway::check(&files));
    violations.extend(words::check(&files));
    for violation in &violations {
        println!("{violation}");
    }
    if violations.is_empty() {
        println!("tidy: {} files, nothing to tidy", files.len());
        return Ok(());
    }
    Err(XtaskError::Untidy(violations.len()))
}

/// A text file of the repository.
#[derive(Debug)]
struct SourceFile {
    /// The path from the folder of the workspace, with `/` between its parts.
    path: String,
    text: String,
}

impl SourceFile {
    /// Returns the lines with their numbers, from 1.
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(at, line)| (at + 1, line))
    }

    /// Says that the line `line` breaks a rule.
    fn violation(&self, line: usize, hint: impl Into<String>) -> Violation {
        Violation { path: self.path.clone(), line, hint: hint.into() }
    }
}

/// A place that breaks a rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    line: usize,
    /// What is wrong and what to do.
    hint: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}: {}", self.path, self.line, self.hint)
    }
}

/// Reads the text files that git tracks, or would track once they are added.
fn files() -> Result<Vec<SourceFile>, XtaskError> {
    let words = "ls-files -z --cached --others --exclude-standard --deduplicate";
    let listed = read(command("git").args(words.split(' ')))?;
    let mut files = Vec::new();
    for path in listed.split(|&byte| byte == 0) {
        let Ok(path) = str::from_utf8(path) else {
            continue;
        };
        if !EXTENSIONS.iter().any(|extension| path.ends_with(extension)) {
            continue;
        }
        let full = root().join(path);
        match fs::read_to_string(&full) {
            Ok(text) => files.push(SourceFile { path: path.to_owned(), text }),
            // Removed, but not yet from the index.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(XtaskError::Unreadable { path: full, source }),
        }
    }
    Ok(files)
}

#[cfg(test)]
fn file(path: &str, text: &str) -> SourceFile {
    SourceFile { path: path.to_owned(), text: text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_violation_begins_with_its_place() {
        let violation = file("a/b.rs", "").violation(7, "do better");
        assert_eq!(violation.to_string(), "a/b.rs:7: do better");
    }
}

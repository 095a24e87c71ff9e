//! How this program was started, so that the commands it prints can be pasted.

use std::env;
use std::path::Path;

/// The package that cargo runs.
const PACKAGE: &str = "ff-cli";

/// Returns the beginning of a command that starts this program again from any folder: its name,
/// its path, or cargo's words.
pub(crate) fn program() -> String {
    let by_cargo = env::var("CARGO_PKG_NAME").is_ok_and(|name| name == PACKAGE)
        && env::var_os("CARGO").is_some();
    if by_cargo {
        let profile = if cfg!(debug_assertions) { "" } else { " --release" };
        return format!("cargo run -q{profile} -p {PACKAGE} --");
    }
    let named = env::args_os().next().unwrap_or_default();
    if Path::new(&named).components().count() < 2 {
        return named.to_str().filter(|name| !name.is_empty()).unwrap_or("ff").to_owned();
    }
    match env::current_exe() {
        Ok(path) => quote(&path.to_string_lossy()),
        Err(_) => quote(&named.to_string_lossy()),
    }
}

/// Writes a word as a shell takes it for one.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_that_a_shell_would_change_is_quoted() {
        assert_eq!(quote("/tmp/ff.db"), "/tmp/ff.db");
        assert_eq!(quote("{fp:0}:x"), "'{fp:0}:x'");
        assert_eq!(quote("it's"), r"'it'\''s'");
        assert_eq!(quote(""), "''");
    }
}

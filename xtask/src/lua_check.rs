//! `cargo xtask lua-check`: the Lua files pass luacheck, as `.luacheckrc` says, are formatted by
//! one hand, and have the version and the content hash that the wire crate names.

use std::fs;
use std::path::PathBuf;

use crate::error::XtaskError;
use crate::run::{cargo, command, read, root, show, succeeds};

/// The linter.
const LUACHECK: &str = "luacheck";
/// What to install for the linter.
const HINT: &str = "Debian's package lua-check, or the rock luacheck";
/// The folder of the Lua files, from the folder of the workspace.
const FOLDER: &str = "lua";

/// The test that compares the content hash, and says what to do when it differs.
const HASH_TEST: &str = "a_changed_library_has_a_new_hash";

/// Checks every Lua file; installs the linter first where that takes no questions.
pub(crate) fn run() -> Result<(), XtaskError> {
    let files = lua_files();
    if files.is_empty() {
        println!("lua-check: skipped, because {FOLDER}/ holds no .lua file");
        return Ok(());
    }
    if !is_installed() {
        install()?;
    }
    show(command(LUACHECK).args(["--no-color", "--codes", FOLDER]))?;
    let mut places = 0;
    for path in &files {
        let text = fs::read_to_string(path)
            .map_err(|source| XtaskError::Unreadable { path: path.clone(), source })?;
        for (line, problem) in misformatted(&text) {
            println!("{}:{line}: {problem}", path.display());
            places += 1;
        }
    }
    if places > 0 {
        return Err(XtaskError::Untidy(places));
    }
    show(cargo(["test", "--quiet", "--package", "ff-script", "--lib"]).arg(HASH_TEST))
}

/// Returns the lines that are not formatted as the others, with what is wrong.
fn misformatted(text: &str) -> Vec<(usize, &'static str)> {
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        if line.contains('\t') {
            found.push((number, "a tab; indent by two spaces"));
        }
        if line.ends_with(' ') {
            found.push((number, "white space at the end"));
        }
        let indent = line.len() - line.trim_start_matches(' ').len();
        if indent % 2 == 1 {
            found.push((number, "an odd indent; indent by two spaces"));
        }
    }
    if !text.ends_with('\n') || text.ends_with("\n\n") {
        found.push((text.lines().count(), "the file must end with one line end"));
    }
    found
}

fn is_installed() -> bool {
    succeeds(command(LUACHECK).arg("--version"))
}

/// Installs the linter through apt, if there is one and this is root.
fn install() -> Result<(), XtaskError> {
    let missing = XtaskError::Missing { program: LUACHECK, hint: HINT };
    let is_root = read(command("id").arg("-u")).is_ok_and(|id| id.trim_ascii() == b"0");
    if !is_root || !succeeds(command("apt-get").arg("--version")) {
        return Err(missing);
    }
    let install = || {
        let words = "install -y -q --no-install-recommends lua-check";
        let mut command = command("apt-get");
        command.args(words.split(' '));
        show(command.env("DEBIAN_FRONTEND", "noninteractive"))
    };
    if install().is_err() {
        // The lists may be older than what the mirror holds.
        show(command("apt-get").args(["update", "-q"]))?;
        install()?;
    }
    if is_installed() { Ok(()) } else { Err(missing) }
}

fn lua_files() -> Vec<PathBuf> {
    let mut folders = vec![root().join(FOLDER)];
    let mut files = Vec::new();
    while let Some(folder) = folders.pop() {
        // A folder that is not there holds no Lua.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tabs_odd_indents_and_loose_ends_are_found() {
        assert_eq!(misformatted("local a\n  b()\n"), []);
        for bad in ["\tb()\n", "   b()\n", "b() \n", "b()", "b()\n\n"] {
            assert_eq!(misformatted(bad).len(), 1, "{bad:?}");
        }
    }
}

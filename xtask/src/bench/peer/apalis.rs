//! apalis-redis, by the crate `xtask/peers/apalis`, which is no member of this workspace.

use std::fs;

use super::{Can, Peer};
use crate::error::XtaskError;
use crate::run::{cargo, command, root, show};

/// The name in the tables.
const NAME: &str = "apalis";
/// What it can be asked for; the harness says why.
const CAN: Can = Can { wake: false, tasks_max: 5_000 };
/// Where the harness is, and where it is built.
const SOURCES: &str = "xtask/peers/apalis";
const BUILT: &str = "target/peers/apalis";

/// Builds the harness for release below `target` and starts it.
pub(super) fn start() -> Result<Peer, XtaskError> {
    let (sources, built) = (root().join(SOURCES), root().join(BUILT));
    let mut build = cargo(["build", "--release", "--locked", "--quiet", "--target-dir"]);
    show(build.arg(&built).current_dir(&sources))?;
    let lock = sources.join("Cargo.lock");
    let locked = fs::read_to_string(&lock)
        .map_err(|source| XtaskError::Unreadable { path: lock, source })?;
    let version = version(&locked, "apalis-redis").unwrap_or("unknown").to_owned();
    let program = built.join("release/ff-peer-apalis");
    let version = format!("apalis-redis {version}");
    Peer::spawn(NAME, version, CAN, command(&program.to_string_lossy()))
}

/// Finds the version of a package in a lock file.
fn version<'a>(lock: &'a str, package: &str) -> Option<&'a str> {
    let (_, rest) = lock.split_once(&format!("name = \"{package}\"\nversion = \""))?;
    Some(rest.split_once('"')?.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_is_that_of_the_whole_name() {
        let lock = "name = \"apalis\"\nversion = \"1.0.0\"\n\nname = \"apalis-redis\"\n\
                    version = \"1.0.1\"\n";
        assert_eq!(version(lock, "apalis-redis"), Some("1.0.1"));
    }
}

//! BullMQ, by `xtask/peers/bullmq/bench.mjs` on Node.js.

use std::fs;
use std::path::Path;

use super::{Can, Peer};
use crate::error::XtaskError;
use crate::run::{command, read, root, show, succeeds};

/// The name in the tables.
pub(in crate::bench) const NAME: &str = "BullMQ";
/// What it can be asked for.
const CAN: Can = Can { wake: true, tasks_max: u64::MAX };
/// Where the harness is, and where it is installed.
const SOURCES: &str = "xtask/peers/bullmq";
const INSTALLED: &str = "target/peers/bullmq";
/// What an installation consists of.
const FILES: [&str; 3] = ["package.json", "package-lock.json", "bench.mjs"];

/// Installs the pinned versions below `target` and starts the harness.
pub(super) fn start() -> Result<Peer, XtaskError> {
    for program in ["node", "npm"] {
        if !succeeds(command(program).arg("--version")) {
            let hint = "Node.js 20 or newer, with npm; or leave --peers out";
            return Err(XtaskError::Missing { program, hint });
        }
    }
    let (sources, installed) = (root().join(SOURCES), root().join(INSTALLED));
    let known = |name: &str| fs::read(installed.join(name)).ok();
    let lock = text(&sources.join("package-lock.json"))?;
    let whole = installed.join("node_modules/.package-lock.json").exists();
    let current = whole && known("package-lock.json").as_deref() == Some(lock.as_bytes());
    fs::create_dir_all(&installed)
        .map_err(|source| XtaskError::Unreadable { path: installed.clone(), source })?;
    for name in FILES {
        let from = sources.join(name);
        fs::copy(&from, installed.join(name))
            .map_err(|source| XtaskError::Unreadable { path: from, source })?;
    }
    if !current {
        let words = "ci --no-audit --no-fund --ignore-scripts --loglevel=error";
        show(command("npm").current_dir(&installed).args(words.split(' ')))?;
    }
    let package: serde_json::Value = serde_json::from_str(&text(&sources.join("package.json"))?)?;
    let pinned = |name: &str| package["dependencies"][name].as_str().unwrap_or("?").to_owned();
    let node = String::from_utf8_lossy(&read(command("node").arg("--version"))?).trim().to_owned();
    let version = format!("{}, ioredis {}, Node.js {node}", pinned("bullmq"), pinned("ioredis"));
    let mut program = command("node");
    program.current_dir(&installed).arg("bench.mjs");
    Peer::spawn(NAME, version, CAN, program)
}

fn text(path: &Path) -> Result<String, XtaskError> {
    fs::read_to_string(path)
        .map_err(|source| XtaskError::Unreadable { path: path.to_owned(), source })
}

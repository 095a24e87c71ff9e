//! Where and with what it was measured: without that, figures say nothing.

use std::fs;
use std::process::Command;

use ff_testserver::Server;
use serde::Serialize;

use super::meter::field;
use super::peer::Peer;
use super::store::SERVER_VERSION;
use super::table::Table;
use crate::error::XtaskError;
use crate::run::{command, read};

/// The machine and the versions.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// What, and which.
    facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks around.
    pub(super) fn look(peers: &[Peer]) -> Result<Self, XtaskError> {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let processor = proc("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into());
        let memory = proc("/proc/meminfo", "MemTotal").as_deref().and_then(gibibytes);
        let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
        let commit = first_line(command("git").args(["rev-parse", "--short", "HEAD"]));
        let commit = commit.map_or_else(String::new, |commit| format!(" at {commit}"));
        let version = env!("CARGO_PKG_VERSION");
        let kernel = first_line(command("uname").arg("-sr"));
        let info = Server::start(SERVER_VERSION)?.command(&["INFO", "server"])?;
        let info = info.text().unwrap_or_default();
        let server = field(&info, "valkey_version").unwrap_or("unknown");
        let mut facts = vec![
            ("processor", format!("{processor}, {cores} cores")),
            ("memory", memory.unwrap_or("unknown".into())),
            ("kernel", kernel.unwrap_or("unknown".into())),
            ("FlowFabric", format!("{version}{commit}{build}")),
            ("rustc", first_line(command("rustc").arg("--version")).unwrap_or("unknown".into())),
            ("Valkey", server.to_owned()),
        ];
        facts.extend(peers.iter().map(|peer| (peer.name(), peer.version().to_owned())));
        let durability = "nothing is kept on disk unless the table says so";
        facts.push(("durability", durability.to_owned()));
        facts.push(("network", "loopback; clients, workers and server share the cores".into()));
        Ok(Self { facts })
    }

    /// Lays it out.
    pub(super) fn table(&self) -> Table {
        let rows = self.facts.iter().map(|(what, which)| vec![(*what).to_owned(), which.clone()]);
        Table::new(["what", "which"], 2, rows.collect())
    }
}

/// Returns the load average of the last minute where it is high, as far as this system tells.
pub(super) fn other_load() -> Option<f64> {
    let text = fs::read_to_string("/proc/loadavg").ok()?;
    let load: f64 = text.split_whitespace().next()?.parse().ok()?;
    let processors = std::thread::available_parallelism().ok()?.get();
    (load > processors as f64 / 2.0).then_some(load)
}

/// Reads the first value of this name.
fn proc(path: &str, name: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let line = text.lines().find(|line| line.starts_with(name))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

/// Rewrites `24731708 kB`.
fn gibibytes(text: &str) -> Option<String> {
    let kilobytes: f64 = text.strip_suffix(" kB")?.parse().ok()?;
    Some(format!("{:.0} GiB", kilobytes / 1_048_576.0))
}

/// Returns the first line that a program prints.
fn first_line(command: &mut Command) -> Option<String> {
    let text = String::from_utf8(read(command).ok()?).ok()?;
    text.lines().next().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_told_in_round_numbers() {
        assert_eq!(gibibytes("24731708 kB").as_deref(), Some("24 GiB"));
        assert_eq!(gibibytes("unknown"), None);
    }
}

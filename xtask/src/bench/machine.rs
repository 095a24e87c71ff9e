//! Where and with what it was measured: without that, figures say nothing.

use std::cmp::Reverse;
use std::fs;
use std::process::Command;

use ff_cli::text::without_password;
use ff_testserver::Server;
use serde::Serialize;

use super::Arguments;
use super::meter::field;
use super::peer::Peer;
use super::store::SERVER_VERSION;
use super::table::Table;
use crate::error::XtaskError;
use crate::run::{command, read};

/// The head of the table.
const HEAD: [&str; 2] = ["what", "which"];
/// What stands between a fact and the sections of which it is told, and between those.
const OF: &str = ": ";
const BETWEEN: &str = ", ";

/// Returns how many cores the machine has.
pub(super) fn cores() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    cores.try_into().unwrap_or(u16::MAX)
}

/// The machine and the versions.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// What, and which.
    facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// Looks around; says so where figures are taken in a hurry.
    pub(super) fn look(peers: &[Peer], arguments: &Arguments) -> Result<Self, XtaskError> {
        let processor = proc("/proc/cpuinfo", "model name").unwrap_or("unknown processor".into());
        let memory = proc("/proc/meminfo", "MemTotal").as_deref().and_then(gibibytes);
        let build = if cfg!(debug_assertions) { ", debug build" } else { "" };
        let hurry = if arguments.quick { ", in a hurry" } else { "" };
        let commit = first_line(command("git").args(["rev-parse", "--short", "HEAD"]));
        let commit = commit.map_or_else(String::new, |commit| format!(" at {commit}"));
        let version = env!("CARGO_PKG_VERSION");
        let kernel = first_line(command("uname").arg("-sr"));
        let mut facts = vec![
            ("processor", format!("{processor}, {} cores", cores())),
            ("memory", memory.unwrap_or("unknown".into())),
            ("kernel", kernel.unwrap_or("unknown".into())),
            ("FlowFabric", format!("{version}{commit}{build}{hurry}")),
            ("rustc", first_line(command("rustc").arg("--version")).unwrap_or("unknown".into())),
        ];
        match &arguments.url {
            Some(url) => facts.push(("store", without_password(url))),
            None => facts.extend(private_server()?),
        }
        facts.extend(peers.iter().map(|peer| (peer.name(), peer.version().to_owned())));
        let threads = arguments.threads;
        facts.push((
            "threads",
            format!("{threads} for our clients and workers, one a core without a server"),
        ));
        if let Some(load) = other_load() {
            facts.push(("other load", format!("{load:.1} when it began: rates may be too low")));
        }
        Ok(Self { facts })
    }

    /// Lays it out.
    pub(super) fn table(&self) -> Table {
        let rows = self.facts.iter().map(|(what, which)| vec![(*what).to_owned(), which.clone()]);
        Table::new(HEAD, 2, rows.collect())
    }

    /// Lays out what a page tells after a run of the sections `ran`, of `all` that it has: what
    /// most sections were measured with, unless that is nothing, and under their names what others
    /// were.
    pub(super) fn merged(&self, page: &[Vec<String>], ran: &[&str], all: &[&str]) -> Table {
        let page: Vec<Told<'_>> = page.iter().filter_map(|row| Told::read(row)).collect();
        let facts = self.facts.iter().map(|(what, _)| *what);
        let mut names: Vec<&str> = Vec::new();
        for name in page.iter().map(|told| told.what).chain(facts) {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut rows = Vec::new();
        for what in names {
            let mut groups: Vec<(Option<&str>, Vec<&str>)> = Vec::new();
            for section in all {
                let which = match ran.contains(section) {
                    true => self.which(what),
                    false => Told::which(&page, what, section),
                };
                match groups.iter_mut().find(|group| group.0 == which) {
                    Some(group) => group.1.push(section),
                    None => groups.push((which, vec![section])),
                }
            }
            groups.sort_by_key(|(_, sections)| Reverse(sections.len()));
            for (place, (which, sections)) in groups.into_iter().enumerate() {
                let Some(which) = which else { continue };
                let name = match place {
                    0 => what.to_owned(),
                    _ => format!("{what}{OF}{}", sections.join(BETWEEN)),
                };
                rows.push(vec![name, which.to_owned()]);
            }
        }
        Table::new(HEAD, 2, rows)
    }

    fn which(&self, what: &str) -> Option<&str> {
        self.facts.iter().find(|fact| fact.0 == what).map(|fact| fact.1.as_str())
    }
}

/// A fact as a page tells it.
struct Told<'a> {
    what: &'a str,
    /// The sections of which it is told; nothing where it is told of all others.
    sections: Option<Vec<&'a str>>,
    which: &'a str,
}

impl<'a> Told<'a> {
    fn read(row: &'a [String]) -> Option<Self> {
        let [name, which] = row else { return None };
        let (what, sections) = match name.split_once(OF) {
            Some((what, sections)) => (what, Some(sections.split(BETWEEN).collect())),
            None => (name.as_str(), None),
        };
        Some(Self { what, sections, which })
    }

    /// Returns what a page tells of a section: by its name, or else what it tells of all.
    fn which(page: &[Self], what: &str, section: &str) -> Option<&'a str> {
        let named = |told: &Self| told.sections.as_ref().map(|names| names.contains(&section));
        let find = |wanted| page.iter().find(|told| told.what == what && named(told) == wanted);
        find(Some(true)).or_else(|| find(None)).map(|told| told.which)
    }
}

/// Tells what the servers are that the bench starts itself.
fn private_server() -> Result<[(&'static str, String); 3], XtaskError> {
    let info = Server::start(SERVER_VERSION)?.command(&["INFO", "server"])?;
    let info = info.text().unwrap_or_default();
    let version = field(&info, "valkey_version").unwrap_or("unknown");
    Ok([
        ("Valkey", version.to_owned()),
        ("durability", "nothing is kept on disk unless the table says so".to_owned()),
        ("network", "loopback; clients, workers and server share the cores".to_owned()),
    ])
}

/// Returns the load average of the last minute where it is high, as far as this system tells.
fn other_load() -> Option<f64> {
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

    const ALL: [&str; 4] = ["a", "b", "c", "d"];

    fn told(rows: &[(&str, &str)]) -> Vec<Vec<String>> {
        rows.iter().map(|(what, which)| vec![(*what).to_owned(), (*which).to_owned()]).collect()
    }

    fn merged(page: &[(&str, &str)], ran: &[&str], now: &[(&'static str, &str)]) -> Table {
        let facts = now.iter().map(|(what, which)| (*what, (*which).to_owned())).collect();
        Machine { facts }.merged(&told(page), ran, &ALL)
    }

    #[test]
    fn a_run_of_some_sections_tells_of_them_alone_what_differs() {
        let page = [("kernel", "6"), ("FlowFabric", "old")];
        let table = merged(&page, &["d"], &[("kernel", "6"), ("FlowFabric", "new")]);
        let expected = [("kernel", "6"), ("FlowFabric", "old"), ("FlowFabric: d", "new")];
        assert_eq!(table.rows(), told(&expected));
    }

    #[test]
    fn a_run_of_all_sections_tells_of_nothing_else() {
        let page = [("FlowFabric", "old"), ("FlowFabric: b, c", "older"), ("Peer", "1")];
        let merged = merged(&page, &ALL, &[("FlowFabric", "new")]);
        assert_eq!(merged.rows(), told(&[("FlowFabric", "new")]), "and the peer took no part");
    }

    #[test]
    fn sections_join_those_that_were_measured_with_the_same() {
        let page = [("FlowFabric", "old"), ("FlowFabric: b", "new")];
        let table = merged(&page, &["c"], &[("FlowFabric", "new")]);
        let two = told(&[("FlowFabric", "old"), ("FlowFabric: b, c", "new")]);
        assert_eq!(table.rows(), two);
        let table = merged(&page, &["b"], &[("FlowFabric", "old")]);
        assert_eq!(table.rows(), told(&[("FlowFabric", "old")]));
    }

    #[test]
    fn what_most_sections_were_measured_with_comes_first() {
        let page = [("FlowFabric", "old"), ("FlowFabric: b, c", "new")];
        let table = merged(&page, &["a"], &[("FlowFabric", "new")]);
        let turned = told(&[("FlowFabric", "new"), ("FlowFabric: d", "old")]);
        assert_eq!(table.rows(), turned);
    }

    #[test]
    fn a_page_keeps_the_peers_that_took_no_part_and_gets_new_ones() {
        let page = [("Peer", "1"), ("network", "n")];
        let table = merged(&page, &["a"], &[("network", "n"), ("Other", "2")]);
        assert_eq!(table.rows(), told(&[("Peer", "1"), ("network", "n"), ("Other: a", "2")]));
    }
}

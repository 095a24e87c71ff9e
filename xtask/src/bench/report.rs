//! What a run prints and writes.

use std::path::Path;

use super::setting::Bench;
use super::table::{Table, tables};
use super::targets::Judged;
use super::{Arguments, Scenario, chart, doc, durability, growth, targets, throughput};
use crate::error::XtaskError;

/// The parts of a page that speak of every scenario.
const MACHINE: &str = "machine";
const TARGETS: &str = "targets";

/// Fails unless what comes out at the end can be written where it is asked for.
pub(super) fn check(arguments: &Arguments, scenarios: &[Scenario]) -> Result<(), XtaskError> {
    for path in [&arguments.json, &arguments.svg].into_iter().flatten() {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        if path.is_dir() || folder.is_some_and(|folder| !folder.is_dir()) {
            let path = path.display();
            let why = "it must be a file in a folder that exists";
            return Err(XtaskError::Told(format!("{path} cannot be written: {why}")));
        }
    }
    let Some(path) = &arguments.doc else { return Ok(()) };
    let text = page(path)?;
    let sections = scenarios.iter().map(|scenario| scenario.section());
    let mut names = [MACHINE, TARGETS].into_iter().chain(sections);
    names.try_for_each(|name| replaced(path, &text, name, "").map(drop))
}

/// Says where and with what is measured.
pub(super) fn begin(bench: &Bench) {
    println!("{}\n", bench.machine.table().text());
}

/// Prints what a scenario brought.
pub(super) fn section(bench: &Bench, scenario: Scenario) {
    println!("==> {}\n", scenario.section());
    for table in section_tables(bench, scenario) {
        println!("{}\n", table.text());
    }
}

/// Prints the targets and writes the files that were asked for.
pub(super) fn end(bench: &Bench, scenarios: &[Scenario]) -> Result<(), XtaskError> {
    let judged = targets::judge(&bench.figures);
    if let Some(table) = targets::table(&judged).filter(|_| !bench.quick()) {
        println!("Targets\n\n{}\n", table.text());
    }
    println!("Every round checked that each task ran exactly once, with its own payload.");
    let arguments = &bench.arguments;
    if let Some(path) = &arguments.json {
        let report = serde_json::json!({
            "machine": bench.machine, "payload_bytes": arguments.payload,
            "tasks": bench.load().tasks, "figures": bench.figures, "targets": judged,
        });
        write(path, &serde_json::to_vec_pretty(&report)?)?;
    }
    let svg = chart::svg(&bench.figures, throughput::SECTION);
    if let Some((path, svg)) = arguments.svg.as_ref().zip(svg.as_ref()) {
        write(path, svg.as_bytes())?;
    }
    if let Some(path) = &arguments.doc {
        if let Some(svg) = svg {
            write(&path.with_extension("svg"), svg.as_bytes())?;
        }
        document(bench, scenarios, &judged, path)?;
    }
    Ok(())
}

/// Puts the tables into a Markdown file: those of the scenarios that ran in the place of what it
/// told of them, and what it tells of others stays.
fn document(
    bench: &Bench,
    scenarios: &[Scenario],
    judged: &[Judged],
    path: &Path,
) -> Result<(), XtaskError> {
    let mut text = page(path)?;
    let ran: Vec<&str> = scenarios.iter().map(|scenario| scenario.section()).collect();
    let all = Scenario::ALL.map(Scenario::section);
    let machine = bench.machine.merged(&doc::rows(&text, MACHINE), &ran, &all);
    let targets = targets::merged(&doc::rows(&text, TARGETS), judged, &ran);
    let mut parts = vec![(MACHINE, vec![machine]), (TARGETS, vec![targets])];
    parts.extend(scenarios.iter().map(|at| (at.section(), section_tables(bench, *at))));
    for (name, tables) in parts {
        let tables: Vec<String> = tables.iter().map(Table::markdown).collect();
        text = replaced(path, &text, name, &tables.join("\n"))?;
    }
    write(path, text.as_bytes())
}

fn page(path: &Path) -> Result<String, XtaskError> {
    std::fs::read_to_string(path)
        .map_err(|source| XtaskError::Unreadable { path: path.to_owned(), source })
}

/// Returns the text of a page with its part of this name replaced.
fn replaced(path: &Path, text: &str, name: &str, part: &str) -> Result<String, XtaskError> {
    doc::replace(text, name, part).ok_or_else(|| {
        let path = path.display();
        XtaskError::Told(format!("{path} has no <!-- bench {name} --> ... <!-- end of {name} -->"))
    })
}

fn section_tables(bench: &Bench, scenario: Scenario) -> Vec<Table> {
    match scenario {
        Scenario::Growth => growth::tables(bench),
        Scenario::Durability => durability::tables(bench),
        _ => tables(&bench.figures, scenario.section()),
    }
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), XtaskError> {
    std::fs::write(path, bytes)
        .map_err(|error| XtaskError::Told(format!("cannot write {}: {error}", path.display())))?;
    println!("{} is written.", path.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_place_for_whatever_is_measured() {
        let page = include_str!("../../../docs/performance.md");
        let sections = Scenario::ALL.map(Scenario::section);
        for name in sections.iter().chain(&[MACHINE, TARGETS]) {
            assert!(!doc::rows(page, name).is_empty(), "{name}");
        }
    }
}

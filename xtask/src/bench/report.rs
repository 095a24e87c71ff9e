//! What a run prints and writes.

use std::path::Path;

use super::machine::other_load;
use super::setting::Bench;
use super::table::{Table, tables};
use super::{Scenario, chart, doc, durability, growth, targets, throughput};
use crate::error::XtaskError;

/// Says where and with what is measured.
pub(super) fn begin(bench: &Bench) {
    println!("{}\n", bench.machine.table().text());
    if let Some(load) = other_load() {
        println!("This machine is not idle (load {load:.1}): rates may be too low.\n");
    }
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
    let target_table = targets::table(&judged);
    if let Some(table) = target_table.as_ref().filter(|_| !bench.quick()) {
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
        document(bench, scenarios, target_table.as_ref(), path)?;
    }
    Ok(())
}

/// Puts the tables into a Markdown file.
fn document(
    bench: &Bench,
    scenarios: &[Scenario],
    target_table: Option<&Table>,
    path: &Path,
) -> Result<(), XtaskError> {
    let mut text = std::fs::read_to_string(path)
        .map_err(|source| XtaskError::Unreadable { path: path.to_owned(), source })?;
    let mut put = |name: &str, tables: &[&Table]| {
        let tables: Vec<String> = tables.iter().map(|table| table.markdown()).collect();
        let replaced = doc::replace(&text, name, &tables.join("\n"));
        text = replaced.ok_or_else(|| {
            let path = path.display();
            XtaskError::Told(format!(
                "{path} has no <!-- bench {name} --> ... <!-- end of {name} -->"
            ))
        })?;
        Ok::<(), XtaskError>(())
    };
    put("machine", &[&bench.machine.table()])?;
    if let Some(table) = target_table {
        put("targets", &[table])?;
    }
    for scenario in scenarios {
        let tables = section_tables(bench, *scenario);
        put(scenario.section(), &tables.iter().collect::<Vec<_>>())?;
    }
    write(path, text.as_bytes())
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

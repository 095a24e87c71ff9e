//! The documents say what the code says.

use ff_core::error::Counted;
use ff_core::keys::FAMILIES;
use ff_core::state::{LifecyclePhase, OwnerIndex, SignalEffect};
use ff_core::turn::{TurnOperation, TurnOutcome};
use std::collections::BTreeSet;
use std::path::Path;

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Returns the cells of every table row of a section, headings aside.
fn rows(text: &str, section: &str) -> Vec<Vec<String>> {
    let lines = text.lines().skip_while(|line| *line != section).skip(1);
    let lines = lines.take_while(|line| !line.starts_with("## ")).filter(|l| l.starts_with('|'));
    let cells = |line: &str| {
        let cells = line.trim_matches('|').split(" | ");
        cells.map(|cell| cell.trim().trim_matches('|').trim().to_owned()).collect::<Vec<_>>()
    };
    lines.map(cells).filter(|row| row[0].starts_with('`')).collect()
}

/// Returns the words in backticks.
fn code(cell: &str) -> BTreeSet<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn words<T: ToString>(all: &[T]) -> BTreeSet<String> {
    all.iter().map(T::to_string).collect()
}

#[test]
fn the_page_of_keys_lists_every_family_and_no_other() {
    let text = document("keys.md");
    let table = text.lines().filter(|line| line.starts_with("| `ff:"));
    let listed: Vec<(String, String)> = table
        .map(|line| {
            let cells: Vec<&str> = line.split(" | ").collect();
            (cells[0].trim_matches(['|', ' ', '`']).to_owned(), cells[1].trim().to_owned())
        })
        .collect();
    let known: Vec<(String, String)> =
        FAMILIES.iter().map(|f| (f.pattern.to_owned(), f.kind.to_owned())).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_state_machine_has_every_phase_and_owner_index() {
    let rows = rows(&document("state-machine.md"), "## Phases and owner indexes");
    let column = |n: usize| rows.iter().flat_map(|row| code(&row[n])).collect::<BTreeSet<_>>();
    assert_eq!(column(0), words(LifecyclePhase::ALL));
    let mut indexes = column(1);
    indexes.remove("grant");
    assert_eq!(indexes, words(OwnerIndex::ALL));
}

#[test]
fn the_state_machine_has_every_end_of_a_turn() {
    let rows = rows(&document("state-machine.md"), "## Turns");
    let operations: BTreeSet<String> = rows.iter().flat_map(|row| code(&row[0])).collect();
    assert_eq!(operations, words(TurnOperation::ALL));
    let mut outcomes: BTreeSet<String> = rows.iter().flat_map(|row| code(&row[1])).collect();
    outcomes.remove("delay_until");
    assert_eq!(outcomes, words(TurnOutcome::ALL));
}

#[test]
fn the_state_machine_names_every_limit_by_its_name() {
    let limits =
        std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/limits.rs"))
            .expect("the limits are there");
    let text = document("state-machine.md");
    let named = code(&text).into_iter().filter(|word| word.ends_with("_MAX"));
    for name in named {
        assert!(limits.contains(&format!("pub const {name}:")), "{name} is no limit");
    }
    assert!(text.contains("`no_op`") && SignalEffect::parse("no_op").is_some());
    assert_eq!(Counted::Signals.as_str(), "signals");
}

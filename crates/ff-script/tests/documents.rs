//! The page of the wire says what the code says.

use ff_script::functions::ALL;
use std::collections::BTreeSet;
use std::path::Path;

fn page() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/wire.md");
    std::fs::read_to_string(path).expect("the page is there")
}

#[test]
fn the_page_of_the_wire_has_every_function_and_no_other() {
    let text = page();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `ff_"));
    let listed: BTreeSet<(String, bool)> = rows
        .map(|row| {
            let (name, rest) = row.split_once('`').expect("a name in backticks");
            (format!("ff_{name}"), rest.trim_start().starts_with("*read*"))
        })
        .filter(|(name, _)| name != "ff_test_set_clock")
        .collect();
    let known: BTreeSet<(String, bool)> =
        ALL.iter().map(|function| (function.name.to_owned(), function.reads)).collect();
    assert_eq!(listed, known);
}

#[test]
fn the_page_of_the_wire_names_the_arguments_of_every_function() {
    let text = page();
    for function in ALL {
        let start = format!("| `{}`", function.name);
        let row = text.lines().find(|line| line.starts_with(&start)).expect("a row");
        let shared = ["handle", "claim"];
        for argument in function.arguments.iter().chain(function.group.arguments) {
            let named = row.contains(&format!("`{argument}`"));
            let grouped = shared.iter().any(|group| row.contains(group));
            assert!(named || grouped, "{} does not name {argument}", function.name);
        }
    }
}

#[test]
fn the_page_of_the_wire_has_every_code() {
    let text = page();
    for code in ff_script::codes::known() {
        assert!(text.contains(&format!("`{code}`")), "{code} is missing");
    }
}

//! `docs/cli.md` tells every command, option and exit code, and no other.

use std::collections::BTreeSet;

use clap::Command;

const DOCUMENT: &str = include_str!("../../../docs/cli.md");

/// Returns the part of the document under a heading, up to the next.
fn section(heading: &str) -> &'static str {
    let heading = format!("\n## {heading}\n");
    let (_, after) = DOCUMENT.split_once(&heading).unwrap_or_else(|| panic!("no {heading:?}"));
    after.split("\n## ").next().unwrap_or(after)
}

/// Returns the long options of a command, those of every command aside.
fn options(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter(|argument| !argument.is_global_set());
    let named = own.filter_map(|argument| argument.get_long());
    named
        .filter(|name| !["help", "version"].contains(name))
        .map(|name| format!("--{name}"))
        .collect()
}

/// Returns the options in the first column of the tables of a text.
fn told(text: &str) -> BTreeSet<String> {
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let cells = rows.filter_map(|row| row.split('`').next());
    let words =
        cells.flat_map(|cell| cell.split([' ', ',']).map(str::to_owned).collect::<Vec<_>>());
    words.filter(|word| word.starts_with("--")).collect()
}

#[test]
fn every_command_has_a_section_with_its_options_and_an_example() {
    let tree = ff_cli::command();
    let mut known = BTreeSet::new();
    for command in tree.get_subcommands().filter(|command| !command.is_hide_set()) {
        let name = command.get_name();
        known.insert(format!("ff {name}"));
        let text = section(&format!("ff {name}"));
        assert_eq!(told(text), options(command), "the options of ff {name}");
        assert!(text.contains(&format!("```sh\nff {name}")), "ff {name} has no example");
        for argument in command.get_positionals() {
            let value = argument.get_value_names().unwrap_or_default().first().expect("a name");
            let cell = [format!("| `<{value}>"), format!("| `[{value}]")];
            assert!(cell.iter().any(|cell| text.contains(cell)), "ff {name} has no {value}");
        }
    }
    let headings = DOCUMENT.lines().filter_map(|line| line.strip_prefix("## "));
    let commands: BTreeSet<String> =
        headings.filter(|heading| heading.starts_with("ff ")).map(str::to_owned).collect();
    assert_eq!(commands, known);
}

#[test]
fn options_of_every_command_are_told_once() {
    let tree = ff_cli::command();
    let global = tree.get_arguments().filter(|argument| argument.is_global_set());
    let global: BTreeSet<String> =
        global.filter_map(|argument| argument.get_long()).map(|name| format!("--{name}")).collect();
    assert_eq!(told(section("Options of every command")), global);
}

#[test]
fn every_exit_code_is_told() {
    let text = section("Exit codes");
    for (code, meaning) in ff_cli::EXIT_CODES {
        assert!(text.contains(&format!("| {code} | {meaning} |")), "{code} is not told");
    }
    let rows = text.lines().filter(|line| line.starts_with("| ") && line.contains(" | "));
    assert_eq!(rows.count(), ff_cli::EXIT_CODES.len() + 2);
}

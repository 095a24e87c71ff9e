use super::*;
use crate::version::{CONTENT_HASH, VERSION};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fs;

fn lua(file: &str) -> String {
    let path = format!("{}/lua/{file}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Lists the Lua files of a folder below `lua/`.
fn files_in(folder: &str) -> Vec<String> {
    let path = format!("{}/lua/{folder}", env!("CARGO_MANIFEST_DIR"));
    let entries = fs::read_dir(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    entries
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .filter(|name| name.ends_with(".lua"))
        .map(|name| format!("{folder}{name}"))
        .collect()
}

#[test]
fn the_files_are_those_of_the_manifest_in_its_order() {
    let manifest = lua("manifest.txt");
    let named: Vec<&str> = manifest.lines().filter(|line| !line.is_empty()).collect();
    assert_eq!(FILES, named);
}

#[test]
fn every_file_of_the_folder_is_loaded() {
    let present: BTreeSet<String> = files_in("").into_iter().chain(files_in("lib/")).collect();
    let named: BTreeSet<String> = FILES.iter().map(|file| (*file).to_owned()).collect();
    assert_eq!(present, named);
}

#[test]
fn the_source_begins_as_servers_want_it() {
    let first = format!("#!lua name={NAME}\n");
    for source in [SOURCE, TEST_SOURCE] {
        assert!(source.starts_with(&first));
        assert_eq!(source.matches("#!lua").count(), 1);
    }
}

#[test]
fn the_source_holds_no_hook_for_tests() {
    assert!(!SOURCE.contains("ff_test_"));
    assert!(TEST_SOURCE.contains("ff_test_set_clock"));
}

#[test]
fn lines_lead_back_to_their_files() {
    let lines: Vec<&str> = TEST_SOURCE.lines().collect();
    let mut begins = 0;
    for file in FILES.iter().copied().chain(["test/clock.lua"]) {
        let text = lua(file);
        let marker = format!("{MARKER}{file}");
        if let Some(at) = lines.iter().position(|line| *line == marker) {
            begins = at + 1;
        }
        let last = text.lines().count();
        for number in [1, 2, last] {
            assert_eq!(locate(begins + number), Some((file, number)), "{file}:{number}");
            assert_eq!(text.lines().nth(number - 1), Some(lines[begins + number - 1]), "{file}");
        }
    }
    assert_eq!(locate(0), None);
    assert_eq!(locate(lines.len() + 1), None);
}

#[test]
fn a_servers_message_names_file_and_line() {
    let line = TEST_SOURCE.lines().position(|line| line.starts_with("do --@ lib/limits.lua"));
    let line = line.expect("the file is there") + 3;
    let message = format!("ERR flowfabric ff_tick: user_function:{line}: boom user_function:0: x");
    let wanted = "ERR flowfabric ff_tick: lua/lib/limits.lua:2: boom user_function:0: x";
    assert_eq!(located(&message), wanted);
    assert_eq!(located("ERR other"), "ERR other");
}

#[test]
fn a_changed_library_has_a_new_hash() {
    let hash = Sha256::digest(SOURCE);
    let digits: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        CONTENT_HASH, digits,
        "the library has changed: raise VERSION in crates/ff-script/src/version.rs and \
         command.version in lua/lib/command.lua if it was released, and set CONTENT_HASH to \
         {digits}"
    );
}

#[test]
fn the_library_tells_the_version_that_clients_expect() {
    let line = format!("command.version = '{VERSION}'");
    assert_eq!(SOURCE.matches(&line).count(), 1, "{line} stands in lua/lib/command.lua");
}

#[test]
fn the_library_registers_the_functions_that_clients_know() {
    let marker = "command.define('";
    let defined: BTreeSet<&str> = SOURCE
        .match_indices(marker)
        .filter_map(|(at, _)| SOURCE[at + marker.len()..].split('\'').next())
        .collect();
    let known: BTreeSet<&str> =
        crate::functions::ALL.iter().map(|function| function.name).collect();
    assert_eq!(defined, known);
}

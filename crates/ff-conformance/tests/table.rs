//! The table names every behaviour that is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

macro_rules! name {
    ($table:ident; $capability:ident { $($behaviour:ident)* }) => {
        let behaviours = [$(stringify!($behaviour)),*];
        $table.extend(behaviours.map(|name| format!("{}::{name}", stringify!($capability))));
    };
}

/// The files of a folder, those of its folders included.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

/// `capability::behaviour` of every behaviour in the sources.
fn written() -> BTreeSet<String> {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    for path in files(&sources) {
        let inside = path.strip_prefix(&sources).expect("a file of the sources");
        let capability = inside.iter().next().expect("a name").to_string_lossy();
        let capability = capability.trim_end_matches(".rs");
        let text = fs::read_to_string(&path).expect("a source file");
        for item in text.split("\npub async fn ").skip(1) {
            let (name, arguments) = item.split_once('(').expect("a signature");
            if arguments.trim_start().starts_with("world: &World") {
                let fresh = found.insert(format!("{capability}::{name}"));
                assert!(fresh, "{capability}::{name} is written twice");
            }
        }
    }
    found
}

#[test]
fn the_table_names_every_behaviour_that_is_written() {
    let mut named: Vec<String> = Vec::new();
    ff_conformance::for_each_behaviour!([name] named);
    let table: BTreeSet<String> = named.iter().cloned().collect();
    let written = written();
    let missing: Vec<&String> = written.difference(&table).collect();
    assert!(missing.is_empty(), "add to the table: {missing:#?}");
    assert_eq!(table.len(), named.len(), "a behaviour is named twice");
    assert_eq!(table, written);
}

//! Checks the order of the look-up with stand-in servers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::places::ScratchDir;

fn stand_in(folder: &Path, version: &str) -> PathBuf {
    fs::create_dir_all(folder).expect("a folder");
    let program = folder.join(PROGRAM);
    let script = format!("#!/bin/sh\necho 'Valkey server v={version} sha=0 malloc=libc'\n");
    fs::write(&program, script).expect("the stand-in is written");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("made executable");
    program
}

fn lookup(version: ServerVersion, root: &Path) -> Lookup {
    Lookup {
        version,
        exact: None,
        any: None,
        path: root.join("bin").into(),
        cached: root.join("cache").join(PROGRAM),
    }
}

fn no_fetch(_: ServerVersion, _: &Path) -> Result<(), String> {
    Err("fetch: not today".to_owned())
}

fn root() -> ScratchDir {
    ScratchDir::new().expect("a scratch folder")
}

#[test]
fn parse_major_reads_only_valkey() {
    assert_eq!(parse_major("Valkey server v=8.0.1 sha=0:0 malloc=libc"), Some(8));
    assert_eq!(parse_major("Valkey server v=10.0.0"), Some(10));
    assert_eq!(parse_major("Redis server v=7.2.4 sha=0:0"), None);
}

#[test]
fn the_variable_of_the_version_comes_first() {
    let root = root();
    let exact = stand_in(&root.path().join("exact"), "8.1.0");
    let any = stand_in(&root.path().join("any"), "8.0.0");
    let mut lookup = lookup(ServerVersion::V8, root.path());
    lookup.exact = Some(exact.clone().into());
    lookup.any = Some(any.into());
    assert_eq!(lookup.find(no_fetch).expect("found"), exact);
}

#[test]
fn the_variable_of_the_version_must_match_it() {
    let root = root();
    let mut lookup = lookup(ServerVersion::V8, root.path());
    lookup.exact = Some(stand_in(root.path(), "9.0.0").into());
    let error = lookup.find(no_fetch).expect_err("the wrong version");
    assert!(matches!(error, ServerError::BadVariable { .. }), "{error}");
}

#[test]
fn a_variable_that_names_nothing_is_an_error() {
    let root = root();
    let mut lookup = lookup(ServerVersion::V9, root.path());
    lookup.any = Some(root.path().join("nowhere").into());
    let error = lookup.find(no_fetch).expect_err("nothing there");
    assert!(error.to_string().contains("FF_VALKEY_SERVER"), "{error}");
}

#[test]
fn the_general_variable_serves_the_version_it_holds() {
    let root = root();
    let any = stand_in(&root.path().join("any"), "8.0.1");
    let on_path = stand_in(&root.path().join("bin"), "9.0.0");
    for (version, expected) in [(ServerVersion::V8, &any), (ServerVersion::V9, &on_path)] {
        let mut lookup = lookup(version, root.path());
        lookup.any = Some(any.clone().into());
        assert_eq!(&lookup.find(no_fetch).expect("found"), expected);
    }
}

#[test]
fn the_general_variable_serves_version_nine_when_newer() {
    let root = root();
    let any = stand_in(&root.path().join("any"), "10.2.0");
    let mut lookup = lookup(ServerVersion::V9, root.path());
    lookup.any = Some(any.clone().into());
    assert_eq!(lookup.find(no_fetch).expect("found"), any);
}

#[test]
fn the_general_variable_must_not_be_too_old() {
    let root = root();
    let mut lookup = lookup(ServerVersion::V9, root.path());
    lookup.any = Some(stand_in(root.path(), "7.2.0").into());
    let error = lookup.find(no_fetch).expect_err("too old");
    assert!(error.to_string().contains("version 7"), "{error}");
}

#[test]
fn the_path_comes_before_the_cache() {
    let root = root();
    let on_path = stand_in(&root.path().join("bin"), "9.0.0");
    let cached = stand_in(&root.path().join("cache"), "9.0.0");
    let lookup = lookup(ServerVersion::V9, root.path());
    assert_eq!(lookup.find(no_fetch).expect("found"), on_path);
    fs::remove_file(on_path).expect("removed");
    assert_eq!(lookup.find(no_fetch).expect("found"), cached);
}

#[test]
fn another_version_on_the_path_is_passed_over() {
    let root = root();
    stand_in(&root.path().join("bin"), "7.2.0");
    let cached = stand_in(&root.path().join("cache"), "8.0.0");
    let lookup = lookup(ServerVersion::V8, root.path());
    assert_eq!(lookup.find(no_fetch).expect("found"), cached);
}

#[test]
fn a_fetch_comes_last_and_fills_the_cache() {
    let root = root();
    let lookup = lookup(ServerVersion::V8, root.path());
    let found = lookup.find(|_, cached| {
        stand_in(cached.parent().expect("a folder"), "8.0.0");
        Ok(())
    });
    assert_eq!(found.expect("fetched"), lookup.cached);
}

#[test]
fn a_failed_look_up_names_every_place() {
    let root = root();
    let error = lookup(ServerVersion::V9, root.path())
        .find(no_fetch)
        .expect_err("nothing to find")
        .to_string();
    for place in ["FF_VALKEY_SERVER_9", "FF_VALKEY_SERVER:", "PATH", "cache", "fetch: not today"] {
        assert!(error.contains(place), "{place} in {error}");
    }
}

#[test]
fn libraries_beside_the_server_are_used() {
    let root = root();
    let program = stand_in(root.path(), "8.0.0");
    assert_eq!(library_path(&program), None);
    let libraries = root.path().join(LIBRARIES);
    fs::create_dir(&libraries).expect("a folder");
    let value = library_path(&program).expect("a path");
    assert!(value.to_string_lossy().starts_with(&*libraries.to_string_lossy()));
}

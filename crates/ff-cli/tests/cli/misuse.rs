//! Wrong arguments, stores that are away, pipes that break, shells.

use std::process::Stdio;

use crate::support::{Scratch, Store, ff, finish, program, run};

#[tokio::test(flavor = "multi_thread")]
async fn wrong_arguments_say_what_would_be_right() {
    let cases: [(&[&str], &str); 8] = [
        (&["list", "--state", "gone"], "the states are waiting, delayed"),
        (&["submit", "x", "--delay", "soon"], "a span is 90s, 5m, 2h, 7d"),
        (&["submit", "x", "--tag", "novalue"], "a tag is KEY=VALUE"),
        (&["submit", "a b"], "white space"),
        (&["submit", "x", "@no/such/file"], "cannot read no/such/file"),
        (&["describe", "17"], "is not of the form {fp:0}:<uuid>"),
        (&["list", "--cursor", "x"], "take the cursor"),
        (&["list", "--db", "a", "--url", "memory:"], "say one"),
    ];
    for (words, wanted) in cases {
        let words: Vec<&str> = match words.contains(&"--url") {
            true => words.to_vec(),
            false => words.iter().copied().chain(["--url", "memory:"]).collect(),
        };
        let ran = ff(&words).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (2, ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains(wanted), "{words:?}: {ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_away_has_an_exit_code_of_its_own() {
    let url = "valkey://:secret@127.0.0.1:1?connect_timeout_ms=500&timeout_ms=500";
    let ran = ff(&["lanes", "--url", url]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("error: cannot use valkey://***@127.0.0.1:1"), "{ran:?}");
    assert!(ran.stderr.contains("next: start the server"), "{ran:?}");
    assert!(!ran.stderr.contains("secret"), "{ran:?}");
    let ran = ff(&["lanes", "--url", "redis://127.0.0.1:1"]).await;
    assert_eq!(ran.code, 5, "{ran:?}");
    assert!(ran.stderr.contains("it must begin with one of"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_cannot_be_opened_is_left_alone() {
    let scratch = Scratch::new();
    let foreign = scratch.file("foreign.db");
    std::fs::write(&foreign, "a diary").expect("written");
    let missing = scratch.file("no/such/folder/ff.db");
    let folder = scratch.path().to_str().expect("UTF-8").to_owned();
    for path in [&foreign, &missing, &folder] {
        for command in ["lanes", "load"] {
            let ran = ff(&[command, "--db", path]).await;
            assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{command} {path}: {ran:?}");
            assert!(ran.stderr.contains(path.as_str()), "{command}: {ran:?}");
            assert!(ran.stderr.contains("next: ") && ran.stderr.contains("--db"), "{ran:?}");
        }
    }
    assert_eq!(std::fs::read_to_string(&foreign).expect("read"), "a diary");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_not_there_is_made_for_new_work_alone() {
    let id = "{fp:0}:0197b3b4-0000-7000-8000-000000000000";
    let waitpoint = "0197b3b4-0000-7000-8000-000000000000";
    let token = "k1.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    let commands: [&[&str]; 10] = [
        &["list"],
        &["lanes"],
        &["doctor"],
        &["describe", id],
        &["explain", id],
        &["tail", id],
        &["cancel", id],
        &["replay", id],
        &["signal", id, waitpoint, token, "--name", "paid"],
        &["approve", id, waitpoint, token],
    ];
    let scratch = Scratch::new();
    let (typo, empty) = (scratch.file("typo.db"), scratch.file("empty.db"));
    std::fs::write(&empty, "").expect("written");
    let url = format!("file:{typo}?durability=fast");
    let data = scratch.file("data");
    let default = scratch.file("data/flowfabric/ff.db");
    let stores: [(&[&str], String); 4] = [
        (&["--db", &typo], format!("there is no store at {typo}: the file is missing")),
        (&["--url", &url], format!("there is no store at {typo}: the file is missing")),
        (&["--db", &empty], format!("there is no store at {empty}: the file is empty")),
        (&[], format!("there is no store at {default}: the file is missing")),
    ];
    for words in commands {
        for (store, wanted) in &stores {
            let mut command = program();
            command.args(words).args(*store).env("XDG_DATA_HOME", &data);
            let ran = run(command).await;
            assert_eq!((ran.code, ran.stdout.as_str()), (5, ""), "{words:?} {store:?}: {ran:?}");
            assert!(ran.stderr.contains(wanted) && ran.stderr.contains("next: "), "{ran:?}");
        }
    }
    let left: Vec<_> = std::fs::read_dir(scratch.path()).expect("read").flatten().collect();
    assert_eq!(left.len(), 1, "nothing is made: {left:?}");
    assert_eq!(std::fs::metadata(&empty).expect("there").len(), 0);
    assert_eq!(ff(&["submit", "shout", "--db", &typo]).await.code, 0);
    assert_eq!(ff(&["list", "--db", &typo]).await.code, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_default_store_is_a_file_in_the_data_folder() {
    let scratch = Scratch::new();
    let mut command = program();
    command.args(["submit", "shout"]).env("XDG_DATA_HOME", scratch.path());
    let ran = run(command).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(!ran.stderr.contains("--db"), "the default need not be named: {ran:?}");
    let mut command = program();
    command.args(["list", "-o", "json", "--db", &scratch.file("flowfabric/ff.db")]);
    assert!(run(command).await.stdout.contains(ran.stdout.trim()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_wins_over_the_environment() {
    let mut command = program();
    command.args(["lanes", "--url", "memory:"]).env("FF_DB", "/no/such/folder/ff.db");
    assert_eq!(run(command).await.code, 0);
    let mut command = program();
    command.arg("lanes").env("FF_DB", "a.db").env("FF_URL", "memory:");
    let ran = run(command).await;
    assert_eq!(ran.code, 2, "{ran:?}");
    assert!(ran.stderr.contains("unset one"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pipe_that_breaks_is_silent() {
    let store = Store::new().await;
    store.ok(&["submit", "shout", "--count", "5000"]).await;
    let mut command = store.command(&["list", "--all", "-o", "json"]);
    let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
    drop(child.stdout.take());
    let ran = finish(child).await;
    assert_eq!((ran.code, ran.stderr.as_str()), (0, ""), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn each_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let ran = ff(&["completions", shell]).await;
        assert_eq!(ran.code, 0, "{shell}: {ran:?}");
        assert!(ran.stdout.contains("approve") && !ran.stdout.contains("panic"), "{shell}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn help_shows_examples_and_exit_codes() {
    let top = ff(&["--help"]).await;
    assert_eq!(top.code, 0);
    assert!(top.stdout.contains("Exit codes:") && top.stdout.contains("130"), "{}", top.stdout);
    for command in ff_cli::command().get_subcommands().filter(|command| !command.is_hide_set()) {
        let ran = ff(&[command.get_name(), "--help"]).await;
        assert_eq!(ran.code, 0, "{ran:?}");
        assert!(ran.stdout.contains("Examples:\n  ff "), "{}: {ran:?}", command.get_name());
    }
}

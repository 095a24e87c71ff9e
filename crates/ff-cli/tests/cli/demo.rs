//! `ff demo`, and its approval from another process.

use std::fs;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::support::{PATIENCE, Scratch, Store, finish, program, run};

/// Makes a folder with a few files.
fn folder() -> Scratch {
    let folder = Scratch::new();
    for name in ["a.md", "b.rs", "c.toml"] {
        fs::write(folder.path().join(name), "# Title\n\nA text.\n").expect("written");
    }
    folder
}

/// Runs a demo, approves it with the command that it prints, and returns what it printed after
/// that.
async fn approved(mut demo: Command) -> String {
    let mut child = demo.spawn().expect("it runs");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let printed = async {
        loop {
            let line = lines.next_line().await.expect("read").expect("a command is printed");
            if line.contains(" approve --") {
                return line.trim().to_owned();
            }
        }
    };
    let command = tokio::time::timeout(PATIENCE, printed).await.expect("in time");
    let mut shell = Command::new("sh");
    shell.args(["-c", &command]).env("USER", "grace");
    let approved = run(shell).await;
    assert_eq!(approved.code, 0, "{approved:?}");
    let mut rest = String::new();
    while let Some(line) = lines.next_line().await.expect("read") {
        rest.push_str(&line);
        rest.push('\n');
    }
    let ran = finish(child).await;
    assert_eq!(ran.code, 0, "{rest}{ran:?}");
    assert!(rest.contains("approved by grace") && !rest.contains("WRONG"), "{rest}");
    rest
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_makes_its_own_file_and_is_approved_beside_it() {
    let folder = folder();
    let temporary = Scratch::new();
    let mut demo = program();
    demo.arg("demo").arg(folder.path()).env("TMPDIR", temporary.path());
    let rest = approved(demo).await;
    let made: Vec<_> = fs::read_dir(temporary.path()).expect("read").flatten().collect();
    assert_eq!(made.len(), 1, "one folder is made: {made:?}");
    let page = fs::read_to_string(made[0].path().join("index.html")).expect("written");
    assert!(page.contains("taken over"), "the worker that was lost was replaced");
    // Attempts have the numbers that `ff tail --attempt` takes.
    assert!(rest.contains("goes on with attempt 0 of the summary"), "{rest}");
    let turn = rest.lines().find_map(|line| line.trim().strip_prefix("(summary)"));
    assert_eq!(turn.and_then(|turn| turn.split_whitespace().next()), Some("0"), "{rest}");
    let look = rest.lines().find_map(|line| line.strip_prefix("Look around: "));
    let mut shell = Command::new("sh");
    shell.args(["-c", look.expect("the next step is printed")]);
    let listed = run(shell).await;
    assert_eq!((listed.code, listed.stdout.lines().count()), (0, 2 + 4), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_that_a_demo_prints_approves_it_on_valkey() {
    let store = Store::valkey().await;
    let folder = folder();
    let index = folder.file("target/index");
    let mut demo = store.command(&["demo", "--index", &index]);
    demo.arg(folder.path());
    approved(demo).await;
    let page = fs::read_to_string(format!("{index}/index.html")).expect("written");
    assert!(page.contains("taken over"), "the killed worker was replaced");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_demo_for_programs_ends_with_one_document() {
    let folder = folder();
    let mut command = program();
    command.args(["demo", "--url", "memory:", "-o", "json", "--index", &folder.file("target")]);
    command.arg(folder.path());
    let ran = run(command).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let told: serde_json::Value = serde_json::from_str(&ran.stdout).expect("a document");
    assert_eq!((&told["files"], &told["attempts"]), (&3.into(), &5.into()));
    assert_eq!(told["wrong"].as_array().map(Vec::len), Some(0));
}

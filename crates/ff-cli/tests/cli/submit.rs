//! `ff submit`.

use std::process::Stdio;

use tokio::io::AsyncWriteExt;

use crate::support::{Scratch, Store, finish};

#[tokio::test(flavor = "multi_thread")]
async fn a_submission_prints_its_id_and_says_how_to_follow_it() {
    let store = Store::new().await;
    let ran = store.ff(&["submit", "shout", "hello"]).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(ran.stdout.lines().count(), 1);
    assert!(ran.stdout.starts_with("{fp:0}:"), "{ran:?}");
    let follow = format!("tail '{}' {}", ran.stdout.trim(), store.options().join(" "));
    assert!(ran.stderr.contains(&follow), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_prints_the_result_byte_for_byte() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let ran = store.ff(&["submit", "shout", "hello", "--wait"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, "HELLO"), "{ran:?}");
    let ran = store.ff(&["submit", "bytes", "--wait"]).await;
    assert_eq!((ran.code, ran.bytes.as_slice()), (0, b"\xff\x00".as_slice()), "{ran:?}");
    let rows = store.json(&["submit", "bytes", "--wait", "--count", "2"]).await;
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["terminal_outcome"], "success");
    assert_eq!(
        (&rows[1]["payload"], &rows[1]["payload_encoding"]),
        (&"/wA=".into(), &"base64".into())
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_for_what_fails_says_no_and_why() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let ran = store.ff(&["submit", "fail", "--retries", "0", "--wait"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (1, ""), "{ran:?}");
    let why = "ended failed (broken: it  [31mbroke)";
    assert!(ran.stderr.contains(why) && !ran.stderr.contains('\u{1b}'), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wait_gives_up_after_its_timeout_and_explains() {
    let store = Store::new().await;
    let ran = store.ff(&["submit", "shout", "--wait", "--timeout", "50ms"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stderr.contains("no live worker serves that lane"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_answers_the_first_submission() {
    let store = Store::new().await;
    let words = ["submit", "shout", "--key", "order-1", "--key-window", "1h"];
    let (first, second) = (store.json(&words).await, store.json(&words).await);
    assert_eq!(first[0]["outcome"], "created");
    assert_eq!(second[0]["outcome"], "duplicate");
    assert_eq!(first[0]["execution_id"], second[0]["execution_id"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_comes_from_a_file_or_the_standard_input() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let scratch = Scratch::new();
    let path = scratch.file("payload");
    std::fs::write(&path, "from a file").expect("written");
    let file = format!("@{path}");
    assert_eq!(store.ok(&["submit", "shout", &file, "--wait"]).await, "FROM A FILE");
    let mut child = store
        .command(&["submit", "shout", "-", "--wait"])
        .stdin(Stdio::piped())
        .spawn()
        .expect("runs");
    let mut stdin = child.stdin.take().expect("piped");
    stdin.write_all(b"from a pipe").await.expect("written");
    drop(stdin);
    assert_eq!(finish(child).await.stdout, "FROM A PIPE");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_option_reaches_the_policy() {
    let store = Store::new().await;
    let id = store
        .submit(&[
            "shout",
            "--lane",
            "words",
            "--priority",
            "-3",
            "--delay",
            "2h",
            "--deadline",
            "1d",
            "--tag",
            "customer=7",
            "--tag",
            "empty=",
            "--capability",
            "gpu",
            "--retries",
            "5",
            "--attempt-timeout",
            "90s",
            "--retention",
            "7d",
        ])
        .await;
    let told = store.json(&["describe", &id]).await;
    let policy = &told[0]["policy"];
    assert_eq!(told[0]["lane"], "words");
    assert_eq!(told[0]["public_state"], "delayed");
    assert_eq!(policy["priority"], -3);
    assert_eq!(policy["start"]["after"], 7_200_000);
    assert_eq!(policy["deadline"]["after"], 86_400_000);
    assert_eq!(policy["tags"]["customer"], "7");
    assert_eq!(policy["required_capabilities"][0], "gpu");
    assert_eq!(policy["retry"]["retries_max"], 5);
    assert_eq!(policy["attempt_timeout_ms"], 90_000);
    assert_eq!(policy["retention_ms"], 604_800_000);
}

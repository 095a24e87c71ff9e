//! `ff tail`.

use tokio::io::{AsyncBufReadExt, BufReader};

use crate::support::{Store, finish, interrupt};

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_begins_before_the_work_and_ends_with_it() {
    let store = Store::new().await;
    let id = store.submit(&["shout", "x"]).await;
    let child = store.command(&["tail", &id]).spawn().expect("it runs");
    let _worker = store.worker().await;
    let ran = finish(child).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    assert!(lines[0].ends_with("  log       first line"), "{ran:?}");
    assert_eq!(lines[1], format!("{}second line", " ".repeat(24)));
    assert!(lines[2].ends_with("  data      (2 bytes, base64) /wA="), "{ran:?}");
    assert!(ran.stderr.contains("It has ended: completed."), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_get_a_document_a_frame_or_the_bytes() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let id = store.submit(&["shout", "x"]).await;
    store.ended(&id).await;
    let frames = store.json(&["tail", &id]).await;
    assert_eq!(frames.len(), 2);
    assert_eq!(frames[0]["frame_type"], "log");
    assert_eq!(frames[0]["correlation_id"], "c-1");
    assert_eq!(frames[0]["payload"], "first line\nsecond line\n");
    assert_eq!(frames[1]["payload_encoding"], "base64");
    let raw = store.ff(&["tail", &id, "--raw"]).await;
    assert_eq!(raw.bytes, b"first line\nsecond line\n\xff\x00");
    assert!(store.json(&["tail", &id, "--from", "end"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_goes_from_attempt_to_attempt() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let id = store.submit(&["shout", "x"]).await;
    store.ended(&id).await;
    store.ok(&["replay", &id]).await;
    store.ended(&id).await;
    let first = store.json(&["tail", &id, "--attempt", "0"]).await;
    let last = store.json(&["tail", &id]).await;
    assert_eq!((first.len(), last.len()), (2, 2));
    assert_eq!((&first[0]["attempt_index"], &last[0]["attempt_index"]), (&0.into(), &1.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_is_not_there_is_refused() {
    let store = Store::new().await;
    let id = store.submit(&["shout", "x"]).await;
    let ran = store.ff(&["tail", &id, "--attempt", "0", "--no-follow"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
    assert!(ran.stderr.contains(&format!("no attempt 0: execution {id} has none yet")), "{ran:?}");
    let _worker = store.worker().await;
    store.ended(&id).await;
    for words in [&["--no-follow"][..], &[], &["--from", "end"]] {
        let words: Vec<&str> =
            ["tail", &id, "--attempt", "1"].iter().chain(words).copied().collect();
        let ran = store.ff(&words).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{words:?}: {ran:?}");
        assert!(ran.stderr.contains("there is no attempt 1: "), "{ran:?}");
        assert!(
            ran.stderr.contains("has 1, attempt 0") && ran.stderr.contains("next: `ff describe")
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tail_waits_for_an_attempt_of_a_live_execution() {
    let store = Store::new().await;
    let (a, b) = (store.submit(&["shout", "x"]).await, store.submit(&["shout", "x"]).await);
    let comes = store.command(&["tail", &a, "--attempt", "0"]).spawn().expect("it runs");
    let never = store.command(&["tail", &b, "--attempt", "1"]).spawn().expect("it runs");
    let _worker = store.worker().await;
    let ran = finish(comes).await;
    assert_eq!((ran.code, ran.stdout.lines().count()), (0, 3), "{ran:?}");
    let ran = finish(never).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{ran:?}");
    assert!(ran.stderr.contains("there is no attempt 1: "), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_ends_a_tail_with_the_code_of_an_interrupt() {
    let store = Store::new().await;
    let mut worker = store.worker().await;
    let id = store.submit(&["hang"]).await;
    worker.asked().await;
    let mut child = store.command(&["tail", &id]).spawn().expect("it runs");
    let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
    let mut line = String::new();
    stdout.read_line(&mut line).await.expect("a line");
    assert!(line.trim_end().ends_with("hangs"), "{line}");
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!(ran.code, 130, "{ran:?}");
    worker.stop().await;
}

//! `ff signal` and `ff approve`.

use crate::support::{Scratch, Store};

#[tokio::test(flavor = "multi_thread")]
async fn an_approval_resumes_once_and_names_who_gave_it() {
    let store = Store::new().await;
    let mut worker = store.worker().await;
    store.submit(&["ask"]).await;
    let (id, waitpoint, token) = worker.asked().await;
    let words = ["approve", &id, &waitpoint, &token, "--comment", "looks good"];
    let told = store.json(&words).await;
    assert_eq!(told[0]["execution_id"], id.as_str());
    let again = store.json(&words).await;
    assert_eq!(again[0]["outcome"], "duplicate");
    assert_eq!(again[0]["signal_id"], told[0]["signal_id"]);
    store.ended(&id).await;
    let told = &store.json(&["describe", &id]).await[0];
    assert_eq!(told["result"]["payload"], "by ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_forged_token_is_refused_and_nothing_moves() {
    let store = Store::new().await;
    let mut worker = store.worker().await;
    store.submit(&["ask"]).await;
    let (id, waitpoint, token) = worker.asked().await;
    let forged = format!("{}AAAA", &token[..token.len() - 4]);
    let ran = store.ff(&["approve", &id, &waitpoint, &forged]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (4, ""), "{ran:?}");
    assert!(ran.stderr.contains("next: copy the execution"), "{ran:?}");
    assert!(!ran.stderr.contains(&forged), "a token is not repeated: {ran:?}");
    let told = &store.json(&["describe", &id]).await[0];
    assert_eq!(told["signals"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_that_nothing_waits_for_says_no() {
    let store = Store::new().await;
    let mut worker = store.worker().await;
    store.submit(&["ask"]).await;
    let (id, waitpoint, token) = worker.asked().await;
    // The task asks just before it suspends; a signal before that is kept for it.
    let suspended = async {
        loop {
            let told = &store.json(&["describe", &id]).await[0];
            if told["public_state"] == "suspended" {
                return told.clone();
            }
        }
    };
    let told = tokio::time::timeout(crate::support::PATIENCE, suspended).await.expect("in time");
    assert_eq!(told["suspension"]["matchers"][0]["signal_name"], "approve");
    let scratch = Scratch::new();
    let path = scratch.file("token");
    std::fs::write(&path, format!("{token}\n")).expect("written");
    let file = format!("@{path}");
    let ran = store.ff(&["signal", &id, &waitpoint, &file, "--name", "other"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("other is kept, but nothing waits for it"), "{ran:?}");
    assert!(ran.stderr.contains("explain"), "{ran:?}");
    let words = [
        "signal",
        &id,
        &waitpoint,
        &file,
        "--name",
        "approve",
        "--as",
        "hook",
        "--source-type",
        "webhook",
        "--category",
        "payment",
        "--payload",
        "{}",
        "--correlation",
        "c-1",
        "--key",
        "k",
    ];
    let told = store.json(&words).await;
    assert_eq!(told[0]["outcome"], "resumed");
    assert_eq!(told[0]["effect"], "resume_condition_satisfied");
    store.ended(&id).await;
    let ran = store.ff(&["signal", &id, &waitpoint, &file, "--name", "approve"]).await;
    assert_eq!(ran.code, 4, "a closed waitpoint takes no signal: {ran:?}");
    assert!(ran.stderr.contains("next: nothing waits there any more"), "{ran:?}");
}

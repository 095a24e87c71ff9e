//! `ff cancel`, `ff replay`, `ff doctor` and `ff lua-load`.

use crate::support::{Store, program, run};

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_cancelled_at_once_and_can_be_replayed() {
    let store = Store::new().await;
    let (a, b) = (store.submit(&["shout"]).await, store.submit(&["shout"]).await);
    let ran = store.ff(&["replay", &a]).await;
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("next: only what has ended runs again"), "{ran:?}");
    let text = store.ok(&["cancel", &a, &b, "--reason", "wrong customer"]).await;
    assert_eq!(text, format!("cancelled: {a}\ncancelled: {b}\n"));
    let told = &store.json(&["describe", &a]).await[0];
    assert_eq!(
        (&told["public_state"], &told["end_reason"]),
        (&"cancelled".into(), &"wrong customer".into())
    );
    assert_eq!(store.ok(&["replay", &a]).await, format!("ready for attempt 0: {a}\n"));
    assert_eq!(store.json(&["replay", &b]).await[0]["attempt_index"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn running_work_is_asked_to_stop() {
    let store = Store::new().await;
    let mut worker = store.worker().await;
    let id = store.submit(&["hang"]).await;
    worker.asked().await;
    let told = store.json(&["cancel", &id, "--grace", "1h"]).await;
    assert_eq!(told[0]["outcome"], "requested");
    assert!(told[0]["revoke_at"].is_u64(), "{told:?}");
    store.ended(&id).await;
    let told = &store.json(&["describe", &id]).await[0];
    assert_eq!(told["end_reason"], "cancelled by ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_bad_id_stops_no_other() {
    let store = Store::new().await;
    let id = store.submit(&["shout"]).await;
    let unknown = "{fp:0}:0197b3b4-0000-7000-8000-000000000000";
    let ran = store.ff(&["cancel", unknown, &id]).await;
    assert_eq!((ran.code, ran.stdout), (3, format!("cancelled: {id}\n")));
    assert!(ran.stderr.contains("not found"), "{}", ran.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_finds_and_mends_what_is_stranded() {
    let store = Store::valkey().await;
    let id = store.submit(&["shout"]).await;
    let text = store.ok(&["doctor"]).await;
    assert!(text.starts_with("nothing is stranded: 1 executions"), "{text}");
    let keys = store.server().command(&["KEYS", "ff:*:ready:*"]).expect("keys");
    let key = keys.array().expect("a list")[0].text().expect("a key").into_owned();
    store.server().command(&["DEL", &key]).expect("removed");
    let ran = store.ff(&["doctor"]).await;
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains(&id) && ran.stderr.contains("doctor --fix"), "{ran:?}");
    let told = store.json(&["doctor", "--fix"]).await;
    assert_eq!(
        (&told[0]["findings"][0]["fixed"], &told[0]["remaining"]),
        (&true.into(), &0.into())
    );
    store.ok(&["doctor"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doctor_is_a_guest_of_a_file() {
    let store = Store::new().await;
    store.ok(&["submit", "shout", "--count", "3"]).await;
    let text = store.ok(&["doctor", "--fix"]).await;
    assert!(text.starts_with("nothing is stranded: 3 executions"), "{text}");
    assert_eq!(store.json(&["doctor"]).await[0]["remaining"], 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_library_is_loaded_on_valkey_alone() {
    let store = Store::valkey().await;
    let text = store.ok(&["lua-load"]).await;
    assert!(text.ends_with("nodes: 1, partitions: 1\n"), "{text}");
    assert_eq!(store.json(&["lua-load"]).await[0]["partitions"], 1);
    for words in [&["lua-load"][..], &["lua-load", "--db", "a.db"]] {
        let mut command = program();
        command.args(words);
        let ran = run(command).await;
        assert_eq!(ran.code, 2, "{ran:?}");
        assert!(ran.stderr.contains("valkey://host:port"), "{ran:?}");
    }
}

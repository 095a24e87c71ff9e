//! `ff list`, `ff describe`, `ff explain` and `ff lanes`.

use std::collections::BTreeSet;

use crate::support::Store;

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_listing_hold_each_execution_once() {
    let store = Store::new().await;
    for lane in ["a", "b"] {
        store.ok(&["submit", "shout", "--lane", lane, "--count", "3"]).await;
        store.ok(&["submit", "shout", "--lane", lane, "--count", "2", "--delay", "1h"]).await;
    }
    let mut seen = BTreeSet::new();
    let mut cursor: Option<String> = None;
    let mut pages = 0;
    loop {
        let mut words = vec!["list", "--limit", "4"];
        if let Some(cursor) = &cursor {
            words.extend(["--cursor", cursor]);
        }
        let mut rows = store.json(&words).await;
        pages += 1;
        let last = rows.pop().expect("a row");
        let next = last["next_cursor"].as_str().map(str::to_owned);
        if next.is_none() {
            rows.push(last);
        }
        for row in rows {
            assert!(seen.insert(row["execution_id"].to_string()), "{row} came twice");
        }
        match next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!((seen.len(), pages), (10, 3));
    assert_eq!(store.json(&["list", "--all"]).await.len(), 10);
    let some = store.json(&["list", "--lane", "b", "--state", "delayed"]).await;
    assert_eq!(some.len(), 2);
    assert!(some.iter().all(|row| row["lane"] == "b" && row["public_state"] == "delayed"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_for_people_is_a_table_with_a_next_step() {
    let store = Store::new().await;
    let id = store.submit(&["shout", "--lane", "words"]).await;
    store.submit(&["shout", "--lane", "words"]).await;
    let ran = store.ff(&["list", "--limit", "1"]).await;
    let lines: Vec<&str> = ran.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{ran:?}");
    let head: Vec<&str> = lines[0].split_whitespace().collect();
    assert_eq!(head, ["execution", "lane", "kind", "state", "attempts", "submitted", "changed"]);
    assert!(lines[2].contains(&id) && lines[2].contains("waiting"), "{ran:?}");
    assert!(ran.stderr.contains("1 shown; for more, add --cursor 'words:waiting:"), "{ran:?}");
    let ran = store.ff(&["list", "--namespace", "elsewhere"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stderr.contains("nothing there"), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_description_tells_state_turns_and_result() {
    let store = Store::new().await;
    let _worker = store.worker().await;
    let id = store.submit(&["shout", r#"{"a":[1]}"#, "--tag", "customer=7"]).await;
    store.ended(&id).await;
    let text = store.ok(&["describe", &id]).await;
    let facts = [
        "state          completed",
        "tags           customer=7",
        "attempts       1",
        "frames         2",
        "tester",
        "complete",
        "{\n  \"A\": [\n    1\n  ]\n}",
    ];
    for fact in facts {
        assert!(text.contains(fact), "{fact} is missing: {text}");
    }
    assert!(!text.contains('\u{1b}'), "no colour in a pipe: {text}");
    let told = &store.json(&["describe", &id]).await[0];
    assert_eq!(told["attempt"]["index"], 0);
    assert_eq!(told["turns"][0]["operation"], "complete");
    assert_eq!(told["result"]["payload"], r#"{"A":[1]}"#);
    let text = store.ok(&["describe", &id, "--color", "always"]).await;
    assert!(text.contains("\u{1b}[32mcompleted"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_explanation_is_a_sentence() {
    let store = Store::new().await;
    let id = store.submit(&["shout", "--delay", "1h"]).await;
    let text = store.ok(&["explain", &id]).await;
    assert!(text.starts_with("It was submitted to start later"), "{text}");
    assert!(text.contains("At the latest 20"), "{text}");
    let told = &store.json(&["explain", &id]).await[0];
    assert_eq!(told["execution_id"], id.as_str());
    assert_eq!(told["next_mover"], "timer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_has_an_exit_code_of_its_own() {
    let store = Store::new().await;
    let id = "{fp:0}:0197b3b4-0000-7000-8000-000000000000";
    for command in ["describe", "explain", "tail", "cancel", "replay"] {
        let ran = store.ff(&[command, id]).await;
        assert_eq!((ran.code, ran.stdout.as_str()), (3, ""), "{command}: {ran:?}");
        assert!(ran.stderr.contains(&format!("error: execution {id} not found")), "{ran:?}");
        assert!(ran.stderr.contains("next: `ff list`"), "{ran:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lanes_are_counted() {
    let store = Store::new().await;
    let ran = store.ff(&["lanes"]).await;
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
    assert!(ran.stderr.contains("no lanes yet"), "{ran:?}");
    store.ok(&["submit", "shout", "--lane", "words", "--count", "1200"]).await;
    let text = store.ok(&["lanes"]).await;
    let row: Vec<&str> = text.lines().last().expect("a row").split_whitespace().collect();
    assert_eq!(row, ["words", "1", "200", "0", "0", "0", "0", "0", "1", "200"], "{text}");
    let rows = store.json(&["lanes"]).await;
    assert_eq!((&rows[0]["lane"], &rows[0]["ready"]), (&"words".into(), &1_200.into()));
}

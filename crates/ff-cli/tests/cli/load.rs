//! `ff load`.

use serde_json::Value;

use crate::support::{PATIENCE, Scratch, Store, documents, finish, interrupt, program, run};

#[tokio::test(flavor = "multi_thread")]
async fn a_load_ends_each_exactly_once_and_tells_figures() {
    let store = Store::valkey().await;
    let told = &store.json(&["load", "-n", "200", "-c", "8", "--payload", "300"]).await[0];
    assert_eq!((&told["ended_once"], &told["not_ended"]), (&200.into(), &0.into()));
    let spread = &told["submit_to_start_us"];
    assert!(spread["p50"].as_u64() <= spread["p99"].as_u64(), "{told}");
    assert_eq!(store.json(&["lanes"]).await[0]["done"], 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn how_long_work_took_is_told_in_the_milliseconds_of_the_store() {
    let mut command = program();
    command.args(["load", "--url", "memory:", "-n", "4", "--work", "50ms", "-o", "json"]);
    let ran = run(command).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    let spread = &documents(&ran.stdout)[0]["start_to_end_ms"];
    let took = spread["p50"].as_u64().expect("a time");
    assert!((50..20_000).contains(&took), "{ran:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_in_memory_keeps_its_rate_and_draws_a_histogram() {
    let mut command = program();
    command.args(["load", "--url", "memory:", "-n", "20", "--rate", "100", "--work", "1ms"]);
    let ran = run(command).await;
    assert_eq!(ran.code, 0, "{ran:?}");
    for fact in ["20 executions in", "p99", "submit to start", "█", "20 of 20 ended exactly once"]
    {
        assert!(ran.stdout.contains(fact), "{fact} is missing: {ran:?}");
    }
}

/// Returns the lanes of a store that another process may own.
async fn lanes(scratch: &Scratch) -> Vec<Value> {
    documents(&run(scratch.command(&["lanes", "-o", "json"])).await.stdout)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_load_says_how_far_it_came_and_the_next_takes_the_rest() {
    let scratch = Scratch::new();
    let load = ["load", "-n", "1000", "-c", "2", "--work", "1h", "--open", "6"];
    let child = scratch.command(&load).spawn().expect("it runs");
    let working = async {
        loop {
            if lanes(&scratch).await.iter().any(|lane| lane["active"] == 2 && lane["ready"] == 4) {
                return;
            }
        }
    };
    tokio::time::timeout(PATIENCE, working).await.expect("it works in time");
    let second = run(scratch.command(&["load", "-n", "1"])).await;
    assert_eq!(second.code, 5, "one process runs workers on a file: {second:?}");
    let pid = child.id().expect("it runs").to_string();
    assert!(second.stderr.contains(&pid) && second.stderr.contains("next: "), "{second:?}");
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!(ran.code, 130, "{ran:?}");
    assert!(ran.stderr.contains("0 of 6 submitted had ended"), "{ran:?}");
    let next = run(scratch.command(&["load", "-n", "10", "-o", "json"])).await;
    assert_eq!(next.code, 0, "{next:?}");
    assert_eq!(documents(&next.stdout)[0]["ended_once"], 10);
    assert!(next.stderr.contains("that an earlier load had left"), "{next:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_load_counts_what_is_on_its_way() {
    let scratch = Scratch::new();
    // There is room for all, so that one call is on its way at any time.
    let load = ["load", "-n", "1000000", "--open", "1000000", "-c", "1", "--work", "1h"];
    let child = scratch.command(&load).spawn().expect("it runs");
    let ready = || async {
        lanes(&scratch).await.iter().filter_map(|lane| lane["ready"].as_u64()).sum::<u64>()
    };
    let begun = async { while ready().await < 100 {} };
    tokio::time::timeout(PATIENCE, begun).await.expect("it submits in time");
    interrupt(&child);
    let ran = finish(child).await;
    assert_eq!(ran.code, 130, "{ran:?}");
    // The task that was interrupted has been given back.
    let all = ready().await;
    let told: String = ran.stderr.split(" submitted had").take(1).collect();
    let told: String = told.chars().filter(char::is_ascii_digit).collect();
    assert_eq!(told, format!("0{all}"), "{ran:?}");
}

//! The producer's side.

use crate::fake::{Fake, START, Step, settle};
use ff_core::contracts::inspect::ExecutionResult;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecutions};
use ff_core::contracts::terminal::{CancelBy, CancelExecution, ReplayExecution};
use ff_core::error::{EngineError, EngineResult};
use ff_core::ids::ExecutionId;
use ff_core::partition::Partition;
use ff_core::state::{PublicState, TerminalOutcome};
use ff_sdk::{FlowFabricClient, SdkError, SubmitRequest};
use std::collections::BTreeSet;
use std::sync::Arc;

fn client(fake: &Arc<Fake>) -> FlowFabricClient {
    FlowFabricClient::new(fake.clone())
}

fn request() -> SubmitRequest {
    SubmitRequest::new("resize", b"\xff".as_slice())
}

fn submissions(fake: &Fake) -> Vec<SubmitExecutions> {
    fake.sent("submit_executions")
}

#[tokio::test]
async fn calls_without_a_key_go_to_one_partition_each_and_rotate() {
    let fake = Fake::with_partitions(4);
    let client = client(&fake);
    for _ in 0..4 {
        let outcomes = client.submit_many(vec![request(); 3]).await.expect("it answers");
        assert!(outcomes.iter().all(Result::is_ok));
    }
    let partitions: Vec<BTreeSet<Partition>> = submissions(&fake)
        .iter()
        .map(|call| call.items.iter().map(|item| item.execution_id.partition()).collect())
        .collect();
    assert!(partitions.iter().all(|call| call.len() == 1), "a batch goes to one partition");
    assert_eq!(partitions.iter().flatten().collect::<BTreeSet<_>>().len(), 4);
}

#[tokio::test]
async fn a_key_decides_the_partition() {
    let fake = Fake::with_partitions(64);
    let client = client(&fake);
    for _ in 0..3 {
        client.submit(request().idempotency_key("order-1")).await.expect("submitted");
    }
    let home = fake.map.home("default", "order-1");
    for call in submissions(&fake) {
        assert_eq!(call.items[0].execution_id.partition(), home);
    }
}

#[tokio::test]
async fn a_submission_carries_what_was_asked() {
    let fake = Fake::new();
    let request = request().lane("images").priority(7).delay_ms(10).tag("team", "a");
    client(&fake).submit(request.fairness_key("t1")).await.expect("submitted");
    let item = submissions(&fake).remove(0).items.remove(0);
    assert_eq!((item.kind.as_str(), item.lane.as_str()), ("resize", "images"));
    assert_eq!(item.input.as_ref(), b"\xff");
    assert_eq!(item.policy.priority, 7);
    assert_eq!(item.policy.tags["team"], "a");
    assert_eq!(item.fairness_key.map(String::from).as_deref(), Some("t1"));
}

#[tokio::test]
async fn a_malformed_request_is_refused_before_any_call() {
    let fake = Fake::new();
    let client = client(&fake);
    for (request, field) in [
        (SubmitRequest::new("", ""), "kind"),
        (request().lane("a b"), "lane"),
        (request().fairness_key(""), "fairness_key"),
        (request().priority(1_001), "request"),
    ] {
        match client.submit(request).await {
            Err(SdkError::Config { context: "submit", field: named, .. }) => {
                assert_eq!(named, field);
            }
            other => panic!("expected a refusal of {field}, got {other:?}"),
        }
    }
    assert_eq!(fake.count("submit_executions"), 0);
}

#[tokio::test]
async fn a_lost_submission_is_sent_again_as_it_was() {
    let fake = Fake::new();
    let client = client(&fake);
    fake.script("submit_executions", Step::Lost);
    fake.finish(1_000, async move { client.submit(request()).await.expect("submitted") }).await;
    let sent = submissions(&fake);
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
}

#[tokio::test]
async fn of_a_batch_only_the_items_in_doubt_are_sent_again() {
    let fake = Fake::new();
    let client = client(&fake);
    let created = |n: u16| {
        let execution_id = ExecutionId::generate(Partition::new_unchecked(n));
        Ok(ExecutionSubmitted::Created { execution_id })
    };
    let gone = EngineError::execution_not_found(ExecutionId::generate(Partition::new_unchecked(0)));
    let answers: Vec<EngineResult<ExecutionSubmitted>> =
        vec![created(0), Err(crate::fake::lost("submit")), Err(gone)];
    fake.script("submit_executions", Step::Answer(Box::new(answers)));
    let outcomes = fake
        .finish(1_000, async move { client.submit_many(vec![request(); 3]).await })
        .await
        .expect("it answers");
    let sent = submissions(&fake);
    assert_eq!(sent[1].items, sent[0].items[1..2]);
    assert!(outcomes[0].is_ok() && outcomes[1].is_ok());
    assert!(matches!(&outcomes[2], Err(SdkError::Engine(_))));
}

#[tokio::test]
async fn a_lost_submission_stays_in_doubt_when_the_store_is_full_by_then() {
    let fake = Fake::new();
    let client = client(&fake);
    fake.script("submit_executions", Step::Lost);
    for _ in 0..4 {
        let reason = "no memory".to_owned();
        let full = EngineError::Unavailable { op: "submit_executions", reason };
        fake.script("submit_executions", Step::Refuse(full));
    }
    let outcome = fake.finish(60_000, async move { client.submit(request()).await }).await;
    let error = outcome.expect_err("nobody knows");
    assert!(matches!(error.engine_error(), Some(EngineError::Transport { .. })), "{error:?}");
}

#[tokio::test]
async fn a_store_that_stays_away_is_told_after_some_tries() {
    let fake = Fake::new();
    let client = client(&fake);
    fake.down("submit_executions");
    let outcome = fake.finish(60_000, async move { client.submit(request()).await }).await;
    assert!(outcome.expect_err("down").engine_error().is_some());
    assert_eq!(submissions(&fake).len(), 5);
}

#[tokio::test]
async fn operators_calls_keep_their_id_over_lost_replies() {
    let fake = Fake::new();
    let client = client(&fake);
    let id = ExecutionId::generate(Partition::new_unchecked(0));
    fake.script("cancel_execution", Step::Lost);
    fake.script("replay_execution", Step::Lost);
    fake.finish(2_000, async move {
        client.cancel(&id, "wrong input", 5_000).await.expect("cancelled");
        client.replay(&id).await.expect("replayed");
        let lane = ff_core::name::LaneId::default();
        client.list(&lane, PublicState::Failed, None, 10).await.expect("listed");
        client.describe(&id).await.expect_err("nobody knows it");
        client.explain(&id).await.expect_err("nobody knows it");
    })
    .await;
    let cancels: Vec<CancelExecution> = fake.sent("cancel_execution");
    assert!(matches!(cancels[0].by, CancelBy::Operator { grace_ms: 5_000, .. }));
    assert_eq!(cancels[0], cancels[1]);
    let replays: Vec<ReplayExecution> = fake.sent("replay_execution");
    assert_eq!(replays[0], replays[1]);
}

fn success() -> ExecutionResult {
    ExecutionResult {
        terminal_outcome: TerminalOutcome::Success,
        result: Some(bytes::Bytes::from_static(b"out")),
        failure_category: None,
        end_reason: None,
    }
}

#[tokio::test]
async fn a_wait_for_a_result_ends_with_its_notice() {
    let fake = Fake::new();
    let client = client(&fake);
    let id = ExecutionId::generate(Partition::new_unchecked(0));
    let deadline = START.plus_ms(60_000);
    let waiting = tokio::spawn(async move { client.wait_for_result(&id, deadline).await });
    settle().await;
    assert_eq!(fake.count("read_result"), 1);
    assert_eq!(fake.count("watch_execution"), 1);
    fake.state().results.insert(id, success());
    fake.notice(Notice::Done(id));
    settle().await;
    let result = waiting.await.expect("no panic").expect("it answers");
    assert_eq!(result, Some(success()));
    assert_eq!(fake.count("read_result"), 2);
}

#[tokio::test]
async fn a_wait_whose_notice_was_lost_looks_by_itself_and_gives_up_at_its_deadline() {
    let fake = Fake::new();
    let client = Arc::new(client(&fake));
    let id = ExecutionId::generate(Partition::new_unchecked(0));
    let wait = |deadline_ms| {
        let client = client.clone();
        async move { client.wait_for_result(&id, START.plus_ms(deadline_ms)).await }
    };
    let live = fake.finish(7_000, wait(7_000)).await.expect("it answers");
    assert_eq!(live, None);
    fake.state().results.insert(id, success());
    let ended = fake.finish(0, wait(0)).await.expect("it answers");
    assert_eq!(ended, Some(success()));
}

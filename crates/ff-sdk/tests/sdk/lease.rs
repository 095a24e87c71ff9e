//! Renewal, health, loss and cancel of leases.

use crate::fake::{Fake, START, Step, Trace, settle, soon};
use ff_core::contracts::lease::{CancelRequested, RenewLease, UpdateProgress};
use ff_core::contracts::notice::Notice;
use ff_core::time::Clock;
use ff_sdk::{ClaimedTask, FlowFabricWorker, SdkError, WorkerConfig};
use std::sync::Arc;

/// A worker with a task in each of the partitions named.
async fn tasks(fake: &Arc<Fake>, partitions: &[u16]) -> (FlowFabricWorker, Vec<ClaimedTask>) {
    let config = WorkerConfig::builder("w").max_concurrent_tasks(64).build().expect("legal");
    let worker = fake.worker_with(config).await;
    let mut tasks = Vec::new();
    for partition in partitions {
        fake.put(*partition, b"");
    }
    while tasks.len() < partitions.len() {
        tasks.extend(soon(worker.claim_next()).await.expect("answers"));
    }
    (worker, tasks)
}

async fn end_all(tasks: Vec<ClaimedTask>) {
    for task in tasks {
        task.complete(None).await.expect("it lands");
    }
}

fn cancel_requested() -> CancelRequested {
    CancelRequested {
        reason: "operator".to_owned(),
        requested_at: START,
        revoke_at: START.plus_ms(60_000),
    }
}

#[tokio::test]
async fn leases_are_renewed_at_a_third_of_their_ttl() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.advance(45_000).await;
    assert_eq!(fake.times("renew_lease"), [10_000, 20_000, 30_000, 40_000]);
    let sent: Vec<RenewLease> = fake.sent("renew_lease");
    assert_eq!(sent[0].lease_ttl_ms, 30_000);
    assert_eq!(sent[0].handles, [task.handle().clone()]);
    assert!(task.is_lease_healthy());
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn the_leases_of_a_partition_share_a_call() {
    let fake = Fake::with_partitions(2);
    let (_worker, tasks) = tasks(&fake, &[0, 1, 0, 1, 0]).await;
    fake.advance(10_000).await;
    let sent: Vec<RenewLease> = fake.sent("renew_lease");
    let mut sizes: Vec<usize> = sent.iter().map(|renewal| renewal.handles.len()).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [2, 3]);
    for renewal in sent {
        let first = renewal.handles[0].execution_id().partition();
        assert!(renewal.handles.iter().all(|h| h.execution_id().partition() == first));
    }
    end_all(tasks).await;
}

#[tokio::test]
async fn leases_taken_at_different_times_come_to_share_their_calls() {
    let fake = Fake::new();
    let config = WorkerConfig::builder("w").max_concurrent_tasks(3).build().expect("legal");
    let worker = fake.worker_with(config).await;
    let mut tasks = Vec::new();
    for _ in 0..3 {
        fake.offer(0, b"");
        settle().await;
        tasks.extend(soon(worker.claim_next()).await.expect("answers"));
        fake.advance(3_000).await;
    }
    fake.advance(40_000).await;
    let before = fake.count("renew_lease");
    fake.advance(30_000).await;
    let calls = fake.count("renew_lease") - before;
    assert!(calls <= 7, "{calls} calls in three intervals");
    assert!(tasks.iter().all(ClaimedTask::is_lease_healthy));
    end_all(tasks).await;
}

#[tokio::test]
async fn a_lease_is_unhealthy_after_failures_and_well_again_after_a_success() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("renew_lease");
    fake.advance(10_000).await;
    assert_eq!(task.consecutive_renewal_failures(), 1);
    assert!(task.is_lease_healthy());
    fake.advance(9_999).await;
    assert!(task.is_lease_healthy(), "two thirds of the TTL have not passed");
    fake.advance(1).await;
    assert_eq!(task.consecutive_renewal_failures(), 2);
    assert!(!task.is_lease_healthy(), "two thirds of the TTL have passed");
    fake.up("renew_lease");
    task.renew_lease().await.expect("a forced renewal");
    assert_eq!(task.consecutive_renewal_failures(), 0);
    assert!(task.is_lease_healthy());
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_renewal_counts_from_when_it_was_sent_not_from_its_answer() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("renew_lease", Step::Slow(5_000));
    fake.advance(15_000).await;
    fake.down("renew_lease");
    fake.advance(14_999).await;
    assert!(task.is_lease_healthy());
    fake.advance(1).await;
    assert!(!task.is_lease_healthy(), "two thirds of the TTL after 10 000");
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn three_failures_in_a_row_are_unhealthy_whatever_the_time() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("renew_lease");
    for failures in 1..=3 {
        assert!(task.is_lease_healthy());
        task.renew_lease().await.expect_err("down");
        assert_eq!(task.consecutive_renewal_failures(), failures);
    }
    assert!(!task.is_lease_healthy());
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_renewal_that_hangs_is_given_up_before_the_next_is_due() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("renew_lease", Step::Hang);
    fake.advance(19_999).await;
    assert_eq!(task.consecutive_renewal_failures(), 1);
    assert_eq!(fake.count("renew_lease"), 1);
    fake.advance(1).await;
    assert_eq!(fake.times("renew_lease"), [10_000, 20_000]);
    assert_eq!(task.consecutive_renewal_failures(), 0);
    assert!(task.is_lease_healthy());
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_lease_that_was_taken_over_is_told_and_renewed_no_more() {
    let fake = Fake::new();
    let (_worker, mut tasks) = tasks(&fake, &[0, 0]).await;
    let (lost, kept) = (tasks.remove(0), tasks.remove(0));
    fake.state().stale.insert(lost.execution_id());
    fake.advance(10_000).await;
    soon(lost.lease_lost()).await;
    assert!(!lost.is_lease_healthy());
    fake.advance(10_000).await;
    let sent: Vec<RenewLease> = fake.sent("renew_lease");
    assert_eq!(sent[0].handles.len(), 2);
    assert_eq!(sent[1].handles, [kept.handle().clone()], "the other lease is not touched");
    assert!(kept.is_lease_healthy());
    kept.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_lease_that_ran_out_unrenewed_is_lost() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("renew_lease");
    let task = Arc::new(task);
    let waiting = tokio::spawn({
        let task = task.clone();
        async move { task.lease_lost().await }
    });
    fake.advance(29_999).await;
    assert!(!waiting.is_finished());
    fake.advance(1).await;
    assert!(waiting.is_finished());
}

#[tokio::test]
async fn a_cancel_notice_is_looked_into_at_once() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.advance(1_000).await;
    fake.state().cancels.insert(task.execution_id(), cancel_requested());
    fake.notice(Notice::Cancel(task.execution_id()));
    settle().await;
    let cancelled = soon(task.cancelled()).await;
    assert_eq!(cancelled.reason, "operator");
    assert_eq!(cancelled.grace_left_ms, 59_000);
    assert_eq!(fake.times("renew_lease"), [1_000]);
    task.cancel("as asked").await.expect("it lands");
}

#[tokio::test]
async fn a_cancel_whose_notice_was_lost_comes_with_the_next_renewal() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.state().cancels.insert(task.execution_id(), cancel_requested());
    fake.advance(10_000).await;
    assert_eq!(soon(task.cancelled()).await.grace_left_ms, 50_000);
    task.cancel("as asked").await.expect("it lands");
}

#[tokio::test]
async fn lost_notices_are_made_up_for_by_a_look_at_every_lease() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.notice(Notice::Lagged);
    settle().await;
    assert_eq!(fake.times("renew_lease"), [0]);
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_cancel_that_was_asked_before_the_claim_is_known_from_the_start() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let execution_id = fake.put(0, b"");
    fake.state().cancels.insert(execution_id, cancel_requested());
    let task = soon(worker.claim_next()).await.expect("answers").expect("work was put");
    assert_eq!(soon(task.cancelled()).await.reason, "operator");
    task.cancel("as asked").await.expect("it lands");
}

#[tokio::test]
async fn every_renewed_lease_has_a_span() {
    let (trace, _guard) = Trace::start();
    let fake = Fake::new();
    let (_worker, tasks) = tasks(&fake, &[0, 0]).await;
    fake.advance(10_000).await;
    let spans = trace.lines("renew_lease");
    assert_eq!(spans.len(), 2);
    for task in &tasks {
        let field = format!("execution_id={}", task.execution_id());
        assert!(spans.iter().any(|span| span.contains(&field)), "{spans:?}");
    }
    end_all(tasks).await;
}

#[tokio::test]
async fn the_lease_of_a_repeated_claim_counts_from_the_first_time_it_was_sent() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    fake.put(0, b"");
    fake.script("claim_execution", Step::Hang);
    let config = worker.config().lease_ttl_ms();
    assert_eq!(config, 30_000);
    let claiming = tokio::spawn(async move { (worker.claim_next().await, worker) });
    fake.advance(29_999).await;
    assert!(!claiming.is_finished());
    fake.advance(1).await;
    let (claimed, _worker) = claiming.await.expect("no panic");
    assert!(matches!(claimed, Err(SdkError::Engine(_))), "the claim is given up with its lease");
}

#[tokio::test]
async fn progress_is_checked_and_its_message_is_cut() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let error = task.update_progress(101, None).await.expect_err("past 100");
    assert!(matches!(error, SdkError::Config { field: "pct", .. }), "{error}");
    assert_eq!(fake.count("update_progress"), 0);
    let backend = fake.clone();
    backend.script("update_progress", Step::Lost);
    let task = fake
        .finish(1_000, async move {
            let long = "x".repeat(5_000);
            task.update_progress(100, Some(&long)).await.expect("it lands");
            task
        })
        .await;
    let sent: Vec<UpdateProgress> = fake.sent("update_progress");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0].message.as_ref().map(String::len), Some(1_024));
    assert!(fake.clock.now() > START);
    task.complete(None).await.expect("it lands");
}

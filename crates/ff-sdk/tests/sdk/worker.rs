//! Claims: permits, waiting, turns of partitions, lost replies, grants, the registry.

use crate::fake::{Fake, START, Step, grant, settle, soon};
use ff_core::contracts::claim::*;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::terminal::ReleaseExecution;
use ff_core::error::EngineError;
use ff_core::name::{Namespace, WorkerInstanceId};
use ff_core::partition::Partition;
use ff_core::time::Clock;
use ff_sdk::{SdkError, WorkerConfig};
use std::sync::Arc;

fn claims(fake: &Fake) -> Vec<ClaimExecution> {
    fake.sent("claim_execution")
}

#[tokio::test]
async fn a_claim_waits_up_to_the_idle_ceiling_and_answers_none() {
    let fake = Fake::new();
    let worker = Arc::new(fake.worker().await);
    let claim = || {
        let worker = worker.clone();
        async move { worker.claim_next().await }
    };
    assert!(fake.finish(1_000, claim()).await.expect("it answers").is_none());
    assert_eq!(fake.clock.now(), START.plus_ms(1_000));
    assert!(fake.finish(1_000, claim()).await.expect("it answers").is_none());
    assert_eq!(fake.times("claim_execution"), [0, 1_000, 2_000], "one poll an idle ceiling");
    assert_eq!(fake.count("tick"), 1, "a poll stands for a tick");
}

#[tokio::test]
async fn a_notice_ends_the_wait() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let claiming = tokio::spawn(async move { (worker.claim_next().await, worker) });
    settle().await;
    let execution_id = fake.offer(0, b"");
    settle().await;
    let (claimed, _worker) = claiming.await.expect("no panic");
    let task = claimed.expect("it answers").expect("work was offered");
    assert_eq!(task.execution_id(), execution_id);
    assert_eq!(fake.clock.now(), START, "without waiting for a poll");
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn work_whose_notice_was_lost_is_found_by_the_poll() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let claiming = tokio::spawn(async move { (worker.claim_next().await, worker) });
    settle().await;
    fake.put(0, b"");
    fake.advance(1_000).await;
    let (claimed, _worker) = claiming.await.expect("no panic");
    claimed.expect("it answers").expect("found").complete(None).await.expect("it lands");
}

#[tokio::test]
async fn the_permit_comes_before_the_claim() {
    let fake = Fake::new();
    let (worker, task) = fake.task().await;
    fake.offer(0, b"");
    let claiming = tokio::spawn(async move { (worker.claim_next().await, worker) });
    fake.advance(10_000).await;
    assert_eq!(claims(&fake).len(), 1, "no room, no claim");
    task.complete(None).await.expect("it lands");
    settle().await;
    let (claimed, _worker) = claiming.await.expect("no panic");
    let next = claimed.expect("it answers").expect("work was offered");
    next.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn partitions_with_work_take_turns() {
    let fake = Fake::with_partitions(3);
    let config = WorkerConfig::builder("w").max_concurrent_tasks(6).build().expect("legal");
    let worker = fake.worker_with(config).await;
    for partition in [0, 0, 0, 2, 2, 2] {
        fake.offer(partition, b"");
    }
    settle().await;
    let mut order = Vec::new();
    for _ in 0..6 {
        let task = soon(worker.claim_next()).await.expect("answers").expect("work was offered");
        order.push(task.execution_id().partition().number());
        task.complete(None).await.expect("it lands");
    }
    assert!(order.windows(2).all(|pair| pair[0] != pair[1]), "{order:?}");
}

#[tokio::test]
async fn a_lost_reply_is_asked_for_again_with_the_same_claim() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let execution_id = fake.put(0, b"");
    fake.script("claim_execution", Step::Lost);
    fake.script("claim_execution", Step::Lost);
    let claimed = fake.finish(1_000, async move { (worker.claim_next().await, worker) }).await;
    let task = claimed.0.expect("it answers").expect("it was claimed the first time");
    assert_eq!(task.execution_id(), execution_id);
    let sent = claims(&fake);
    assert_eq!(sent.len(), 3);
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]));
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_claim_in_doubt_is_asked_for_until_it_is_answered_and_no_other_is_sent() {
    let fake = Fake::new();
    let worker = Arc::new(fake.worker().await);
    let claim = || {
        let worker = worker.clone();
        async move { worker.claim_next().await }
    };
    let execution_id = fake.put(0, b"");
    fake.down("claim_execution");
    for _ in 0..2 {
        let error = fake.finish(30_000, claim()).await.expect_err("down");
        assert!(matches!(error, SdkError::Engine(_)), "{error}");
    }
    let in_doubt = claims(&fake)[0].claim_id;
    fake.up("claim_execution");
    fake.advance(1_000).await;
    assert!(claims(&fake).iter().all(|claim| claim.claim_id == in_doubt));
    let released: Vec<ReleaseExecution> = fake.sent("release_execution");
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].handle.execution_id(), execution_id);
    fake.offer(0, b"");
    let task = fake.finish(1_000, claim()).await.expect("answers").expect("work was offered");
    assert!(claims(&fake).last().is_some_and(|claim| claim.claim_id > in_doubt));
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_store_that_cannot_take_claims_is_told_with_its_reason() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    for _ in 0..100 {
        let reason = "full".to_owned();
        let full = EngineError::Unavailable { op: "claim_execution", reason };
        fake.script("claim_execution", Step::Refuse(full));
    }
    let claim = async move { (worker.claim_next().await, worker) };
    let (claimed, _worker) = fake.finish(30_000, claim).await;
    let error = claimed.expect_err("nothing could be claimed");
    assert!(matches!(error.engine_error(), Some(EngineError::Unavailable { .. })), "{error}");
}

#[tokio::test]
async fn a_claim_that_hangs_is_sent_again_after_a_lease() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    fake.put(0, b"");
    fake.script("claim_execution", Step::Hang);
    let (claimed, _worker) =
        fake.finish(30_000, async move { (worker.claim_next().await, worker) }).await;
    claimed.expect_err("no answer for a lease");
    fake.advance(1_000).await;
    assert_eq!(claims(&fake).len(), 2);
    assert_eq!(fake.count("release_execution"), 1);
}

#[tokio::test]
async fn a_dropped_worker_asks_for_nothing_more() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    fake.down("claim_execution");
    let (claimed, worker) =
        fake.finish(30_000, async move { (worker.claim_next().await, worker) }).await;
    claimed.expect_err("down");
    drop(worker);
    fake.advance(2_000).await;
    let sent = claims(&fake).len();
    fake.advance(60_000).await;
    assert_eq!(claims(&fake).len(), sent);
}

#[tokio::test]
async fn what_a_dropped_claim_took_is_given_back() {
    let fake = Fake::new();
    let worker = Arc::new(fake.worker().await);
    let execution_id = fake.put(0, b"");
    fake.script("claim_execution", Step::Lost);
    let claiming = tokio::spawn({
        let worker = worker.clone();
        async move { worker.claim_next().await }
    });
    settle().await;
    claiming.abort();
    fake.advance(1_000).await;
    let released: Vec<ReleaseExecution> = fake.sent("release_execution");
    assert_eq!(released.len(), 1);
    assert_eq!(released[0].handle.execution_id(), execution_id);
    fake.offer(0, b"");
    settle().await;
    let task = soon(worker.claim_next()).await.expect("answers").expect("the permit is free again");
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn the_claims_of_the_waiting_slot_do_not_overlap() {
    let fake = Fake::new();
    let config = WorkerConfig::builder("w").max_concurrent_tasks(2).build().expect("legal");
    let worker = Arc::new(fake.worker_with(config).await);
    fake.script("claim_execution", Step::Hang);
    for _ in 0..2 {
        let worker = worker.clone();
        tokio::spawn(async move { worker.claim_next().await });
    }
    fake.offer(0, b"");
    settle().await;
    assert_eq!(claims(&fake).len(), 1);
    assert_eq!(claims(&fake)[0].slot, 0);
}

#[tokio::test]
async fn grants_are_claimed_by_their_kind() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let instance = worker.config().worker_instance_id().clone();
    let to_claim = grant(GrantKind::Claim, &instance);
    let to_reclaim = grant(GrantKind::Reclaim, &instance);
    let error = worker.claim_from_grant(to_reclaim.clone()).await.expect_err("the wrong kind");
    assert!(matches!(error, SdkError::Config { field: "grant", .. }));
    let task = worker.claim_from_grant(to_claim.clone()).await.expect("granted");
    assert_eq!(task.execution_id(), to_claim.execution_id);
    task.complete(None).await.expect("it lands");
    let task = worker.claim_from_reclaim_grant(to_reclaim.clone()).await.expect("granted");
    assert_eq!(task.execution_id(), to_reclaim.execution_id);
    task.complete(None).await.expect("it lands");
    assert!(matches!(&claims(&fake)[0].source, ClaimSource::Grant(g) if *g == to_claim));
    let reclaims: Vec<ClaimResumedExecution> = fake.sent("claim_resumed_execution");
    assert_eq!(reclaims[0].grant, to_reclaim);
}

#[tokio::test]
async fn a_worker_is_registered_from_its_first_claim_to_its_end() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let instance = worker.config().worker_instance_id().clone();
    settle().await;
    assert_eq!(fake.count("register_worker"), 0);
    let worker = fake.finish(1_000, async move { (worker.claim_next().await, worker) }).await.1;
    fake.advance(30_000).await;
    assert_eq!(fake.times("register_worker"), [0, 10_000, 20_000, 30_000]);
    let registered: Vec<RegisterWorker> = fake.sent("register_worker");
    assert_eq!(registered[0].ttl_ms, 30_000);
    drop(worker);
    settle().await;
    let gone: Vec<(Namespace, WorkerInstanceId)> = fake.sent("deregister_worker");
    assert_eq!(gone, [(Namespace::default(), instance)]);
    let commands = fake.commands();
    fake.advance(60_000).await;
    assert_eq!(fake.commands(), commands, "nothing goes on after the worker");
}

#[tokio::test]
async fn lost_notices_make_every_partition_worth_a_look() {
    let fake = Fake::with_partitions(3);
    let worker = Arc::new(fake.worker().await);
    let claiming = tokio::spawn({
        let worker = worker.clone();
        async move { worker.claim_next().await }
    });
    settle().await;
    assert_eq!(claims(&fake).len(), 3);
    fake.notice(Notice::Lagged);
    settle().await;
    let mut looked: Vec<Partition> =
        claims(&fake)[3..].iter().map(|claim| claim.partition).collect();
    looked.sort_unstable();
    assert_eq!(looked, fake.map.iter().collect::<Vec<_>>());
    claiming.abort();
}

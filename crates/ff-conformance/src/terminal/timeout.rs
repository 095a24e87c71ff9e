//! Attempts that run too long.

use crate::prelude::*;

const TIMEOUT_MS: u64 = 10_000;

fn by_timeout(policy: &mut ExecutionPolicy) {
    policy.attempt_timeout_ms = Some(TIMEOUT_MS);
}

async fn renewed(world: &World, handle: &Handle) {
    world.renew_one(renew(&[handle])).await.expect("a renewal");
}

pub async fn an_attempt_that_runs_too_long_fails_and_is_tried_again(world: &World) {
    let handle = world.started_with(by_timeout).await.handle;
    let at = world.after(TIMEOUT_MS);
    world.advance(TIMEOUT_MS - 1).await;
    renewed(world, &handle).await;
    assert_eq!(world.info(handle.execution_id()).await.attempt_timeout_at, Some(at));
    world.advance(2).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.retries), (PublicState::Delayed, 1));
    assert_eq!(info.delay_until, Some(at.plus_ms(BACKOFF_MS)));
    let turn = world.last_turn(handle.execution_id()).await;
    let ended = (turn.operation, turn.outcome, turn.ended_at);
    assert_eq!(ended, (TurnOperation::AttemptTimeout, TurnOutcome::RetryScheduled, at));
    assert_eq!(turn.category.as_deref(), Some("attempt_timeout"));
    assert_eq!(turn.reason.as_deref(), Some("attempt ran longer than 10000 ms"));
}

pub async fn an_attempt_timeout_without_retries_ends_failed(world: &World) {
    let handle = world
        .started_with(|policy| {
            by_timeout(policy);
            policy.retry = Some(RetryPolicy::none());
        })
        .await
        .handle;
    let at = world.after(TIMEOUT_MS);
    world.advance(TIMEOUT_MS).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.ended_at), (PublicState::Failed, Some(at)));
    assert_eq!(info.failure_category.as_deref(), Some("attempt_timeout"));
    assert_eq!(info.end_reason.as_deref(), Some("attempt ran longer than 10000 ms"));
}

pub async fn the_retry_policy_judges_an_attempt_timeout_by_its_category(world: &World) {
    let handle = world
        .started_with(|policy| {
            by_timeout(policy);
            policy.retry = Some(RetryPolicy {
                permanent_categories: ["attempt_timeout".to_owned()].into(),
                ..retries(3, 10)
            });
        })
        .await
        .handle;
    world.advance(TIMEOUT_MS).await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Failed);
}

pub async fn each_attempt_has_its_full_time(world: &World) {
    let first = world.started_with(by_timeout).await.handle;
    world.advance(TIMEOUT_MS - 1).await;
    world.fail_execution(fail(&first, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    let second = world.claim_one().await.handle;
    assert_eq!(
        world.info(second.execution_id()).await.attempt_timeout_at,
        Some(world.after(TIMEOUT_MS))
    );
}

pub async fn an_attempt_after_a_replay_has_its_full_time(world: &World) {
    let handle = world.started_with(by_timeout).await.handle;
    world.advance(4_000).await;
    world.suspend(suspend_until(&handle, 1_000, TimeoutBehavior::Cancel)).await;
    world.advance(1_000).await;
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    world.claim_one().await;
    assert_eq!(
        world.info(handle.execution_id()).await.attempt_timeout_at,
        Some(world.after(TIMEOUT_MS))
    );
}

pub async fn time_without_a_lease_is_not_counted(world: &World) {
    let handle = world.started_with(by_timeout).await.handle;
    world.advance(4_000).await;
    let address = world.suspend(suspend(&handle)).await;
    world.advance(1_000_000).await;
    let handle = world.resumed(&address, "go").await.handle;
    let left = Some(world.after(TIMEOUT_MS - 4_000));
    assert_eq!(world.info(handle.execution_id()).await.attempt_timeout_at, left);
    world.advance(3_000).await;
    world.delay_execution(delay(&handle, world.after(50_000))).await.expect("a delay");
    world.advance(60_000).await;
    let handle = world.claim_one().await.handle;
    let left = Some(world.after(TIMEOUT_MS - 7_000));
    assert_eq!(world.info(handle.execution_id()).await.attempt_timeout_at, left);
    world.advance(3_000).await;
    assert_eq!(
        world.last_turn(handle.execution_id()).await.operation,
        TurnOperation::AttemptTimeout
    );
}

pub async fn an_already_satisfied_suspend_lets_the_clock_run(world: &World) {
    let handle = world.started_with(by_timeout).await.handle;
    let timeout_at = Some(world.after(TIMEOUT_MS));
    let opened = world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("one");
    world.signal(&Address::of_pending(handle.execution_id(), &opened), "go").await;
    world.advance(5_000).await;
    let outcome = world.suspend_execution(suspend(&handle)).await.expect("a suspend");
    assert_matches!(outcome, ExecutionSuspended::AlreadySatisfied { .. });
    assert_eq!(world.info(handle.execution_id()).await.attempt_timeout_at, timeout_at);
}

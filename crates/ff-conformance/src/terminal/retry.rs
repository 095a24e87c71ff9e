//! Failures that are tried again.

use crate::prelude::*;

async fn fails(world: &World, handle: &Handle, category: &str) -> FailOutcome {
    world.fail_execution(fail(handle, category)).await.expect("a failure").outcome
}

pub async fn fail_schedules_a_retry_after_the_backoff(world: &World) {
    let handle = world.started().await.handle;
    let delay_until = world.after(BACKOFF_MS);
    let outcome = fails(world, &handle, "io").await;
    assert_eq!(outcome, FailOutcome::RetryScheduled { delay_until });
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Delayed);
    assert_eq!(info.delay_reason, Some(DelayReason::Backoff));
    assert_eq!((info.delay_until, info.retries), (Some(delay_until), 1));
    assert_eq!((info.terminal_outcome, info.resumes), (TerminalOutcome::None, false));
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Fail, TurnOutcome::RetryScheduled));
    assert_eq!(turn.delay_until, Some(delay_until));
    world.advance(BACKOFF_MS - 1).await;
    assert!(world.claim_ids(1).await.is_empty());
    world.advance(1).await;
    assert_eq!(world.claim_ids(1).await, [handle.execution_id()]);
}

pub async fn a_retry_is_a_new_attempt(world: &World) {
    let first = world.started().await.handle;
    fails(world, &first, "io").await;
    world.advance(BACKOFF_MS).await;
    let second = world.claim_one().await.handle;
    assert_eq!((second.attempt_index(), second.kind()), (AttemptIndex(1), HandleKind::Fresh));
    assert_eq!(second.attempt_id(), second.lease_id().begins_attempt());
    assert_ne!(second.attempt_id(), first.attempt_id());
}

pub async fn a_failure_is_shown_until_the_next_attempt_begins(world: &World) {
    let handle = world.started().await.handle;
    fails(world, &handle, "rate_limited").await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.failure_category.as_deref(), Some("rate_limited"));
    assert_eq!(info.end_reason.as_deref(), Some("it broke"));
    world.advance(BACKOFF_MS).await;
    world.claim_one().await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.failure_category, info.end_reason), (None, None));
}

pub async fn fail_ends_failed_once_the_retries_are_used_up(world: &World) {
    let execution_id = world.submit_with(|policy| policy.retry = Some(retries(2, 10))).await;
    for _ in 0..2 {
        let handle = world.claim_one().await.handle;
        assert_matches!(fails(world, &handle, "io").await, FailOutcome::RetryScheduled { .. });
        world.advance(10).await;
    }
    let handle = world.claim_one().await.handle;
    assert_eq!(fails(world, &handle, "io").await, FailOutcome::TerminalFailed);
    let info = world.info(execution_id).await;
    assert_eq!((info.public_state, info.retries), (PublicState::Failed, 2));
}

pub async fn the_backoff_grows_to_its_ceiling(world: &World) {
    let retry = RetryPolicy {
        retries_max: 5,
        backoff: Backoff::Exponential { initial_ms: 1_000, ceiling_ms: 5_000, growth_pct: 150 },
        jitter_pct: 0,
        ..RetryPolicy::default()
    };
    world.submit_with(|policy| policy.retry = Some(retry)).await;
    for wait_ms in [1_000, 1_500, 2_250, 3_375, 5_000] {
        let handle = world.claim_one().await.handle;
        let delay_until = world.after(wait_ms);
        let outcome = fails(world, &handle, "io").await;
        assert_eq!(outcome, FailOutcome::RetryScheduled { delay_until });
        world.advance(wait_ms).await;
    }
}

pub async fn jitter_is_drawn_from_the_execution_id(world: &World) {
    let retry = RetryPolicy { jitter_pct: 50, ..retries(4, 600_000) };
    let execution_id = world.submit_with(|policy| policy.retry = Some(retry.clone())).await;
    let text = execution_id.to_string();
    let digits = u32::from_str_radix(&text[text.len() - 4..], 16).expect("four hex digits");
    for retry_index in 0..4 {
        let handle = world.claim_one().await.handle;
        let bits = (digits + 25_033 * retry_index) % 65_536;
        let bits = u16::try_from(bits).expect("sixteen bits");
        let wait_ms = retry.wait_ms(retry_index, bits);
        let delay_until = world.after(wait_ms);
        let outcome = fails(world, &handle, "io").await;
        assert_eq!(outcome, FailOutcome::RetryScheduled { delay_until });
        world.advance(wait_ms).await;
    }
}

pub async fn a_permanent_category_is_not_tried_again(world: &World) {
    let retry = RetryPolicy {
        retryable_categories: ["io".to_owned(), "bad_input".to_owned()].into(),
        permanent_categories: ["bad_input".to_owned()].into(),
        ..retries(3, 10)
    };
    let handle = world.started_with(|policy| policy.retry = Some(retry)).await.handle;
    assert_eq!(fails(world, &handle, "bad_input").await, FailOutcome::TerminalFailed);
}

pub async fn only_listed_categories_are_tried_again(world: &World) {
    let retry = RetryPolicy { retryable_categories: ["io".to_owned()].into(), ..retries(3, 10) };
    for (category, tried_again) in [("io", true), ("other", false)] {
        let policy = retry.clone();
        let handle = world.started_with(|p| p.retry = Some(policy)).await.handle;
        let outcome = fails(world, &handle, category).await;
        assert_eq!(outcome != FailOutcome::TerminalFailed, tried_again, "{category}");
        let info = world.info(handle.execution_id()).await;
        assert_eq!(info.failure_category.as_deref(), Some(category));
    }
}

pub async fn a_backoff_of_nothing_is_claimable_at_once(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(retries(3, 0))).await.handle;
    let delay_until = world.now();
    let outcome = fails(world, &handle, "io").await;
    assert_eq!(outcome, FailOutcome::RetryScheduled { delay_until });
    assert_eq!(world.claim_ids(1).await, [handle.execution_id()]);
}

//! Cancels, by the holder of the lease and by operators.

use crate::prelude::*;

async fn operator_cancels(world: &World, handle: &Handle, grace_ms: u64) -> ExecutionCancelled {
    let request = cancel_by_operator(handle.execution_id(), grace_ms);
    world.cancel_execution(request).await.expect("a cancel")
}

pub async fn cancel_by_the_holder_ends_cancelled(world: &World) {
    let handle = world.started().await.handle;
    let outcome = world.cancel_execution(cancel(&handle)).await.expect("a cancel");
    assert_eq!(outcome, ExecutionCancelled::Ended);
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Cancelled);
    assert_eq!(info.terminal_outcome, TerminalOutcome::Cancelled);
    assert_eq!(info.end_reason.as_deref(), Some("not needed"));
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Cancel, TurnOutcome::Cancelled));
}

pub async fn cancel_by_a_holder_of_something_else_is_refused(world: &World) {
    let mine = world.started().await.handle;
    let other = world.started().await.handle;
    let request = CancelExecution { execution_id: other.execution_id(), ..cancel(&mine) };
    let refusal = world.refuses(world.cancel_execution(request)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
}

pub async fn cancel_by_an_operator_ends_what_does_not_run(world: &World) {
    let delayed = world.submit_with(|p| p.start = Some(When::After(9_000))).await;
    let (suspended, _) = world.suspended(&["go"]).await;
    let blocked = world.submit().await;
    world.granted(blocked, &worker("w"), GrantKind::Claim).await;
    let ready = world.submit().await;
    for execution_id in [delayed, suspended.execution_id(), blocked, ready] {
        let request = cancel_by_operator(execution_id, 60_000);
        let outcome = world.cancel_execution(request).await.expect("a cancel");
        assert_eq!(outcome, ExecutionCancelled::Ended);
        let info = world.info(execution_id).await;
        assert_eq!((info.public_state, info.ended_at), (PublicState::Cancelled, Some(world.now())));
        assert_eq!(info.end_reason.as_deref(), Some("operator said so"));
        assert_eq!((info.suspension, info.grant), (None, None));
    }
    world.advance(60_000).await;
    assert!(world.claim_ids(10).await.is_empty());
}

pub async fn cancel_of_a_suspended_execution_closes_its_waitpoint(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    operator_cancels(world, &handle, 0).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
}

pub async fn cancel_without_grace_ends_running_work_at_once(world: &World) {
    let handle = world.started().await.handle;
    assert_eq!(operator_cancels(world, &handle, 0).await, ExecutionCancelled::Ended);
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Cancel, TurnOutcome::Cancelled));
    let refusal = world.refuses(world.complete_execution(complete(&handle))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::ExecutionNotActive {
            terminal_outcome: TerminalOutcome::Cancelled,
            lease_epoch: LeaseEpoch(1),
            lifecycle_phase: LifecyclePhase::Terminal,
            attempt_id: Some(id),
            ..
        }) if id == handle.attempt_id()
    );
}

pub async fn cancel_with_grace_asks_running_work_to_stop(world: &World) {
    let handle = world.started().await.handle;
    let requested = CancelRequested {
        reason: "operator said so".to_owned(),
        requested_at: world.now(),
        revoke_at: world.after(5_000),
    };
    let outcome = operator_cancels(world, &handle, 5_000).await;
    assert_eq!(outcome, ExecutionCancelled::Requested(requested.clone()));
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Active);
    assert_eq!(info.cancel_requested, Some(requested));
    world.advance(4_999).await;
    world.update_progress(progress(&handle, 1)).await.expect("progress within the grace");
}

pub async fn a_lease_is_revoked_when_the_grace_ends(world: &World) {
    let handle = world.started().await.handle;
    let revoke_at = world.after(5_000);
    operator_cancels(world, &handle, 5_000).await;
    world.advance(6_000).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.ended_at), (PublicState::Cancelled, Some(revoke_at)));
    assert_eq!(info.end_reason.as_deref(), Some("operator said so"));
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.ended_at), (TurnOperation::Cancel, revoke_at));
}

pub async fn renewals_do_not_put_off_a_revoke(world: &World) {
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, LEASE_TTL_MS + 1_000).await;
    world.advance(LEASE_TTL_MS - 1).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    world.advance(1_001).await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Cancelled);
}

pub async fn a_second_cancel_keeps_the_first_reason_and_the_earlier_revoke(world: &World) {
    for (first_ms, second_ms) in [(5_000, 9_000), (9_000, 5_000)] {
        let handle = world.started().await.handle;
        operator_cancels(world, &handle, first_ms).await;
        let request = CancelExecution {
            reason: "again".to_owned(),
            ..cancel_by_operator(handle.execution_id(), second_ms)
        };
        match world.cancel_execution(request).await.expect("a cancel") {
            ExecutionCancelled::Requested(requested) => {
                assert_eq!(requested.reason, "operator said so");
                assert_eq!(requested.revoke_at, world.after(5_000));
            }
            ExecutionCancelled::Ended => panic!("running work was ended within its grace"),
        }
        operator_cancels(world, &handle, 0).await;
    }
}

pub async fn cancel_repeated_by_an_operator_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = cancel_by_operator(handle.execution_id(), 5_000);
    let first = world.cancel_execution(request.clone()).await.expect("a cancel");
    world.advance(1_000).await;
    assert_eq!(world.unchanged(world.cancel_execution(request.clone())).await, first);
    world.complete_execution(complete(&handle)).await.expect("an end within the grace");
    assert_eq!(world.unchanged(world.cancel_execution(request)).await, first);
}

pub async fn a_late_repeat_of_a_cancel_does_not_touch_a_replay(world: &World) {
    let execution_id = world.submit().await;
    let request = cancel_by_operator(execution_id, 0);
    world.cancel_execution(request.clone()).await.expect("a cancel");
    world.replay_execution(replay(execution_id)).await.expect("a replay");
    let again = world.unchanged(world.cancel_execution(request.clone())).await;
    assert_eq!(again, ExecutionCancelled::Ended);
    let handle = world.claim_one().await.handle;
    world.unchanged(world.cancel_execution(request)).await;
    world.complete_execution(complete(&handle)).await.expect("an end");
}

pub async fn a_cancel_clears_the_failure_before_it(world: &World) {
    let handle = world.started().await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    operator_cancels(world, &handle, 0).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.failure_category, None);
    assert_eq!(info.end_reason.as_deref(), Some("operator said so"));
}

pub async fn work_may_end_as_it_likes_within_the_grace(world: &World) {
    let completed = world.started().await.handle;
    operator_cancels(world, &completed, 5_000).await;
    world.complete_execution(complete(&completed)).await.expect("an end");
    let info = world.info(completed.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Completed);
    let failed = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    operator_cancels(world, &failed, 5_000).await;
    world.fail_execution(fail(&failed, "io")).await.expect("an end");
    assert_eq!(world.info(failed.execution_id()).await.public_state, PublicState::Failed);
}

async fn is_cancelled_after(world: &World, handle: &Handle, operation: TurnOperation) {
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.ended_at), (PublicState::Cancelled, Some(world.now())));
    assert_eq!(info.end_reason.as_deref(), Some("operator said so"));
    assert_eq!(world.last_turn(handle.execution_id()).await.operation, operation);
}

pub async fn a_retry_under_a_requested_cancel_is_cancelled_at_once(world: &World) {
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, 5_000).await;
    let failed = world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    assert_matches!(failed.outcome, FailOutcome::RetryScheduled { .. });
    is_cancelled_after(world, &handle, TurnOperation::Fail).await;
    let again = world.unchanged(world.fail_execution(fail(&handle, "io"))).await;
    assert_eq!(again, failed);
}

pub async fn a_suspend_under_a_requested_cancel_is_cancelled_at_once(world: &World) {
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, 5_000).await;
    let address = world.suspend(suspend(&handle)).await;
    is_cancelled_after(world, &handle, TurnOperation::Suspend).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
}

pub async fn work_given_back_under_a_requested_cancel_is_cancelled_at_once(world: &World) {
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, 5_000).await;
    world.release_execution(release(&handle)).await.expect("a release");
    is_cancelled_after(world, &handle, TurnOperation::Release).await;
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, 5_000).await;
    world.delay_execution(delay(&handle, world.after(60_000))).await.expect("a delay");
    is_cancelled_after(world, &handle, TurnOperation::Delay).await;
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, 5_000).await;
    world.move_to_waiting_children(wait_children(&handle)).await.expect("a wait");
    is_cancelled_after(world, &handle, TurnOperation::WaitChildren).await;
    assert!(world.claim_ids(10).await.is_empty());
}

pub async fn a_lease_lost_under_a_requested_cancel_ends_cancelled(world: &World) {
    let handle = world.started().await.handle;
    operator_cancels(world, &handle, LEASE_TTL_MS * 2).await;
    world.advance(LEASE_TTL_MS).await;
    is_cancelled_after(world, &handle, TurnOperation::LeaseExpired).await;
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn an_attempt_timeout_under_a_requested_cancel_ends_cancelled(world: &World) {
    let handle = world.started_with(|p| p.attempt_timeout_ms = Some(1_000)).await.handle;
    operator_cancels(world, &handle, 5_000).await;
    world.advance(1_000).await;
    is_cancelled_after(world, &handle, TurnOperation::AttemptTimeout).await;
}

pub async fn cancel_of_what_is_cancelled_is_fine(world: &World) {
    let handle = world.started().await.handle;
    world.cancel_execution(cancel(&handle)).await.expect("a cancel");
    let before = world.info(handle.execution_id()).await;
    world.advance(1_000).await;
    let request = cancel_by_operator(handle.execution_id(), 100);
    let outcome = world.cancel_execution(request.clone()).await.expect("a cancel");
    assert_eq!(outcome, ExecutionCancelled::Ended);
    assert_eq!(world.info(handle.execution_id()).await, before);
    assert_eq!(world.unchanged(world.cancel_execution(request)).await, outcome);
}

pub async fn a_late_repeat_of_a_needless_cancel_does_not_touch_a_replay(world: &World) {
    let execution_id = world.submit().await;
    world.cancel_execution(cancel_by_operator(execution_id, 0)).await.expect("a cancel");
    let needless = cancel_by_operator(execution_id, 0);
    let first = world.cancel_execution(needless.clone()).await.expect("a cancel");
    world.replay_execution(replay(execution_id)).await.expect("a replay");
    assert_eq!(world.unchanged(world.cancel_execution(needless)).await, first);
    assert_eq!(world.info(execution_id).await.public_state, PublicState::Waiting);
}

pub async fn cancel_of_what_ended_otherwise_tells_how(world: &World) {
    let handle = world.finished().await;
    let request = cancel_by_operator(handle.execution_id(), 100);
    let refusal = world.refuses(world.cancel_execution(request)).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::ExecutionNotActive {
            terminal_outcome: TerminalOutcome::Success,
            ..
        })
    );
}

pub async fn cancel_refuses_values_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    let execution_id = handle.execution_id();
    let request = cancel_by_operator(execution_id, CANCEL_GRACE_MS_MAX + 1);
    let refusal = world.refuses(world.cancel_execution(request)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
    for request in [cancel(&handle), cancel_by_operator(execution_id, 0)] {
        let request = CancelExecution { reason: "x".repeat(REASON_BYTES_MAX + 1), ..request };
        let refusal = world.refuses(world.cancel_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

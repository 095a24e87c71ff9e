//! Refusals: a call that is refused says why, and changes nothing.
//!
//! Bad arguments are refused in the file of each capability; here is what every fenced operation
//! has in common.

use crate::fenced::Fenced;
use crate::prelude::*;
use ff_core::handle::HandleParts;

/// A handle as it is, but for what `change` does to it.
fn forged(handle: &Handle, change: impl FnOnce(&mut HandleParts)) -> Handle {
    let mut parts = parts(handle);
    change(&mut parts);
    Handle::from_parts(parts)
}

async fn all_refuse_a_stale_lease(world: &World, handle: &Handle) {
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, handle).await;
        assert_matches!(
            refusal,
            EngineError::Conflict(ConflictKind::StaleLease { held, current, .. })
                if held == handle.lease_epoch() && current == LeaseEpoch(1)
        );
    }
}

pub async fn a_handle_of_an_older_epoch_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let older = forged(&handle, |parts| parts.lease_epoch = LeaseEpoch(0));
    all_refuse_a_stale_lease(world, &older).await;
}

pub async fn a_handle_of_a_later_epoch_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let later = forged(&handle, |parts| parts.lease_epoch = LeaseEpoch(2));
    all_refuse_a_stale_lease(world, &later).await;
}

pub async fn a_handle_with_another_lease_id_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let other = forged(&handle, |parts| parts.lease_id = ClaimId::generate().lease_id(0));
    all_refuse_a_stale_lease(world, &other).await;
}

pub async fn a_handle_with_another_attempt_id_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let attempt_id = ClaimId::generate().lease_id(0).begins_attempt();
    let other = forged(&handle, |parts| parts.attempt_id = attempt_id);
    all_refuse_a_stale_lease(world, &other).await;
}

pub async fn a_handle_with_another_attempt_index_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let other = forged(&handle, |parts| parts.attempt_index = AttemptIndex(1));
    all_refuse_a_stale_lease(world, &other).await;
}

pub async fn a_handle_of_an_unknown_execution_is_refused_everywhere(world: &World) {
    let handle = world.started().await.handle;
    let unknown = ExecutionId::generate(world.partition());
    let other = forged(&handle, |parts| parts.execution_id = unknown);
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &other).await;
        assert_matches!(
            refusal,
            EngineError::NotFound { entity: Entity::Execution(id) } if id == unknown
        );
    }
}

pub async fn a_handle_of_a_removed_execution_is_refused_everywhere(world: &World) {
    let handle =
        world.started_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)).await.handle;
    world.complete_execution(complete(&handle)).await.expect("a completion");
    world.advance(RETENTION_MS_MIN).await;
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &handle).await;
        assert_matches!(refusal, EngineError::NotFound { .. });
    }
}

async fn all_are_too_late(world: &World, handle: &Handle, but: Fenced, phase: LifecyclePhase) {
    for operation in Fenced::ALL {
        if operation.repeats(but) {
            continue;
        }
        let refusal = operation.is_refused(world, handle).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotActive {
                lifecycle_phase,
                lease_epoch,
                attempt_id,
                ..
            }) if lifecycle_phase == phase
                && lease_epoch == handle.lease_epoch()
                && attempt_id == Some(handle.attempt_id())
        );
    }
}

pub async fn nothing_else_can_be_done_with_what_was_completed(world: &World) {
    let handle = world.finished().await;
    all_are_too_late(world, &handle, Fenced::Complete, LifecyclePhase::Terminal).await;
}

pub async fn nothing_else_can_be_done_with_what_failed(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    all_are_too_late(world, &handle, Fenced::Fail, LifecyclePhase::Terminal).await;
}

pub async fn nothing_else_can_be_done_with_what_waits_for_its_retry(world: &World) {
    let handle = world.started().await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    all_are_too_late(world, &handle, Fenced::Fail, LifecyclePhase::Runnable).await;
}

pub async fn nothing_else_can_be_done_with_what_was_cancelled(world: &World) {
    let handle = world.started().await.handle;
    world.cancel_execution(cancel(&handle)).await.expect("a cancel");
    all_are_too_late(world, &handle, Fenced::Cancel, LifecyclePhase::Terminal).await;
}

pub async fn nothing_else_can_be_done_with_what_was_delayed(world: &World) {
    let handle = world.started().await.handle;
    let request = delay(&handle, world.after(60_000));
    world.delay_execution(request).await.expect("a delay");
    all_are_too_late(world, &handle, Fenced::Delay, LifecyclePhase::Runnable).await;
}

pub async fn nothing_else_can_be_done_with_what_was_released(world: &World) {
    let handle = world.started().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    all_are_too_late(world, &handle, Fenced::Release, LifecyclePhase::Runnable).await;
}

pub async fn nothing_else_can_be_done_with_what_waits_for_children(world: &World) {
    let handle = world.started().await.handle;
    world.move_to_waiting_children(wait_children(&handle)).await.expect("a wait");
    all_are_too_late(world, &handle, Fenced::WaitChildren, LifecyclePhase::Runnable).await;
}

pub async fn nothing_else_can_be_done_with_what_was_suspended(world: &World) {
    let (handle, _) = world.suspended(&["go"]).await;
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &handle).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotActive {
                lifecycle_phase: LifecyclePhase::Suspended,
                terminal_outcome: TerminalOutcome::None,
                ..
            })
        );
    }
}

pub async fn nothing_can_be_done_with_what_passed_its_deadline(world: &World) {
    let handle = world.started_with(|p| p.deadline = Some(When::After(10))).await.handle;
    world.advance(10).await;
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &handle).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotActive {
                terminal_outcome: TerminalOutcome::Expired,
                ..
            })
        );
    }
}

pub async fn nothing_can_be_done_with_what_ran_too_long(world: &World) {
    let handle = world.started_with(|p| p.attempt_timeout_ms = Some(10)).await.handle;
    world.advance(10).await;
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &handle).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotActive {
                terminal_outcome: TerminalOutcome::None,
                lifecycle_phase: LifecyclePhase::Runnable,
                ..
            })
        );
    }
}

pub async fn nothing_can_be_done_with_what_was_revoked(world: &World) {
    let handle = world.started().await.handle;
    let request = cancel_by_operator(handle.execution_id(), 10);
    world.cancel_execution(request).await.expect("a cancel");
    world.advance(10).await;
    for operation in Fenced::ALL {
        if operation != Fenced::Cancel {
            let refusal = operation.is_refused(world, &handle).await;
            assert_matches!(
                refusal,
                EngineError::State(StateKind::ExecutionNotActive {
                    terminal_outcome: TerminalOutcome::Cancelled,
                    ..
                })
            );
        }
    }
}

pub async fn operators_are_refused_what_is_not_there(world: &World) {
    let unknown = ExecutionId::generate(world.partition());
    let refusals = [
        world.refuses(world.cancel_execution(cancel_by_operator(unknown, 0))).await,
        world.refuses(world.replay_execution(replay(unknown))).await,
        world.refuses(world.describe_execution(unknown)).await,
        world.refuses(world.list_turns(unknown)).await,
        world.refuses(world.read_result(unknown)).await,
        world.refuses(world.explain_execution(unknown)).await,
        world.refuses(world.read_stream(read(unknown, 0))).await,
    ];
    for refusal in refusals {
        assert_matches!(
            refusal,
            EngineError::NotFound { entity: Entity::Execution(id) } if id == unknown
        );
    }
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __refusals_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            refusals {
                a_handle_of_an_older_epoch_is_refused_everywhere
                a_handle_of_a_later_epoch_is_refused_everywhere
                a_handle_with_another_lease_id_is_refused_everywhere
                a_handle_with_another_attempt_id_is_refused_everywhere
                a_handle_with_another_attempt_index_is_refused_everywhere
                a_handle_of_an_unknown_execution_is_refused_everywhere
                a_handle_of_a_removed_execution_is_refused_everywhere
                nothing_else_can_be_done_with_what_was_completed
                nothing_else_can_be_done_with_what_failed
                nothing_else_can_be_done_with_what_waits_for_its_retry
                nothing_else_can_be_done_with_what_was_cancelled
                nothing_else_can_be_done_with_what_was_delayed
                nothing_else_can_be_done_with_what_was_released
                nothing_else_can_be_done_with_what_waits_for_children
                nothing_else_can_be_done_with_what_was_suspended
                nothing_can_be_done_with_what_passed_its_deadline
                nothing_can_be_done_with_what_ran_too_long
                nothing_can_be_done_with_what_was_revoked
                operators_are_refused_what_is_not_there
            }
        }
    };
}

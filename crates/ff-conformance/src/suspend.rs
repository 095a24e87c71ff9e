//! Suspend: stop for signals without holding a worker.

mod adopt;
mod bounds;
mod reissue;
mod repeat;
mod timeout;
mod waitpoint;

pub use adopt::*;
pub use bounds::*;
pub use reissue::*;
pub use repeat::*;
pub use timeout::*;
pub use waitpoint::*;

use crate::prelude::*;

pub async fn suspend_releases_the_lease_and_opens_a_waitpoint(world: &World) {
    let handle = world.started().await.handle;
    let request = SuspendExecution {
        timeout_ms: Some(9_000),
        timeout_behavior: TimeoutBehavior::Escalate,
        ..suspend_for(&handle, &["approved"])
    };
    let address = world.suspend(request.clone()).await;
    assert_eq!(address.waitpoint_id, request.waitpoint_id);
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Suspended);
    assert_eq!(info.lifecycle_phase, LifecyclePhase::Suspended);
    assert_eq!((info.lease, info.resumes), (None, true));
    let expected = SuspensionInfo {
        suspension_id: request.suspension_id,
        waitpoint_id: request.waitpoint_id,
        reason_code: "needs_approval".to_owned(),
        matchers: vec![(ConditionMatcher::named("approved"), None)],
        timeout_at: Some(world.after(9_000)),
        timeout_behavior: TimeoutBehavior::Escalate,
        escalated: false,
        suspended_at: world.now(),
    };
    assert_eq!(info.suspension, Some(expected));
    assert_eq!(info.waitpoints.len(), 1);
    assert_eq!(info.waitpoints[0].state, WaitpointState::Active);
    assert_eq!(info.waitpoints[0].waitpoint_key.as_str(), request.waitpoint_id.to_string());
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Suspend, TurnOutcome::Suspended));
    assert_eq!(turn.suspension_id, Some(request.suspension_id));
    world.advance(LEASE_TTL_MS).await;
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn a_resume_goes_on_with_the_attempt(world: &World) {
    let (before, address) = world.suspended(&["go"]).await;
    world.advance(1_000_000).await;
    let after = world.resumed(&address, "go").await.handle;
    assert_eq!(after.attempt_index(), before.attempt_index());
    assert_eq!(after.attempt_id(), before.attempt_id());
    assert_eq!((after.lease_epoch(), after.kind()), (LeaseEpoch(2), HandleKind::Resumed));
    let info = world.info(after.execution_id()).await;
    assert_eq!((info.retries, info.reclaims, info.suspension), (0, 0, None));
}

pub async fn a_resumed_execution_is_ready_until_it_is_claimed(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    world.signal(&address, "go").await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.resumes), (PublicState::Waiting, true));
    assert_eq!((info.suspension, info.delay_until), (None, None));
    assert_eq!(info.resume_signals.len(), 1);
}

pub async fn resume_signals_stay_while_the_attempt_is_handed_on(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let first = world.resumed(&address, "go").await;
    world.release_execution(release(&first.handle)).await.expect("a release");
    let second = world.claim_one().await;
    let info = world.info(second.handle.execution_id()).await;
    assert_eq!(second.resume_signals, info.resume_signals);
}

pub async fn resume_signals_are_gone_with_the_attempt(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.resumed(&address, "go").await;
    let heir = world.reclaimed().await;
    assert_eq!(heir.handle.attempt_index(), AttemptIndex(1));
    assert!(heir.resume_signals.is_empty());
    assert!(world.info(heir.handle.execution_id()).await.resume_signals.is_empty());
}

pub async fn closed_waitpoints_are_remembered_up_to_a_limit(world: &World) {
    let (handle, first) = world.suspended(&["go"]).await;
    let mut last = first.clone();
    for _ in 0..WAITPOINTS_CLOSED_KEPT_MAX {
        let handle = world.resumed(&last, "go").await.handle;
        last = world.suspend(suspend(&handle)).await;
    }
    let closed = world.refuses(world.deliver_signal(signal(&first, "go"))).await;
    assert_matches!(closed, EngineError::State(StateKind::WaitpointClosed { .. }));
    world.signal(&last, "go").await;
    let forgotten = world.refuses(world.deliver_signal(signal(&first, "go"))).await;
    assert_matches!(forgotten, EngineError::Validation { kind: ValidationKind::InvalidToken, .. });
    let kept = world.info(handle.execution_id()).await.waitpoints;
    assert_eq!(kept.len(), WAITPOINTS_CLOSED_KEPT_MAX);
}

pub async fn a_second_suspension_waits_for_a_signal_of_its_own(world: &World) {
    let (_, first) = world.suspended(&["go"]).await;
    let handle = world.resumed(&first, "go").await.handle;
    let second = world.suspend(suspend_for(&handle, &["go"])).await;
    assert_ne!(second.waitpoint_id, first.waitpoint_id);
    let old = world.refuses(world.deliver_signal(signal(&first, "go"))).await;
    assert_matches!(old, EngineError::State(StateKind::WaitpointClosed { .. }));
    let crossed = Address { token: first.token, ..second.clone() };
    let crossed = world.refuses(world.deliver_signal(signal(&crossed, "go"))).await;
    assert_matches!(crossed, EngineError::Validation { kind: ValidationKind::InvalidToken, .. });
    let resumed = world.resumed(&second, "go").await;
    assert_eq!(resumed.resume_signals.len(), 1);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __suspend_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            suspend {
                suspend_releases_the_lease_and_opens_a_waitpoint
                a_resume_goes_on_with_the_attempt
                a_resumed_execution_is_ready_until_it_is_claimed
                resume_signals_stay_while_the_attempt_is_handed_on
                resume_signals_are_gone_with_the_attempt
                closed_waitpoints_are_remembered_up_to_a_limit
                a_second_suspension_waits_for_a_signal_of_its_own
                suspend_without_a_key_adopts_the_only_pending_waitpoint
                suspend_with_a_key_adopts_the_pending_waitpoint_of_that_key
                suspend_with_a_new_key_opens_a_waitpoint_of_that_key
                suspend_without_a_key_is_ambiguous_among_several
                a_lapsed_waitpoint_is_not_adopted
                a_lapsed_waitpoint_loses_no_signal_that_it_buffered
                an_adopted_waitpoint_no_longer_lapses
                early_signals_that_suffice_keep_the_lease
                early_signals_that_do_not_suffice_are_kept
                early_signals_are_matched_in_the_order_they_came
                a_suspension_after_a_satisfied_one_releases_the_lease
                another_pending_waitpoint_buffers_while_suspended
                a_waitpoint_of_the_attempt_before_is_not_adopted
                suspend_refuses_a_malformed_reason_code
                suspend_refuses_a_timeout_past_its_bounds
                suspend_refuses_matchers_past_their_bounds
                suspend_refuses_matchers_of_two_waitpoints
                suspend_refuses_a_waitpoint_id_that_is_known
                suspend_refuses_a_waitpoint_past_the_limit
                a_refused_suspend_leaves_every_waitpoint_pending
                a_reissued_token_replaces_the_one_before
                reissue_repeated_answers_the_same_token
                reissue_under_the_same_key_changes_nothing
                a_suspend_repeated_after_a_reissue_tells_the_current_token
                reissue_works_for_a_pending_waitpoint
                reissue_refuses_what_is_not_open
                suspend_repeated_answers_the_first_token
                suspend_repeated_after_the_resume_answers_the_same
                suspend_repeated_after_a_second_suspension_answers_the_first
                suspend_repeated_after_adoption_answers_the_adopted_token
                suspend_under_another_suspension_id_is_no_repeat
                an_already_satisfied_suspend_repeated_answers_the_same
                each_satisfied_suspend_of_a_turn_is_remembered
                create_waitpoint_repeated_answers_the_first_token
                a_waitpoint_keeps_its_first_token_when_the_key_is_rotated
                a_timeout_that_fails_ends_failed_without_a_retry
                a_timeout_that_cancels_ends_cancelled
                a_timeout_that_expires_ends_expired
                a_timeout_that_resumes_sends_a_signal_of_its_own
                a_timeout_that_resumes_queues_by_the_time_it_was_due
                a_timeout_that_escalates_stays_suspended_and_flagged
                a_signal_in_time_disarms_the_timeout
                a_signal_at_the_timeout_is_too_late
                create_waitpoint_opens_one_that_buffers
                create_waitpoint_refuses_a_key_that_is_open
                create_waitpoint_refuses_an_id_that_is_known
                create_waitpoint_refuses_more_than_the_limit
                lapsed_waitpoints_make_room_for_others
                create_waitpoint_refuses_a_life_past_its_bounds
                a_pending_waitpoint_takes_signals_until_it_lapses
                a_retry_closes_pending_waitpoints
            }
        }
    };
}

//! Terminal: how a turn ends, and what an end leaves behind.

mod cancel;
mod deadline;
mod fuse;
mod hand_back;
mod repeat;
mod replay;
mod retention;
mod retry;
mod timeout;
mod together;

pub use cancel::*;
pub use deadline::*;
pub use fuse::*;
pub use hand_back::*;
pub use repeat::*;
pub use replay::*;
pub use retention::*;
pub use retry::*;
pub use timeout::*;
pub use together::*;

use crate::prelude::*;

pub async fn complete_ends_with_success(world: &World) {
    let handle =
        world.started_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)).await.handle;
    let started_at = world.now();
    world.advance(40).await;
    let ended = world.complete_execution(complete_with(&handle, "done")).await.expect("an end");
    assert_eq!(ended, TurnEnded { outcome: (), next: None });
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Completed);
    assert_eq!(info.lifecycle_phase, LifecyclePhase::Terminal);
    assert_eq!(info.terminal_outcome, TerminalOutcome::Success);
    assert_eq!((info.lease, info.has_result), (None, true));
    assert_eq!((info.failure_category, info.end_reason), (None, None));
    assert_eq!(info.ended_at, Some(world.now()));
    assert_eq!(info.retained_until, Some(world.after(RETENTION_MS_MIN)));
    assert_eq!(info.attempt, Some((AttemptIndex(0), handle.attempt_id())));
    let turn = world.last_turn(handle.execution_id()).await;
    let expected = EndedTurn {
        attempt_index: AttemptIndex(0),
        attempt_id: handle.attempt_id(),
        lease_epoch: LeaseEpoch(1),
        operation: TurnOperation::Complete,
        outcome: TurnOutcome::Success,
        delay_until: None,
        suspension_id: None,
        started_at,
        ended_at: world.now(),
        worker_id: worker("w").worker_id,
        worker_instance_id: worker("w").worker_instance_id,
        category: None,
        reason: None,
    };
    assert_eq!(turn, expected);
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn complete_without_a_result_leaves_none(world: &World) {
    let handle = world.finished().await;
    assert!(!world.info(handle.execution_id()).await.has_result);
    let read = world.read_result(handle.execution_id()).await.expect("the result");
    let expected = ExecutionResult {
        terminal_outcome: TerminalOutcome::Success,
        result: None,
        failure_category: None,
        end_reason: None,
    };
    assert_eq!(read, expected);
}

pub async fn result_bytes_arrive_as_they_were_sent(world: &World) {
    for result in [every_byte(), bytes_of(1), bytes_of(65), bytes_of(PAYLOAD_BYTES_MAX)] {
        let handle = world.started().await.handle;
        let request = complete_with(&handle, result.clone());
        world.complete_execution(request).await.expect("an end");
        let read = world.read_result(handle.execution_id()).await.expect("the result");
        assert!(read.result.as_ref() == Some(&result), "{} bytes differ", result.len());
    }
}

pub async fn complete_refuses_a_result_past_its_limit(world: &World) {
    let handle = world.started().await.handle;
    for bytes in [PAYLOAD_BYTES_MAX + 1, 10 * 1024 * 1024] {
        let request = complete_with(&handle, bytes_of(bytes));
        let refusal = world.refuses(world.complete_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::TooLarge, .. });
    }
    world.complete_execution(complete(&handle)).await.expect("a smaller result");
}

pub async fn fail_without_retries_ends_failed(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    let failed = world.fail_execution(fail(&handle, "bad_input")).await.expect("a failure");
    assert_eq!(failed.outcome, FailOutcome::TerminalFailed);
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Failed);
    assert_eq!(info.terminal_outcome, TerminalOutcome::Failed);
    assert_eq!(info.failure_category.as_deref(), Some("bad_input"));
    assert_eq!(info.end_reason.as_deref(), Some("it broke"));
    assert_eq!((info.ended_at, info.retries), (Some(world.now()), 0));
    let read = world.read_result(handle.execution_id()).await.expect("the result");
    let expected = ExecutionResult {
        terminal_outcome: TerminalOutcome::Failed,
        result: None,
        failure_category: Some("bad_input".to_owned()),
        end_reason: Some("it broke".to_owned()),
    };
    assert_eq!(read, expected);
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Fail, TurnOutcome::Failed));
    assert_eq!(turn.category.as_deref(), Some("bad_input"));
    assert_eq!(turn.reason.as_deref(), Some("it broke"));
}

pub async fn fail_refuses_a_malformed_category_or_reason(world: &World) {
    let handle = world.started().await.handle;
    for category in ["", "Rate", "a-b", "a b", "1a", "_a", &"x".repeat(NAME_BYTES_MAX + 1)] {
        let refusal = world.refuses(world.fail_execution(fail(&handle, category))).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Name, .. });
    }
    for reason in ["x".repeat(REASON_BYTES_MAX + 1), "\u{7}".to_owned()] {
        let request = FailExecution { reason, ..fail(&handle, "io") };
        let refusal = world.refuses(world.fail_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn an_end_closes_every_waitpoint(world: &World) {
    let handle = world.started().await.handle;
    let opened = world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("one");
    world.complete_execution(complete(&handle)).await.expect("an end");
    let address = Address::of_pending(handle.execution_id(), &opened);
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    let info = world.info(handle.execution_id()).await;
    assert!(info.waitpoints.iter().all(|w| w.state == WaitpointState::Closed));
}

pub async fn ends_that_race_leave_one_winner(world: &World) {
    let handle = world.started().await.handle;
    let other = world.elsewhere().await;
    let (completed, failed) = futures::join!(
        world.complete_execution(complete(&handle)),
        other.fail_execution(fail(&handle, "io"))
    );
    assert!(completed.is_ok() != failed.is_ok(), "{completed:?} {failed:?}");
    assert_eq!(world.turns(handle.execution_id()).await.len(), 1);
    let state = world.info(handle.execution_id()).await.public_state;
    let won = if completed.is_ok() { PublicState::Completed } else { PublicState::Delayed };
    assert_eq!(state, won);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __terminal_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            terminal {
                complete_ends_with_success
                complete_without_a_result_leaves_none
                result_bytes_arrive_as_they_were_sent
                complete_refuses_a_result_past_its_limit
                fail_without_retries_ends_failed
                fail_refuses_a_malformed_category_or_reason
                an_end_closes_every_waitpoint
                ends_that_race_leave_one_winner
                cancel_by_the_holder_ends_cancelled
                cancel_by_a_holder_of_something_else_is_refused
                cancel_by_an_operator_ends_what_does_not_run
                cancel_of_a_suspended_execution_closes_its_waitpoint
                cancel_without_grace_ends_running_work_at_once
                cancel_with_grace_asks_running_work_to_stop
                a_lease_is_revoked_when_the_grace_ends
                renewals_do_not_put_off_a_revoke
                a_second_cancel_keeps_the_first_reason_and_the_earlier_revoke
                cancel_repeated_by_an_operator_answers_the_same
                a_late_repeat_of_a_cancel_does_not_touch_a_replay
                a_cancel_clears_the_failure_before_it
                work_may_end_as_it_likes_within_the_grace
                a_retry_under_a_requested_cancel_is_cancelled_at_once
                a_suspend_under_a_requested_cancel_is_cancelled_at_once
                work_given_back_under_a_requested_cancel_is_cancelled_at_once
                a_lease_lost_under_a_requested_cancel_ends_cancelled
                an_attempt_timeout_under_a_requested_cancel_ends_cancelled
                cancel_of_what_is_cancelled_is_fine
                a_late_repeat_of_a_needless_cancel_does_not_touch_a_replay
                cancel_of_what_ended_otherwise_tells_how
                cancel_refuses_values_past_their_bounds
                a_deadline_ends_ready_work
                a_deadline_ends_delayed_work
                a_deadline_ends_granted_work
                a_deadline_ends_running_work
                a_deadline_ends_suspended_work_and_closes_its_waitpoint
                a_deadline_ends_work_that_waits_for_its_retry
                a_deadline_wins_over_a_retry_due_with_it
                a_deadline_wins_over_a_suspension_timeout_due_with_it
                an_execution_that_ended_in_time_does_not_expire
                complete_at_the_deadline_is_too_late_and_before_it_is_not
                complete_takes_the_next_in_the_same_call
                complete_with_nothing_next_says_so
                fail_takes_the_next_in_the_same_call
                fail_may_take_its_own_retry
                a_fused_end_repeated_answers_the_same_end_and_claim
                a_refused_claim_does_not_fail_the_end
                an_end_repeated_with_another_claim_makes_that_claim
                a_refused_end_makes_no_claim
                a_bad_claim_makes_no_end
                several_complete_in_one_call_each_with_its_result
                of_several_ends_one_that_is_refused_does_not_touch_the_others
                the_same_end_twice_in_one_call_is_one_end
                several_ends_take_the_next_in_the_same_call
                several_ends_repeated_answer_the_same_and_take_nothing_more
                refused_ends_still_take_the_next
                a_refused_claim_does_not_fail_several_ends
                several_ends_past_their_bounds_change_nothing
                delay_puts_the_work_off_until_then
                delay_into_the_past_means_at_once
                delay_refuses_a_time_past_its_bound
                release_gives_the_work_back_at_once
                release_refuses_a_reason_past_its_limit
                wait_for_children_without_any_is_ready_at_once
                work_handed_back_keeps_its_pending_waitpoints
                complete_repeated_answers_the_same
                complete_repeated_from_elsewhere_answers_the_same
                complete_repeated_keeps_the_first_result
                complete_repeated_after_a_replay_answers_the_same
                fail_repeated_answers_the_real_retry_time
                fail_repeated_after_the_retry_was_claimed_answers_the_same
                fail_repeated_after_the_end_answers_the_same
                cancel_repeated_by_the_holder_answers_the_same
                delay_repeated_answers_the_same
                release_repeated_answers_the_same
                wait_for_children_repeated_answers_the_same
                ends_are_told_apart_by_their_turn
                an_end_is_forgotten_once_many_turns_have_passed
                replay_makes_a_finished_execution_ready_as_new
                replay_takes_the_old_result_away
                replay_counts_lost_leases_anew
                replay_works_after_every_kind_of_end
                replay_of_what_never_ran_starts_at_the_first_attempt
                replay_repeated_answers_the_same
                replay_repeated_after_a_later_replay_answers_the_same
                a_mutation_id_belongs_to_its_operation
                replay_refuses_what_has_not_ended
                replay_refuses_more_than_the_policy_allows
                replay_gives_a_deadline_its_span_again
                a_replayed_execution_outlives_its_old_retention
                replay_keeps_the_history
                replay_clears_a_cancel_that_was_under_way
                a_finished_execution_is_kept_until_its_retention_ends
                retention_leaves_nothing_behind
                an_id_may_be_used_again_once_its_execution_is_gone
                every_kind_of_end_is_retained_and_then_removed
                a_removed_execution_takes_no_signals
                fail_schedules_a_retry_after_the_backoff
                a_retry_is_a_new_attempt
                a_failure_is_shown_until_the_next_attempt_begins
                fail_ends_failed_once_the_retries_are_used_up
                the_backoff_grows_to_its_ceiling
                jitter_is_drawn_from_the_execution_id
                a_permanent_category_is_not_tried_again
                only_listed_categories_are_tried_again
                a_backoff_of_nothing_is_claimable_at_once
                an_attempt_that_runs_too_long_fails_and_is_tried_again
                an_attempt_timeout_without_retries_ends_failed
                the_retry_policy_judges_an_attempt_timeout_by_its_category
                each_attempt_has_its_full_time
                an_attempt_after_a_replay_has_its_full_time
                time_without_a_lease_is_not_counted
                an_already_satisfied_suspend_lets_the_clock_run
            }
        }
    };
}

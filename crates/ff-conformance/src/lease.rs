//! Lease: keep hold of what was claimed, and lose it.

mod expiry;
mod progress;
mod zombie;

pub use expiry::*;
pub use progress::*;
pub use zombie::*;

use crate::prelude::*;

pub async fn renew_lease_extends_it_from_now(world: &World) {
    let handle = world.started().await.handle;
    world.advance(12_345).await;
    let renewed = world.renew_one(renew(&[&handle])).await.expect("a renewal");
    assert_eq!(renewed.expires_at, world.after(LEASE_TTL_MS));
    assert_eq!(renewed.cancel_requested, None);
    let lease = world.info(handle.execution_id()).await.lease.expect("a lease");
    assert_eq!((lease.expires_at, lease.lease_id), (renewed.expires_at, handle.lease_id()));
}

pub async fn renew_lease_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    world.advance(1_000).await;
    let first = world.renew_one(renew(&[&handle])).await.expect("a renewal");
    let again = world.unchanged(world.renew_one(renew(&[&handle]))).await;
    assert_eq!(again, first);
}

pub async fn renew_lease_can_bring_the_end_nearer(world: &World) {
    let handle = world.started().await.handle;
    let request = RenewLease { lease_ttl_ms: 1_000, ..renew(&[&handle]) };
    let renewed = world.renew_one(request).await.expect("a renewal");
    assert_eq!(renewed.expires_at, world.after(1_000));
    world.advance(1_000).await;
    assert_eq!(world.claim_ids(1).await, [handle.execution_id()]);
}

pub async fn renew_lease_holds_up_to_the_last_millisecond(world: &World) {
    let handle = world.started().await.handle;
    world.advance(LEASE_TTL_MS - 1).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
}

pub async fn renew_lease_refuses_a_lease_that_ran_out(world: &World) {
    let handle = world.started().await.handle;
    let at = world.after(LEASE_TTL_MS);
    world.advance(LEASE_TTL_MS).await;
    let refusal = world.refuses(world.renew_one(renew(&[&handle]))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::LeaseExpired { execution_id, expired_at })
            if execution_id == handle.execution_id() && expired_at == at
    );
}

pub async fn renew_lease_refuses_a_stale_epoch(world: &World) {
    let held = world.started().await.handle;
    world.reclaimed().await;
    let refusal = world.refuses(world.renew_one(renew(&[&held]))).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::StaleLease {
            held: LeaseEpoch(1),
            current: LeaseEpoch(2),
            ..
        })
    );
}

pub async fn renew_lease_refuses_an_ended_turn_and_tells_how_it_ended(world: &World) {
    let handle = world.finished().await;
    let refusal = world.refuses(world.renew_one(renew(&[&handle]))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::ExecutionNotActive {
            terminal_outcome: TerminalOutcome::Success,
            lease_epoch: LeaseEpoch(1),
            lifecycle_phase: LifecyclePhase::Terminal,
            attempt_id: Some(id),
            ..
        }) if id == handle.attempt_id()
    );
}

pub async fn a_lost_lease_does_not_touch_the_renewal_of_others(world: &World) {
    let done = world.finished().await;
    let one = world.started().await.handle;
    let two = world.started().await.handle;
    world.advance(5_000).await;
    let unknown = Handle::from_parts(handle::HandleParts {
        execution_id: ExecutionId::generate(world.partition()),
        ..parts(&one)
    });
    let request = renew(&[&one, &done, &unknown, &two]);
    let results = world.renew_lease(request).await.expect("renewals");
    assert_eq!(results.len(), 4);
    let expires_at = world.after(LEASE_TTL_MS);
    for index in [0, 3] {
        assert_matches!(&results[index], Ok(renewed) if renewed.expires_at == expires_at);
    }
    assert_matches!(&results[1], Err(EngineError::State(StateKind::ExecutionNotActive { .. })));
    assert_matches!(&results[2], Err(EngineError::NotFound { .. }));
}

pub async fn renew_lease_tells_of_a_requested_cancel(world: &World) {
    let handle = world.started().await.handle;
    let request = cancel_by_operator(handle.execution_id(), 5_000);
    let revoke_at = world.after(5_000);
    world.cancel_execution(request).await.expect("a cancel");
    let renewed = world.renew_one(renew(&[&handle])).await.expect("a renewal");
    let requested = renewed.cancel_requested.expect("the cancel");
    assert_eq!((requested.reason.as_str(), requested.revoke_at), ("operator said so", revoke_at));
}

pub async fn renew_lease_refuses_values_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    let mut past = vec![renew(&[]), renew(&vec![&handle; RENEWALS_MAX + 1])];
    for lease_ttl_ms in [0, LEASE_TTL_MS_MIN - 1, LEASE_TTL_MS_MAX + 1] {
        past.push(RenewLease { lease_ttl_ms, ..renew(&[&handle]) });
    }
    for request in past {
        let refusal = world.refuses(world.renew_lease(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __lease_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            lease {
                renew_lease_extends_it_from_now
                renew_lease_repeated_answers_the_same
                renew_lease_can_bring_the_end_nearer
                renew_lease_holds_up_to_the_last_millisecond
                renew_lease_refuses_a_lease_that_ran_out
                renew_lease_refuses_a_stale_epoch
                renew_lease_refuses_an_ended_turn_and_tells_how_it_ended
                a_lost_lease_does_not_touch_the_renewal_of_others
                renew_lease_tells_of_a_requested_cancel
                renew_lease_refuses_values_past_their_bounds
                a_lease_that_runs_out_gives_the_work_to_another
                a_lease_lost_too_often_ends_failed
                lost_leases_are_not_counted_as_retries
                a_lost_lease_closes_what_the_attempt_had_open
                two_timers_fire_each_at_its_own_time
                a_deadline_wins_over_a_lease_that_runs_out_with_it
                an_attempt_timeout_wins_over_a_lease_that_runs_out_with_it
                a_revoke_wins_over_a_lease_that_runs_out_with_it
                update_progress_overwrites_what_was_there
                update_progress_repeated_changes_nothing
                update_progress_extends_no_lease
                progress_never_shows_in_the_stream
                progress_stays_while_the_attempt_goes_on
                progress_is_cleared_when_a_new_attempt_begins
                update_progress_refuses_values_past_their_bounds
                a_zombie_cannot_complete
                a_zombie_cannot_fail
                a_zombie_cannot_cancel
                a_zombie_cannot_delay
                a_zombie_cannot_release
                a_zombie_cannot_wait_for_children
                a_zombie_cannot_suspend
                a_zombie_cannot_renew
                a_zombie_cannot_update_progress
                a_zombie_cannot_append
                a_zombie_cannot_create_a_waitpoint
                a_zombie_cannot_suspend_over_the_suspension_of_its_heir
                a_zombie_whose_heir_has_not_come_yet_is_told_that_its_lease_expired
                a_worker_that_gave_its_work_back_is_a_zombie_too
            }
        }
    };
}

//! Claim: who gets what, and that nobody gets it twice.

mod bounds;
mod grant;
mod order;
mod repeat;
mod route;
mod tick;
mod worker;

pub use bounds::*;
pub use grant::*;
pub use order::*;
pub use repeat::*;
pub use route::*;
pub use tick::*;
pub use worker::*;

use crate::prelude::*;

pub async fn claim_takes_a_ready_execution_under_a_lease(world: &World) {
    let item = world.item_with(|policy| {
        policy.tags = [("team".to_owned(), "red".to_owned())].into();
        policy.budgets = vec![budget(None, None).budget_id];
    });
    let execution_id = world.submit_item(item.clone()).await;
    let request = world.claim_request();
    let claim_id = request.claim_id;
    let taken = world.claimed(request).await.executions.remove(0);
    let handle = &taken.handle;
    assert_eq!(handle.execution_id(), execution_id);
    assert_eq!(handle.lease_id(), claim_id.lease_id(0));
    assert_eq!(handle.attempt_id(), claim_id.lease_id(0).begins_attempt());
    assert_eq!((handle.attempt_index(), handle.lease_epoch()), (AttemptIndex(0), LeaseEpoch(1)));
    assert_eq!((handle.kind(), handle.lane()), (HandleKind::Fresh, &item.lane));
    assert_eq!(handle.worker_instance_id(), &worker("w").worker_instance_id);
    assert_eq!((taken.kind, taken.input, taken.tags), (item.kind, item.input, item.policy.tags));
    assert_eq!(taken.budgets, item.policy.budgets);
    assert_eq!(taken.lease_expires_at, world.after(LEASE_TTL_MS));
    assert_eq!(taken.lease_ttl_ms, LEASE_TTL_MS);
    assert_eq!((taken.resume_signals, taken.cancel_requested), (Vec::new(), None));
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Active);
    assert_eq!(info.attempt, Some((AttemptIndex(0), handle.attempt_id())));
    let lease = info.lease.expect("a lease");
    assert_eq!(lease.lease_id, handle.lease_id());
    assert_eq!(lease.worker_id, worker("w").worker_id);
    assert_eq!((lease.started_at, lease.kind), (world.now(), HandleKind::Fresh));
    assert_eq!(lease.expires_at, taken.lease_expires_at);
}

pub async fn claim_answers_nothing_when_nothing_is_ready(world: &World) {
    let claimed = world.claimed(world.claim_request()).await;
    assert_eq!(claimed, ExecutionsClaimed::default());
}

pub async fn claim_takes_up_to_what_was_asked_for(world: &World) {
    for _ in 0..5 {
        world.submit().await;
    }
    let claimed = world.claimed(world.claim_up_to(3)).await;
    assert_eq!((claimed.executions.len(), claimed.ready_left), (3, true));
    let claimed = world.claimed(world.claim_up_to(3)).await;
    assert_eq!((claimed.executions.len(), claimed.ready_left), (2, false));
    assert!(world.claim_ids(3).await.is_empty());
}

pub async fn leases_of_one_claim_have_ids_of_their_own(world: &World) {
    for _ in 0..3 {
        world.submit().await;
    }
    let request = world.claim_up_to(3);
    let claim_id = request.claim_id;
    let claimed = world.claimed(request).await;
    let leases: Vec<LeaseId> = claimed.executions.iter().map(|e| e.handle.lease_id()).collect();
    assert_eq!(leases, [0, 1, 2].map(|index| claim_id.lease_id(index)));
}

pub async fn claim_leaves_other_lanes_and_namespaces_alone(world: &World) {
    let other_lane = SubmitExecution { lane: lane("other"), ..world.item() };
    let other_namespace = SubmitExecution {
        namespace: Namespace::new("tenant").expect("a legal namespace"),
        ..world.item()
    };
    let in_other_lane = world.submit_item(other_lane).await;
    world.submit_item(other_namespace).await;
    assert!(world.claim_ids(10).await.is_empty());
    let request = ClaimExecution {
        source: ClaimSource::Ready { lanes: vec![lane("other")], count_max: 10 },
        ..world.claim_request()
    };
    assert_eq!(ids(&world.claimed(request).await), [in_other_lane]);
}

pub async fn claim_leaves_other_partitions_alone(world: &World) {
    let Some(other) = world.partitions().iter().nth(1) else {
        return;
    };
    let item = SubmitExecution { execution_id: ExecutionId::generate(other), ..world.item() };
    let execution_id = world.submit_item(item).await;
    assert!(world.claim_ids(10).await.is_empty());
    let request = ClaimExecution { partition: other, ..world.claim_request() };
    assert_eq!(ids(&world.claimed(request).await), [execution_id]);
}

pub async fn every_claim_raises_the_epoch_by_one(world: &World) {
    let mut handle = world.started().await.handle;
    for epoch in 2..5 {
        world.release_execution(release(&handle)).await.expect("a release");
        handle = world.claim_one().await.handle;
        assert_eq!(handle.lease_epoch(), LeaseEpoch(epoch));
    }
}

pub async fn a_claim_that_resumes_goes_on_with_the_attempt(world: &World) {
    let first = world.started().await.handle;
    world.release_execution(release(&first)).await.expect("a release");
    let second = world.claim_one().await.handle;
    assert_eq!(second.attempt_index(), first.attempt_index());
    assert_eq!(second.attempt_id(), first.attempt_id());
    assert_ne!(second.lease_id(), first.lease_id());
    assert_eq!(second.kind(), HandleKind::Resumed);
}

pub async fn claim_handles_what_is_due(world: &World) {
    let execution_id = world.submit_with(|policy| policy.start = Some(When::After(1_000))).await;
    assert!(world.claim_ids(1).await.is_empty());
    world.advance(1_000).await;
    assert_eq!(world.claim_ids(1).await, [execution_id]);
}

pub async fn claim_tells_when_the_next_timer_is_due(world: &World) {
    world.submit_with(|policy| policy.start = Some(When::After(700))).await;
    let claimed = world.claimed(world.claim_request()).await;
    assert_eq!(claimed.next_due, Some(world.after(700)));
}

pub async fn claim_never_takes_what_has_passed_its_deadline(world: &World) {
    let late = world.submit_with(|policy| policy.deadline = Some(When::After(10))).await;
    world.advance(10).await;
    let good = world.submit().await;
    assert_eq!(world.claim_ids(10).await, [good]);
    assert_eq!(world.info(late).await.public_state, PublicState::Expired);
}

pub async fn claim_gets_past_more_due_timers_than_it_handles(world: &World) {
    for _ in 0..CLAIM_TICK_MAX + 10 {
        world.submit_with(|policy| policy.deadline = Some(When::After(10))).await;
    }
    let good = world.submit_with(|policy| policy.priority = -1).await;
    world.advance(10).await;
    assert_eq!(world.claim_ids(1).await, [good]);
}

pub async fn a_claim_that_stops_early_says_that_more_is_left(world: &World) {
    for _ in 0..CLAIM_TICK_MAX * 2 + 1 {
        world.submit_with(|policy| policy.deadline = Some(When::After(10))).await;
    }
    let good = world.submit_with(|policy| policy.priority = -1).await;
    world.advance(10).await;
    let mut taken = Vec::new();
    loop {
        let claimed = world.claimed(world.claim_request()).await;
        taken.extend(ids(&claimed));
        if !claimed.ready_left {
            break;
        }
    }
    assert_eq!(taken, [good]);
}

pub async fn a_claim_reply_is_bounded_in_bytes(world: &World) {
    let count = CLAIM_REPLY_BYTES_MAX / PAYLOAD_BYTES_MAX + 2;
    for _ in 0..count {
        let item = SubmitExecution { input: bytes_of(PAYLOAD_BYTES_MAX), ..world.item() };
        world.submit_item(item).await;
    }
    let first = world.claimed(world.claim_up_to(CLAIM_COUNT_MAX)).await;
    assert!(!first.executions.is_empty() && first.executions.len() < count);
    assert!(first.ready_left);
    let rest = world.claimed(world.claim_up_to(CLAIM_COUNT_MAX)).await;
    assert_eq!(first.executions.len() + rest.executions.len(), count);
}

pub async fn claimants_that_race_share_the_work_out(world: &World) {
    for _ in 0..20 {
        world.submit().await;
    }
    let other = world.elsewhere().await;
    let claim = |world: &World, name: &str| ClaimExecution {
        worker: worker(name),
        ..world.claim_up_to(15)
    };
    let (one, two) = futures::join!(
        world.claim_execution(claim(world, "one")),
        other.claim_execution(claim(&other, "two"))
    );
    let mut taken = ids(&one.expect("a claim"));
    taken.extend(ids(&two.expect("a claim")));
    assert_eq!(taken.len(), 20);
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 20);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __claim_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            claim {
                claim_takes_a_ready_execution_under_a_lease
                claim_answers_nothing_when_nothing_is_ready
                claim_takes_up_to_what_was_asked_for
                leases_of_one_claim_have_ids_of_their_own
                claim_leaves_other_lanes_and_namespaces_alone
                claim_leaves_other_partitions_alone
                every_claim_raises_the_epoch_by_one
                a_claim_that_resumes_goes_on_with_the_attempt
                claim_handles_what_is_due
                claim_tells_when_the_next_timer_is_due
                claim_never_takes_what_has_passed_its_deadline
                claim_gets_past_more_due_timers_than_it_handles
                a_claim_that_stops_early_says_that_more_is_left
                a_claim_reply_is_bounded_in_bytes
                claimants_that_race_share_the_work_out
                claim_refuses_a_count_of_none_and_one_above_the_cap
                claim_refuses_no_lanes_and_too_many
                claim_refuses_a_lease_past_its_bounds
                claim_refuses_a_slot_past_its_bound
                claim_refuses_a_worker_with_too_many_capabilities
                a_takeover_refuses_values_past_their_bounds
                a_grant_blocks_the_execution_for_one_worker
                a_grant_holds_up_no_other_execution
                issue_grant_repeated_answers_the_same
                issue_grant_repeated_after_its_use_blocks_nothing
                issue_grant_repeated_after_its_lapse_blocks_nothing
                claim_by_grant_refuses_a_worker_of_another_namespace
                a_second_grant_is_refused_while_the_first_holds
                claim_by_grant_takes_the_execution
                a_grant_is_good_for_one_claim
                a_grant_of_another_worker_is_refused
                a_grant_that_nobody_issued_is_refused
                a_lapsed_grant_gives_the_execution_back_with_its_place
                claim_by_grant_refuses_a_worker_that_lacks_a_capability
                a_new_attempt_takes_a_claim_grant_only
                a_resumed_attempt_takes_a_reclaim_grant_only
                a_lost_lease_takes_a_reclaim_grant_only
                a_replayed_execution_takes_a_claim_grant_again
                a_claim_refuses_a_grant_of_the_other_kind
                only_a_ready_execution_can_be_granted
                issue_grant_refuses_what_is_not_there
                issue_grant_refuses_a_life_past_its_bounds
                the_oldest_goes_first
                ties_go_to_the_lower_id
                a_higher_priority_goes_first
                priority_ages_so_that_nothing_starves
                scores_are_compared_across_lanes
                a_lane_named_twice_gives_each_execution_once
                a_delayed_execution_queues_by_the_time_it_was_due
                a_released_execution_queues_anew
                a_lost_lease_queues_by_the_time_it_ran_out
                a_resumed_execution_queues_by_the_time_of_its_signal
                a_lead_counts_for_every_way_to_become_ready
                fairness_keys_share_the_order_of_their_lane
                claim_repeated_answers_the_same_leases
                claim_repeated_from_elsewhere_answers_the_same_leases
                claim_repeated_leaves_out_what_has_ended
                claim_repeated_leaves_out_what_another_lease_holds
                claim_repeated_tells_the_current_expiry
                claim_repeated_gives_the_resume_signals_again
                an_older_claim_of_the_slot_is_superseded
                a_late_first_claim_of_the_slot_takes_nothing
                an_empty_claim_repeated_takes_nothing_that_came_later
                a_claim_repeated_after_its_lease_time_answers_nothing
                slots_and_instances_remember_apart
                claim_by_grant_repeated_answers_the_same_lease
                takeover_repeated_answers_the_same_lease
                a_worker_takes_what_it_offers_everything_for
                a_worker_never_takes_what_it_lacks_a_capability_for
                work_that_no_worker_can_run_does_not_hold_up_the_rest
                the_best_is_taken_across_capability_sets
                a_retry_keeps_to_its_route
                a_lane_refuses_more_capability_sets_than_it_can_hold
                a_capability_set_counts_while_work_with_it_is_live
                tick_handles_at_most_what_was_asked_for
                tick_with_nothing_due_changes_nothing
                tick_repeated_changes_nothing_more
                a_renewed_lease_is_not_reclaimed_by_its_old_timer
                a_deadline_before_the_end_of_the_lease_outlives_the_lease
                an_end_and_the_old_timer_of_its_lease_in_one_call_go_together
                timers_fire_in_order_across_states
                timers_of_many_lanes_hold_up_no_other
                tick_refuses_a_limit_of_none_and_one_above_the_cap
                a_timer_has_the_same_effect_with_and_without_a_tick
                a_history_is_the_same_with_and_without_ticks
                a_registered_worker_is_listed
                registering_again_prolongs_and_replaces
                a_silent_worker_is_forgotten
                a_worker_forgotten_and_back_is_registered_anew
                deregister_worker_forgets_at_once
                workers_are_listed_by_instance_and_namespace
                register_worker_refuses_values_past_their_bounds
            }
        }
    };
}

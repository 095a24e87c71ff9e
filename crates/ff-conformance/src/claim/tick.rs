//! Ticks: timers that are due are handled, and no outcome depends on whether they were.

use crate::prelude::*;
use std::collections::BTreeSet;

fn tick(world: &World, limit: u32) -> Tick {
    Tick { partition: world.partition(), limit }
}

pub async fn tick_handles_at_most_what_was_asked_for(world: &World) {
    for _ in 0..3 {
        world.submit_with(|policy| policy.start = Some(When::After(10))).await;
    }
    let later = world.after(20);
    world.submit_with(|policy| policy.start = Some(When::At(later))).await;
    world.advance(10).await;
    let first = world.tick(tick(world, 2)).await.expect("a tick");
    assert_eq!((first.handled, first.more), (2, true));
    let second = world.tick(tick(world, 2)).await.expect("a tick");
    assert_eq!((second.handled, second.more), (1, false));
    assert_eq!(second.next_due, Some(later));
}

pub async fn tick_with_nothing_due_changes_nothing(world: &World) {
    world.started().await;
    let ticked = world.unchanged(world.tick(tick(world, 10))).await;
    assert_eq!((ticked.handled, ticked.more), (0, false));
    assert_eq!(ticked.next_due, Some(world.after(LEASE_TTL_MS)));
}

pub async fn tick_repeated_changes_nothing_more(world: &World) {
    world.started().await;
    world.advance(LEASE_TTL_MS).await;
    assert_eq!(world.tick_all().await, 1);
    let again = world.unchanged(world.tick(tick(world, 10))).await;
    assert_eq!(again.handled, 0);
}

pub async fn a_renewed_lease_is_not_reclaimed_by_its_old_timer(world: &World) {
    let handle = world.started().await.handle;
    world.advance(LEASE_TTL_MS - 1).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    world.advance(1).await;
    world.tick_all().await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Active);
    world.advance(LEASE_TTL_MS).await;
    world.tick_all().await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Waiting);
}

pub async fn a_deadline_before_the_end_of_the_lease_outlives_the_lease(world: &World) {
    let deadline = LEASE_TTL_MS / 2;
    let held = world.started_with(|policy| policy.deadline = Some(When::After(deadline))).await;
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings_total, 0);
    world.release_execution(release(&held.handle)).await.expect("a release");
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings_total, 0);
    world.advance(deadline).await;
    assert_eq!(world.tick_all().await, 1);
    let state = world.info(held.handle.execution_id()).await.public_state;
    assert_eq!(state, PublicState::Expired);
}

pub async fn an_end_and_the_old_timer_of_its_lease_in_one_call_go_together(world: &World) {
    let handle = world.started().await.handle;
    world.advance(LEASE_TTL_MS - 1).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    world.advance(1).await;
    let waiting = world.submit().await;
    let request = CompleteExecution { next: Some(world.claim_request()), ..complete(&handle) };
    let ended = world.complete_execution(request).await.expect("an end");
    assert_eq!(ids(&ended.next.expect("a claim came with it")), [waiting]);
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings_total, 0);
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Completed);
    assert_eq!(world.tick_all().await, 0);
}

pub async fn timers_fire_in_order_across_states(world: &World) {
    let held = world.started().await.handle.execution_id();
    let soon = world.after(LEASE_TTL_MS - 10);
    let late = world.after(LEASE_TTL_MS + 10);
    let first = world.submit_with(|policy| policy.start = Some(When::At(soon))).await;
    let last = world.submit_with(|policy| policy.start = Some(When::At(late))).await;
    world.advance(LEASE_TTL_MS + 20).await;
    let order = [first, held, last];
    for count in 1..=order.len() {
        let ticked = world.tick(tick(world, 1)).await.expect("a tick");
        assert_eq!((ticked.handled, ticked.more), (1, count < order.len()));
        // What is overdue stands in no listing until a tick has moved it.
        let waiting = ListExecutions {
            namespace: Namespace::default(),
            lane: LaneId::default(),
            state: PublicState::Waiting,
            cursor: None,
            limit: 10,
        };
        let rows = world.list_executions(waiting).await.expect("a page").executions;
        let moved: BTreeSet<_> = rows.iter().map(|row| row.execution_id).collect();
        assert_eq!(moved, order[..count].iter().copied().collect());
    }
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

pub async fn timers_of_many_lanes_hold_up_no_other(world: &World) {
    for number in 0..70 {
        let lane = LaneId::new(format!("lane-{number}")).expect("legal");
        let item = SubmitExecution { lane: lane.clone(), ..world.item() };
        world.submit_item(item).await;
        let source = ClaimSource::Ready { lanes: vec![lane], count_max: 1 };
        let request = ClaimExecution { source, ..world.claim_request() };
        let handle = world.claimed(request).await.executions.remove(0).handle;
        world.complete_execution(complete(&handle)).await.expect("an end");
    }
    let start = When::After(LEASE_TTL_MS + 1);
    let delayed = world.submit_with(|policy| policy.start = Some(start)).await;
    world.advance(LEASE_TTL_MS + 1).await;
    assert_eq!(world.claim_ids(1).await, [delayed]);
    let ticked = world.tick(tick(world, 1)).await.expect("a tick");
    assert_eq!((ticked.handled, ticked.more), (0, false));
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

pub async fn tick_refuses_a_limit_of_none_and_one_above_the_cap(world: &World) {
    for limit in [0, TICK_LIMIT_MAX + 1] {
        let refusal = world.refuses(world.tick(tick(world, limit))).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

/// What people see of an execution, whether or not its timers were handled.
async fn seen(world: &World, execution_id: ExecutionId) -> String {
    let info = world.info(execution_id).await;
    let turns = world.list_turns(execution_id).await.expect("the turns");
    let result = world.read_result(execution_id).await.expect("the result");
    let mover = world.explain_execution(execution_id).await.expect("an explanation").next_mover;
    format!("{info:#?}\n{turns:#?}\n{result:#?}\n{mover:?}")
}

pub async fn a_timer_has_the_same_effect_with_and_without_a_tick(world: &World) {
    let mut all = vec![
        world.submit_with(|policy| policy.start = Some(When::After(10))).await,
        world.submit_with(|p| (p.priority, p.deadline) = (-9, Some(When::After(10)))).await,
    ];
    let granted = world.submit_with(|policy| policy.priority = -9).await;
    let request =
        IssueGrant { ttl_ms: 10, ..issue(&grant(granted, &worker("w"), GrantKind::Claim)) };
    world.issue_grant(request).await.expect("a grant");
    world.issue_grant(issue(&grant(all[1], &worker("w"), GrantKind::Claim))).await.expect("one");
    let failing = world.started().await.handle;
    world.fail_execution(fail(&failing, "io")).await.expect("a failure");
    let slow = world.started_with(|policy| policy.attempt_timeout_ms = Some(10)).await.handle;
    let cancelled = world.started().await.handle;
    let request = cancel_by_operator(cancelled.execution_id(), 10);
    world.cancel_execution(request).await.expect("a cancel");
    let lost = world.started().await.handle;
    for behavior in TimeoutBehavior::ALL {
        let handle = world.started().await.handle;
        world.suspend(suspend_until(&handle, 10, *behavior)).await;
        all.push(handle.execution_id());
    }
    let ended = world.finished().await;
    all.push(granted);
    all.extend([failing, slow, cancelled, lost, ended].map(|handle| handle.execution_id()));
    for wait_ms in [10, BACKOFF_MS, LEASE_TTL_MS] {
        world.advance(wait_ms).await;
        let mut unhandled = Vec::new();
        for execution_id in &all {
            unhandled.push(seen(world, *execution_id).await);
        }
        assert!(world.tick_all().await > 0);
        for (execution_id, unhandled) in all.iter().zip(unhandled) {
            assert_eq!(seen(world, *execution_id).await, unhandled);
        }
    }
}

/// A failure, attempt timeouts, lost leases and a deadline, one after another; timers are handled
/// at each step or never.
async fn story(world: &World, ticks: bool) -> String {
    let begin = world.now();
    let execution_id = world
        .submit_with(|policy| {
            policy.retry = Some(retries(10, BACKOFF_MS));
            policy.attempt_timeout_ms = Some(LEASE_TTL_MS + 5_000);
            policy.deadline = Some(When::After(280_000));
        })
        .await;
    for step in 0..8 {
        let request =
            ClaimExecution { lease_ttl_ms: LEASE_TTL_MS * (1 + step % 2), ..world.claim_request() };
        if let (0, Some(taken)) = (step, world.claimed(request).await.executions.first()) {
            world.fail_execution(fail(&taken.handle, "io")).await.expect("a failure");
        }
        world.advance(LEASE_TTL_MS + 7_001).await;
        if ticks {
            world.tick_all().await;
        }
    }
    let info = world.info(execution_id).await;
    let mut told = format!("{} {} {}", info.public_state, info.retries, info.reclaims);
    for turn in world.list_turns(execution_id).await.expect("the turns") {
        let (from, to) = (turn.started_at.since_ms(begin), turn.ended_at.since_ms(begin));
        told.push_str(&format!("\n{from}-{to} {} {}", turn.operation, turn.outcome));
    }
    told
}

pub async fn a_history_is_the_same_with_and_without_ticks(world: &World) {
    let without = story(world, false).await;
    let with = story(world, true).await;
    assert_eq!(without, with);
    assert!(without.starts_with("expired"), "{without}");
}

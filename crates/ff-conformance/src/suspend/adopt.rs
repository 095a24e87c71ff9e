//! Which waitpoint a suspension waits on, and signals that came early.

use crate::prelude::*;

async fn opened(world: &World, handle: &Handle, key: &str) -> Address {
    let request = waitpoint(handle, key);
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    Address::of_pending(handle.execution_id(), &opened)
}

async fn suspension(world: &World, request: SuspendExecution) -> Suspension {
    match world.suspend_execution(request).await.expect("a suspend") {
        ExecutionSuspended::Suspended(suspension)
        | ExecutionSuspended::AlreadySatisfied { suspension, .. } => suspension,
    }
}

pub async fn suspend_without_a_key_adopts_the_only_pending_waitpoint(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    let used = suspension(world, suspend(&handle)).await;
    assert_eq!(used.waitpoint_id, door.waitpoint_id);
    assert_eq!((used.waitpoint_key, used.waitpoint_token), (key("door"), door.token));
    assert_eq!(world.info(handle.execution_id()).await.waitpoints.len(), 1);
}

pub async fn suspend_with_a_key_adopts_the_pending_waitpoint_of_that_key(world: &World) {
    let handle = world.started().await.handle;
    opened(world, &handle, "window").await;
    let door = opened(world, &handle, "door").await;
    opened(world, &handle, "gate").await;
    let used = suspension(world, suspend_on(&handle, "door")).await;
    assert_eq!((used.waitpoint_id, used.waitpoint_token), (door.waitpoint_id, door.token));
}

pub async fn suspend_with_a_new_key_opens_a_waitpoint_of_that_key(world: &World) {
    let handle = world.started().await.handle;
    opened(world, &handle, "window").await;
    let request = suspend_on(&handle, "door");
    let used = suspension(world, request.clone()).await;
    assert_eq!((used.waitpoint_id, used.waitpoint_key), (request.waitpoint_id, key("door")));
}

pub async fn suspend_without_a_key_is_ambiguous_among_several(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    opened(world, &handle, "window").await;
    let refusal = world.refuses(world.suspend_execution(suspend(&handle))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointAmbiguous { open: 2, .. }));
    let outcome = world.signal(&door, "go").await;
    assert_matches!(outcome, SignalOutcome::Accepted { effect: SignalEffect::Buffered, .. });
}

pub async fn a_lapsed_waitpoint_is_not_adopted(world: &World) {
    let handle = world.started().await.handle;
    let short = CreatePendingWaitpoint { expires_in_ms: 1_000, ..waitpoint(&handle, "door") };
    world.create_pending_waitpoint(short).await.expect("a waitpoint");
    world.advance(1_000).await;
    let request = suspend_on(&handle, "door");
    let used = suspension(world, request.clone()).await;
    assert_eq!(used.waitpoint_id, request.waitpoint_id);
}

pub async fn a_lapsed_waitpoint_loses_no_signal_that_it_buffered(world: &World) {
    let handle = world.started().await.handle;
    let short = CreatePendingWaitpoint { expires_in_ms: 1_000, ..waitpoint(&handle, "door") };
    let door = world.create_pending_waitpoint(short).await.expect("a waitpoint");
    world.signal(&Address::of_pending(handle.execution_id(), &door), "go").await;
    world.advance(1_000).await;
    let outcome = world.suspend_execution(suspend_on(&handle, "door")).await.expect("a suspend");
    let ExecutionSuspended::AlreadySatisfied { suspension, resume_signals } = outcome else {
        panic!("the early signal was lost");
    };
    assert_eq!((suspension.waitpoint_id, resume_signals.len()), (door.waitpoint_id, 1));
}

pub async fn an_adopted_waitpoint_no_longer_lapses(world: &World) {
    let handle = world.started().await.handle;
    opened(world, &handle, "door").await;
    let address = world.suspend(suspend(&handle)).await;
    world.advance(WAITPOINT_TTL_MS * 2).await;
    let outcome = world.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::TriggeredResume { .. });
}

pub async fn early_signals_that_suffice_keep_the_lease(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    let early = signal(&door, "go");
    world.deliver_signal(early.clone()).await.expect("a signal");
    let request = suspend_for(&handle, &["go"]);
    let outcome = world.suspend_execution(request.clone()).await.expect("a suspend");
    let ExecutionSuspended::AlreadySatisfied { suspension, resume_signals } = outcome else {
        panic!("the early signal was lost");
    };
    assert_eq!(suspension.suspension_id, request.suspension_id);
    assert_eq!(suspension.waitpoint_id, door.waitpoint_id);
    assert_eq!(resume_signals.len(), 1);
    assert_eq!(resume_signals[0].signal_id, early.signal_id);
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.lease_epoch), (PublicState::Active, LeaseEpoch(1)));
    assert_eq!((info.suspension, info.resume_signals), (None, resume_signals));
    assert_eq!(info.waitpoints[0].state, WaitpointState::Closed);
    assert!(world.turns(handle.execution_id()).await.is_empty());
    world.complete_execution(complete(&handle)).await.expect("the lease still holds");
}

pub async fn early_signals_that_do_not_suffice_are_kept(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    world.signal(&door, "b").await;
    world.signal(&door, "noise").await;
    let address = world.suspend(suspend_for(&handle, &["a", "b"])).await;
    let info = world.info(handle.execution_id()).await;
    let met = info.suspension.expect("a suspension").matchers;
    assert!(met[0].1.is_none() && met[1].1.is_some());
    let resumed = world.resumed(&address, "a").await;
    let names: Vec<&str> = resumed.resume_signals.iter().map(|s| s.signal_name.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

pub async fn early_signals_are_matched_in_the_order_they_came(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    let (first, second) = (signal(&door, "x"), signal(&door, "x"));
    world.deliver_signal(first.clone()).await.expect("a signal");
    world.deliver_signal(second).await.expect("a signal");
    let outcome = world.suspend_execution(suspend_for(&handle, &[""])).await.expect("a suspend");
    let ExecutionSuspended::AlreadySatisfied { resume_signals, .. } = outcome else {
        panic!("the early signals were lost");
    };
    assert_eq!(resume_signals.len(), 1);
    assert_eq!(resume_signals[0].signal_id, first.signal_id);
}

pub async fn a_suspension_after_a_satisfied_one_releases_the_lease(world: &World) {
    let handle = world.started().await.handle;
    let door = opened(world, &handle, "door").await;
    world.signal(&door, "go").await;
    world.suspend_execution(suspend(&handle)).await.expect("a suspend");
    let closed = world.refuses(world.deliver_signal(signal(&door, "go"))).await;
    assert_matches!(closed, EngineError::State(StateKind::WaitpointClosed { .. }));
    let address = world.suspend(suspend(&handle)).await;
    assert_ne!(address.waitpoint_id, door.waitpoint_id);
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Suspended);
    world.resumed(&address, "go").await;
}

pub async fn another_pending_waitpoint_buffers_while_suspended(world: &World) {
    let handle = world.started().await.handle;
    let window = opened(world, &handle, "window").await;
    let door = opened(world, &handle, "door").await;
    world.suspend(suspend_on(&handle, "door")).await;
    let outcome = world.signal(&window, "early").await;
    assert_matches!(outcome, SignalOutcome::Accepted { effect: SignalEffect::Buffered, .. });
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Suspended);
    let handle = world.resumed(&door, "go").await.handle;
    let outcome = world.suspend_execution(suspend_on(&handle, "window")).await.expect("one");
    let ExecutionSuspended::AlreadySatisfied { resume_signals, .. } = outcome else {
        panic!("the buffered signal was lost");
    };
    assert_eq!(resume_signals[0].signal_name, "early");
}

pub async fn a_waitpoint_of_the_attempt_before_is_not_adopted(world: &World) {
    let first = world.started().await.handle;
    let old = opened(world, &first, "door").await;
    world.signal(&old, "go").await;
    let heir = world.reclaimed().await.handle;
    let request = suspend_on(&heir, "door");
    let address = world.suspend(request.clone()).await;
    assert_eq!(address.waitpoint_id, request.waitpoint_id);
}

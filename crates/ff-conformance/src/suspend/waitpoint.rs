//! Pending waitpoints.

use crate::prelude::*;

pub async fn create_waitpoint_opens_one_that_buffers(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request.clone()).await.expect("a waitpoint");
    assert_eq!(opened.waitpoint_id, request.waitpoint_id);
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.waitpoints.len(), 1);
    let shown = &info.waitpoints[0];
    assert_eq!((shown.state, &shown.waitpoint_key), (WaitpointState::Pending, &key("door")));
    assert_eq!(shown.expires_at, Some(world.after(WAITPOINT_TTL_MS)));
    assert_eq!(shown.created_at, world.now());
    assert_eq!(Some(shown.kid.as_str()), opened.waitpoint_token.kid());
    assert_eq!(info.public_state, PublicState::Active);
}

pub async fn create_waitpoint_refuses_a_key_that_is_open(world: &World) {
    let handle = world.started().await.handle;
    world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("a waitpoint");
    let refusal = world.refuses(world.create_pending_waitpoint(waitpoint(&handle, "door"))).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::WaitpointExists { waitpoint_key, .. })
            if waitpoint_key == key("door")
    );
}

pub async fn create_waitpoint_refuses_an_id_that_is_known(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    world.create_pending_waitpoint(request.clone()).await.expect("a waitpoint");
    let other = CreatePendingWaitpoint { waitpoint_key: key("window"), ..request };
    let refusal = world.refuses(world.create_pending_waitpoint(other)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::IdTaken { .. }));
}

pub async fn create_waitpoint_refuses_more_than_the_limit(world: &World) {
    let handle = world.started().await.handle;
    for n in 0..WAITPOINTS_OPEN_MAX {
        let request = waitpoint(&handle, &format!("door-{n}"));
        world.create_pending_waitpoint(request).await.expect("a waitpoint");
    }
    let refusal = world.refuses(world.create_pending_waitpoint(waitpoint(&handle, "x"))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::LimitReached {
            what: Counted::Waitpoints,
            limit,
            ..
        }) if limit == WAITPOINTS_OPEN_MAX as u64
    );
}

pub async fn lapsed_waitpoints_make_room_for_others(world: &World) {
    let handle = world.started().await.handle;
    for n in 0..WAITPOINTS_OPEN_MAX {
        let request = CreatePendingWaitpoint {
            expires_in_ms: 1_000,
            ..waitpoint(&handle, &format!("door-{n}"))
        };
        world.create_pending_waitpoint(request).await.expect("a waitpoint");
    }
    world.advance(1_000).await;
    world.create_pending_waitpoint(waitpoint(&handle, "door-3")).await.expect("a waitpoint");
}

pub async fn create_waitpoint_refuses_a_life_past_its_bounds(world: &World) {
    let handle = world.started().await.handle;
    for expires_in_ms in [0, SPAN_MS_MAX + 1] {
        let request = CreatePendingWaitpoint { expires_in_ms, ..waitpoint(&handle, "door") };
        let refusal = world.refuses(world.create_pending_waitpoint(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn a_pending_waitpoint_takes_signals_until_it_lapses(world: &World) {
    let handle = world.started().await.handle;
    let request = CreatePendingWaitpoint { expires_in_ms: 5_000, ..waitpoint(&handle, "door") };
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    let address = Address::of_pending(handle.execution_id(), &opened);
    world.advance(4_999).await;
    let outcome = world.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::Accepted { effect: SignalEffect::Buffered, .. });
    world.advance(1).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::TokenExpired { .. }));
}

pub async fn a_retry_closes_pending_waitpoints(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    let address = Address::of_pending(handle.execution_id(), &opened);
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    world.advance(BACKOFF_MS).await;
    let next = world.claim_one().await.handle;
    world.create_pending_waitpoint(waitpoint(&next, "door")).await.expect("the key is free");
}

//! Suspensions that are refused, and leave everything as it was.

use crate::prelude::*;

pub async fn suspend_refuses_a_malformed_reason_code(world: &World) {
    let handle = world.started().await.handle;
    for reason_code in ["", "Needs", "a b", "1a", &"x".repeat(NAME_BYTES_MAX + 1)] {
        let request = SuspendExecution { reason_code: reason_code.to_owned(), ..suspend(&handle) };
        let refusal = world.refuses(world.suspend_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn suspend_refuses_a_timeout_past_its_bounds(world: &World) {
    let handle = world.started().await.handle;
    for timeout_ms in [0, SPAN_MS_MAX + 1] {
        let request = suspend_until(&handle, timeout_ms, TimeoutBehavior::Fail);
        let refusal = world.refuses(world.suspend_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn suspend_refuses_matchers_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    let long = "x".repeat(NAME_BYTES_MAX + 1);
    let past = [vec!["x"; MATCHERS_MAX + 1], vec![&long], vec!["\u{7}"]];
    for names in past {
        let request = suspend_for(&handle, &names);
        let refusal = world.refuses(world.suspend_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn suspend_refuses_matchers_of_two_waitpoints(world: &World) {
    let handle = world.started().await.handle;
    for other in [Some(key("window")), None] {
        let mut request = suspend_on(&handle, "door");
        request.matchers.push(ConditionMatcher { waitpoint_key: other, ..ConditionMatcher::any() });
        let refusal = world.refuses(world.suspend_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Argument, .. });
    }
}

pub async fn suspend_refuses_a_waitpoint_id_that_is_known(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let handle = world.resumed(&address, "go").await.handle;
    let request = SuspendExecution { waitpoint_id: address.waitpoint_id, ..suspend(&handle) };
    let refusal = world.refuses(world.suspend_execution(request)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::IdTaken { .. }));
}

pub async fn suspend_refuses_a_waitpoint_past_the_limit(world: &World) {
    let handle = world.started().await.handle;
    for n in 0..WAITPOINTS_OPEN_MAX {
        let request = waitpoint(&handle, &format!("door-{n}"));
        world.create_pending_waitpoint(request).await.expect("a waitpoint");
    }
    let refusal = world.refuses(world.suspend_execution(suspend_on(&handle, "one-more"))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::LimitReached { what: Counted::Waitpoints, .. })
    );
    world.suspend(suspend_on(&handle, "door-7")).await;
}

pub async fn a_refused_suspend_leaves_every_waitpoint_pending(world: &World) {
    let handle = world.started().await.handle;
    for name in ["door", "window"] {
        world.create_pending_waitpoint(waitpoint(&handle, name)).await.expect("a waitpoint");
    }
    world.refuses(world.suspend_execution(suspend(&handle))).await;
    let mut bad = suspend_on(&handle, "door");
    bad.timeout_ms = Some(0);
    world.refuses(world.suspend_execution(bad)).await;
    let info = world.info(handle.execution_id()).await;
    assert!(info.waitpoints.iter().all(|w| w.state == WaitpointState::Pending));
    assert_eq!((info.public_state, info.suspension), (PublicState::Active, None));
    world.complete_execution(complete(&handle)).await.expect("the lease still holds");
}

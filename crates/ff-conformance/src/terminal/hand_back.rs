//! Delay, release and wait for children: the lease ends, the attempt goes on.

use crate::prelude::*;

async fn goes_on(world: &World, before: &Handle) {
    let after = world.claim_one().await.handle;
    assert_eq!(after.execution_id(), before.execution_id());
    assert_eq!(after.attempt_index(), before.attempt_index());
    assert_eq!(after.attempt_id(), before.attempt_id());
    assert_eq!((after.lease_epoch(), after.kind()), (LeaseEpoch(2), HandleKind::Resumed));
    let info = world.info(before.execution_id()).await;
    assert_eq!((info.retries, info.reclaims, info.replays), (0, 0, 0));
}

pub async fn delay_puts_the_work_off_until_then(world: &World) {
    let handle = world.started().await.handle;
    let delay_until = world.after(7_000);
    world.delay_execution(delay(&handle, delay_until)).await.expect("a delay");
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.resumes), (PublicState::Delayed, true));
    assert_eq!(info.delay_reason, Some(DelayReason::Delay));
    assert_eq!((info.delay_until, info.lease), (Some(delay_until), None));
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Delay, TurnOutcome::Delayed));
    assert_eq!(turn.delay_until, Some(delay_until));
    world.advance(6_999).await;
    assert!(world.claim_ids(1).await.is_empty());
    world.advance(1).await;
    goes_on(world, &handle).await;
}

pub async fn delay_into_the_past_means_at_once(world: &World) {
    let past = TimestampMs::from_millis(world.now().as_millis() - 1);
    for delay_until in [past, world.now(), TimestampMs::from_millis(0)] {
        let handle = world.started().await.handle;
        world.delay_execution(delay(&handle, delay_until)).await.expect("a delay");
        let info = world.info(handle.execution_id()).await;
        assert_eq!(info.public_state, PublicState::Waiting);
        let turn = world.last_turn(handle.execution_id()).await;
        assert_eq!((turn.operation, turn.outcome), (TurnOperation::Delay, TurnOutcome::Ready));
        assert_eq!(turn.delay_until, None);
        goes_on(world, &handle).await;
    }
}

pub async fn delay_refuses_a_time_past_its_bound(world: &World) {
    let handle = world.started().await.handle;
    let far = TimestampMs::from_millis(TIMESTAMP_MS_MAX + 1);
    let refusal = world.refuses(world.delay_execution(delay(&handle, far))).await;
    assert_matches!(refusal, EngineError::Validation { .. });
}

pub async fn release_gives_the_work_back_at_once(world: &World) {
    let handle = world.started().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.resumes), (PublicState::Waiting, true));
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Release, TurnOutcome::Ready));
    assert_eq!(turn.reason.as_deref(), Some("draining"));
    goes_on(world, &handle).await;
}

pub async fn release_refuses_a_reason_past_its_limit(world: &World) {
    let handle = world.started().await.handle;
    let request = ReleaseExecution { reason: "x".repeat(REASON_BYTES_MAX + 1), ..release(&handle) };
    let refusal = world.refuses(world.release_execution(request)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
}

pub async fn wait_for_children_without_any_is_ready_at_once(world: &World) {
    let handle = world.started().await.handle;
    world.move_to_waiting_children(wait_children(&handle)).await.expect("a wait");
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Waiting);
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::WaitChildren, TurnOutcome::Ready));
    goes_on(world, &handle).await;
}

pub async fn work_handed_back_keeps_its_pending_waitpoints(world: &World) {
    let handle = world.started().await.handle;
    let opened = world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("one");
    world.release_execution(release(&handle)).await.expect("a release");
    let address = Address::of_pending(handle.execution_id(), &opened);
    let outcome = world.signal(&address, "go").await;
    assert_matches!(outcome, SignalOutcome::Accepted { effect: SignalEffect::Buffered, .. });
    let handle = world.claim_one().await.handle;
    let outcome = world.suspend_execution(suspend(&handle)).await.expect("a suspend");
    assert_matches!(outcome, ExecutionSuspended::AlreadySatisfied { .. });
}

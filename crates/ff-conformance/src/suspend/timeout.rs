//! Suspensions whose time is over, in each of the five ways.

use crate::prelude::*;

const TIMEOUT_MS: u64 = 10_000;

async fn timed_out(world: &World, behavior: TimeoutBehavior) -> (ExecutionInfo, Address) {
    let handle = world.started().await.handle;
    let address = world.suspend(suspend_until(&handle, TIMEOUT_MS, behavior)).await;
    world.advance(TIMEOUT_MS - 1).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Suspended);
    world.advance(51).await;
    (world.info(handle.execution_id()).await, address)
}

async fn ends(world: &World, behavior: TimeoutBehavior, state: PublicState) -> ExecutionInfo {
    let timeout_at = world.after(TIMEOUT_MS);
    let (info, address) = timed_out(world, behavior).await;
    assert_eq!((info.public_state, info.ended_at), (state, Some(timeout_at)));
    assert_eq!(info.end_reason.as_deref(), Some("suspension_timeout"));
    assert_eq!((info.suspension.as_ref(), info.retries), (None, 0));
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    let story = world.turns(info.execution_id).await;
    assert_eq!(story, [(TurnOperation::Suspend, TurnOutcome::Suspended)]);
    info
}

pub async fn a_timeout_that_fails_ends_failed_without_a_retry(world: &World) {
    let info = ends(world, TimeoutBehavior::Fail, PublicState::Failed).await;
    assert_eq!(info.failure_category.as_deref(), Some("suspension_timeout"));
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn a_timeout_that_cancels_ends_cancelled(world: &World) {
    ends(world, TimeoutBehavior::Cancel, PublicState::Cancelled).await;
}

pub async fn a_timeout_that_expires_ends_expired(world: &World) {
    ends(world, TimeoutBehavior::Expire, PublicState::Expired).await;
}

pub async fn a_timeout_that_resumes_sends_a_signal_of_its_own(world: &World) {
    let handle = world.started().await.handle;
    let timeout_at = world.after(TIMEOUT_MS);
    let request = SuspendExecution {
        timeout_ms: Some(TIMEOUT_MS),
        timeout_behavior: TimeoutBehavior::AutoResume,
        ..suspend_for(&handle, &["a", "b"])
    };
    let suspension_id = request.suspension_id;
    let address = world.suspend(request).await;
    world.signal(&address, "b").await;
    world.advance(TIMEOUT_MS + 50).await;
    let resumed = world.claim_one().await;
    assert_eq!(resumed.handle.attempt_id(), handle.attempt_id());
    assert_eq!(resumed.handle.kind(), HandleKind::Resumed);
    assert_eq!(resumed.resume_signals.len(), 2);
    assert_eq!(resumed.resume_signals[0].signal_name, "b");
    let expected = ResumeSignal {
        signal_id: SignalId::from_uuid(suspension_id.as_uuid()),
        signal_name: TIMEOUT_SIGNAL_NAME.to_owned(),
        signal_category: TIMEOUT_SIGNAL_NAME.to_owned(),
        source_type: TIMEOUT_SIGNAL_SOURCE.to_owned(),
        source_identity: TIMEOUT_SIGNAL_SOURCE.to_owned(),
        correlation_id: None,
        accepted_at: timeout_at,
        payload: None,
    };
    assert_eq!(resumed.resume_signals[1], expected);
    let refusal = world.refuses(world.deliver_signal(signal(&address, "a"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
}

pub async fn a_timeout_that_resumes_queues_by_the_time_it_was_due(world: &World) {
    let handle = world.started().await.handle;
    world.suspend(suspend_until(&handle, TIMEOUT_MS, TimeoutBehavior::AutoResume)).await;
    world.advance(TIMEOUT_MS + 1).await;
    let fresh = world.submit().await;
    world.advance(1).await;
    assert_eq!(world.claim_ids(2).await, [handle.execution_id(), fresh]);
}

pub async fn a_timeout_that_escalates_stays_suspended_and_flagged(world: &World) {
    let (info, address) = timed_out(world, TimeoutBehavior::Escalate).await;
    assert_eq!(info.public_state, PublicState::Suspended);
    let suspension = info.suspension.expect("a suspension");
    assert!(suspension.escalated);
    assert_eq!(suspension.timeout_at, None);
    world.advance(DAY_MS).await;
    assert_eq!(world.info(info.execution_id).await.public_state, PublicState::Suspended);
    let resumed = world.resumed(&address, "go").await;
    assert_eq!(resumed.resume_signals.len(), 1);
}

pub async fn a_signal_in_time_disarms_the_timeout(world: &World) {
    for behavior in TimeoutBehavior::ALL {
        let handle = world.started().await.handle;
        let address = world.suspend(suspend_until(&handle, TIMEOUT_MS, *behavior)).await;
        world.advance(TIMEOUT_MS - 1).await;
        let handle = world.resumed(&address, "go").await.handle;
        world.advance(2).await;
        world.tick_all().await;
        assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Active);
        world.complete_execution(complete(&handle)).await.expect("an end");
    }
}

pub async fn a_signal_at_the_timeout_is_too_late(world: &World) {
    let handle = world.started().await.handle;
    let address = world.suspend(suspend_until(&handle, TIMEOUT_MS, TimeoutBehavior::Fail)).await;
    world.advance(TIMEOUT_MS).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
}

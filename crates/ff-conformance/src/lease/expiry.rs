//! What becomes of work whose lease runs out.

use crate::prelude::*;

pub async fn a_lease_that_runs_out_gives_the_work_to_another(world: &World) {
    let lost = world.started().await.handle;
    let expired_at = world.after(LEASE_TTL_MS);
    world.advance(LEASE_TTL_MS + 77).await;
    let info = world.info(lost.execution_id()).await;
    assert_eq!((info.public_state, info.reclaims, info.resumes), (PublicState::Waiting, 1, false));
    let heir = world.claim_one_by(&worker("heir")).await.handle;
    assert_eq!(heir.execution_id(), lost.execution_id());
    assert_eq!((heir.attempt_index(), heir.lease_epoch()), (AttemptIndex(1), LeaseEpoch(2)));
    assert_ne!(heir.attempt_id(), lost.attempt_id());
    assert_eq!(heir.kind(), HandleKind::Fresh);
    let turn = world.last_turn(lost.execution_id()).await;
    assert_eq!(turn.operation, TurnOperation::LeaseExpired);
    assert_eq!((turn.outcome, turn.ended_at), (TurnOutcome::Ready, expired_at));
    assert_eq!(turn.worker_instance_id, worker("w").worker_instance_id);
}

pub async fn a_lease_lost_too_often_ends_failed(world: &World) {
    let execution_id = world.submit_with(|policy| policy.reclaims_max = Some(2)).await;
    for reclaims in 1..=2 {
        world.claim_one().await;
        world.advance(LEASE_TTL_MS).await;
        let info = world.info(execution_id).await;
        assert_eq!((info.public_state, info.reclaims), (PublicState::Waiting, reclaims));
    }
    world.claim_one().await;
    let at = world.after(LEASE_TTL_MS);
    world.advance(LEASE_TTL_MS + 5).await;
    let info = world.info(execution_id).await;
    assert_eq!((info.public_state, info.reclaims), (PublicState::Failed, 3));
    assert_eq!(info.failure_category.as_deref(), Some("reclaims_exhausted"));
    assert_eq!(info.end_reason.as_deref(), Some("lost 3 leases"));
    assert_eq!(info.ended_at, Some(at));
    let turn = world.last_turn(execution_id).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::LeaseExpired, TurnOutcome::Failed));
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn lost_leases_are_not_counted_as_retries(world: &World) {
    let execution_id = world.submit_with(|policy| policy.retry = Some(retries(1, 10))).await;
    for _ in 0..2 {
        world.claim_one().await;
        world.advance(LEASE_TTL_MS).await;
    }
    let handle = world.claim_one().await.handle;
    let failed = world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    assert_matches!(failed.outcome, FailOutcome::RetryScheduled { .. });
    let info = world.info(execution_id).await;
    assert_eq!((info.retries, info.reclaims), (1, 2));
}

pub async fn a_lost_lease_closes_what_the_attempt_had_open(world: &World) {
    let handle = world.started().await.handle;
    let opened = world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("one");
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    world.update_progress(progress(&handle, 40)).await.expect("progress");
    let expired_at = world.after(LEASE_TTL_MS);
    world.advance(LEASE_TTL_MS).await;
    let address = Address::of_pending(handle.execution_id(), &opened);
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!((stream.frames.len(), stream.closed_at), (1, Some(expired_at)));
    assert_eq!(stream.closed_reason.as_deref(), Some("lease_expired"));
}

pub async fn two_timers_fire_each_at_its_own_time(world: &World) {
    let handle = world.started_with(|p| p.deadline = Some(When::After(45_000))).await.handle;
    let deadline = world.after(45_000);
    world.advance(60_000).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.reclaims), (PublicState::Expired, 1));
    assert_eq!(info.ended_at, Some(deadline));
    let story = world.turns(handle.execution_id()).await;
    assert_eq!(story, [(TurnOperation::LeaseExpired, TurnOutcome::Ready)]);
}

pub async fn a_deadline_wins_over_a_lease_that_runs_out_with_it(world: &World) {
    let deadline = Some(When::After(LEASE_TTL_MS));
    let handle = world.started_with(|policy| policy.deadline = deadline).await.handle;
    world.advance(LEASE_TTL_MS).await;
    let story = world.turns(handle.execution_id()).await;
    assert_eq!(story, [(TurnOperation::Deadline, TurnOutcome::Expired)]);
}

pub async fn an_attempt_timeout_wins_over_a_lease_that_runs_out_with_it(world: &World) {
    let handle = world.started_with(|p| p.attempt_timeout_ms = Some(LEASE_TTL_MS)).await.handle;
    world.advance(LEASE_TTL_MS).await;
    let story = world.turns(handle.execution_id()).await;
    assert_eq!(story, [(TurnOperation::AttemptTimeout, TurnOutcome::RetryScheduled)]);
}

pub async fn a_revoke_wins_over_a_lease_that_runs_out_with_it(world: &World) {
    let handle = world.started().await.handle;
    let request = cancel_by_operator(handle.execution_id(), LEASE_TTL_MS);
    world.cancel_execution(request).await.expect("a cancel");
    world.advance(LEASE_TTL_MS).await;
    let story = world.turns(handle.execution_id()).await;
    assert_eq!(story, [(TurnOperation::Cancel, TurnOutcome::Cancelled)]);
}

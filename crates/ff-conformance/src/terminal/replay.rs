//! Running a finished execution again.

use crate::prelude::*;

pub async fn replay_makes_a_finished_execution_ready_as_new(world: &World) {
    let handle = world
        .started_with(|policy| {
            policy.retry = Some(retries(1, 10));
            policy.priority = 3;
        })
        .await
        .handle;
    world.update_progress(progress(&handle, 10)).await.expect("progress");
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(10).await;
    let handle = world.claim_one().await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    let execution_id = handle.execution_id();
    let replayed = world.replay_execution(replay(execution_id)).await.expect("a replay");
    assert_eq!(replayed.attempt_index, AttemptIndex(2));
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Waiting);
    assert_eq!(info.terminal_outcome, TerminalOutcome::None);
    assert_eq!((info.retries, info.reclaims, info.replays), (0, 0, 1));
    assert_eq!((info.failure_category, info.end_reason), (None, None));
    assert_eq!((info.progress, info.resumes), (None, false));
    assert_eq!((info.ended_at, info.retained_until), (None, None));
    let score = i64::try_from(world.now().as_millis()).expect("a time") - 3 * 1_000;
    assert_eq!(info.ready_score, Some(score));
    let again = world.claim_one().await.handle;
    assert_eq!((again.attempt_index(), again.lease_epoch()), (AttemptIndex(2), LeaseEpoch(3)));
    assert_eq!(again.kind(), HandleKind::Fresh);
    let failed = world.fail_execution(fail(&again, "io")).await.expect("a failure");
    assert_matches!(failed.outcome, FailOutcome::RetryScheduled { .. });
}

pub async fn replay_takes_the_old_result_away(world: &World) {
    let handle = world.started().await.handle;
    world.complete_execution(complete_with(&handle, bytes_of(500))).await.expect("an end");
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    assert!(!world.info(handle.execution_id()).await.has_result);
    let read = world.read_result(handle.execution_id()).await.expect("the result");
    assert_eq!((read.terminal_outcome, read.result), (TerminalOutcome::None, None));
}

pub async fn replay_counts_lost_leases_anew(world: &World) {
    let handle = world.started_with(|policy| policy.reclaims_max = Some(0)).await.handle;
    world.advance(LEASE_TTL_MS).await;
    let execution_id = handle.execution_id();
    assert_eq!(world.info(execution_id).await.reclaims, 1);
    world.replay_execution(replay(execution_id)).await.expect("a replay");
    assert_eq!(world.info(execution_id).await.reclaims, 0);
}

pub async fn replay_works_after_every_kind_of_end(world: &World) {
    let completed = world.finished().await;
    let failed = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    world.fail_execution(fail(&failed, "io")).await.expect("a failure");
    let cancelled = world.started().await.handle;
    world.cancel_execution(cancel(&cancelled)).await.expect("a cancel");
    let expired = world.started_with(|p| p.deadline = Some(When::After(10))).await.handle;
    world.advance(10).await;
    let all = [completed, failed, cancelled, expired].map(|handle| handle.execution_id());
    for execution_id in all {
        world.replay_execution(replay(execution_id)).await.expect("a replay");
    }
    assert_eq!(world.claim_ids(10).await, all);
}

pub async fn replay_of_what_never_ran_starts_at_the_first_attempt(world: &World) {
    let execution_id = world.submit().await;
    let request = cancel_by_operator(execution_id, 0);
    world.cancel_execution(request).await.expect("a cancel");
    let replayed = world.replay_execution(replay(execution_id)).await.expect("a replay");
    assert_eq!(replayed.attempt_index, AttemptIndex(0));
    assert_eq!(world.claim_one().await.handle.attempt_index(), AttemptIndex(0));
}

pub async fn replay_repeated_answers_the_same(world: &World) {
    let handle = world.finished().await;
    let request = replay(handle.execution_id());
    let first = world.replay_execution(request.clone()).await.expect("a replay");
    assert_eq!(world.unchanged(world.replay_execution(request.clone())).await, first);
    let second = world.claim_one().await.handle;
    assert_eq!(world.unchanged(world.replay_execution(request.clone())).await, first);
    world.complete_execution(complete(&second)).await.expect("an end");
    assert_eq!(world.unchanged(world.replay_execution(request)).await, first);
    assert_eq!(world.info(handle.execution_id()).await.replays, 1);
}

pub async fn replay_repeated_after_a_later_replay_answers_the_same(world: &World) {
    let handle = world.finished().await;
    let request = replay(handle.execution_id());
    let first = world.replay_execution(request.clone()).await.expect("a replay");
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    assert_eq!(world.unchanged(world.replay_execution(request)).await, first);
}

pub async fn a_mutation_id_belongs_to_its_operation(world: &World) {
    let execution_id = world.submit().await;
    let mutation_id = MutationId::generate();
    let cancel = CancelExecution {
        by: CancelBy::Operator { mutation_id, grace_ms: 0 },
        ..cancel_by_operator(execution_id, 0)
    };
    world.cancel_execution(cancel).await.expect("a cancel");
    let request = ReplayExecution { execution_id, mutation_id };
    let refusal = world.refuses(world.replay_execution(request)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::IdTaken { .. }));
}

pub async fn replay_refuses_what_has_not_ended(world: &World) {
    let delayed = world.submit_with(|p| p.start = Some(When::After(9_000))).await;
    let active = world.started().await.handle.execution_id();
    let (suspended, _) = world.suspended(&["go"]).await;
    let ready = world.submit().await;
    let cases = [
        (delayed, PublicState::Delayed),
        (active, PublicState::Active),
        (suspended.execution_id(), PublicState::Suspended),
        (ready, PublicState::Waiting),
    ];
    for (execution_id, state) in cases {
        let refusal = world.refuses(world.replay_execution(replay(execution_id))).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotTerminal { public_state, .. })
                if public_state == state
        );
    }
}

pub async fn replay_refuses_more_than_the_policy_allows(world: &World) {
    let handle = world.started_with(|policy| policy.replays_max = Some(1)).await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    let refusal = world.refuses(world.replay_execution(replay(handle.execution_id()))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::LimitReached { what: Counted::Replays, limit: 1, .. })
    );
}

pub async fn replay_gives_a_deadline_its_span_again(world: &World) {
    let handle = world.started_with(|p| p.deadline = Some(When::After(10_000))).await.handle;
    world.advance(4_000).await;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.advance(20_000).await;
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.deadline_at, Some(world.after(10_000)));
    world.advance(10_000).await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Expired);
}

pub async fn a_replayed_execution_outlives_its_old_retention(world: &World) {
    let handle =
        world.started_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)).await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.advance(RETENTION_MS_MIN - 1).await;
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    world.advance(1_000_000).await;
    world.tick_all().await;
    assert_eq!(world.claim_ids(1).await, [handle.execution_id()]);
}

pub async fn replay_keeps_the_history(world: &World) {
    let handle = world.finished().await;
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    let second = world.claim_one().await.handle;
    world.cancel_execution(cancel(&second)).await.expect("a cancel");
    let story = world.turns(handle.execution_id()).await;
    assert_eq!(
        story,
        [
            (TurnOperation::Complete, TurnOutcome::Success),
            (TurnOperation::Cancel, TurnOutcome::Cancelled)
        ]
    );
}

pub async fn replay_clears_a_cancel_that_was_under_way(world: &World) {
    let handle = world.started().await.handle;
    let request = cancel_by_operator(handle.execution_id(), 5_000);
    world.cancel_execution(request).await.expect("a cancel");
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    assert_eq!(world.info(handle.execution_id()).await.cancel_requested, None);
    let again = world.claim_one().await.handle;
    world.advance(6_000).await;
    world.complete_execution(complete(&again)).await.expect("an end");
}

//! An end that carries the next claim.

use crate::prelude::*;

pub async fn complete_takes_the_next_in_the_same_call(world: &World) {
    let handle = world.started().await.handle;
    let next = world.submit().await;
    let request = CompleteExecution { next: Some(world.claim_request()), ..complete(&handle) };
    let ended = world.complete_execution(request).await.expect("an end");
    assert_eq!(ids(&ended.next.expect("a claim")), [next]);
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Completed);
    assert_eq!(world.info(next).await.public_state, PublicState::Active);
}

pub async fn complete_with_nothing_next_says_so(world: &World) {
    let handle = world.started().await.handle;
    let request = CompleteExecution { next: Some(world.claim_request()), ..complete(&handle) };
    let ended = world.complete_execution(request).await.expect("an end");
    assert!(ended.next.expect("a claim").executions.is_empty());
}

pub async fn fail_takes_the_next_in_the_same_call(world: &World) {
    let handle = world.started().await.handle;
    let next = world.submit().await;
    let request = FailExecution { next: Some(world.claim_request()), ..fail(&handle, "io") };
    let failed = world.fail_execution(request).await.expect("a failure");
    assert_matches!(failed.outcome, FailOutcome::RetryScheduled { .. });
    assert_eq!(ids(&failed.next.expect("a claim")), [next]);
}

pub async fn fail_may_take_its_own_retry(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(retries(3, 0))).await.handle;
    let request = FailExecution { next: Some(world.claim_request()), ..fail(&handle, "io") };
    let failed = world.fail_execution(request.clone()).await.expect("a failure");
    let taken = &failed.next.as_ref().expect("a claim").executions[0].handle;
    assert_eq!(taken.execution_id(), handle.execution_id());
    assert_eq!((taken.attempt_index(), taken.lease_epoch()), (AttemptIndex(1), LeaseEpoch(2)));
    let again = world.unchanged(world.fail_execution(request)).await;
    assert_eq!(again.outcome, failed.outcome);
    assert_eq!(again.next.expect("a claim").executions[0].handle, *taken);
}

pub async fn a_fused_end_repeated_answers_the_same_end_and_claim(world: &World) {
    let handle = world.started().await.handle;
    world.submit().await;
    world.submit().await;
    let request =
        CompleteExecution { next: Some(world.claim_request()), ..complete_with(&handle, "done") };
    let first = world.complete_execution(request.clone()).await.expect("an end");
    world.advance(10).await;
    let again = world.unchanged(world.complete_execution(request)).await;
    let taken = |ended: TurnEnded<()>| ended.next.expect("a claim").executions;
    assert_eq!(taken(again), taken(first));
}

pub async fn a_refused_claim_does_not_fail_the_end(world: &World) {
    let older = world.claim_request();
    let handle = world.started().await.handle;
    world.submit().await;
    let request = CompleteExecution { next: Some(older), ..complete(&handle) };
    let ended = world.complete_execution(request).await.expect("an end");
    assert!(ended.next.is_none_or(|next| next.executions.is_empty()));
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Completed);
}

pub async fn an_end_repeated_with_another_claim_makes_that_claim(world: &World) {
    let handle = world.finished().await;
    let next = world.submit().await;
    let request = CompleteExecution { next: Some(world.claim_request()), ..complete(&handle) };
    let ended = world.complete_execution(request).await.expect("an end");
    assert_eq!(ids(&ended.next.expect("a claim")), [next]);
}

pub async fn a_refused_end_makes_no_claim(world: &World) {
    let zombie = world.started().await.handle;
    world.reclaimed().await;
    world.submit().await;
    let next = Some(world.claim_request());
    let request = CompleteExecution { next: next.clone(), ..complete(&zombie) };
    let refusal = world.refuses(world.complete_execution(request)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
    let request = FailExecution { next, ..fail(&zombie, "io") };
    world.refuses(world.fail_execution(request)).await;
}

pub async fn a_bad_claim_makes_no_end(world: &World) {
    let handle = world.started().await.handle;
    let mut bad = vec![world.claim_up_to(0)];
    bad.push(ClaimExecution {
        partition: Partition::new_unchecked(PARTITIONS_MAX - 1),
        ..world.claim_request()
    });
    for next in bad {
        let request = CompleteExecution { next: Some(next.clone()), ..complete(&handle) };
        let refusal = world.refuses(world.complete_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
        let request = FailExecution { next: Some(next), ..fail(&handle, "io") };
        let refusal = world.refuses(world.fail_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
    world.complete_execution(complete(&handle)).await.expect("an end");
}

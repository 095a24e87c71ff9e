//! Ends that travel together.

use crate::prelude::*;

fn taken(ended: ExecutionsCompleted) -> Vec<ClaimedExecution> {
    ended.next.expect("a claim").executions
}

async fn three_started(world: &World) -> Vec<Handle> {
    let mut handles = Vec::new();
    for _ in 0..3 {
        handles.push(world.started().await.handle);
    }
    handles
}

async fn has_ended(world: &World, handle: &Handle) -> bool {
    world.info(handle.execution_id()).await.public_state == PublicState::Completed
}

pub async fn several_complete_in_one_call_each_with_its_result(world: &World) {
    let handles = three_started(world).await;
    let results = [None, Some(Bytes::new()), Some(vec![0xff; 70_000].into())];
    let mut request = complete_many(&handles.iter().collect::<Vec<_>>());
    for (completion, result) in request.completions.iter_mut().zip(&results) {
        completion.result = result.clone();
    }
    let ended = world.complete_executions(request).await.expect("ends");
    assert!(ended.outcomes.iter().all(Result::is_ok), "{ended:?}");
    assert!(ended.next.is_none());
    for (handle, result) in handles.iter().zip(results) {
        assert!(has_ended(world, handle).await);
        assert_eq!(
            world.read_result(handle.execution_id()).await.expect("a result").result,
            result
        );
    }
}

pub async fn of_several_ends_one_that_is_refused_does_not_touch_the_others(world: &World) {
    let zombie = world.started().await.handle;
    world.reclaimed().await;
    let handles = three_started(world).await;
    let request = complete_many(&[&handles[0], &zombie, &handles[1]]);
    let ended = world.complete_executions(request).await.expect("ends");
    assert!(ended.outcomes[0].is_ok() && ended.outcomes[2].is_ok(), "{ended:?}");
    let refusal = ended.outcomes[1].as_ref().expect_err("a refusal");
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
    assert!(has_ended(world, &handles[0]).await && has_ended(world, &handles[1]).await);
    assert!(!has_ended(world, &handles[2]).await && !has_ended(world, &zombie).await);
}

pub async fn the_same_end_twice_in_one_call_is_one_end(world: &World) {
    let handle = world.started().await.handle;
    let mut request = complete_many(&[&handle, &handle]);
    request.completions[0].result = Some("first".into());
    request.completions[1].result = Some("second".into());
    let ended = world.complete_executions(request).await.expect("ends");
    assert!(ended.outcomes.iter().all(Result::is_ok), "{ended:?}");
    let result = world.read_result(handle.execution_id()).await.expect("a result");
    assert_eq!(result.result, Some("first".into()));
}

pub async fn several_ends_take_the_next_in_the_same_call(world: &World) {
    let handles = three_started(world).await;
    let waiting = [world.submit().await, world.submit().await];
    let mut request = complete_many(&handles.iter().collect::<Vec<_>>());
    request.next = Some(world.claim_up_to(3));
    let ended = world.complete_executions(request).await.expect("ends");
    assert_eq!(ids(&ended.next.expect("a claim")), waiting);
}

pub async fn several_ends_repeated_answer_the_same_and_take_nothing_more(world: &World) {
    let handles = three_started(world).await;
    for _ in 0..4 {
        world.submit().await;
    }
    let mut request = complete_many(&handles.iter().collect::<Vec<_>>());
    request.next = Some(world.claim_up_to(2));
    let first = world.complete_executions(request.clone()).await.expect("ends");
    world.advance(10).await;
    let again = world.unchanged(world.complete_executions(request)).await;
    assert!(again.outcomes.iter().all(Result::is_ok), "{again:?}");
    assert_eq!(taken(again), taken(first));
}

pub async fn refused_ends_still_take_the_next(world: &World) {
    let zombie = world.started().await.handle;
    world.reclaimed().await;
    let next = world.submit().await;
    let mut request = complete_many(&[&zombie]);
    request.next = Some(world.claim_request());
    let ended = world.complete_executions(request).await.expect("ends");
    assert!(ended.outcomes[0].is_err());
    assert_eq!(ids(&ended.next.expect("a claim")), [next]);
}

pub async fn a_refused_claim_does_not_fail_several_ends(world: &World) {
    let older = world.claim_request();
    let handle = world.started().await.handle;
    world.submit().await;
    let mut request = complete_many(&[&handle]);
    request.next = Some(older);
    let ended = world.complete_executions(request).await.expect("ends");
    assert!(ended.outcomes[0].is_ok());
    assert!(ended.next.is_none_or(|next| next.executions.is_empty()));
}

pub async fn several_ends_past_their_bounds_change_nothing(world: &World) {
    let handle = world.started().await.handle;
    let none = complete_many(&[]);
    let many = complete_many(&vec![&handle; COMPLETIONS_MAX + 1]);
    let mut large = complete_many(&[&handle]);
    large.completions[0].result = Some(vec![0; PAYLOAD_BYTES_MAX + 1].into());
    let mut heavy = complete_many(&[&handle; 5]);
    for completion in &mut heavy.completions {
        completion.result = Some(vec![0; PAYLOAD_BYTES_MAX].into());
    }
    let mut elsewhere = complete_many(&[&handle]);
    let partition = Partition::new_unchecked(PARTITIONS_MAX - 1);
    elsewhere.next = Some(ClaimExecution { partition, ..world.claim_request() });
    let mut bad = complete_many(&[&handle]);
    bad.next = Some(world.claim_up_to(0));
    for request in [none, many, large, heavy, elsewhere, bad] {
        let refusal = world.refuses(world.complete_executions(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

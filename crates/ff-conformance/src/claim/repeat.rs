//! Claims that are made again because their reply was lost.

use crate::prelude::*;

pub async fn claim_repeated_answers_the_same_leases(world: &World) {
    for _ in 0..3 {
        world.submit().await;
    }
    let request = world.claim_up_to(2);
    let first = world.claimed(request.clone()).await;
    world.advance(10).await;
    let again = world.unchanged(world.claim_execution(request)).await;
    assert_eq!(again.executions, first.executions);
}

pub async fn claim_repeated_from_elsewhere_answers_the_same_leases(world: &World) {
    world.submit().await;
    let request = world.claim_request();
    let first = world.claimed(request.clone()).await;
    let again = world.elsewhere().await.claimed(request).await;
    assert_eq!(again.executions, first.executions);
}

pub async fn claim_repeated_leaves_out_what_has_ended(world: &World) {
    for _ in 0..3 {
        world.submit().await;
    }
    let request = world.claim_up_to(3);
    let first = world.claimed(request.clone()).await;
    let taken = ids(&first);
    world.complete_execution(complete(&first.executions[0].handle)).await.expect("an end");
    world.release_execution(release(&first.executions[2].handle)).await.expect("a release");
    let again = world.unchanged(world.claim_execution(request)).await;
    assert_eq!(ids(&again), [taken[1]]);
    assert_eq!(again.executions[0].handle, first.executions[1].handle);
}

pub async fn claim_repeated_leaves_out_what_another_lease_holds(world: &World) {
    world.submit().await;
    let request = world.claim_request();
    let handle = world.claimed(request.clone()).await.executions.remove(0).handle;
    world.release_execution(release(&handle)).await.expect("a release");
    world.claim_one_by(&worker("other")).await;
    let again = world.unchanged(world.claim_execution(request)).await;
    assert!(again.executions.is_empty());
}

pub async fn claim_repeated_tells_the_current_expiry(world: &World) {
    world.submit().await;
    let request = world.claim_request();
    let handle = world.claimed(request.clone()).await.executions.remove(0).handle;
    world.advance(1_000).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    let again = world.unchanged(world.claim_execution(request)).await;
    assert_eq!(again.executions[0].lease_expires_at, world.after(LEASE_TTL_MS));
}

pub async fn claim_repeated_gives_the_resume_signals_again(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.signal(&address, "go").await;
    let request = world.claim_request();
    let first = world.claimed(request.clone()).await;
    assert_eq!(first.executions[0].resume_signals.len(), 1);
    let again = world.unchanged(world.claim_execution(request)).await;
    assert_eq!(again.executions, first.executions);
}

pub async fn an_older_claim_of_the_slot_is_superseded(world: &World) {
    world.submit().await;
    world.submit().await;
    let older = world.claim_request();
    let newer = world.claim_request();
    world.claimed(older.clone()).await;
    world.claimed(newer.clone()).await;
    let refusal = world.refuses(world.claim_execution(older)).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::ClaimSuperseded { current })
            if current == newer.claim_id
    );
}

pub async fn a_late_first_claim_of_the_slot_takes_nothing(world: &World) {
    let older = world.claim_request();
    world.started().await;
    world.submit().await;
    let refusal = world.refuses(world.claim_execution(older)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::ClaimSuperseded { .. }));
}

pub async fn an_empty_claim_repeated_takes_nothing_that_came_later(world: &World) {
    let older = world.claim_request();
    let request = world.claim_request();
    assert!(world.claimed(request.clone()).await.executions.is_empty());
    world.submit().await;
    assert!(world.unchanged(world.claim_execution(request)).await.executions.is_empty());
    let refusal = world.refuses(world.claim_execution(older)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::ClaimSuperseded { .. }));
}

pub async fn a_claim_repeated_after_its_lease_time_answers_nothing(world: &World) {
    world.submit().await;
    let request = world.claim_request();
    let handle = world.claimed(request.clone()).await.executions.remove(0).handle;
    world.advance(LEASE_TTL_MS - 1).await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    let again = world.unchanged(world.claim_execution(request.clone())).await;
    assert_eq!(again.executions.len(), 1);
    world.advance(1).await;
    world.submit().await;
    let again = world.unchanged(world.claim_execution(request)).await;
    assert!(again.executions.is_empty());
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Active);
}

pub async fn slots_and_instances_remember_apart(world: &World) {
    for _ in 0..3 {
        world.submit().await;
    }
    let oldest = world.claim_request();
    let older = ClaimExecution { slot: 1, ..world.claim_request() };
    let newest = ClaimExecution { worker: worker("other"), ..world.claim_request() };
    let third = world.claimed(newest.clone()).await;
    let second = world.claimed(older.clone()).await;
    let first = world.claimed(oldest.clone()).await;
    for (request, answer) in [(newest, third), (older, second), (oldest, first)] {
        let again = world.unchanged(world.claim_execution(request)).await;
        assert_eq!(again.executions, answer.executions);
        assert_eq!(again.executions.len(), 1);
    }
}

pub async fn claim_by_grant_repeated_answers_the_same_lease(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let request = world.claim_by_grant(&grant, &worker("w"));
    let first = world.claimed(request.clone()).await;
    let again = world.unchanged(world.claim_execution(request)).await;
    assert_eq!(again.executions, first.executions);
    assert_eq!(ids(&again), [execution_id]);
}

pub async fn takeover_repeated_answers_the_same_lease(world: &World) {
    let handle = world.started().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    let execution_id = handle.execution_id();
    let grant = world.granted(execution_id, &worker("heir"), GrantKind::Reclaim).await;
    let request = world.take_over(&grant, &worker("heir"));
    let first = world.claim_resumed_execution(request.clone()).await.expect("a takeover");
    let again = world.unchanged(world.claim_resumed_execution(request)).await;
    assert_eq!(again.executions, first.executions);
    assert_eq!(ids(&again), [execution_id]);
}

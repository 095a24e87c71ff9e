//! What a claim may not ask for.

use crate::prelude::*;

async fn refuses_claim(world: &World, request: ClaimExecution) {
    let refusal = world.refuses(world.claim_execution(request)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Argument, .. });
}

pub async fn claim_refuses_a_count_of_none_and_one_above_the_cap(world: &World) {
    world.submit().await;
    for count_max in [0, CLAIM_COUNT_MAX + 1] {
        refuses_claim(world, world.claim_up_to(count_max)).await;
    }
}

pub async fn claim_refuses_no_lanes_and_too_many(world: &World) {
    for count in [0, CLAIM_LANES_MAX + 1] {
        let source = ClaimSource::Ready { lanes: vec![lane("default"); count], count_max: 1 };
        refuses_claim(world, ClaimExecution { source, ..world.claim_request() }).await;
    }
}

pub async fn claim_refuses_a_lease_past_its_bounds(world: &World) {
    world.submit().await;
    for lease_ttl_ms in [0, LEASE_TTL_MS_MIN - 1, LEASE_TTL_MS_MAX + 1, u64::MAX] {
        refuses_claim(world, ClaimExecution { lease_ttl_ms, ..world.claim_request() }).await;
    }
    for lease_ttl_ms in [LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX] {
        world.submit().await;
        let request = ClaimExecution { lease_ttl_ms, ..world.claim_request() };
        let taken = world.claimed(request).await.executions.remove(0);
        assert_eq!(taken.lease_expires_at, world.after(lease_ttl_ms));
    }
}

pub async fn claim_refuses_a_slot_past_its_bound(world: &World) {
    let slot = CLAIM_SLOT_MAX + 1;
    refuses_claim(world, ClaimExecution { slot, ..world.claim_request() }).await;
}

pub async fn claim_refuses_a_worker_with_too_many_capabilities(world: &World) {
    let tokens: Vec<String> = (0..=CAPABILITIES_MAX).map(|n| format!("t{n}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    refuses_claim(world, world.claim_request_by(&worker_offering("w", &tokens))).await;
}

pub async fn a_takeover_refuses_values_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    let grant = world.granted(handle.execution_id(), &worker("w"), GrantKind::Reclaim).await;
    let request = world.take_over(&grant, &worker("w"));
    let past = [
        ClaimResumedExecution { lease_ttl_ms: LEASE_TTL_MS_MIN - 1, ..request.clone() },
        ClaimResumedExecution { lease_ttl_ms: LEASE_TTL_MS_MAX + 1, ..request.clone() },
        ClaimResumedExecution { slot: CLAIM_SLOT_MAX + 1, ..request.clone() },
    ];
    for request in past {
        let refusal = world.refuses(world.claim_resumed_execution(request)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Argument, .. });
    }
    world.claim_resumed_execution(request).await.expect("a takeover");
}

//! Grants: a scheduler decides which worker instance may take what.

use crate::prelude::*;

pub async fn a_grant_blocks_the_execution_for_one_worker(world: &World) {
    let execution_id = world.submit().await;
    let grant = grant(execution_id, &worker("chosen"), GrantKind::Claim);
    let issued = world.issue_grant(issue(&grant)).await.expect("a grant");
    assert_eq!(issued.expires_at, world.after(10_000));
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Blocked);
    let holds = info.grant.expect("the grant");
    assert_eq!((holds.grant, holds.expires_at), (grant, issued.expires_at));
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn a_grant_holds_up_no_other_execution(world: &World) {
    let first = world.submit().await;
    let second = world.submit().await;
    world.granted(first, &worker("absent"), GrantKind::Claim).await;
    assert_eq!(world.claim_ids(10).await, [second]);
}

pub async fn issue_grant_repeated_answers_the_same(world: &World) {
    let execution_id = world.submit().await;
    let request = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
    let first = world.issue_grant(request.clone()).await.expect("a grant");
    world.advance(100).await;
    assert_eq!(world.unchanged(world.issue_grant(request)).await, first);
}

pub async fn issue_grant_repeated_after_its_use_blocks_nothing(world: &World) {
    let execution_id = world.submit().await;
    let request = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
    let first = world.issue_grant(request.clone()).await.expect("a grant");
    let claim = world.claim_by_grant(&request.grant, &worker("w"));
    let handle = world.claimed(claim).await.executions.remove(0).handle;
    assert_eq!(world.unchanged(world.issue_grant(request.clone())).await, first);
    world.release_execution(release(&handle)).await.expect("a release");
    assert_eq!(world.unchanged(world.issue_grant(request)).await, first);
    assert_eq!(world.claim_ids(1).await, [execution_id]);
}

pub async fn issue_grant_repeated_after_its_lapse_blocks_nothing(world: &World) {
    let execution_id = world.submit().await;
    let request = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
    let first = world.issue_grant(request.clone()).await.expect("a grant");
    world.advance(10_000).await;
    assert_eq!(world.unchanged(world.issue_grant(request)).await, first);
    assert_eq!(world.claim_ids(1).await, [execution_id]);
}

pub async fn claim_by_grant_refuses_a_worker_of_another_namespace(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let foreign = WorkerIdentity {
        namespace: Namespace::new("tenant").expect("a legal namespace"),
        ..worker("w")
    };
    let claim = world.claim_by_grant(&grant, &foreign);
    let refusal = world.refuses(world.claim_execution(claim)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
}

pub async fn a_second_grant_is_refused_while_the_first_holds(world: &World) {
    let execution_id = world.submit().await;
    world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let until = world.after(10_000);
    let other = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
    let refusal = world.refuses(world.issue_grant(other.clone())).await;
    assert_matches!(
        refusal,
        EngineError::Contention(ContentionKind::GrantExists { execution_id: id, until: at })
            if id == execution_id && at == until
    );
    world.advance(10_000).await;
    world.issue_grant(other).await.expect("a grant after the first lapsed");
}

pub async fn claim_by_grant_takes_the_execution(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let claimed = world.claimed(world.claim_by_grant(&grant, &worker("w"))).await;
    assert_eq!(ids(&claimed), [execution_id]);
    assert_eq!(claimed.executions[0].handle.lease_epoch(), LeaseEpoch(1));
    let info = world.info(execution_id).await;
    assert_eq!((info.public_state, info.grant), (PublicState::Active, None));
}

pub async fn a_grant_is_good_for_one_claim(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let claim = world.claim_by_grant(&grant, &worker("w"));
    let handle = world.claimed(claim).await.executions.remove(0).handle;
    world.release_execution(release(&handle)).await.expect("a release");
    let again = world.claim_by_grant(&grant, &worker("w"));
    let refusal = world.refuses(world.claim_execution(again)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
}

pub async fn a_grant_of_another_worker_is_refused(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("chosen"), GrantKind::Claim).await;
    let stolen = world.claim_by_grant(&grant, &worker("thief"));
    let refusal = world.refuses(world.claim_execution(stolen)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
    let forged = Grant { worker_instance_id: worker("thief").worker_instance_id, ..grant };
    let forged = world.claim_by_grant(&forged, &worker("thief"));
    let refusal = world.refuses(world.claim_execution(forged)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
}

pub async fn a_grant_that_nobody_issued_is_refused(world: &World) {
    let execution_id = world.submit().await;
    let invented = grant(execution_id, &worker("w"), GrantKind::Claim);
    let claim = world.claim_by_grant(&invented, &worker("w"));
    let refusal = world.refuses(world.claim_execution(claim)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
    world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let claim = world.claim_by_grant(&invented, &worker("w"));
    let refusal = world.refuses(world.claim_execution(claim)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
}

pub async fn a_lapsed_grant_gives_the_execution_back_with_its_place(world: &World) {
    let first = world.submit().await;
    world.advance(1).await;
    let second = world.submit().await;
    let score = world.info(first).await.ready_score;
    let grant = world.granted(first, &worker("w"), GrantKind::Claim).await;
    assert_eq!(world.info(first).await.ready_score, score);
    world.advance(9_999).await;
    assert_eq!(world.info(first).await.public_state, PublicState::Blocked);
    world.advance(1).await;
    let info = world.info(first).await;
    assert_eq!((info.public_state, info.ready_score), (PublicState::Waiting, score));
    let late = world.claim_by_grant(&grant, &worker("w"));
    let refusal = world.refuses(world.claim_execution(late)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
    assert_eq!(world.claim_ids(2).await, [first, second]);
}

pub async fn claim_by_grant_refuses_a_worker_that_lacks_a_capability(world: &World) {
    let required = capabilities(&["eu", "gpu"]);
    let execution_id = world.submit_with(|p| p.required_capabilities = required).await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let claim = world.claim_by_grant(&grant, &worker_offering("w", &["eu"]));
    let refusal = world.refuses(world.claim_execution(claim)).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::CapabilityMissing { missing, .. })
            if missing.as_str() == "gpu"
    );
    let able = worker_offering("w", &["eu", "gpu"]);
    let claimed = world.claimed(world.claim_by_grant(&grant, &able)).await;
    assert_eq!(ids(&claimed), [execution_id]);
}

pub async fn a_new_attempt_takes_a_claim_grant_only(world: &World) {
    let execution_id = world.submit().await;
    let wrong = issue(&grant(execution_id, &worker("w"), GrantKind::Reclaim));
    let refusal = world.refuses(world.issue_grant(wrong)).await;
    assert_matches!(refusal, EngineError::State(StateKind::UseClaimGrant { .. }));
}

pub async fn a_resumed_attempt_takes_a_reclaim_grant_only(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    world.signal(&address, "go").await;
    let execution_id = handle.execution_id();
    let wrong = issue(&grant(execution_id, &worker("heir"), GrantKind::Claim));
    let refusal = world.refuses(world.issue_grant(wrong)).await;
    assert_matches!(refusal, EngineError::State(StateKind::UseReclaimGrant { .. }));
    let grant = world.granted(execution_id, &worker("heir"), GrantKind::Reclaim).await;
    let request = world.take_over(&grant, &worker("heir"));
    let claimed = world.claim_resumed_execution(request).await.expect("a takeover");
    let taken = &claimed.executions[0];
    assert_eq!(taken.handle.attempt_id(), handle.attempt_id());
    assert_eq!(taken.handle.kind(), HandleKind::Resumed);
    assert_eq!(taken.resume_signals.len(), 1);
}

pub async fn a_lost_lease_takes_a_reclaim_grant_only(world: &World) {
    let handle = world.started().await.handle;
    world.advance(LEASE_TTL_MS).await;
    let execution_id = handle.execution_id();
    let wrong = issue(&grant(execution_id, &worker("heir"), GrantKind::Claim));
    let refusal = world.refuses(world.issue_grant(wrong)).await;
    assert_matches!(refusal, EngineError::State(StateKind::UseReclaimGrant { .. }));
    let grant = world.granted(execution_id, &worker("heir"), GrantKind::Reclaim).await;
    let request = world.take_over(&grant, &worker("heir"));
    let claimed = world.claim_resumed_execution(request).await.expect("a takeover");
    let taken = &claimed.executions[0].handle;
    assert_eq!((taken.attempt_index(), taken.lease_epoch()), (AttemptIndex(1), LeaseEpoch(2)));
    assert_eq!(taken.kind(), HandleKind::Fresh);
}

pub async fn a_replayed_execution_takes_a_claim_grant_again(world: &World) {
    let handle = world.started_with(|policy| policy.reclaims_max = Some(0)).await.handle;
    world.advance(LEASE_TTL_MS).await;
    let execution_id = handle.execution_id();
    world.replay_execution(replay(execution_id)).await.expect("a replay");
    let wrong = issue(&grant(execution_id, &worker("w"), GrantKind::Reclaim));
    let refusal = world.refuses(world.issue_grant(wrong)).await;
    assert_matches!(refusal, EngineError::State(StateKind::UseClaimGrant { .. }));
    world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
}

pub async fn a_claim_refuses_a_grant_of_the_other_kind(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let refusal =
        world.refuses(world.claim_resumed_execution(world.take_over(&grant, &worker("w")))).await;
    assert_matches!(refusal, EngineError::Validation { .. });
    let relabelled = Grant { kind: GrantKind::Reclaim, ..grant };
    let request = world.take_over(&relabelled, &worker("w"));
    let refusal = world.refuses(world.claim_resumed_execution(request)).await;
    assert_matches!(refusal, EngineError::State(StateKind::GrantInvalid { .. }));
}

pub async fn only_a_ready_execution_can_be_granted(world: &World) {
    let delayed = world.submit_with(|policy| policy.start = Some(When::After(9_000))).await;
    let active = world.started().await.handle.execution_id();
    let (suspended, _) = world.suspended(&["go"]).await;
    let done = world.finished().await.execution_id();
    let cases = [
        (delayed, PublicState::Delayed),
        (active, PublicState::Active),
        (suspended.execution_id(), PublicState::Suspended),
        (done, PublicState::Completed),
    ];
    for (execution_id, state) in cases {
        let request = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
        let refusal = world.refuses(world.issue_grant(request)).await;
        assert_matches!(
            refusal,
            EngineError::State(StateKind::ExecutionNotReady { public_state, .. })
                if public_state == state
        );
    }
}

pub async fn issue_grant_refuses_what_is_not_there(world: &World) {
    let unknown = ExecutionId::generate(world.partition());
    let request = issue(&grant(unknown, &worker("w"), GrantKind::Claim));
    let refusal = world.refuses(world.issue_grant(request)).await;
    assert_matches!(refusal, EngineError::NotFound { .. });
}

pub async fn issue_grant_refuses_a_life_past_its_bounds(world: &World) {
    let execution_id = world.submit().await;
    let grant = grant(execution_id, &worker("w"), GrantKind::Claim);
    for ttl_ms in [0, GRANT_TTL_MS_MAX + 1] {
        let request = IssueGrant { ttl_ms, ..issue(&grant) };
        let refusal = world.refuses(world.issue_grant(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

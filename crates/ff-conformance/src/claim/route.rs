//! Capability routing.

use crate::prelude::*;

async fn submit_requiring(world: &World, tokens: &[&str]) -> ExecutionId {
    world.submit_with(|policy| policy.required_capabilities = capabilities(tokens)).await
}

async fn claim_offering(world: &World, tokens: &[&str], count_max: u32) -> ExecutionsClaimed {
    let request =
        ClaimExecution { worker: worker_offering("w", tokens), ..world.claim_up_to(count_max) };
    world.claimed(request).await
}

pub async fn a_worker_takes_what_it_offers_everything_for(world: &World) {
    let none = submit_requiring(world, &[]).await;
    let gpu = submit_requiring(world, &["gpu"]).await;
    let both = submit_requiring(world, &["eu", "gpu"]).await;
    submit_requiring(world, &["gpu", "us"]).await;
    let claimed = claim_offering(world, &["gpu", "eu", "spare"], 10).await;
    assert_eq!(ids(&claimed), [none, gpu, both]);
    assert!(!claimed.ready_left);
}

pub async fn a_worker_never_takes_what_it_lacks_a_capability_for(world: &World) {
    let execution_id = submit_requiring(world, &["gpu", "eu"]).await;
    for tokens in [&[][..], &["gpu"], &["eu"], &["gp", "u", "e"]] {
        let claimed = claim_offering(world, tokens, 10).await;
        assert!(claimed.executions.is_empty() && !claimed.ready_left);
    }
    assert_eq!(ids(&claim_offering(world, &["eu", "gpu"], 1).await), [execution_id]);
}

pub async fn work_that_no_worker_can_run_does_not_hold_up_the_rest(world: &World) {
    for n in 0..50 {
        submit_requiring(world, &[&format!("quantum-{}", n % 5)]).await;
    }
    world.advance(1).await;
    let good = world.submit().await;
    let claimed = claim_offering(world, &["gpu"], 1).await;
    assert_eq!(ids(&claimed), [good]);
    assert!(!claimed.ready_left);
}

pub async fn the_best_is_taken_across_capability_sets(world: &World) {
    let mut submitted = Vec::new();
    for tokens in [&["gpu"][..], &[], &["eu", "gpu"], &["eu"], &[]] {
        submitted.push(submit_requiring(world, tokens).await);
        world.advance(1).await;
    }
    assert_eq!(ids(&claim_offering(world, &["eu", "gpu"], 5).await), submitted);
}

pub async fn a_retry_keeps_to_its_route(world: &World) {
    let execution_id = submit_requiring(world, &["gpu"]).await;
    let handle = claim_offering(world, &["gpu"], 1).await.executions.remove(0).handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    assert!(claim_offering(world, &[], 1).await.executions.is_empty());
    assert_eq!(ids(&claim_offering(world, &["gpu"], 1).await), [execution_id]);
}

pub async fn a_lane_refuses_more_capability_sets_than_it_can_hold(world: &World) {
    let requiring = |n: usize| {
        let token = format!("t{n}");
        world.item_with(|policy| policy.required_capabilities = capabilities(&[&token]))
    };
    let items = (0..ROUTES_PER_LANE_MAX).map(requiring).collect();
    let results = world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
    assert!(results.iter().all(Result::is_ok));
    let one_more = requiring(ROUTES_PER_LANE_MAX);
    let refusal = world.refuses(world.submit_execution(one_more)).await;
    assert_matches!(refusal, EngineError::State(StateKind::RouteLimit { .. }));
    world.submit_item(requiring(0)).await;
}

pub async fn a_capability_set_counts_while_work_with_it_is_live(world: &World) {
    let requiring = |n: usize| {
        let token = format!("t{n}");
        world.item_with(|policy| policy.required_capabilities = capabilities(&[&token]))
    };
    let first = world.submit_item(requiring(0)).await;
    let items = (1..ROUTES_PER_LANE_MAX).map(requiring).collect();
    world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
    world.cancel_execution(cancel_by_operator(first, 0)).await.expect("a cancel");
    world.submit_item(requiring(ROUTES_PER_LANE_MAX)).await;
    let refusal = world.refuses(world.replay_execution(replay(first))).await;
    assert_matches!(refusal, EngineError::State(StateKind::RouteLimit { .. }));
}

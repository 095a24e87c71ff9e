//! Which execution is taken first.

use crate::prelude::*;

pub async fn the_oldest_goes_first(world: &World) {
    let mut submitted = Vec::new();
    for _ in 0..4 {
        submitted.push(world.submit().await);
        world.advance(1).await;
    }
    assert_eq!(world.claim_ids(4).await, submitted);
}

pub async fn ties_go_to_the_lower_id(world: &World) {
    let (low, high) = (world.item(), world.item());
    assert!(low.execution_id < high.execution_id);
    let expected = [low.execution_id, high.execution_id];
    world.submit_item(high).await;
    world.submit_item(low).await;
    assert_eq!(world.claim_ids(2).await, expected);
}

pub async fn a_higher_priority_goes_first(world: &World) {
    let mut by_priority = Vec::new();
    for priority in [-1, 0, 5, 9] {
        by_priority.push(world.submit_with(|policy| policy.priority = priority).await);
    }
    by_priority.reverse();
    assert_eq!(world.claim_ids(4).await, by_priority);
}

pub async fn priority_ages_so_that_nothing_starves(world: &World) {
    let old = world.submit_with(|policy| policy.priority = 0).await;
    world.advance(HEAD_START_MS_DEFAULT - 1).await;
    let before = world.submit_with(|policy| policy.priority = 1).await;
    world.advance(2).await;
    let after = world.submit_with(|policy| policy.priority = 1).await;
    assert_eq!(world.claim_ids(3).await, [before, old, after]);
}

pub async fn scores_are_compared_across_lanes(world: &World) {
    let mut submitted = Vec::new();
    for name in ["a", "b", "a", "b"] {
        let item = SubmitExecution { lane: lane(name), ..world.item() };
        submitted.push(world.submit_item(item).await);
        world.advance(1).await;
    }
    let request = ClaimExecution {
        source: ClaimSource::Ready { lanes: vec![lane("b"), lane("a")], count_max: 4 },
        ..world.claim_request()
    };
    assert_eq!(ids(&world.claimed(request).await), submitted);
}

pub async fn a_lane_named_twice_gives_each_execution_once(world: &World) {
    let submitted = [world.submit().await, world.submit().await];
    let request = ClaimExecution {
        source: ClaimSource::Ready { lanes: vec![lane("default"), lane("default")], count_max: 4 },
        ..world.claim_request()
    };
    assert_eq!(ids(&world.claimed(request).await), submitted);
}

pub async fn a_delayed_execution_queues_by_the_time_it_was_due(world: &World) {
    let delayed = world.submit_with(|policy| policy.start = Some(When::After(10))).await;
    world.advance(20).await;
    let fresh = world.submit().await;
    assert_eq!(world.claim_ids(2).await, [delayed, fresh]);
}

pub async fn a_released_execution_queues_anew(world: &World) {
    let handle = world.started().await.handle;
    world.advance(10).await;
    let waiting = world.submit().await;
    world.advance(10).await;
    world.release_execution(release(&handle)).await.expect("a release");
    assert_eq!(world.claim_ids(2).await, [waiting, handle.execution_id()]);
}

pub async fn a_lost_lease_queues_by_the_time_it_ran_out(world: &World) {
    let lost = world.started().await.handle.execution_id();
    world.advance(LEASE_TTL_MS + 1).await;
    let fresh = world.submit().await;
    world.advance(5).await;
    let request = ClaimExecution { worker: worker("heir"), ..world.claim_up_to(2) };
    assert_eq!(ids(&world.claimed(request).await), [lost, fresh]);
}

pub async fn a_resumed_execution_queues_by_the_time_of_its_signal(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    world.advance(10).await;
    let before = world.submit().await;
    world.advance(10).await;
    world.signal(&address, "go").await;
    world.advance(10).await;
    let after = world.submit().await;
    assert_eq!(world.claim_ids(3).await, [before, handle.execution_id(), after]);
}

pub async fn a_lead_counts_for_every_way_to_become_ready(world: &World) {
    let urgent = world.started_with(|policy| policy.priority = 10).await.handle;
    world.advance(10).await;
    let waiting = world.submit().await;
    world.advance(10).await;
    world.release_execution(release(&urgent)).await.expect("a release");
    assert_eq!(world.claim_ids(2).await, [urgent.execution_id(), waiting]);
}

pub async fn fairness_keys_share_the_order_of_their_lane(world: &World) {
    let mut submitted = Vec::new();
    for tenant in ["red", "blue", "red", "blue"] {
        let fairness_key = Some(FairnessKey::new(tenant).expect("a legal key"));
        let item = SubmitExecution { fairness_key: fairness_key.clone(), ..world.item() };
        let execution_id = world.submit_item(item).await;
        assert_eq!(world.info(execution_id).await.fairness_key, fairness_key);
        submitted.push(execution_id);
        world.advance(1).await;
    }
    assert_eq!(world.claim_ids(4).await, submitted);
}

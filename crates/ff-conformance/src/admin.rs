//! Admin: the store is set up, looked after, and found healthy.

mod keyring;

pub use keyring::*;

use crate::prelude::*;

pub async fn prepare_can_be_repeated(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let prepared = world.unchanged(world.prepare()).await;
    assert_eq!(prepared.partitions, world.partitions().count());
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn ping_tells_the_time_of_the_store(world: &World) {
    assert_eq!(world.ping().await.expect("a pong").server_time, world.now());
    world.advance(1_234).await;
    assert_eq!(world.ping().await.expect("a pong").server_time, world.now());
}

fn configuration(defaults: LaneDefaults) -> ConfigureLane {
    ConfigureLane { namespace: Namespace::default(), lane: lane("default"), defaults }
}

fn other_defaults() -> LaneDefaults {
    LaneDefaults {
        head_start_ms: 7,
        attempt_timeout_ms: Some(60_000),
        retry: retries(1, 50),
        reclaims_max: 4,
        replays_max: 5,
        retention_ms: 123_456,
    }
}

pub async fn a_lane_has_defaults_before_it_is_configured(world: &World) {
    let described = world.describe_lane(Namespace::default(), lane("default")).await;
    assert_eq!(described.expect("the defaults"), LaneDefaults::default());
}

pub async fn configure_lane_gives_its_defaults_to_later_submissions(world: &World) {
    let before = world.submit().await;
    world.configure_lane(configuration(other_defaults())).await.expect("a configuration");
    let described = world.describe_lane(Namespace::default(), lane("default")).await;
    assert_eq!(described.expect("the defaults"), other_defaults());
    let after = world
        .submit_with(|policy| *policy = ExecutionPolicy { priority: 3, ..Default::default() })
        .await;
    let policy = world.info(after).await.policy;
    assert_eq!((policy.lead_ms, policy.retention_ms), (21, 123_456));
    assert_eq!((policy.attempt_timeout_ms, policy.retry), (Some(60_000), retries(1, 50)));
    assert_eq!((policy.reclaims_max, policy.replays_max), (4, 5));
    let kept = world.info(before).await.policy;
    assert_eq!(kept, world.item().policy.resolve(&LaneDefaults::default()));
}

pub async fn configure_lane_is_seen_elsewhere_before_long(world: &World) {
    let other = world.elsewhere().await;
    other.submit().await;
    world.configure_lane(configuration(other_defaults())).await.expect("a configuration");
    world.advance(LANE_DEFAULTS_AGE_MAX_MS).await;
    let execution_id = other.submit_with(|policy| *policy = Default::default()).await;
    assert_eq!(other.info(execution_id).await.policy.retention_ms, 123_456);
}

pub async fn configure_lane_repeated_changes_nothing(world: &World) {
    let request = configuration(other_defaults());
    world.configure_lane(request.clone()).await.expect("a configuration");
    world.unchanged(world.configure_lane(request)).await;
}

pub async fn configure_lane_keeps_to_its_lane(world: &World) {
    world.configure_lane(configuration(other_defaults())).await.expect("a configuration");
    let tenant = Namespace::new("tenant").expect("a legal namespace");
    for (namespace, name) in [(Namespace::default(), "other"), (tenant, "default")] {
        let described = world.describe_lane(namespace, lane(name)).await;
        assert_eq!(described.expect("the defaults"), LaneDefaults::default());
    }
}

pub async fn configure_lane_refuses_values_past_their_bounds(world: &World) {
    let with = |change: fn(&mut LaneDefaults)| {
        let mut defaults = LaneDefaults::default();
        change(&mut defaults);
        defaults
    };
    let past = [
        with(|defaults| defaults.head_start_ms = HEAD_START_MS_MAX + 1),
        with(|defaults| defaults.attempt_timeout_ms = Some(0)),
        with(|defaults| defaults.retention_ms = RETENTION_MS_MIN - 1),
        with(|defaults| defaults.reclaims_max = COUNT_CAP_MAX + 1),
        with(|defaults| defaults.replays_max = COUNT_CAP_MAX + 1),
        with(|defaults| defaults.retry.jitter_pct = 101),
    ];
    for defaults in past {
        let refusal = world.refuses(world.configure_lane(configuration(defaults))).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

async fn is_healthy(world: &World) {
    for fix in [false, true] {
        let diagnosis = world.unchanged(world.doctor(fix)).await;
        assert_eq!((diagnosis.findings, diagnosis.findings_total), (Vec::new(), 0));
    }
}

pub async fn doctor_finds_an_empty_store_healthy(world: &World) {
    is_healthy(world).await;
    assert_eq!(world.doctor(false).await.expect("a diagnosis").executions, 0);
}

/// Executions in every state, and retries, reclaims, replays and signals on the way.
async fn busy(world: &World) {
    for n in 0..3_i32 {
        world.submit_with(|p| p.start = Some(When::After(1_000))).await;
        world.submit_with(|p| p.deadline = Some(When::After(40_000))).await;
        world.submit_with(|p| p.required_capabilities = capabilities(&["gpu"])).await;
        let blocked = world.submit_with(|policy| policy.priority = n).await;
        world.granted(blocked, &worker("w"), GrantKind::Claim).await;
    }
    let claimed = world.claimed(world.claim_up_to(3)).await.executions;
    world.fail_execution(fail(&claimed[0].handle, "io")).await.expect("a failure");
    let address = world.suspend(suspend_for(&claimed[1].handle, &["a", "b"])).await;
    world.signal(&address, "a").await;
    let handle = &claimed[2].handle;
    world.append_frame(append(handle, 0, &["x", "y"])).await.expect("frames");
    world.create_pending_waitpoint(waitpoint(handle, "door")).await.expect("a waitpoint");
    world.complete_execution(complete_with(handle, bytes_of(500))).await.expect("an end");
    let again = replay(handle.execution_id());
    world.replay_execution(again).await.expect("a replay");
    world.submit().await;
    let lost = world.claim_one().await.handle;
    world.renew_one(renew(&[&lost])).await.expect("a renewal");
    world.submit().await;
    let cancelled = world.claim_one().await.handle;
    let request = cancel_by_operator(cancelled.execution_id(), 5_000);
    world.cancel_execution(request).await.expect("a cancel");
}

pub async fn doctor_finds_nothing_wrong_after_a_busy_day(world: &World) {
    for wait_ms in [0, 1, 2_000, 10_000, LEASE_TTL_MS, DAY_MS, DAY_MS] {
        busy(world).await;
        is_healthy(world).await;
        world.advance(wait_ms).await;
        is_healthy(world).await;
        world.tick_all().await;
        is_healthy(world).await;
    }
    let diagnosis = world.doctor(false).await.expect("a diagnosis");
    assert!(diagnosis.executions > 0 && diagnosis.index_entries >= diagnosis.executions);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __admin_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            admin {
                prepare_can_be_repeated
                ping_tells_the_time_of_the_store
                a_lane_has_defaults_before_it_is_configured
                configure_lane_gives_its_defaults_to_later_submissions
                configure_lane_is_seen_elsewhere_before_long
                configure_lane_repeated_changes_nothing
                configure_lane_keeps_to_its_lane
                configure_lane_refuses_values_past_their_bounds
                doctor_finds_an_empty_store_healthy
                doctor_finds_nothing_wrong_after_a_busy_day
                rotate_keyring_signs_with_the_new_key
                rotate_keyring_repeated_changes_nothing
                rotate_keyring_refuses_a_known_id_with_another_secret
                rotate_keyring_refuses_to_sign_with_an_old_key_again
                rotate_keyring_refuses_more_keys_than_the_limit
                revoking_takes_a_key_out_but_never_the_current_one
                rotate_keyring_refuses_a_grace_past_its_bound
            }
        }
    };
}

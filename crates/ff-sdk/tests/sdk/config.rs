//! The settings of a worker: defaults, bounds, names.

use ff_core::limits::NAME_BYTES_MAX;
use ff_sdk::config::{CONCURRENT_TASKS_MAX, WorkerConfigBuilder};
use ff_sdk::{SdkError, WorkerConfig};

fn refused_field(builder: WorkerConfigBuilder) -> &'static str {
    match builder.build() {
        Err(SdkError::Config { context: "worker config", field, .. }) => field,
        other => panic!("expected a refusal, got {other:?}"),
    }
}

#[test]
fn a_worker_needs_a_name_alone() {
    let config = WorkerConfig::builder("w").build().expect("the rest has defaults");
    assert_eq!(config.worker_id().as_str(), "w");
    assert_eq!(config.namespace().as_str(), "default");
    assert_eq!(config.lanes().iter().map(|l| l.as_str()).collect::<Vec<_>>(), ["default"]);
    assert!(config.capabilities().is_empty());
    assert_eq!(config.lease_ttl_ms(), 30_000);
    assert_eq!(config.idle_poll_ceiling_ms(), 1_000);
    assert_eq!(config.max_concurrent_tasks(), 1);
}

#[test]
fn instances_are_unique_and_their_names_fit() {
    let long = "w".repeat(NAME_BYTES_MAX);
    let build = || WorkerConfig::builder(&*long).build().expect("legal");
    let (a, b) = (build(), build());
    assert_ne!(a.worker_instance_id(), b.worker_instance_id());
    assert!(a.worker_instance_id().as_str().len() <= NAME_BYTES_MAX);
}

#[test]
fn lanes_and_capabilities_are_kept_once_and_in_order() {
    let builder = WorkerConfig::builder("w").lane("b").lanes(["a", "b"]).capabilities(["y", "x"]);
    let config = builder.build().expect("legal");
    assert_eq!(config.lanes().iter().map(|l| l.as_str()).collect::<Vec<_>>(), ["b", "a"]);
    assert_eq!(config.capabilities().len(), 2);
}

#[test]
fn values_out_of_bounds_are_named() {
    let w = || WorkerConfig::builder("w");
    assert_eq!(refused_field(WorkerConfig::builder("")), "worker_id");
    assert_eq!(refused_field(w().worker_instance_id("a b")), "worker_instance_id");
    assert_eq!(refused_field(w().namespace("a:b")), "namespace");
    assert_eq!(refused_field(w().lane("")), "lanes");
    assert_eq!(refused_field(w().lanes((0..33).map(|n| n.to_string()))), "lanes");
    assert_eq!(refused_field(w().capability("a,b")), "capabilities");
    assert_eq!(refused_field(w().capabilities((0..33).map(|n| n.to_string()))), "capabilities");
    assert_eq!(refused_field(w().lease_ttl_ms(999)), "lease_ttl_ms");
    assert_eq!(refused_field(w().idle_poll_ceiling_ms(0)), "idle_poll_ceiling_ms");
    assert_eq!(refused_field(w().max_concurrent_tasks(0)), "max_concurrent_tasks");
    let past = w().max_concurrent_tasks(CONCURRENT_TASKS_MAX + 1);
    assert_eq!(refused_field(past), "max_concurrent_tasks");
    assert_eq!(refused_field(w().drain_grace_ms(u64::MAX)), "drain_grace_ms");
    w().lease_ttl_ms(1_000).max_concurrent_tasks(CONCURRENT_TASKS_MAX).build().expect("the edge");
}

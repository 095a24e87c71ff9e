//! The registry of workers.

use crate::prelude::*;

fn registration(name: &str) -> RegisterWorker {
    RegisterWorker {
        worker: worker_offering(name, &["gpu"]),
        lanes: vec![lane("default")],
        ttl_ms: 10_000,
    }
}

async fn names(world: &World) -> Vec<String> {
    let workers = world.list_workers(Namespace::default()).await.expect("the workers");
    let name = |w: &RegisteredWorker| w.worker.worker_instance_id.as_str().to_owned();
    workers.iter().map(name).collect()
}

pub async fn a_registered_worker_is_listed(world: &World) {
    let request = registration("w");
    world.register_worker(request.clone()).await.expect("a registration");
    let workers = world.list_workers(Namespace::default()).await.expect("the workers");
    let expected = RegisteredWorker {
        worker: request.worker,
        lanes: request.lanes,
        registered_at: world.now(),
        seen_at: world.now(),
        expires_at: world.after(10_000),
    };
    assert_eq!(workers, [expected]);
}

pub async fn registering_again_prolongs_and_replaces(world: &World) {
    let begin = world.now();
    world.register_worker(registration("w")).await.expect("a registration");
    world.advance(9_999).await;
    let mut request = registration("w");
    request.lanes.push(lane("other"));
    world.register_worker(request.clone()).await.expect("a registration");
    let workers = world.list_workers(Namespace::default()).await.expect("the workers");
    assert_eq!(workers.len(), 1);
    assert_eq!((workers[0].registered_at, workers[0].seen_at), (begin, world.now()));
    assert_eq!((workers[0].expires_at, &workers[0].lanes), (world.after(10_000), &request.lanes));
}

pub async fn a_silent_worker_is_forgotten(world: &World) {
    world.register_worker(registration("w")).await.expect("a registration");
    world.advance(9_999).await;
    assert_eq!(names(world).await, ["w"]);
    world.advance(1).await;
    assert!(names(world).await.is_empty());
}

pub async fn a_worker_forgotten_and_back_is_registered_anew(world: &World) {
    world.register_worker(registration("w")).await.expect("a registration");
    world.advance(10_000).await;
    world.register_worker(registration("w")).await.expect("a registration");
    let workers = world.list_workers(Namespace::default()).await.expect("the workers");
    assert_eq!(workers[0].registered_at, world.now());
}

pub async fn deregister_worker_forgets_at_once(world: &World) {
    world.register_worker(registration("w")).await.expect("a registration");
    let instance = worker("w").worker_instance_id;
    world.deregister_worker(Namespace::default(), instance.clone()).await.expect("forgotten");
    assert!(names(world).await.is_empty());
    world.unchanged(world.deregister_worker(Namespace::default(), instance)).await;
}

pub async fn workers_are_listed_by_instance_and_namespace(world: &World) {
    for name in ["b", "c", "a"] {
        world.register_worker(registration(name)).await.expect("a registration");
    }
    let mut foreign = registration("d");
    foreign.worker.namespace = Namespace::new("tenant").expect("a legal namespace");
    world.register_worker(foreign).await.expect("a registration");
    assert_eq!(names(world).await, ["a", "b", "c"]);
}

pub async fn register_worker_refuses_values_past_their_bounds(world: &World) {
    let tokens: Vec<String> = (0..=CAPABILITIES_MAX).map(|n| format!("t{n}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let with_ttl = |ttl_ms| RegisterWorker { ttl_ms, ..registration("w") };
    let past = [
        with_ttl(0),
        with_ttl(999),
        with_ttl(WORKER_TTL_MS_MAX + 1),
        RegisterWorker { lanes: vec![lane("default"); CLAIM_LANES_MAX + 1], ..registration("w") },
        RegisterWorker { worker: worker_offering("w", &tokens), ..registration("w") },
    ];
    for request in past {
        let refusal = world.refuses(world.register_worker(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

//! Submissions with an idempotency key.

use crate::prelude::*;

const WINDOW_MS: u64 = 10_000;

/// A submission under a key, its id made in the key's home.
fn keyed(world: &World, key: &str) -> SubmitExecution {
    let item = world.item();
    let home = world.partitions().home(item.namespace.as_str(), key);
    SubmitExecution {
        execution_id: ExecutionId::generate(home),
        idempotency: Some(Idempotency { key: key.to_owned(), window_ms: WINDOW_MS }),
        ..item
    }
}

async fn submit(world: &World, item: SubmitExecution) -> ExecutionSubmitted {
    world.submit_execution(item).await.expect("a submission")
}

pub async fn submit_under_a_known_key_answers_the_first_id(world: &World) {
    let first = keyed(world, "order-7");
    submit(world, first.clone()).await;
    let second = SubmitExecution {
        input: "something else".into(),
        lane: lane("other"),
        ..keyed(world, "order-7")
    };
    let outcome = world.unchanged(world.submit_execution(second.clone())).await;
    let execution_id = first.execution_id;
    assert_eq!(outcome, ExecutionSubmitted::Duplicate { execution_id });
    let missing = world.describe_execution(second.execution_id).await;
    assert_matches!(missing, Err(EngineError::NotFound { .. }));
}

pub async fn submit_under_a_known_key_from_elsewhere_answers_the_first_id(world: &World) {
    let first = keyed(world, "order-7");
    submit(world, first.clone()).await;
    let outcome = submit(&world.elsewhere().await, keyed(world, "order-7")).await;
    let execution_id = first.execution_id;
    assert_eq!(outcome, ExecutionSubmitted::Duplicate { execution_id });
}

pub async fn a_key_answers_until_its_window_ends_and_no_longer(world: &World) {
    let first = keyed(world, "order-7");
    submit(world, first.clone()).await;
    world.advance(WINDOW_MS - 1).await;
    let execution_id = first.execution_id;
    let inside = submit(world, keyed(world, "order-7")).await;
    assert_eq!(inside, ExecutionSubmitted::Duplicate { execution_id });
    world.advance(1).await;
    let second = keyed(world, "order-7");
    let execution_id = second.execution_id;
    let outside = submit(world, second).await;
    assert_eq!(outside, ExecutionSubmitted::Created { execution_id });
    let third = submit(world, keyed(world, "order-7")).await;
    assert_eq!(third, ExecutionSubmitted::Duplicate { execution_id });
}

pub async fn a_duplicate_does_not_prolong_the_window(world: &World) {
    submit(world, keyed(world, "order-7")).await;
    world.advance(WINDOW_MS - 1).await;
    submit(world, keyed(world, "order-7")).await;
    world.advance(1).await;
    let outcome = submit(world, keyed(world, "order-7")).await;
    assert_matches!(outcome, ExecutionSubmitted::Created { .. });
}

pub async fn a_key_outlives_the_execution_that_it_names(world: &World) {
    let mut first = keyed(world, "order-7");
    first.policy.retention_ms = Some(RETENTION_MS_MIN);
    first.idempotency.as_mut().expect("a key").window_ms = RETENTION_MS_MIN * 2;
    submit(world, first.clone()).await;
    let mut claim = world.claim_request();
    claim.partition = first.execution_id.partition();
    let handle = world.claimed(claim).await.executions.remove(0).handle;
    world.complete_execution(complete(&handle)).await.expect("a completion");
    world.advance(RETENTION_MS_MIN).await;
    let outcome = submit(world, keyed(world, "order-7")).await;
    let execution_id = first.execution_id;
    assert_eq!(outcome, ExecutionSubmitted::Duplicate { execution_id });
}

pub async fn a_key_belongs_to_its_namespace(world: &World) {
    submit(world, keyed(world, "order-7")).await;
    let namespace = Namespace::new("tenant").expect("a legal namespace");
    let home = world.partitions().home("tenant", "order-7");
    let other = SubmitExecution {
        execution_id: ExecutionId::generate(home),
        namespace,
        ..keyed(world, "order-7")
    };
    assert_matches!(submit(world, other).await, ExecutionSubmitted::Created { .. });
}

pub async fn a_batch_under_one_key_makes_the_first_item(world: &World) {
    let (first, second) = (keyed(world, "order-7"), keyed(world, "order-7"));
    let execution_id = first.execution_id;
    let items = vec![first, second];
    let results = world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
    let outcomes: Vec<_> = results.into_iter().map(|r| r.expect("a submission")).collect();
    assert_eq!(
        outcomes,
        [
            ExecutionSubmitted::Created { execution_id },
            ExecutionSubmitted::Duplicate { execution_id }
        ]
    );
}

pub async fn a_refused_submission_does_not_use_up_its_key(world: &World) {
    let mut late = keyed(world, "order-7");
    late.policy.deadline = Some(When::After(0));
    world.refuses(world.submit_execution(late)).await;
    let outcome = submit(world, keyed(world, "order-7")).await;
    assert_matches!(outcome, ExecutionSubmitted::Created { .. });
}

pub async fn submit_refuses_a_key_or_window_past_its_bounds(world: &World) {
    let long = "x".repeat(IDEMPOTENCY_KEY_BYTES_MAX + 1);
    for bad in ["", "\u{0}", &long] {
        let refusal = world.refuses(world.submit_execution(keyed(world, bad))).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
    for window_ms in [0, IDEMPOTENCY_WINDOW_MS_MAX + 1] {
        let mut item = keyed(world, "order-7");
        item.idempotency.as_mut().expect("a key").window_ms = window_ms;
        let refusal = world.refuses(world.submit_execution(item)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn submit_refuses_an_id_outside_the_home_of_its_key(world: &World) {
    let item = keyed(world, "order-7");
    let home = item.execution_id.partition();
    let Some(elsewhere) = world.partitions().iter().find(|other| *other != home) else {
        return;
    };
    let item = SubmitExecution { execution_id: ExecutionId::generate(elsewhere), ..item };
    let refusal = world.refuses(world.submit_execution(item)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Id, .. });
}

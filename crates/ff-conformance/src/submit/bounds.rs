//! What a submission may not ask for.

use crate::prelude::*;

async fn refuses_argument(world: &World, item: SubmitExecution) {
    let refusal = world.refuses(world.submit_execution(item)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Argument, .. });
}

pub async fn submit_refuses_input_past_its_limit(world: &World) {
    for bytes in [PAYLOAD_BYTES_MAX + 1, 10 * 1024 * 1024] {
        let item = SubmitExecution { input: bytes_of(bytes), ..world.item() };
        let refusal = world.refuses(world.submit_execution(item)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::TooLarge, .. });
    }
}

pub async fn submit_takes_a_policy_at_its_bounds(world: &World) {
    let bounds = [
        world.item_with(|policy| policy.priority = PRIORITY_MAX),
        world.item_with(|policy| policy.priority = -PRIORITY_MAX),
        world.item_with(|policy| policy.start = Some(When::After(SPAN_MS_MAX))),
        world.item_with(|policy| policy.deadline = Some(When::After(SPAN_MS_MAX))),
        world.item_with(|policy| policy.attempt_timeout_ms = Some(1)),
        world.item_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)),
        world.item_with(|policy| policy.reclaims_max = Some(COUNT_CAP_MAX)),
        world.item_with(|policy| policy.retry = Some(retries(COUNT_CAP_MAX, BACKOFF_MS_MAX))),
    ];
    for item in bounds {
        let execution_id = world.submit_item(item.clone()).await;
        let stored = world.info(execution_id).await.policy;
        assert_eq!(stored, item.policy.resolve(&LaneDefaults::default()));
    }
}

pub async fn submit_refuses_a_priority_past_its_bounds(world: &World) {
    for priority in [PRIORITY_MAX + 1, -PRIORITY_MAX - 1, i32::MAX, i32::MIN] {
        refuses_argument(world, world.item_with(|policy| policy.priority = priority)).await;
    }
}

pub async fn submit_refuses_times_past_their_bounds(world: &World) {
    let far = TimestampMs::from_millis(TIMESTAMP_MS_MAX + 1);
    for when in [When::After(SPAN_MS_MAX + 1), When::After(u64::MAX), When::At(far)] {
        refuses_argument(world, world.item_with(|policy| policy.start = Some(when))).await;
        refuses_argument(world, world.item_with(|policy| policy.deadline = Some(when))).await;
    }
}

pub async fn submit_refuses_spans_past_their_bounds(world: &World) {
    for ms in [0, SPAN_MS_MAX + 1] {
        refuses_argument(world, world.item_with(|p| p.attempt_timeout_ms = Some(ms))).await;
        refuses_argument(world, world.item_with(|p| p.retention_ms = Some(ms))).await;
    }
    refuses_argument(world, world.item_with(|p| p.retention_ms = Some(RETENTION_MS_MIN - 1))).await;
}

pub async fn submit_refuses_a_retry_policy_past_its_bounds(world: &World) {
    let exponential = |growth_pct| RetryPolicy {
        backoff: Backoff::Exponential { initial_ms: 1, ceiling_ms: 10, growth_pct },
        ..RetryPolicy::default()
    };
    let jittered = RetryPolicy { jitter_pct: 101, ..RetryPolicy::default() };
    let past = [
        retries(COUNT_CAP_MAX + 1, 1),
        retries(1, BACKOFF_MS_MAX + 1),
        exponential(99),
        exponential(BACKOFF_GROWTH_PCT_MAX + 1),
        jittered,
    ];
    for retry in past {
        refuses_argument(world, world.item_with(|policy| policy.retry = Some(retry))).await;
    }
}

pub async fn submit_refuses_too_many_labels(world: &World) {
    let many = |count: usize| (0..count).map(|n| format!("t{n}")).collect::<Vec<_>>();
    let tokens = many(CAPABILITIES_MAX + 1);
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let required = capabilities(&tokens);
    refuses_argument(world, world.item_with(|p| p.required_capabilities = required)).await;
    let tags = many(TAGS_MAX + 1).into_iter().map(|key| (key, String::new())).collect();
    refuses_argument(world, world.item_with(|policy| policy.tags = tags)).await;
    let budget_id = budget(None, None).budget_id;
    let budgets = vec![budget_id; EXECUTION_BUDGETS_MAX + 1];
    refuses_argument(world, world.item_with(|policy| policy.budgets = budgets)).await;
}

pub async fn submit_refuses_malformed_tags(world: &World) {
    let long = "x".repeat(TAG_VALUE_BYTES_MAX + 1);
    for (key, value) in [("", "v"), ("a b", "v"), ("a:b", "v"), ("k", "\u{7}"), ("k", &long)] {
        let tags = [(key.to_owned(), value.to_owned())].into();
        let item = world.item_with(|policy| policy.tags = tags);
        let refusal = world.refuses(world.submit_execution(item)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn submit_refuses_a_partition_that_the_store_lacks(world: &World) {
    let count = world.partitions().count();
    let Ok(foreign) = Partition::new(count) else {
        return;
    };
    let item = SubmitExecution { execution_id: ExecutionId::generate(foreign), ..world.item() };
    let refusal = world.refuses(world.submit_execution(item)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Id, .. });
}

pub async fn submit_refuses_a_durability_it_cannot_confirm(world: &World) {
    for durability in [Durability::Aof, Durability::Replicas(1)] {
        refuses_argument(world, SubmitExecution { durability, ..world.item() }).await;
    }
}

pub async fn submit_refuses_a_batch_past_its_limit(world: &World) {
    let request = SubmitExecutions { items: vec![world.item(); SUBMIT_ITEMS_MAX + 1] };
    let refusal = world.refuses(world.submit_executions(request)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Argument, .. });
}

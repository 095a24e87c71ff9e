//! Budgets and reports that are refused.

use crate::prelude::*;

pub async fn create_budget_refuses_limits_past_their_bounds(world: &World) {
    let with = |limits| CreateBudget { limits, ..budget(None, None) };
    let many = (0..=BUDGET_DIMENSIONS_MAX)
        .map(|n| (dimension(&format!("d{n}")), DimensionLimits::default()))
        .collect();
    let past = [
        with([].into()),
        with(many),
        budget(Some(2), Some(1)),
        budget(Some(USAGE_MAX + 1), None),
        budget(None, Some(USAGE_MAX + 1)),
    ];
    for request in past {
        let refusal = world.refuses(world.create_budget(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
    world.budget(budget(Some(USAGE_MAX), Some(USAGE_MAX))).await;
}

pub async fn create_budget_refuses_a_known_id_with_other_limits(world: &World) {
    let request = budget(Some(1), None);
    let budget_id = world.budget(request.clone()).await;
    let other = CreateBudget { budget_id, ..budget(Some(2), None) };
    let refusal = world.refuses(world.create_budget(other)).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::BudgetExists { budget_id: id }) if id == budget_id
    );
}

pub async fn report_usage_refuses_values_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let many = vec![("tokens", 1); BUDGET_DIMENSIONS_MAX + 1];
    let mut long_key = usage(budget_id, &handle, &[("tokens", 1)]);
    long_key.dedup_key = Some("x".repeat(DEDUP_KEY_BYTES_MAX + 1));
    let past = [
        usage(budget_id, &handle, &[]),
        usage(budget_id, &handle, &many),
        usage(budget_id, &handle, &[("tokens", USAGE_MAX + 1)]),
        usage(budget_id, &handle, &[("tokens", u64::MAX), ("tokens", 1)]),
        long_key,
    ];
    for request in past {
        let refusal = world.refuses(world.report_usage_and_check(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn report_usage_refuses_a_sum_that_cannot_be_counted(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let most = usage(budget_id, &handle, &[("tokens", USAGE_MAX)]);
    world.report_usage_and_check(most).await.expect("a report");
    let more = usage(budget_id, &handle, &[("calls", 1), ("tokens", 1)]);
    let refusal = world.refuses(world.report_usage_and_check(more)).await;
    assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::UsageOverflow, .. });
    let info = world.describe_budget(budget_id).await.expect("a budget");
    assert_eq!(info.usage.get(&dimension("tokens")), Some(&USAGE_MAX));
}

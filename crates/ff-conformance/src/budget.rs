//! Budget: what work spends, counted once.

mod bounds;
mod repeat;

pub use bounds::*;
pub use repeat::*;

use crate::prelude::*;

async fn spent(world: &World, budget_id: BudgetId, name: &str) -> Option<u64> {
    let info = world.describe_budget(budget_id).await.expect("a budget");
    info.usage.get(&dimension(name)).copied()
}

async fn reports(world: &World, request: ReportUsageAndCheck) -> ReportUsageResult {
    world.report_usage_and_check(request).await.expect("a report")
}

pub async fn create_budget_makes_an_empty_one(world: &World) {
    let request = budget(Some(10), Some(20));
    world.create_budget(request.clone()).await.expect("a budget");
    let info = world.describe_budget(request.budget_id).await.expect("a budget");
    let expected = BudgetInfo {
        budget_id: request.budget_id,
        limits: request.limits,
        usage: info.usage.clone(),
        created_at: world.now(),
    };
    assert_eq!(info, expected);
    assert!(info.usage.values().all(|used| *used == 0));
}

pub async fn report_usage_counts_every_dimension(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, Some(100))).await;
    let spent_now = [("tokens", 40), ("calls", 1)];
    assert_eq!(reports(world, usage(budget_id, &handle, &spent_now)).await, ReportUsageResult::Ok);
    assert_eq!(reports(world, usage(budget_id, &handle, &spent_now)).await, ReportUsageResult::Ok);
    assert_eq!(spent(world, budget_id, "tokens").await, Some(80));
    assert_eq!(spent(world, budget_id, "calls").await, Some(2));
}

pub async fn a_report_at_the_limit_is_within_it(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(Some(10), Some(20))).await;
    let report = async |n| reports(world, usage(budget_id, &handle, &[("tokens", n)])).await;
    assert_eq!(report(10).await, ReportUsageResult::Ok);
    let soft = ReportUsageResult::SoftBreach {
        dimension: dimension("tokens"),
        current_usage: 20,
        soft_limit: 10,
    };
    assert_eq!(report(10).await, soft);
    let hard = ReportUsageResult::HardBreach {
        dimension: dimension("tokens"),
        current_usage: 21,
        hard_limit: 20,
    };
    assert_eq!(report(1).await, hard);
}

pub async fn usage_past_a_hard_limit_is_counted_too(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, Some(5))).await;
    for n in 1..=3 {
        let outcome = reports(world, usage(budget_id, &handle, &[("tokens", 10)])).await;
        assert_eq!(
            outcome,
            ReportUsageResult::HardBreach {
                dimension: dimension("tokens"),
                current_usage: 10 * n,
                hard_limit: 5,
            }
        );
    }
    assert_eq!(spent(world, budget_id, "tokens").await, Some(30));
}

pub async fn the_first_hard_breach_is_told_before_any_soft_one(world: &World) {
    let handle = world.started().await.handle;
    let limits = |soft, hard| DimensionLimits { soft, hard };
    let request = CreateBudget {
        limits: [
            (dimension("a"), limits(Some(1), None)),
            (dimension("b"), limits(None, Some(1))),
            (dimension("c"), limits(Some(1), Some(1))),
        ]
        .into(),
        ..budget(None, None)
    };
    let budget_id = world.budget(request).await;
    let all = [("c", 5), ("a", 5), ("b", 5)];
    let outcome = reports(world, usage(budget_id, &handle, &all)).await;
    assert_matches!(outcome, ReportUsageResult::HardBreach { dimension: d, .. }
        if d == dimension("c"));
    let soft = [("free", 5), ("a", 5)];
    let outcome = reports(world, usage(budget_id, &handle, &soft)).await;
    assert_matches!(outcome, ReportUsageResult::SoftBreach { dimension: d, current_usage: 10, .. }
        if d == dimension("a"));
}

pub async fn a_dimension_named_twice_is_summed_first(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, Some(10))).await;
    let twice = [("tokens", 6), ("calls", 1), ("tokens", 6)];
    let outcome = reports(world, usage(budget_id, &handle, &twice)).await;
    assert_eq!(
        outcome,
        ReportUsageResult::HardBreach {
            dimension: dimension("tokens"),
            current_usage: 12,
            hard_limit: 10,
        }
    );
    assert_eq!(spent(world, budget_id, "tokens").await, Some(12));
}

pub async fn usage_of_an_unknown_budget_is_refused_and_leaves_nothing(world: &World) {
    let handle = world.started().await.handle;
    let unknown = budget(None, None).budget_id;
    let request = usage(unknown, &handle, &[("tokens", 1)]);
    let refusal = world.refuses(world.report_usage_and_check(request)).await;
    assert_matches!(refusal, EngineError::NotFound { entity: Entity::Budget(id) } if id == unknown);
    let refusal = world.refuses(world.describe_budget(unknown)).await;
    assert_matches!(refusal, EngineError::NotFound { entity: Entity::Budget(id) } if id == unknown);
}

pub async fn usage_of_a_zombie_is_counted_until_its_heir_reports(world: &World) {
    let zombie = world.started().await.handle;
    let heir = world.reclaimed().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let of = |handle: &Handle| usage(budget_id, handle, &[("tokens", 5)]);
    assert_eq!(reports(world, of(&zombie)).await, ReportUsageResult::Ok);
    assert_eq!(reports(world, of(&heir)).await, ReportUsageResult::Ok);
    let refusal = world.refuses(world.report_usage_and_check(of(&zombie))).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::StaleLease {
            held: LeaseEpoch(1),
            current: LeaseEpoch(2),
            ..
        })
    );
    assert_eq!(spent(world, budget_id, "tokens").await, Some(10));
}

pub async fn the_fence_is_forgotten_after_a_week(world: &World) {
    let zombie = world.started().await.handle;
    let heir = world.reclaimed().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let of = |handle: &Handle| usage(budget_id, handle, &[("tokens", 5)]);
    assert_eq!(reports(world, of(&heir)).await, ReportUsageResult::Ok);
    world.advance(USAGE_MEMORY_MS - 1).await;
    world.refuses(world.report_usage_and_check(of(&zombie))).await;
    world.advance(1).await;
    assert_eq!(reports(world, of(&zombie)).await, ReportUsageResult::Ok);
}

pub async fn the_fence_is_kept_for_each_execution_by_itself(world: &World) {
    world.started().await;
    let heir = world.reclaimed().await.handle;
    let other = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    for handle in [&heir, &other] {
        let outcome = reports(world, usage(budget_id, handle, &[("tokens", 5)])).await;
        assert_eq!(outcome, ReportUsageResult::Ok);
    }
}

pub async fn usage_reported_after_the_end_is_counted(world: &World) {
    let handle = world.finished().await;
    let budget_id = world.budget(budget(None, None)).await;
    let outcome = reports(world, usage(budget_id, &handle, &[("tokens", 5)])).await;
    assert_eq!(outcome, ReportUsageResult::Ok);
    assert_eq!(spent(world, budget_id, "tokens").await, Some(5));
}

pub async fn reports_that_race_are_all_counted(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let other = world.elsewhere().await;
    let report = || usage(budget_id, &handle, &[("tokens", 5)]);
    let (one, two) = futures::join!(reports(world, report()), reports(&other, report()));
    assert_eq!((one, two), (ReportUsageResult::Ok, ReportUsageResult::Ok));
    assert_eq!(spent(world, budget_id, "tokens").await, Some(10));
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __budget_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            budget {
                create_budget_makes_an_empty_one
                report_usage_counts_every_dimension
                a_report_at_the_limit_is_within_it
                usage_past_a_hard_limit_is_counted_too
                the_first_hard_breach_is_told_before_any_soft_one
                a_dimension_named_twice_is_summed_first
                usage_of_an_unknown_budget_is_refused_and_leaves_nothing
                usage_of_a_zombie_is_counted_until_its_heir_reports
                the_fence_is_forgotten_after_a_week
                the_fence_is_kept_for_each_execution_by_itself
                usage_reported_after_the_end_is_counted
                reports_that_race_are_all_counted
                create_budget_refuses_limits_past_their_bounds
                create_budget_refuses_a_known_id_with_other_limits
                report_usage_refuses_values_past_their_bounds
                report_usage_refuses_a_sum_that_cannot_be_counted
                create_budget_repeated_changes_nothing
                report_usage_repeated_answers_the_first_result
                report_usage_repeated_by_a_zombie_answers_the_first_result
                a_dedup_key_is_counted_once
                a_dedup_key_is_known_before_the_fence
                a_dedup_key_belongs_to_its_budget
                an_empty_dedup_key_is_no_dedup_key
                a_dedup_key_is_forgotten_after_a_week
            }
        }
    };
}

//! Budgets that are made twice, and usage that is reported twice.

use crate::prelude::*;

fn keyed(budget_id: BudgetId, handle: &Handle, key: &str) -> ReportUsageAndCheck {
    ReportUsageAndCheck {
        dedup_key: Some(key.to_owned()),
        ..usage(budget_id, handle, &[("tokens", 8)])
    }
}

pub async fn create_budget_repeated_changes_nothing(world: &World) {
    let handle = world.started().await.handle;
    let request = budget(Some(1), Some(9));
    world.create_budget(request.clone()).await.expect("a budget");
    let report = usage(request.budget_id, &handle, &[("tokens", 1)]);
    world.report_usage_and_check(report).await.expect("a report");
    world.advance(10).await;
    world.unchanged(world.create_budget(request)).await;
}

pub async fn report_usage_repeated_answers_the_first_result(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, Some(10))).await;
    let first = usage(budget_id, &handle, &[("tokens", 8)]);
    let second = usage(budget_id, &handle, &[("tokens", 8)]);
    let mut answers = Vec::new();
    for request in [&first, &second] {
        answers.push(world.report_usage_and_check(request.clone()).await.expect("a report"));
    }
    assert_matches!(&answers[1], ReportUsageResult::HardBreach { current_usage: 16, .. });
    world.advance(1_000).await;
    for (request, answer) in [first, second].into_iter().zip(answers) {
        assert_eq!(world.unchanged(world.report_usage_and_check(request)).await, answer);
    }
}

pub async fn report_usage_repeated_by_a_zombie_answers_the_first_result(world: &World) {
    let zombie = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let request = usage(budget_id, &zombie, &[("tokens", 8)]);
    let first = world.report_usage_and_check(request.clone()).await.expect("a report");
    let heir = world.reclaimed().await.handle;
    let by_heir = usage(budget_id, &heir, &[("tokens", 1)]);
    world.report_usage_and_check(by_heir).await.expect("a report");
    assert_eq!(world.unchanged(world.report_usage_and_check(request)).await, first);
}

pub async fn a_dedup_key_is_counted_once(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let first = keyed(budget_id, &handle, "call-7");
    let answer = world.report_usage_and_check(first.clone()).await.expect("a report");
    assert_eq!(answer, ReportUsageResult::Ok);
    let second = keyed(budget_id, &handle, "call-7");
    let again = world.report_usage_and_check(second.clone()).await.expect("a report");
    assert_eq!(again, ReportUsageResult::AlreadyApplied);
    let info = world.describe_budget(budget_id).await.expect("a budget");
    assert_eq!(info.usage.get(&dimension("tokens")), Some(&8));
    let third = world.unchanged(world.report_usage_and_check(first)).await;
    assert_eq!(third, ReportUsageResult::Ok);
    let fourth = world.unchanged(world.report_usage_and_check(second)).await;
    assert_eq!(fourth, ReportUsageResult::AlreadyApplied);
}

pub async fn a_dedup_key_is_known_before_the_fence(world: &World) {
    let zombie = world.started().await.handle;
    let heir = world.reclaimed().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    world.report_usage_and_check(keyed(budget_id, &heir, "call-7")).await.expect("a report");
    let again = world.report_usage_and_check(keyed(budget_id, &zombie, "call-7")).await;
    assert_matches!(again, Ok(ReportUsageResult::AlreadyApplied));
}

pub async fn a_dedup_key_belongs_to_its_budget(world: &World) {
    let handle = world.started().await.handle;
    for _ in 0..2 {
        let budget_id = world.budget(budget(None, None)).await;
        let outcome = world.report_usage_and_check(keyed(budget_id, &handle, "call-7")).await;
        assert_matches!(outcome, Ok(ReportUsageResult::Ok));
    }
}

pub async fn an_empty_dedup_key_is_no_dedup_key(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    for _ in 0..2 {
        let outcome = world.report_usage_and_check(keyed(budget_id, &handle, "")).await;
        assert_matches!(outcome, Ok(ReportUsageResult::Ok));
    }
}

pub async fn a_dedup_key_is_forgotten_after_a_week(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, None)).await;
    let report = async || world.report_usage_and_check(keyed(budget_id, &handle, "k")).await;
    assert_matches!(report().await, Ok(ReportUsageResult::Ok));
    world.advance(USAGE_MEMORY_MS - 1).await;
    assert_matches!(report().await, Ok(ReportUsageResult::AlreadyApplied));
    world.advance(1).await;
    assert_matches!(report().await, Ok(ReportUsageResult::Ok));
}

//! Budget: count usage once, fenced by the highest epoch seen.

use crate::store::{BudgetStore, UsageMemory};
use ff_core::contracts::budget::*;
use ff_core::error::{ConflictKind, Entity, ValidationKind};
use ff_core::limits::{BUDGET_USAGE_DIMENSIONS_MAX, USAGE_MAX, USAGE_MEMORY_MS};
use ff_core::{BudgetId, Dimension, EngineError, EngineResult, TimestampMs};
use std::collections::BTreeMap;

/// Makes a budget, or finds that it is there already.
pub fn create(
    store: &mut impl BudgetStore,
    request: &CreateBudget,
    now: TimestampMs,
) -> EngineResult<()> {
    let budget_id = request.budget_id;
    match store.budget(budget_id) {
        Some(known) if known.limits == request.limits => Ok(()),
        Some(_) => Err(ConflictKind::BudgetExists { budget_id }.into()),
        None => {
            store.put_budget(BudgetInfo {
                budget_id,
                limits: request.limits.clone(),
                usage: BTreeMap::new(),
                created_at: now,
            });
            Ok(())
        }
    }
}

/// Describes a budget.
pub fn describe(store: &impl BudgetStore, budget_id: BudgetId) -> EngineResult<BudgetInfo> {
    let entity = Entity::Budget(budget_id);
    store.budget(budget_id).ok_or(EngineError::NotFound { entity })
}

/// Counts usage, once.
pub fn report(
    store: &mut impl BudgetStore,
    request: &ReportUsageAndCheck,
    now: TimestampMs,
) -> EngineResult<ReportUsageResult> {
    let budget_id = request.budget_id;
    let mut info = describe(store, budget_id)?;
    let open = |expires_at: TimestampMs| expires_at > now;
    let first = store.reported(budget_id, request.mutation_id).filter(|first| open(first.1));
    if let Some((first, _)) = first {
        return Ok(first);
    }
    let key_expiry = request.dedup_key().and_then(|key| store.usage_key(budget_id, key));
    if key_expiry.is_some_and(open) {
        return Ok(ReportUsageResult::AlreadyApplied);
    }
    let (execution_id, held) = (request.handle.execution_id(), request.handle.lease_epoch());
    let seen = store.usage_epoch(budget_id, execution_id).filter(|seen| open(seen.1));
    if let Some((current, _)) = seen.filter(|(epoch, _)| *epoch > held) {
        return Err(ConflictKind::StaleLease { execution_id, held, current }.into());
    }
    let sums = request.summed();
    count(&mut info, &sums)?;
    let result = compare(&info, &sums);
    store.put_budget(info);
    store.remember_usage(UsageMemory {
        budget_id,
        mutation_id: request.mutation_id,
        result: result.clone(),
        dedup_key: request.dedup_key().map(str::to_owned),
        execution_id,
        lease_epoch: held,
        expires_at: now.plus_ms(USAGE_MEMORY_MS),
    });
    Ok(result)
}

fn count(info: &mut BudgetInfo, sums: &[(Dimension, u64)]) -> EngineResult<()> {
    let overflow = |detail| Err(EngineError::validation(ValidationKind::UsageOverflow, detail));
    for (dimension, amount) in sums {
        let usage = info.usage.entry(dimension.clone()).or_insert(0);
        *usage = usage.saturating_add(*amount);
        if *usage > USAGE_MAX {
            return overflow(format!("usage of {dimension} would pass {USAGE_MAX}"));
        }
    }
    if info.usage.len() > BUDGET_USAGE_DIMENSIONS_MAX {
        let limit = BUDGET_USAGE_DIMENSIONS_MAX;
        return overflow(format!("a budget counts at most {limit} dimensions"));
    }
    Ok(())
}

fn compare(info: &BudgetInfo, sums: &[(Dimension, u64)]) -> ReportUsageResult {
    let past = |soft: bool| {
        sums.iter().find_map(|(dimension, _)| {
            let limits = info.limits.get(dimension)?;
            let limit = if soft { limits.soft } else { limits.hard }?;
            let usage = *info.usage.get(dimension)?;
            (usage > limit).then(|| (dimension.clone(), usage, limit))
        })
    };
    if let Some((dimension, current_usage, hard_limit)) = past(false) {
        return ReportUsageResult::HardBreach { dimension, current_usage, hard_limit };
    }
    match past(true) {
        Some((dimension, current_usage, soft_limit)) => {
            ReportUsageResult::SoftBreach { dimension, current_usage, soft_limit }
        }
        None => ReportUsageResult::Ok,
    }
}

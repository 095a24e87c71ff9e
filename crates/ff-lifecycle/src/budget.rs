//! Budget: count usage once, fenced by the highest epoch seen.

use ff_core::contracts::budget::*;
use ff_core::error::{ConflictKind, ValidationKind};
use ff_core::limits::{BUDGET_USAGE_DIMENSIONS_MAX, USAGE_MAX, USAGE_MEMORY_MS};
use ff_core::{EngineError, EngineResult, ExecutionId, LeaseEpoch, MutationId, TimestampMs};
use std::collections::BTreeMap;

/// A budget and what it remembers of reports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Limits and usage.
    pub info: BudgetInfo,
    /// Results by call.
    pub mutations: BTreeMap<MutationId, (ReportUsageResult, TimestampMs)>,
    /// Dedup keys that were reported.
    pub keys: BTreeMap<String, TimestampMs>,
    /// Highest epoch seen of each execution.
    pub epochs: BTreeMap<ExecutionId, (LeaseEpoch, TimestampMs)>,
}

/// Makes a budget, or finds that it is there already.
pub fn create(
    known: Option<&Budget>,
    request: &CreateBudget,
    now: TimestampMs,
) -> EngineResult<Option<Budget>> {
    let Some(known) = known else {
        let info = BudgetInfo {
            budget_id: request.budget_id,
            limits: request.limits.clone(),
            usage: BTreeMap::new(),
            created_at: now,
        };
        return Ok(Some(Budget {
            info,
            mutations: BTreeMap::new(),
            keys: BTreeMap::new(),
            epochs: BTreeMap::new(),
        }));
    };
    if known.info.limits == request.limits {
        return Ok(None);
    }
    Err(ConflictKind::BudgetExists { budget_id: request.budget_id }.into())
}

/// Counts usage; `None` instead of a budget means that nothing is to be written.
pub fn report(
    budget: &Budget,
    request: &ReportUsageAndCheck,
    now: TimestampMs,
) -> EngineResult<(ReportUsageResult, Option<Budget>)> {
    let open = |expires_at: TimestampMs| expires_at > now;
    if let Some((first, _)) = budget.mutations.get(&request.mutation_id).filter(|m| open(m.1)) {
        return Ok((first.clone(), None));
    }
    if request.dedup_key().is_some_and(|key| budget.keys.get(key).is_some_and(|at| open(*at))) {
        return Ok((ReportUsageResult::AlreadyApplied, None));
    }
    let execution_id = request.handle.execution_id();
    let held = request.handle.lease_epoch();
    let seen = budget.epochs.get(&execution_id).filter(|seen| open(seen.1)).map(|seen| seen.0);
    if let Some(current) = seen.filter(|seen| *seen > held) {
        return Err(ConflictKind::StaleLease { execution_id, held, current }.into());
    }
    let mut next = budget.clone();
    let sums = request.summed();
    for (dimension, amount) in &sums {
        let usage = next.info.usage.entry(dimension.clone()).or_insert(0);
        *usage = usage.saturating_add(*amount);
        if *usage > USAGE_MAX {
            return Err(EngineError::validation(
                ValidationKind::UsageOverflow,
                format!("usage of {dimension} would pass {USAGE_MAX}"),
            ));
        }
    }
    if next.info.usage.len() > BUDGET_USAGE_DIMENSIONS_MAX {
        return Err(EngineError::validation(
            ValidationKind::UsageOverflow,
            format!("a budget counts at most {BUDGET_USAGE_DIMENSIONS_MAX} dimensions"),
        ));
    }
    let result = next.compare(&sums);
    next.remember(request, &result, now);
    Ok((result, Some(next)))
}

impl Budget {
    fn compare(&self, sums: &[(ff_core::Dimension, u64)]) -> ReportUsageResult {
        let past = |soft: bool| {
            sums.iter().find_map(|(dimension, _)| {
                let limits = self.info.limits.get(dimension)?;
                let limit = if soft { limits.soft } else { limits.hard }?;
                let usage = *self.info.usage.get(dimension)?;
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

    fn remember(
        &mut self,
        request: &ReportUsageAndCheck,
        result: &ReportUsageResult,
        now: TimestampMs,
    ) {
        self.mutations.retain(|_, (_, expires_at)| *expires_at > now);
        self.keys.retain(|_, expires_at| *expires_at > now);
        self.epochs.retain(|_, (_, expires_at)| *expires_at > now);
        let until = now.plus_ms(USAGE_MEMORY_MS);
        self.mutations.insert(request.mutation_id, (result.clone(), until));
        if let Some(key) = request.dedup_key() {
            self.keys.insert(key.to_owned(), until);
        }
        let handle = &request.handle;
        self.epochs.insert(handle.execution_id(), (handle.lease_epoch(), until));
    }
}

//! Budget: count what work spends, against limits.
//!
//! Usage is money already spent: it is counted whatever the limits say, once a report, and fenced
//! at the budget by the highest epoch that the budget has seen of each execution.

use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::handle::Handle;
use crate::ids::{BudgetId, MutationId};
use crate::limits::{BUDGET_DIMENSIONS_MAX, DEDUP_KEY_BYTES_MAX, USAGE_MAX};
use crate::name::{Dimension, check_label};
use crate::policy::{at_most, between};
use crate::time::TimestampMs;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;

/// The limits of one dimension; either may be absent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DimensionLimits {
    /// Past this a report answers `SoftBreach`.
    pub soft: Option<u64>,
    /// Past this a report answers `HardBreach`.
    pub hard: Option<u64>,
}

/// Makes a budget.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreateBudget {
    /// The budget.
    pub budget_id: BudgetId,
    /// 1 to 32 dimensions, each with its limits; the soft limit is at most the hard one.
    pub limits: BTreeMap<Dimension, DimensionLimits>,
}

/// A budget as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BudgetInfo {
    /// The budget.
    pub budget_id: BudgetId,
    /// The limits of each dimension that has any.
    pub limits: BTreeMap<Dimension, DimensionLimits>,
    /// What was reported so far, dimensions without limits included.
    pub usage: BTreeMap<Dimension, u64>,
    /// When it was made.
    pub created_at: TimestampMs,
}

/// Counts usage and compares it with the limits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportUsageAndCheck {
    /// The budget.
    pub budget_id: BudgetId,
    /// The claim that spent it.
    pub handle: Handle,
    /// This call.
    pub mutation_id: MutationId,
    /// A second report with this key is `AlreadyApplied`. At most 256 bytes; an empty key is none.
    pub dedup_key: Option<String>,
    /// What was spent, 1 to 32 entries; a dimension named twice is summed first.
    pub usage: Vec<(Dimension, u64)>,
}

/// The outcome of a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReportUsageResult {
    /// Counted, within every limit.
    Ok,
    /// The dedup key was reported before; nothing was counted.
    AlreadyApplied,
    /// Counted; past a soft limit.
    SoftBreach {
        /// The first dimension in the caller's order past its soft limit.
        dimension: Dimension,
        /// The usage after this report.
        current_usage: u64,
        /// The limit.
        soft_limit: u64,
    },
    /// Counted; past a hard limit.
    HardBreach {
        /// The first dimension in the caller's order past its hard limit.
        dimension: Dimension,
        /// The usage after this report.
        current_usage: u64,
        /// The limit.
        hard_limit: u64,
    },
}

impl CreateBudget {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        let count = self.limits.len() as u64;
        between("budget dimensions", count, 1, BUDGET_DIMENSIONS_MAX as u64)?;
        for (dimension, limits) in &self.limits {
            at_most("soft limit", limits.soft.unwrap_or(0), USAGE_MAX)?;
            at_most("hard limit", limits.hard.unwrap_or(0), USAGE_MAX)?;
            if limits.soft.zip(limits.hard).is_some_and(|(soft, hard)| soft > hard) {
                return Err(EngineError::validation(
                    ValidationKind::Argument,
                    format!("soft limit of {dimension} is above its hard limit"),
                ));
            }
        }
        Ok(())
    }
}

impl ReportUsageAndCheck {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        let count = self.usage.len() as u64;
        between("usage entries", count, 1, BUDGET_DIMENSIONS_MAX as u64)?;
        let key = self.dedup_key.as_deref().unwrap_or("");
        check_label("dedup key", key, DEDUP_KEY_BYTES_MAX)?;
        self.summed()
            .into_iter()
            .try_for_each(|(_, amount)| at_most("usage amount", amount, USAGE_MAX))
    }

    /// Returns the dedup key unless it is absent or empty.
    pub fn dedup_key(&self) -> Option<&str> {
        self.dedup_key.as_deref().filter(|key| !key.is_empty())
    }

    /// Returns each dimension once, in the caller's order, with its sum.
    pub fn summed(&self) -> Vec<(Dimension, u64)> {
        let mut sums: Vec<(Dimension, u64)> = Vec::with_capacity(self.usage.len());
        for (dimension, amount) in &self.usage {
            match sums.iter_mut().find(|(known, _)| known == dimension) {
                Some((_, sum)) => *sum = sum.saturating_add(*amount),
                None => sums.push((dimension.clone(), *amount)),
            }
        }
        sums
    }
}

/// Keeps budgets.
#[async_trait::async_trait]
pub trait BudgetBackend: Send + Sync + fmt::Debug {
    /// Makes a budget. The same id with the same limits is fine, with others
    /// `Conflict(BudgetExists)`.
    async fn create_budget(&self, request: CreateBudget) -> EngineResult<()>;

    /// Describes a budget.
    async fn describe_budget(&self, budget_id: BudgetId) -> EngineResult<BudgetInfo>;

    /// Counts usage. In this order: an unknown budget is `NotFound`; the same mutation id answers
    /// the first result; a dedup key that is known (within 7 days) answers `AlreadyApplied`; an
    /// epoch below the highest that the budget has seen of the execution is `StaleLease`; a sum
    /// past 2^53 - 1, or a 65th dimension, is refused; then it is counted and compared.
    async fn report_usage_and_check(
        &self,
        request: ReportUsageAndCheck,
    ) -> EngineResult<ReportUsageResult>;
}

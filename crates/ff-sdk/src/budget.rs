//! Budget: report what the work has spent.

use crate::error::SdkError;
use crate::resend::send;
use crate::task::ClaimedTask;
use ff_core::contracts::budget::{ReportUsageAndCheck, ReportUsageResult};
use ff_core::ids::{BudgetId, MutationId};
use ff_core::name::Dimension;

impl ClaimedTask {
    /// Counts usage against a budget, whatever its limits, and tells the first dimension past one.
    /// A dimension named twice is summed first. A second report with the same dedup key is
    /// `AlreadyApplied`; an empty key is no key.
    pub async fn report_usage(
        &self,
        budget_id: &BudgetId,
        usage: &[(&str, u64)],
        dedup_key: Option<&str>,
    ) -> Result<ReportUsageResult, SdkError> {
        let usage = usage
            .iter()
            .map(|(dimension, amount)| Ok((Dimension::new(dimension)?, *amount)))
            .collect::<Result<_, ff_core::EngineError>>()
            .map_err(|error| SdkError::config("report_usage", "usage", error.to_string()))?;
        let request = ReportUsageAndCheck {
            budget_id: *budget_id,
            handle: self.handle().clone(),
            mutation_id: MutationId::generate(),
            dedup_key: dedup_key.filter(|key| !key.is_empty()).map(str::to_owned),
            usage,
        };
        let report = || self.backend().report_usage_and_check(request.clone());
        Ok(send(&**self.clock(), report).await?)
    }
}

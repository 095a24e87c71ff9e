//! Budget: on partitions of their own.

use crate::args::{optional, text};
use crate::backend::ValkeyBackend;
use bytes::Bytes;
use ff_core::contracts::BudgetBackend;
use ff_core::contracts::budget::*;
use ff_core::error::EngineResult;
use ff_core::ids::BudgetId;
use ff_core::keys::budget_base;
use ff_core::name::Dimension;
use ff_script::functions::{CREATE_BUDGET, DESCRIBE_BUDGET, REPORT_USAGE_AND_CHECK};
use ff_script::{Fields, Subject};

/// Writes the id of a budget without its partition, which is the base's.
fn budget(id: BudgetId) -> Bytes {
    text(id.uuid().as_hyphenated())
}

fn dimension(row: &mut Fields) -> EngineResult<Dimension> {
    row.parsed("dimension", "a dimension")
}

#[async_trait::async_trait]
impl BudgetBackend for ValkeyBackend {
    async fn create_budget(&self, request: CreateBudget) -> EngineResult<()> {
        request.check()?;
        let id = request.budget_id;
        let limits = request.limits.iter();
        let groups: Vec<Bytes> = limits
            .flat_map(|(name, limits)| [text(name), optional(limits.soft), optional(limits.hard)])
            .collect();
        let base = budget_base(id.partition());
        let subject = Subject::budget(id, None);
        self.caller.ok(&CREATE_BUDGET, &base, [budget(id)], &groups, &subject).await?;
        Ok(())
    }

    async fn describe_budget(&self, budget_id: BudgetId) -> EngineResult<BudgetInfo> {
        let base = budget_base(budget_id.partition());
        let subject = Subject::budget(budget_id, None);
        let arguments = [budget(budget_id)];
        let mut fields = self.caller.ok(&DESCRIBE_BUDGET, &base, arguments, &[], &subject).await?;
        let created_at = fields.time("created_at")?;
        let limits = fields.list("limits", |row| {
            let name = dimension(row)?;
            let soft = row.optional_u64("soft")?;
            let hard = row.optional_u64("hard")?;
            Ok((name, DimensionLimits { soft, hard }))
        })?;
        let usage = fields.list("usage", |row| Ok((dimension(row)?, row.u64("amount")?)))?;
        Ok(BudgetInfo {
            budget_id,
            limits: limits.into_iter().collect(),
            usage: usage.into_iter().collect(),
            created_at,
        })
    }

    async fn report_usage_and_check(
        &self,
        request: ReportUsageAndCheck,
    ) -> EngineResult<ReportUsageResult> {
        request.check()?;
        let id = request.budget_id;
        let execution_id = request.handle.execution_id();
        let arguments = [
            budget(id),
            text(execution_id),
            text(request.handle.lease_epoch()),
            text(request.mutation_id),
            text(request.dedup_key().unwrap_or("")),
        ];
        let summed = request.summed();
        let groups: Vec<Bytes> =
            summed.iter().flat_map(|(name, amount)| [text(name), text(amount)]).collect();
        let base = budget_base(id.partition());
        let subject = Subject::budget(id, Some(execution_id));
        let reply =
            self.caller.call(&REPORT_USAGE_AND_CHECK, &base, arguments, &groups, &subject).await?;
        let statuses = ["OK", "ALREADY_APPLIED", "SOFT_BREACH", "HARD_BREACH"];
        let (status, mut fields) = reply.one_of(&statuses)?;
        Ok(match status {
            "OK" => ReportUsageResult::Ok,
            "ALREADY_APPLIED" => ReportUsageResult::AlreadyApplied,
            "SOFT_BREACH" => ReportUsageResult::SoftBreach {
                dimension: dimension(&mut fields)?,
                current_usage: fields.u64("current_usage")?,
                soft_limit: fields.u64("limit")?,
            },
            _ => ReportUsageResult::HardBreach {
                dimension: dimension(&mut fields)?,
                current_usage: fields.u64("current_usage")?,
                hard_limit: fields.u64("limit")?,
            },
        })
    }
}

//! Budget: count what work spends, against limits.

use crate::EmbeddedBackend;
use crate::store::Store;
use ff_core::contracts::BudgetBackend;
use ff_core::contracts::budget::*;
use ff_core::{BudgetId, EngineResult};
use ff_lifecycle::budget;

#[async_trait::async_trait]
impl<S: Store> BudgetBackend for EmbeddedBackend<S> {
    async fn create_budget(&self, request: CreateBudget) -> EngineResult<()> {
        request.check()?;
        let create = move |room: &mut S::Room, now| budget::create(room, &request, now);
        self.store.write("create_budget", create).await
    }

    async fn describe_budget(&self, budget_id: BudgetId) -> EngineResult<BudgetInfo> {
        let describe = move |room: &mut S::Room, _| budget::describe(room, budget_id);
        self.store.read("describe_budget", describe).await
    }

    async fn report_usage_and_check(
        &self,
        request: ReportUsageAndCheck,
    ) -> EngineResult<ReportUsageResult> {
        request.check()?;
        self.store.works("report_usage_and_check")?;
        let report = move |room: &mut S::Room, now| budget::report(room, &request, now);
        self.store.write("report_usage_and_check", report).await
    }
}

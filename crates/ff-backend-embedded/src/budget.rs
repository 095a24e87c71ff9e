//! Budget: count what work spends, against limits.

use crate::MemoryBackend;
use ff_core::contracts::BudgetBackend;
use ff_core::contracts::budget::*;
use ff_core::error::Entity;
use ff_core::{BudgetId, EngineError, EngineResult};

fn not_found(budget_id: BudgetId) -> EngineError {
    EngineError::NotFound { entity: Entity::Budget(budget_id) }
}

#[async_trait::async_trait]
impl BudgetBackend for MemoryBackend {
    async fn create_budget(&self, request: CreateBudget) -> EngineResult<()> {
        request.check()?;
        let now = self.now();
        let mut state = self.lock();
        let known = state.budgets.get(&request.budget_id);
        if let Some(budget) = ff_lifecycle::budget::create(known, &request, now)? {
            state.budgets.insert(request.budget_id, budget);
        }
        Ok(())
    }

    async fn describe_budget(&self, budget_id: BudgetId) -> EngineResult<BudgetInfo> {
        let state = self.lock();
        let budget = state.budgets.get(&budget_id).ok_or_else(|| not_found(budget_id))?;
        Ok(budget.info.clone())
    }

    async fn report_usage_and_check(
        &self,
        request: ReportUsageAndCheck,
    ) -> EngineResult<ReportUsageResult> {
        request.check()?;
        let now = self.now();
        let mut state = self.lock();
        let id = request.budget_id;
        let budget = state.budgets.get(&id).ok_or_else(|| not_found(id))?;
        let (result, next) = ff_lifecycle::budget::report(budget, &request, now)?;
        if let Some(next) = next {
            state.budgets.insert(id, next);
        }
        Ok(result)
    }
}

//! Budgets in memory, and what they remember of reports.

use ff_core::contracts::budget::{BudgetInfo, ReportUsageResult};
use ff_core::{BudgetId, ExecutionId, LeaseEpoch, MutationId, TimestampMs};
use ff_lifecycle::BudgetStore;
use ff_lifecycle::store::UsageMemory;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Default)]
pub(super) struct Budgets {
    budgets: BTreeMap<BudgetId, BudgetInfo>,
    mutations: BTreeMap<(BudgetId, MutationId), (ReportUsageResult, TimestampMs)>,
    keys: BTreeMap<(BudgetId, String), TimestampMs>,
    epochs: BTreeMap<(BudgetId, ExecutionId), (LeaseEpoch, TimestampMs)>,
    lapses: BTreeSet<(TimestampMs, Lapse)>,
}

/// What is forgotten at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lapse {
    Mutation(BudgetId, MutationId),
    Key(BudgetId, String),
    Epoch(BudgetId, ExecutionId),
}

impl Budgets {
    pub(super) fn forget_lapsed(&mut self, now: TimestampMs) {
        while let Some((at, lapse)) = self.lapses.pop_first() {
            if at > now {
                self.lapses.insert((at, lapse));
                return;
            }
            // An entry that was written again has a later lapse of its own.
            match lapse {
                Lapse::Mutation(budget, id) => {
                    self.mutations.remove(&(budget, id));
                }
                Lapse::Key(budget, key) => {
                    let key = (budget, key);
                    let over = self.keys.get(&key).is_some_and(|at| *at <= now);
                    over.then(|| self.keys.remove(&key));
                }
                Lapse::Epoch(budget, id) => {
                    let over = self.epochs.get(&(budget, id)).is_some_and(|seen| seen.1 <= now);
                    over.then(|| self.epochs.remove(&(budget, id)));
                }
            }
        }
    }
}

impl BudgetStore for Budgets {
    fn budget(&self, budget_id: BudgetId) -> Option<BudgetInfo> {
        self.budgets.get(&budget_id).cloned()
    }

    fn put_budget(&mut self, info: BudgetInfo) {
        self.budgets.insert(info.budget_id, info);
    }

    fn reported(
        &self,
        budget_id: BudgetId,
        mutation_id: MutationId,
    ) -> Option<(ReportUsageResult, TimestampMs)> {
        self.mutations.get(&(budget_id, mutation_id)).cloned()
    }

    fn usage_key(&self, budget_id: BudgetId, dedup_key: &str) -> Option<TimestampMs> {
        self.keys.get(&(budget_id, dedup_key.to_owned())).copied()
    }

    fn usage_epoch(
        &self,
        budget_id: BudgetId,
        execution_id: ExecutionId,
    ) -> Option<(LeaseEpoch, TimestampMs)> {
        self.epochs.get(&(budget_id, execution_id)).copied()
    }

    fn remember_usage(&mut self, memory: UsageMemory) {
        let (budget, at) = (memory.budget_id, memory.expires_at);
        self.lapses.insert((at, Lapse::Mutation(budget, memory.mutation_id)));
        self.mutations.insert((budget, memory.mutation_id), (memory.result, at));
        if let Some(key) = memory.dedup_key {
            self.lapses.insert((at, Lapse::Key(budget, key.clone())));
            self.keys.insert((budget, key), at);
        }
        self.lapses.insert((at, Lapse::Epoch(budget, memory.execution_id)));
        self.epochs.insert((budget, memory.execution_id), (memory.lease_epoch, at));
    }
}

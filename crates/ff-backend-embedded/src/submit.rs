//! Submit: hand executions to the engine.

use crate::MemoryBackend;
use crate::backend::State;
use ff_core::EngineResult;
use ff_core::contracts::SubmitBackend;
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecution, SubmitExecutions};
use ff_core::partition::PartitionMap;
use ff_core::policy::LaneDefaults;

impl State {
    pub(crate) fn lane_defaults(&self, item: &SubmitExecution) -> LaneDefaults {
        let lane = (item.namespace.clone(), item.lane.clone());
        self.lanes.get(&lane).cloned().unwrap_or_default()
    }
}

#[async_trait::async_trait]
impl SubmitBackend for MemoryBackend {
    fn partitions(&self) -> PartitionMap {
        self.map()
    }

    async fn submit_executions(
        &self,
        request: SubmitExecutions,
    ) -> EngineResult<Vec<EngineResult<ExecutionSubmitted>>> {
        request.check()?;
        let submit = |item: &SubmitExecution| {
            item.check(self.map())?;
            let defaults = self.lock().lane_defaults(item);
            self.within(item.execution_id.partition(), |store, now| {
                ff_lifecycle::submit::submit(store, item, &defaults, now)
            })
        };
        Ok(request.items.iter().map(submit).collect())
    }
}

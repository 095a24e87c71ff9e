//! Submit: hand executions to the engine.

use crate::EmbeddedBackend;
use crate::store::{Room, Store};
use ff_core::EngineResult;
use ff_core::contracts::SubmitBackend;
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecution, SubmitExecutions};
use ff_core::partition::PartitionMap;

#[async_trait::async_trait]
impl<S: Store> SubmitBackend for EmbeddedBackend<S> {
    fn partitions(&self) -> PartitionMap {
        self.store.map()
    }

    async fn submit_executions(
        &self,
        request: SubmitExecutions,
    ) -> EngineResult<Vec<EngineResult<ExecutionSubmitted>>> {
        request.check()?;
        let map = self.store.map();
        let submit = move |room: &mut S::Room, now| {
            let submit = |item: &SubmitExecution| {
                item.check(map)?;
                let defaults = room.lane_defaults(&item.namespace, &item.lane);
                let partition = room.partition(item.execution_id.partition())?;
                ff_lifecycle::submit::submit(partition, item, &defaults, now)
            };
            Ok(request.items.iter().map(submit).collect())
        };
        self.store.write("submit_executions", submit).await
    }
}

//! Submit: hand executions to the engine.

use crate::EmbeddedBackend;
use crate::store::{Room, Store};
use ff_core::EngineResult;
use ff_core::contracts::SubmitBackend;
use ff_core::contracts::submit::{
    ExecutionSubmitted, SubmitExecution, SubmitExecutions, split_calls,
};
use ff_core::partition::PartitionMap;
use ff_lifecycle::submit::submit_known;

type Outcome = EngineResult<ExecutionSubmitted>;

#[async_trait::async_trait]
impl<S: Store> SubmitBackend for EmbeddedBackend<S> {
    fn partitions(&self) -> PartitionMap {
        self.store.map()
    }

    async fn submit_executions(&self, request: SubmitExecutions) -> EngineResult<Vec<Outcome>> {
        request.check()?;
        let mut outcomes = Vec::with_capacity(request.items.len());
        for call in split_calls(request.items, |item| item.input.len()) {
            let count = call.len();
            match self.submit_call(call).await {
                Ok(results) => outcomes.extend(results),
                // Calls before this one stand, so it is told of its own items alone.
                Err(error) => outcomes.extend((0..count).map(|_| Err(error.again()))),
            }
        }
        Ok(outcomes)
    }
}

impl<S: Store> EmbeddedBackend<S> {
    async fn submit_call(&self, call: Vec<SubmitExecution>) -> EngineResult<Vec<Outcome>> {
        let map = self.store.map();
        // Made here, where nobody waits for it: the store does one operation at a time.
        let call: Vec<_> = call.into_iter().map(|item| (item.fingerprint(), item)).collect();
        let submit = move |room: &mut S::Room, now| {
            let submit = |(fingerprint, item): &(String, SubmitExecution)| {
                item.check(map)?;
                let defaults = room.lane_defaults(&item.namespace, &item.lane);
                let partition = room.partition(item.execution_id.partition())?;
                submit_known(partition, item, fingerprint, &defaults, now)
            };
            Ok(call.iter().map(submit).collect())
        };
        self.store.write("submit_executions", submit).await
    }
}

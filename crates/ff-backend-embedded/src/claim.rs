//! Claim: take ready executions under a lease.

use crate::MemoryBackend;
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::*;
use ff_core::{EngineResult, Namespace, WorkerInstanceId};

#[async_trait::async_trait]
impl ClaimBackend for MemoryBackend {
    async fn claim_execution(&self, request: ClaimExecution) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        self.within(request.partition, |store, now| {
            ff_lifecycle::claim::claim(store, &request, now)
        })
    }

    async fn claim_resumed_execution(
        &self,
        request: ClaimResumedExecution,
    ) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        self.within(request.grant.execution_id.partition(), |store, now| {
            ff_lifecycle::claim::claim_resumed(store, &request, now)
        })
    }

    async fn issue_grant(&self, request: IssueGrant) -> EngineResult<GrantIssued> {
        request.check()?;
        self.change(request.grant.execution_id, |execution, now| {
            ff_lifecycle::claim::issue_grant(execution, &request, now)
        })
    }

    async fn tick(&self, request: Tick) -> EngineResult<Ticked> {
        request.check()?;
        self.within(request.partition, |store, now| {
            Ok(ff_lifecycle::claim::tick(store, request.limit, now))
        })
    }

    async fn register_worker(&self, request: RegisterWorker) -> EngineResult<()> {
        request.check()?;
        let now = self.now();
        let mut state = self.lock();
        state.workers.retain(|_, worker| worker.expires_at > now);
        let key = (request.worker.namespace.clone(), request.worker.worker_instance_id.clone());
        let registered_at = state.workers.get(&key).map_or(now, |known| known.registered_at);
        let registered = RegisteredWorker {
            worker: request.worker,
            lanes: request.lanes,
            registered_at,
            seen_at: now,
            expires_at: now.plus_ms(request.ttl_ms),
        };
        state.workers.insert(key, registered);
        Ok(())
    }

    async fn deregister_worker(
        &self,
        namespace: Namespace,
        worker_instance_id: WorkerInstanceId,
    ) -> EngineResult<()> {
        self.lock().workers.remove(&(namespace, worker_instance_id));
        Ok(())
    }

    async fn list_workers(&self, namespace: Namespace) -> EngineResult<Vec<RegisteredWorker>> {
        let now = self.now();
        let state = self.lock();
        let live = state.workers.values().filter(|worker| worker.expires_at > now);
        Ok(live.filter(|worker| worker.worker.namespace == namespace).cloned().collect())
    }
}

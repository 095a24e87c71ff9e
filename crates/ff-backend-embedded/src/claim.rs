//! Claim: take ready executions under a lease.

use crate::EmbeddedBackend;
use crate::store::{Room, Store};
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::*;
use ff_core::{EngineResult, Namespace, WorkerInstanceId};
use ff_lifecycle::claim;

#[async_trait::async_trait]
impl<S: Store> ClaimBackend for EmbeddedBackend<S> {
    async fn claim_execution(&self, request: ClaimExecution) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        self.store.works("claim_execution")?;
        let claim = move |room: &mut S::Room, now| {
            claim::claim(room.partition(request.partition)?, &request, now)
        };
        self.store.write("claim_execution", claim).await
    }

    async fn claim_resumed_execution(
        &self,
        request: ClaimResumedExecution,
    ) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        self.store.works("claim_resumed_execution")?;
        let claim = move |room: &mut S::Room, now| {
            let partition = room.partition(request.grant.execution_id.partition())?;
            claim::claim_resumed(partition, &request, now)
        };
        self.store.write("claim_resumed_execution", claim).await
    }

    async fn issue_grant(&self, request: IssueGrant) -> EngineResult<GrantIssued> {
        request.check()?;
        self.store.works("issue_grant")?;
        self.change("issue_grant", request.grant.execution_id, move |execution, now| {
            claim::issue_grant(execution, &request, now)
        })
        .await
    }

    async fn tick(&self, request: Tick) -> EngineResult<Ticked> {
        request.check()?;
        self.store.works("tick")?;
        let tick = move |room: &mut S::Room, now| {
            Ok(claim::tick(room.partition(request.partition)?, request.limit, now))
        };
        self.store.write("tick", tick).await
    }

    async fn register_worker(&self, request: RegisterWorker) -> EngineResult<()> {
        request.check()?;
        self.store.works("register_worker")?;
        let register = move |room: &mut S::Room, now| {
            let RegisterWorker { worker, lanes, ttl_ms } = request.clone();
            let known = room.worker(&worker.namespace, &worker.worker_instance_id);
            let known = known.filter(|known| known.expires_at > now);
            let registered = RegisteredWorker {
                worker,
                lanes,
                registered_at: known.map_or(now, |known| known.registered_at),
                seen_at: now,
                expires_at: now.plus_ms(ttl_ms),
            };
            room.put_worker(registered, now);
            Ok(())
        };
        self.store.write("register_worker", register).await
    }

    async fn deregister_worker(
        &self,
        namespace: Namespace,
        worker_instance_id: WorkerInstanceId,
    ) -> EngineResult<()> {
        self.store.works("deregister_worker")?;
        let forget = move |room: &mut S::Room, _| {
            room.remove_worker(&namespace, &worker_instance_id);
            Ok(())
        };
        self.store.write("deregister_worker", forget).await
    }

    async fn list_workers(&self, namespace: Namespace) -> EngineResult<Vec<RegisteredWorker>> {
        let list = move |room: &mut S::Room, now| {
            let mut workers = room.workers(&namespace);
            workers.retain(|worker| worker.expires_at > now);
            Ok(workers)
        };
        self.store.read("list_workers", list).await
    }
}

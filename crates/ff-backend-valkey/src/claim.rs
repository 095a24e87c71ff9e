//! Claim: take work, hand out grants, keep time, know the workers.

use crate::args::{Claim, claim, execution, joined, lanes, text};
use crate::backend::ValkeyBackend;
use crate::decode::{Claimant, Claimed, ClaimedRow, claimed};
use bytes::Bytes;
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::*;
use ff_core::error::EngineResult;
use ff_core::keys::{META, long_input, partition_base};
use ff_core::name::{Namespace, WorkerInstanceId};
use ff_core::partition::Partition;
use ff_script::functions::{
    CLAIM_EXECUTION, CLAIM_RESUMED_EXECUTION, DEREGISTER_WORKER, ISSUE_GRANT, LIST_WORKERS,
    REGISTER_WORKER, TICK,
};
use ff_script::{Fields, Subject};

/// What a claim is about: the execution of its grant, if it has one.
pub(crate) fn subject(request: &ClaimExecution) -> Subject {
    match &request.source {
        ClaimSource::Ready { .. } => Subject::NONE,
        ClaimSource::Grant(grant) => Subject::execution(grant.execution_id),
    }
}

/// Who claims by this request.
pub(crate) const fn claimant(request: &ClaimExecution) -> Claimant<'_> {
    Claimant {
        partition: request.partition,
        worker: &request.worker,
        lease_ttl_ms: request.lease_ttl_ms,
    }
}

impl ValkeyBackend {
    /// Reads the long inputs of what a claim took; it took no more than a reply has room for.
    /// Nobody changes them while the leases last; when they cannot be read, the claim, sent again,
    /// takes the same. An execution whose input is gone is left to the end of its lease: it must
    /// not cost the work that was claimed beside it.
    pub(crate) async fn with_inputs(
        &self,
        partition: Partition,
        claimed: Claimed,
    ) -> EngineResult<ExecutionsClaimed> {
        let Claimed { ready_left, next_due, mut rows } = claimed;
        let mut long: Vec<_> = rows.iter_mut().filter(|row| row.has_long_input).collect();
        if !long.is_empty() {
            let id_of = |row: &&mut ClaimedRow| row.execution.handle.execution_id();
            let keys = long.iter().map(|row| Bytes::from(long_input(id_of(row)))).collect();
            let inputs = self.caller.read_texts(&partition_base(partition), keys).await?;
            for (row, input) in long.iter_mut().zip(inputs) {
                row.has_long_input = input.is_none();
                row.execution.input = input.unwrap_or_default();
            }
        }
        let executions = rows.into_iter().filter_map(|row| {
            let execution_id = row.execution.handle.execution_id();
            if row.has_long_input {
                tracing::error!(%execution_id, "the input of a claimed execution is gone");
            }
            (!row.has_long_input).then_some(row.execution)
        });
        Ok(ExecutionsClaimed { executions: executions.collect(), ready_left, next_due })
    }
}

#[async_trait::async_trait]
impl ClaimBackend for ValkeyBackend {
    async fn claim_execution(&self, request: ClaimExecution) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        let base = partition_base(request.partition);
        let arguments = claim(&Claim::from(&request));
        let mut fields =
            self.caller.ok(&CLAIM_EXECUTION, &base, arguments, &[], &subject(&request)).await?;
        self.with_inputs(request.partition, claimed(&mut fields, &claimant(&request))?).await
    }

    async fn claim_resumed_execution(
        &self,
        request: ClaimResumedExecution,
    ) -> EngineResult<ExecutionsClaimed> {
        request.check()?;
        let execution_id = request.grant.execution_id;
        let arguments = claim(&Claim {
            claim_id: request.claim_id,
            slot: request.slot,
            worker: &request.worker,
            lease_ttl_ms: request.lease_ttl_ms,
            lanes: &[],
            count_max: 1,
            grant: Some(&request.grant),
        });
        let mut fields =
            self.on_execution(&CLAIM_RESUMED_EXECUTION, execution_id, arguments).await?;
        let claimant = Claimant {
            partition: execution_id.partition(),
            worker: &request.worker,
            lease_ttl_ms: request.lease_ttl_ms,
        };
        self.with_inputs(claimant.partition, claimed(&mut fields, &claimant)?).await
    }

    async fn issue_grant(&self, request: IssueGrant) -> EngineResult<GrantIssued> {
        request.check()?;
        let grant = &request.grant;
        let arguments = [
            text(grant.grant_id),
            execution(grant.execution_id),
            text(&grant.worker_instance_id),
            text(grant.kind.as_str()),
            text(request.ttl_ms),
        ];
        let mut fields = self.on_execution(&ISSUE_GRANT, grant.execution_id, arguments).await?;
        Ok(GrantIssued { expires_at: fields.time("expires_at")? })
    }

    async fn tick(&self, request: Tick) -> EngineResult<Ticked> {
        request.check()?;
        let base = partition_base(request.partition);
        let mut fields =
            self.caller.ok(&TICK, &base, [text(request.limit)], &[], &Subject::NONE).await?;
        Ok(Ticked {
            handled: fields.u32("handled")?,
            more: fields.flag("more")?,
            next_due: fields.optional_time("next_due")?,
        })
    }

    async fn register_worker(&self, request: RegisterWorker) -> EngineResult<()> {
        request.check()?;
        let worker = &request.worker;
        let arguments = [
            text(&worker.namespace),
            text(&worker.worker_id),
            text(&worker.worker_instance_id),
            joined(&worker.capabilities),
            lanes(&request.lanes),
            text(request.ttl_ms),
        ];
        self.caller.ok(&REGISTER_WORKER, META, arguments, &[], &Subject::NONE).await?;
        Ok(())
    }

    async fn deregister_worker(
        &self,
        namespace: Namespace,
        worker_instance_id: WorkerInstanceId,
    ) -> EngineResult<()> {
        let arguments = [text(namespace), text(worker_instance_id)];
        self.caller.ok(&DEREGISTER_WORKER, META, arguments, &[], &Subject::NONE).await?;
        Ok(())
    }

    async fn list_workers(&self, namespace: Namespace) -> EngineResult<Vec<RegisteredWorker>> {
        let arguments = [text(&namespace)];
        let mut fields =
            self.caller.ok(&LIST_WORKERS, META, arguments, &[], &Subject::NONE).await?;
        fields.list("workers", |row| worker(row, &namespace))
    }
}

fn worker(row: &mut Fields, namespace: &Namespace) -> EngineResult<RegisteredWorker> {
    let worker = WorkerIdentity {
        namespace: namespace.clone(),
        worker_id: row.parsed("worker_id", "a name")?,
        worker_instance_id: row.parsed("worker_instance_id", "a name")?,
        capabilities: row.joined("capabilities", "capabilities joined by commas")?,
    };
    let names = row.packed("lanes")?;
    let lanes = names.iter().map(|lane| lane.parse().ok());
    let lanes: Option<Vec<_>> = lanes.collect();
    let got = || ff_script::Value::text(names.join(" "));
    Ok(RegisteredWorker {
        worker,
        lanes: lanes.ok_or_else(|| row.bad("lanes", "a pack of lanes", &got()))?,
        registered_at: row.time("registered_at")?,
        seen_at: row.time("seen_at")?,
        expires_at: row.time("expires_at")?,
    })
}

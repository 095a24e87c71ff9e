//! A little work for a backend of one partition.

use ff_conformance::given;
use ff_core::contracts::claim::{ClaimExecution, ClaimSource, ClaimedExecution};
use ff_core::contracts::submit::{Durability, SubmitExecution, SubmitExecutions};
use ff_core::contracts::{ClaimBackend, SubmitBackend};
use ff_core::partition::Partition;
use ff_core::policy::ExecutionPolicy;
use ff_core::{ClaimId, EngineResult, ExecutionId, ExecutionKind, Handle, Namespace};

pub const PARTITION: Partition = Partition::new_unchecked(0);

pub fn item(input: impl Into<bytes::Bytes>) -> SubmitExecution {
    SubmitExecution {
        execution_id: ExecutionId::generate(PARTITION),
        namespace: Namespace::default(),
        lane: given::lane("default"),
        kind: ExecutionKind::new("test").expect("a legal kind"),
        input: input.into(),
        policy: ExecutionPolicy::default(),
        fairness_key: None,
        idempotency: None,
        durability: Durability::default(),
    }
}

pub async fn submit(
    backend: &impl SubmitBackend,
    input: impl Into<bytes::Bytes>,
) -> EngineResult<ExecutionId> {
    let item = item(input);
    let id = item.execution_id;
    let request = SubmitExecutions { items: vec![item] };
    let mut outcomes = backend.submit_executions(request).await?;
    outcomes.remove(0).map(|_| id)
}

pub async fn claim(backend: &impl ClaimBackend) -> EngineResult<Vec<Handle>> {
    let claimed = claim_as(backend, 0).await?;
    Ok(claimed.into_iter().map(|claimed| claimed.handle).collect())
}

pub async fn claim_as(
    backend: &impl ClaimBackend,
    slot: u16,
) -> EngineResult<Vec<ClaimedExecution>> {
    let request = ClaimExecution {
        claim_id: ClaimId::generate(),
        slot,
        worker: given::worker("w"),
        partition: PARTITION,
        source: ClaimSource::Ready { lanes: vec![given::lane("default")], count_max: 1 },
        lease_ttl_ms: 30_000,
    };
    Ok(backend.claim_execution(request).await?.executions)
}

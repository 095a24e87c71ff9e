//! Claim: take ready executions under a lease.

use crate::contracts::lease::CancelRequested;
use crate::contracts::signal::ResumeSignal;
use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::handle::Handle;
use crate::ids::BudgetId;
use crate::ids::{ClaimId, ExecutionId, GrantId};
use crate::limits::*;
use crate::name::{Capability, ExecutionKind, LaneId, Namespace, WorkerId, WorkerInstanceId};
use crate::partition::Partition;
use crate::policy::between;
use crate::time::TimestampMs;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// Who claims.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerIdentity {
    /// The namespace whose lanes it serves.
    pub namespace: Namespace,
    /// The worker as its operator knows it.
    pub worker_id: WorkerId,
    /// The process.
    pub worker_instance_id: WorkerInstanceId,
    /// What it offers; at most 32.
    pub capabilities: BTreeSet<Capability>,
}

/// Claims up to `count_max` ready executions of one partition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimExecution {
    /// This call; newer than every call of the slot before.
    pub claim_id: ClaimId,
    /// Which claim loop of the worker instance calls. It has one claim in flight.
    pub slot: u16,
    /// Who claims.
    pub worker: WorkerIdentity,
    /// Where from.
    pub partition: Partition,
    /// What to take.
    pub source: ClaimSource,
    /// How long each lease lasts before its first renewal.
    pub lease_ttl_ms: u64,
}

/// What a claim takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimSource {
    /// The best ready executions of these lanes whose required capabilities the worker offers.
    Ready {
        /// 1 to 32 lanes; scores are compared across them.
        lanes: Vec<LaneId>,
        /// 1 to 256.
        count_max: u32,
    },
    /// The execution that a scheduler granted to this worker instance, for a new attempt.
    Grant(Grant),
}

/// Takes over, by a reclaim grant, an execution that resumes or whose lease was lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimResumedExecution {
    /// This call; newer than every call of the slot before.
    pub claim_id: ClaimId,
    /// Which claim loop of the worker instance calls.
    pub slot: u16,
    /// Who claims.
    pub worker: WorkerIdentity,
    /// The grant, of kind [`GrantKind::Reclaim`].
    pub grant: Grant,
    /// How long the lease lasts before its first renewal.
    pub lease_ttl_ms: u64,
}

/// One claimed execution: all that a worker needs to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedExecution {
    /// Names the claim in every later call.
    pub handle: Handle,
    /// What to do.
    pub kind: ExecutionKind,
    /// The submitted bytes.
    pub input: Bytes,
    /// The submitted tags.
    pub tags: BTreeMap<String, String>,
    /// The budgets that the work is charged to.
    pub budgets: Vec<BudgetId>,
    /// When the lease runs out unless it is renewed.
    pub lease_expires_at: TimestampMs,
    /// How long a renewal lasts.
    pub lease_ttl_ms: u64,
    /// The signals that caused this resume; empty for a fresh attempt.
    pub resume_signals: Vec<ResumeSignal>,
    /// A cancel that is under way already.
    pub cancel_requested: Option<CancelRequested>,
}

/// The outcome of a claim; empty when there is nothing for this worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionsClaimed {
    /// What was taken, best first.
    pub executions: Vec<ClaimedExecution>,
    /// Whether more is ready for this worker right now, or timers are due that may make it so.
    pub ready_left: bool,
    /// When the partition's next timer is due.
    pub next_due: Option<TimestampMs>,
}

/// What a grant allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantKind {
    /// To start the next attempt.
    Claim,
    /// To go on with an attempt that was resumed, or to take over after a lost lease.
    Reclaim,
}

impl GrantKind {
    /// Returns the word that stands for it on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Claim => "claim",
            Self::Reclaim => "reclaim",
        }
    }
}

/// A scheduler's word that one worker instance may take one execution: short-lived, single use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grant {
    /// This grant.
    pub grant_id: GrantId,
    /// The execution.
    pub execution_id: ExecutionId,
    /// The only worker instance that may use it.
    pub worker_instance_id: WorkerInstanceId,
    /// What it allows.
    pub kind: GrantKind,
}

/// Reserves a ready execution for one worker instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IssueGrant {
    /// The grant to issue.
    pub grant: Grant,
    /// When it lapses, counted from now: 1 ms to 1 hour.
    pub ttl_ms: u64,
}

/// A grant was issued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GrantIssued {
    /// When it lapses; the execution is then ready again, with its old score.
    pub expires_at: TimestampMs,
}

/// Handles the timers of a partition that are due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tick {
    /// The partition.
    pub partition: Partition,
    /// At most this many timers: 1 to 1 000.
    pub limit: u32,
}

/// What a tick did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ticked {
    /// How many timers it handled.
    pub handled: u32,
    /// Whether more are due right now.
    pub more: bool,
    /// When the next timer is due.
    pub next_due: Option<TimestampMs>,
}

/// Registers a worker instance, or says that it still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegisterWorker {
    /// Who.
    pub worker: WorkerIdentity,
    /// The lanes it serves; at most 32.
    pub lanes: Vec<LaneId>,
    /// Forgotten after this long a silence: 1 s to 1 day.
    pub ttl_ms: u64,
}

/// A worker instance that said lately that it lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegisteredWorker {
    /// Who.
    pub worker: WorkerIdentity,
    /// The lanes it serves.
    pub lanes: Vec<LaneId>,
    /// When it first registered.
    pub registered_at: TimestampMs,
    /// When it last said that it lives.
    pub seen_at: TimestampMs,
    /// When it is forgotten.
    pub expires_at: TimestampMs,
}

impl ClaimExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_claim(&self.worker, self.slot, self.lease_ttl_ms)?;
        match &self.source {
            ClaimSource::Ready { lanes, count_max } => {
                between("claim lanes", lanes.len() as u64, 1, CLAIM_LANES_MAX as u64)?;
                between("claim count_max", (*count_max).into(), 1, CLAIM_COUNT_MAX.into())
            }
            ClaimSource::Grant(grant) => {
                check_grant(grant, GrantKind::Claim, &self.worker)?;
                if grant.execution_id.partition() == self.partition {
                    return Ok(());
                }
                Err(EngineError::validation(
                    ValidationKind::Argument,
                    format!("grant for {} is not in {}", grant.execution_id, self.partition),
                ))
            }
        }
    }
}

impl ClaimResumedExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_claim(&self.worker, self.slot, self.lease_ttl_ms)?;
        check_grant(&self.grant, GrantKind::Reclaim, &self.worker)
    }
}

impl IssueGrant {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("grant ttl_ms", self.ttl_ms, 1, GRANT_TTL_MS_MAX)
    }
}

impl Tick {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("tick limit", self.limit.into(), 1, TICK_LIMIT_MAX.into())
    }
}

impl RegisterWorker {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        let capabilities = self.worker.capabilities.len() as u64;
        between("capabilities", capabilities, 0, CAPABILITIES_MAX as u64)?;
        between("lanes", self.lanes.len() as u64, 0, CLAIM_LANES_MAX as u64)?;
        between("worker ttl_ms", self.ttl_ms, 1_000, WORKER_TTL_MS_MAX)
    }
}

fn check_claim(worker: &WorkerIdentity, slot: u16, lease_ttl_ms: u64) -> EngineResult<()> {
    let capabilities = worker.capabilities.len() as u64;
    between("capabilities", capabilities, 0, CAPABILITIES_MAX as u64)?;
    between("claim slot", slot.into(), 0, CLAIM_SLOT_MAX.into())?;
    between("lease_ttl_ms", lease_ttl_ms, LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX)
}

fn check_grant(grant: &Grant, kind: GrantKind, worker: &WorkerIdentity) -> EngineResult<()> {
    let wrong = if grant.kind != kind {
        format!("grant is of kind {}, expected {}", grant.kind.as_str(), kind.as_str())
    } else if grant.worker_instance_id != worker.worker_instance_id {
        format!("grant is for worker instance {}", grant.worker_instance_id)
    } else {
        return Ok(());
    };
    Err(EngineError::validation(ValidationKind::Argument, wrong))
}

/// Hands work to workers, and keeps time for those that no worker touches.
#[async_trait::async_trait]
pub trait ClaimBackend: Send + Sync + fmt::Debug {
    /// Claims ready executions: handles what is due (bounded), picks the best, starts their leases.
    /// Every claim raises the epoch by one. Work that requires a capability the worker lacks is
    /// never looked at.
    ///
    /// A repeat with the same claim id answers the same executions, those whose lease is still
    /// live, for one lease TTL, and after that none. An older claim id than the slot's last is
    /// `ClaimSuperseded`. Give every process an instance id of its own.
    async fn claim_execution(&self, request: ClaimExecution) -> EngineResult<ExecutionsClaimed>;

    /// Takes over by a reclaim grant; otherwise as [`claim_execution`](Self::claim_execution).
    async fn claim_resumed_execution(
        &self,
        request: ClaimResumedExecution,
    ) -> EngineResult<ExecutionsClaimed>;

    /// Reserves a ready execution for one worker instance. Until the grant is used or lapses the
    /// execution is blocked by gate `grant`. A repeat with the same grant id answers the same, used
    /// or lapsed, and blocks nothing again.
    async fn issue_grant(&self, request: IssueGrant) -> EngineResult<GrantIssued>;

    /// Handles timers that are due, the earliest first. Safe to call from anywhere at any time.
    async fn tick(&self, request: Tick) -> EngineResult<Ticked>;

    /// Registers a worker instance or renews its registration.
    async fn register_worker(&self, request: RegisterWorker) -> EngineResult<()>;

    /// Forgets a worker instance at once; one that is not known is fine.
    async fn deregister_worker(
        &self,
        namespace: Namespace,
        worker_instance_id: WorkerInstanceId,
    ) -> EngineResult<()>;

    /// Lists the live worker instances of a namespace, by instance id.
    async fn list_workers(&self, namespace: Namespace) -> EngineResult<Vec<RegisteredWorker>>;
}

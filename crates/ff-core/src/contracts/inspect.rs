//! Inspect: see what is there, and why.

use crate::contracts::claim::Grant;
use crate::contracts::lease::CancelRequested;
use crate::contracts::signal::ResumeSignal;
use crate::contracts::suspend::ConditionMatcher;
use crate::error::EngineResult;
use crate::explain::Explanation;
use crate::ids::*;
use crate::limits::LIST_LIMIT_MAX;
use crate::name::{
    ExecutionKind, FairnessKey, LaneId, Namespace, WaitpointKey, WorkerId, WorkerInstanceId,
};
use crate::policy::{EffectivePolicy, between};
use crate::state::*;
use crate::time::TimestampMs;
use crate::turn::EndedTurn;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Everything about one execution but its payloads and tokens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionInfo {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The namespace of its lane.
    pub namespace: Namespace,
    /// Its lane.
    pub lane: LaneId,
    /// What it does.
    pub kind: ExecutionKind,
    /// How it is to be run.
    pub policy: EffectivePolicy,
    /// The tenant among those that share the lane.
    pub fairness_key: Option<FairnessKey>,
    /// The state that people see.
    pub public_state: PublicState,
    /// The main phase.
    pub lifecycle_phase: LifecyclePhase,
    /// How it ended.
    pub terminal_outcome: TerminalOutcome,
    /// Why it is delayed.
    pub delay_reason: Option<DelayReason>,
    /// When it may be claimed, while it is delayed.
    pub delay_until: Option<TimestampMs>,
    /// The grant that blocks it.
    pub grant: Option<GrantInfo>,
    /// The fencing number of the current or last lease.
    pub lease_epoch: LeaseEpoch,
    /// The lease that is held.
    pub lease: Option<LeaseInfo>,
    /// The current or last attempt, with its id; `None` before the first claim.
    pub attempt: Option<(AttemptIndex, AttemptId)>,
    /// Whether the next claim goes on with that attempt.
    pub resumes: bool,
    /// When the attempt has run too long.
    pub attempt_timeout_at: Option<TimestampMs>,
    /// When it expires.
    pub deadline_at: Option<TimestampMs>,
    /// Its place in the ready index: ready time minus lead; kept while it is granted.
    pub ready_score: Option<i64>,
    /// Retries so far.
    pub retries: u32,
    /// Leases lost so far.
    pub reclaims: u32,
    /// Replays so far.
    pub replays: u32,
    /// Progress in percent and words.
    pub progress: Option<(u8, Option<String>)>,
    /// A cancel that is under way.
    pub cancel_requested: Option<CancelRequested>,
    /// The suspension that is open.
    pub suspension: Option<SuspensionInfo>,
    /// The waitpoints, open ones and the last closed ones, oldest first.
    pub waitpoints: Vec<WaitpointInfo>,
    /// How many signals were accepted.
    pub signals: u64,
    /// The signals that caused the last resume, as the next or current claim gets them.
    pub resume_signals: Vec<ResumeSignal>,
    /// Frames appended by the current or last attempt.
    pub frame_count: u64,
    /// The category of the failure it ended with.
    pub failure_category: Option<String>,
    /// The reason it ended failed, cancelled or expired.
    pub end_reason: Option<String>,
    /// Whether there is a result to read.
    pub has_result: bool,
    /// When it was submitted.
    pub created_at: TimestampMs,
    /// When it last changed.
    pub updated_at: TimestampMs,
    /// When it ended.
    pub ended_at: Option<TimestampMs>,
    /// When the finished record is removed.
    pub retained_until: Option<TimestampMs>,
}

/// A lease that is held.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// The lease.
    pub lease_id: LeaseId,
    /// Who holds it.
    pub worker_id: WorkerId,
    /// Which process holds it.
    pub worker_instance_id: WorkerInstanceId,
    /// When it was taken.
    pub started_at: TimestampMs,
    /// When it runs out.
    pub expires_at: TimestampMs,
    /// Whether it began the attempt or went on with it.
    pub kind: HandleKind,
}

/// A grant that blocks an execution.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantInfo {
    /// The grant.
    pub grant: Grant,
    /// When it lapses.
    pub expires_at: TimestampMs,
}

/// An open suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SuspensionInfo {
    /// The suspension.
    pub suspension_id: SuspensionId,
    /// The waitpoint it waits on.
    pub waitpoint_id: WaitpointId,
    /// Why it suspended.
    pub reason_code: String,
    /// What it waits for, each with the signal that met it.
    pub matchers: Vec<(ConditionMatcher, Option<SignalId>)>,
    /// When it times out.
    pub timeout_at: Option<TimestampMs>,
    /// What happens then.
    pub timeout_behavior: TimeoutBehavior,
    /// Whether it timed out and was escalated.
    pub escalated: bool,
    /// When it began.
    pub suspended_at: TimestampMs,
}

/// A waitpoint, without its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitpointInfo {
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// Its key.
    pub waitpoint_key: WaitpointKey,
    /// What it is good for.
    pub state: WaitpointState,
    /// The key that signed its token.
    pub kid: String,
    /// When it was opened.
    pub created_at: TimestampMs,
    /// When it stops taking signals, while it is pending.
    pub expires_at: Option<TimestampMs>,
}

/// How an execution ended, and with what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExecutionResult {
    /// How it ended; `None` while it is live.
    pub terminal_outcome: TerminalOutcome,
    /// The result of a success.
    pub result: Option<Bytes>,
    /// The category of the failure.
    pub failure_category: Option<String>,
    /// The reason it ended failed, cancelled or expired.
    pub end_reason: Option<String>,
}

/// One row of a listing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionSummary {
    /// The execution.
    pub execution_id: ExecutionId,
    /// What it does.
    pub kind: ExecutionKind,
    /// Where it is.
    pub public_state: PublicState,
    /// The attempts so far.
    pub attempts: u32,
    /// When it was submitted.
    pub created_at: TimestampMs,
    /// When it last changed.
    pub updated_at: TimestampMs,
}

/// Lists the executions of one lane that are in one state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListExecutions {
    /// The namespace.
    pub namespace: Namespace,
    /// The lane.
    pub lane: LaneId,
    /// The state.
    pub state: PublicState,
    /// Where the page before ended; `None` for the first.
    pub cursor: Option<ListCursor>,
    /// At most this many rows: 1 to 1 000.
    pub limit: u32,
}

/// Where a page ended. Opaque text for callers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ListCursor(pub String);

/// A page of a listing, ordered inside each partition. A page may hold fewer rows than asked for
/// and still have a cursor.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExecutionPage {
    /// The rows.
    pub executions: Vec<ExecutionSummary>,
    /// Where to go on; `None` at the end.
    pub next: Option<ListCursor>,
}

/// How many executions of a lane are in each owner index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaneInfo {
    /// The namespace.
    pub namespace: Namespace,
    /// The lane.
    pub lane: LaneId,
    /// Counts by owner index, in the order of [`OwnerIndex::ALL`].
    pub counts: Vec<(OwnerIndex, u64)>,
}

impl ListExecutions {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("list limit", self.limit.into(), 1, LIST_LIMIT_MAX.into())
    }
}

/// Shows what is there. Nothing here changes anything.
#[async_trait::async_trait]
pub trait InspectBackend: Send + Sync + fmt::Debug {
    /// Describes an execution as it stands: timers that are due count as fired.
    async fn describe_execution(&self, execution_id: ExecutionId) -> EngineResult<ExecutionInfo>;

    /// Lists the ended turns that the record remembers, oldest first.
    async fn list_turns(&self, execution_id: ExecutionId) -> EngineResult<Vec<EndedTurn>>;

    /// Reads how an execution ended and its result.
    async fn read_result(&self, execution_id: ExecutionId) -> EngineResult<ExecutionResult>;

    /// Lists executions, page by page.
    async fn list_executions(&self, request: ListExecutions) -> EngineResult<ExecutionPage>;

    /// Lists the lanes of a namespace with their counts, by name.
    async fn list_lanes(&self, namespace: Namespace) -> EngineResult<Vec<LaneInfo>>;

    /// Says why an execution is not running, what holds it, who moves next and when.
    async fn explain_execution(&self, execution_id: ExecutionId) -> EngineResult<Explanation>;
}

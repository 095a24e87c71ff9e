//! What the rules over many records need of a store, inside one transaction.
//!
//! No method here can fail. A store whose reads or writes can (a file) remembers the first fault,
//! answers as if nothing were there, and lets the whole transaction fail before anybody hears of
//! its outcome.

use crate::execution::Execution;
use ff_core::contracts::budget::{BudgetInfo, ReportUsageResult};
use ff_core::contracts::stream::StreamFrame;
use ff_core::limits::EXPIRY_SLACK_MS;
use ff_core::{
    AttemptIndex, BudgetId, ClaimId, ExecutionId, LaneId, LeaseEpoch, MutationId, Namespace,
    TimestampMs, WorkerInstanceId,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which claim loop: namespace, worker instance, slot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClaimSlot {
    /// The namespace of the worker.
    pub namespace: Namespace,
    /// The worker's process.
    pub worker_instance_id: WorkerInstanceId,
    /// The loop inside it.
    pub slot: u16,
}

/// The newest claim of a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClaimMemory {
    /// The claim.
    pub claim_id: ClaimId,
    /// What it took, with the epoch of each lease, in order.
    pub taken: Vec<(ExecutionId, LeaseEpoch)>,
    /// When its leases ran out unless they were renewed: from then on a repeat answers none.
    pub expires_at: TimestampMs,
}

impl ClaimMemory {
    /// Returns when the claim is forgotten.
    pub fn forgotten_at(&self) -> TimestampMs {
        self.expires_at.plus_ms(EXPIRY_SLACK_MS)
    }
}

/// The execution that an idempotency key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdempotencyEntry {
    /// The first execution.
    pub execution_id: ExecutionId,
    /// When the window ends.
    pub expires_at: TimestampMs,
}

/// One partition of a store. [`put`](Self::put) and [`remove`](Self::remove) keep the indexes
/// as the record determines them and publish what changed; nothing else touches an index.
pub trait PartitionStore {
    /// Reads a record.
    fn get(&self, id: ExecutionId) -> Option<Arc<Execution>>;
    /// Writes a record, its owner index entry and its due entry.
    fn put(&mut self, execution: Execution);
    /// Removes a record, its entries and its frames.
    fn remove(&mut self, id: ExecutionId);

    /// Lists the routes of a lane that hold ready records; others may be among them.
    fn ready_routes(&self, namespace: &Namespace, lane: &LaneId) -> Vec<String>;
    /// Returns how many routes the live records of a lane have, the empty one aside, and whether
    /// `route` is among them.
    fn live_routes(&self, namespace: &Namespace, lane: &LaneId, route: &str) -> (usize, bool);
    /// Returns the first record of a ready index.
    fn ready_head(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
        route: &str,
    ) -> Option<(i64, ExecutionId)>;
    /// Returns the record whose timer is the earliest.
    fn due_head(&self) -> Option<(TimestampMs, ExecutionId)>;

    /// Reads what an idempotency key stands for.
    fn idempotency(&self, namespace: &Namespace, key: &str) -> Option<IdempotencyEntry>;
    /// Writes what an idempotency key stands for.
    fn remember_key(&mut self, namespace: &Namespace, key: &str, entry: IdempotencyEntry);

    /// Reads the last claim of a slot.
    fn claim_memory(&self, slot: &ClaimSlot) -> Option<ClaimMemory>;
    /// Writes the last claim of a slot.
    fn remember_claim(&mut self, slot: ClaimSlot, memory: ClaimMemory);

    /// Appends frames to the stream of an attempt.
    fn push_frames(&mut self, id: ExecutionId, attempt: AttemptIndex, frames: Vec<StreamFrame>);
    /// Drops the whole stream of an attempt.
    fn drop_stream(&mut self, id: ExecutionId, attempt: AttemptIndex);
    /// Drops the oldest frame of an attempt and returns its payload bytes.
    fn drop_oldest_frame(&mut self, id: ExecutionId, attempt: AttemptIndex) -> usize;
}

/// What a budget remembers of one report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UsageMemory {
    /// The budget.
    pub budget_id: BudgetId,
    /// The call.
    pub mutation_id: MutationId,
    /// What it answered.
    pub result: ReportUsageResult,
    /// The caller's key, if it gave one.
    pub dedup_key: Option<String>,
    /// The execution that reported: no lower epoch of it counts from now on.
    pub execution_id: ExecutionId,
    /// Its epoch.
    pub lease_epoch: LeaseEpoch,
    /// When all this is forgotten.
    pub expires_at: TimestampMs,
}

/// The budgets of a store. What is read may be past its expiry; the rules compare it.
pub trait BudgetStore {
    /// Reads limits and usage.
    fn budget(&self, budget_id: BudgetId) -> Option<BudgetInfo>;
    /// Writes limits and usage.
    fn put_budget(&mut self, info: BudgetInfo);
    /// Reads what a call answered, and until when that is remembered.
    fn reported(
        &self,
        budget_id: BudgetId,
        mutation_id: MutationId,
    ) -> Option<(ReportUsageResult, TimestampMs)>;
    /// Reads until when a dedup key is remembered.
    fn usage_key(&self, budget_id: BudgetId, dedup_key: &str) -> Option<TimestampMs>;
    /// Reads the highest epoch seen of an execution, and until when that is remembered.
    fn usage_epoch(
        &self,
        budget_id: BudgetId,
        execution_id: ExecutionId,
    ) -> Option<(LeaseEpoch, TimestampMs)>;
    /// Remembers a report.
    fn remember_usage(&mut self, memory: UsageMemory);
}

//! The handle: plain data that names one claim, so that any process may act on its behalf.

use crate::ids::{AttemptId, AttemptIndex, ExecutionId, LeaseEpoch, LeaseId};
use crate::name::{LaneId, WorkerInstanceId};
use crate::state::HandleKind;
use serde::{Deserialize, Serialize};

/// Identifies a claim: which execution, which attempt, under which lease, by whom.
///
/// It holds no secret and grants nothing by itself: every mutation compares it with the record.
/// Serialise it to hand a claim to another process; build one with [`Handle::from_parts`] in a
/// backend or a fake.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Handle {
    /// The execution that is leased.
    pub(crate) execution_id: ExecutionId,
    pub(crate) attempt_index: AttemptIndex,
    pub(crate) attempt_id: AttemptId,
    pub(crate) lease_id: LeaseId,
    pub(crate) lease_epoch: LeaseEpoch,
    pub(crate) lane: LaneId,
    pub(crate) worker_instance_id: WorkerInstanceId,
    pub(crate) kind: HandleKind,
}

/// What a [`Handle`] is made of.
#[derive(Clone, Debug)]
pub struct HandleParts {
    /// The execution that is leased.
    pub execution_id: ExecutionId,
    /// Which attempt.
    pub attempt_index: AttemptIndex,
    /// The id of that attempt.
    pub attempt_id: AttemptId,
    /// The lease.
    pub lease_id: LeaseId,
    /// The fencing number of the lease.
    pub lease_epoch: LeaseEpoch,
    /// The lane of the execution.
    pub lane: LaneId,
    /// The process that holds the lease.
    pub worker_instance_id: WorkerInstanceId,
    /// Whether the claim began the attempt or went on with it.
    pub kind: HandleKind,
}

impl Handle {
    /// Builds a handle.
    pub fn from_parts(parts: HandleParts) -> Self {
        Self {
            execution_id: parts.execution_id,
            attempt_index: parts.attempt_index,
            attempt_id: parts.attempt_id,
            lease_id: parts.lease_id,
            lease_epoch: parts.lease_epoch,
            lane: parts.lane,
            worker_instance_id: parts.worker_instance_id,
            kind: parts.kind,
        }
    }

    /// Returns the execution that is leased.
    pub const fn execution_id(&self) -> ExecutionId {
        self.execution_id
    }

    /// Returns which attempt this is; the first is 0.
    pub const fn attempt_index(&self) -> AttemptIndex {
        self.attempt_index
    }

    /// Returns the id of the attempt.
    pub const fn attempt_id(&self) -> AttemptId {
        self.attempt_id
    }

    /// Returns the lease.
    pub const fn lease_id(&self) -> LeaseId {
        self.lease_id
    }

    /// Returns the fencing number of the lease.
    pub const fn lease_epoch(&self) -> LeaseEpoch {
        self.lease_epoch
    }

    /// Returns the lane of the execution.
    pub const fn lane(&self) -> &LaneId {
        &self.lane
    }

    /// Returns the process that holds the lease.
    pub const fn worker_instance_id(&self) -> &WorkerInstanceId {
        &self.worker_instance_id
    }

    /// Returns whether the claim began the attempt or went on with it.
    pub const fn kind(&self) -> HandleKind {
        self.kind
    }
}

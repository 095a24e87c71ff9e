//! Ended turns: what a record remembers of how its leases ended, and how a repeated call is told
//! from a new one.
//!
//! A *turn* is the time between a claim and the end of that lease. A record keeps its last turn
//! for ever and the ones before it in a bounded list, so attempt history and the answers to
//! repeated calls come from one place.

use crate::handle::Handle;
use crate::ids::{AttemptId, AttemptIndex, LeaseEpoch, SuspensionId};
use crate::name::{WorkerId, WorkerInstanceId};
use crate::time::TimestampMs;
use crate::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// What ended a turn.
    TurnOperation {
        /// The worker completed.
        Complete = "complete",
        /// The worker failed.
        Fail = "fail",
        /// The worker or an operator cancelled.
        Cancel = "cancel",
        /// The worker gave the work back.
        Release = "release",
        /// The worker put the work off.
        Delay = "delay",
        /// The worker waits for children.
        WaitChildren = "wait_children",
        /// The worker suspended.
        Suspend = "suspend",
        /// The lease ran out.
        LeaseExpired = "lease_expired",
        /// The attempt ran too long.
        AttemptTimeout = "attempt_timeout",
        /// The deadline of the execution passed.
        Deadline = "deadline",
    }

    /// What the end of a turn led to.
    TurnOutcome {
        /// Ended with success.
        Success = "success",
        /// Ended failed.
        Failed = "failed",
        /// Ended cancelled.
        Cancelled = "cancelled",
        /// Ended expired.
        Expired = "expired",
        /// A new attempt was scheduled.
        RetryScheduled = "retry_scheduled",
        /// Ready to be claimed again.
        Ready = "ready",
        /// Delayed until a time.
        Delayed = "delayed",
        /// Suspended.
        Suspended = "suspended",
    }
}

/// One ended turn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndedTurn {
    /// The attempt that ran.
    pub attempt_index: AttemptIndex,
    /// The id of that attempt.
    pub attempt_id: AttemptId,
    /// The epoch of the lease that ended.
    pub lease_epoch: LeaseEpoch,
    /// What ended it.
    pub operation: TurnOperation,
    /// What that led to.
    pub outcome: TurnOutcome,
    /// When the execution may be claimed again, for a retry and a delay.
    pub delay_until: Option<TimestampMs>,
    /// The suspension that was opened, for a suspend.
    pub suspension_id: Option<SuspensionId>,
    /// When the lease was taken.
    pub started_at: TimestampMs,
    /// When it ended.
    pub ended_at: TimestampMs,
    /// The worker that held it.
    pub worker_id: WorkerId,
    /// The process that held it.
    pub worker_instance_id: WorkerInstanceId,
    /// Error category, for a failure.
    pub category: Option<String>,
    /// The reason that the caller gave.
    pub reason: Option<String>,
}

impl EndedTurn {
    /// Tells whether a call by `handle` that ends a turn with `operation` is this very turn's end,
    /// made again: same lease epoch, same attempt, same operation.
    pub fn is_repeated_by(&self, handle: &Handle, operation: TurnOperation) -> bool {
        self.lease_epoch == handle.lease_epoch
            && self.attempt_id == handle.attempt_id
            && self.attempt_index == handle.attempt_index
            && self.operation == operation
    }
}

//! Terminal: how a turn ends, and how a finished execution is run again.

use crate::contracts::claim::{ClaimExecution, ExecutionsClaimed};
use crate::contracts::lease::CancelRequested;
use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::handle::Handle;
use crate::ids::{AttemptIndex, ExecutionId, MutationId};
use crate::limits::{
    CANCEL_GRACE_MS_MAX, COMPLETIONS_BYTES_MAX, COMPLETIONS_MAX, PAYLOAD_BYTES_MAX,
    REASON_BYTES_MAX, TIMESTAMP_MS_MAX,
};
use crate::name::{check_label, check_snake_case};
use crate::partition::Partition;
use crate::policy::{at_most, between};
use crate::time::TimestampMs;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Ends an execution with success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteExecution {
    /// The claim.
    pub handle: Handle,
    /// The result: at most 1 MiB, any bytes.
    pub result: Option<Bytes>,
    /// A claim in the same partition, made in the same server call.
    pub next: Option<ClaimExecution>,
}

/// Ends executions of one partition with success, all in one server call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompleteExecutions {
    /// The ends: 1 to 256, with at most 4 MiB of results together unless there is one alone.
    pub completions: Vec<Completion>,
    /// A claim in the same partition, made in the same server call once they have ended.
    pub next: Option<ClaimExecution>,
}

/// One of several ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The claim.
    pub handle: Handle,
    /// The result: at most 1 MiB, any bytes.
    pub result: Option<Bytes>,
}

/// Fails an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailExecution {
    /// The claim.
    pub handle: Handle,
    /// What went wrong, for people; at most 1 024 bytes.
    pub reason: String,
    /// What kind of failure, for the retry policy; lower_snake_case, at most 64 bytes.
    pub error_category: String,
    /// A claim in the same partition, made in the same server call.
    pub next: Option<ClaimExecution>,
}

/// What a failure led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailOutcome {
    /// A new attempt may start at this time.
    RetryScheduled {
        /// When.
        delay_until: TimestampMs,
    },
    /// The execution ended failed.
    TerminalFailed,
}

/// Who cancels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelBy {
    /// The worker that holds the lease; ends at once.
    LeaseHolder(Handle),
    /// An operator. Running work is asked to stop and has this grace before its lease is revoked;
    /// anything else ends at once.
    Operator {
        /// This call: a repeat answers the same, however much later it arrives.
        mutation_id: MutationId,
        /// 0 to 1 day.
        grace_ms: u64,
    },
}

/// Cancels an execution.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CancelExecution {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Who cancels.
    pub by: CancelBy,
    /// Why; at most 1 024 bytes.
    pub reason: String,
}

/// What a cancel did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionCancelled {
    /// It ended cancelled, now or by an earlier cancel.
    Ended,
    /// It runs; its worker was asked to stop.
    Requested(CancelRequested),
}

/// Puts the work off: releases the lease until a time. The same attempt goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayExecution {
    /// The claim.
    pub handle: Handle,
    /// When it may be claimed again; a time in the past means at once.
    pub delay_until: TimestampMs,
}

/// Gives unfinished work back at once. The same attempt goes on; nothing is counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseExecution {
    /// The claim.
    pub handle: Handle,
    /// Why; at most 1 024 bytes.
    pub reason: String,
}

/// Releases the lease until the children resolve; with none unresolved it is ready again at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MoveToWaitingChildren {
    /// The claim.
    pub handle: Handle,
}

/// Runs a finished execution again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayExecution {
    /// The execution.
    pub execution_id: ExecutionId,
    /// This call: a repeat answers the same.
    pub mutation_id: MutationId,
}

/// The outcome of an end that may carry a claim.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TurnEnded<T> {
    /// What the end led to.
    pub outcome: T,
    /// What the fused claim took; `None` when the request carried none.
    pub next: Option<ExecutionsClaimed>,
}

/// The outcomes of several ends, and of the claim that came with them.
#[derive(Debug)]
pub struct ExecutionsCompleted {
    /// One a completion, in order: one that is refused does not touch the others.
    pub outcomes: Vec<EngineResult<()>>,
    /// What the claim took; `None` when the request carried none.
    pub next: Option<ExecutionsClaimed>,
}

/// A finished execution is ready again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExecutionReplayed {
    /// The index that the next attempt will have.
    pub attempt_index: AttemptIndex,
}

fn check_next(partition: Partition, next: Option<&ClaimExecution>) -> EngineResult<()> {
    let Some(next) = next else { return Ok(()) };
    next.check()?;
    if next.partition == partition {
        return Ok(());
    }
    Err(argument(format!("a fused claim must be in {partition}")))
}

fn argument(message: String) -> EngineError {
    EngineError::validation(ValidationKind::Argument, message)
}

fn check_result(result: Option<&Bytes>) -> EngineResult<usize> {
    let bytes = result.map_or(0, Bytes::len);
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(EngineError::validation(
            ValidationKind::TooLarge,
            format!("result is {bytes} bytes, the limit is {PAYLOAD_BYTES_MAX}"),
        ));
    }
    Ok(bytes)
}

impl CompleteExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_result(self.result.as_ref())?;
        check_next(self.handle.execution_id().partition(), self.next.as_ref())
    }
}

impl Completion {
    /// Refuses an end past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_result(self.result.as_ref()).map(drop)
    }
}

impl CompleteExecutions {
    /// Refuses a request past its bounds; returns the partition of the ends.
    pub fn check(&self) -> EngineResult<Partition> {
        between("completions", self.completions.len() as u64, 1, COMPLETIONS_MAX as u64)?;
        let partition = self.completions[0].handle.execution_id().partition();
        let mut bytes = 0;
        for Completion { handle, result } in &self.completions {
            bytes += check_result(result.as_ref())?;
            let other = handle.execution_id().partition();
            if other != partition {
                let message = format!("completions of {partition} and of {other} in one call");
                return Err(argument(message));
            }
        }
        if bytes > COMPLETIONS_BYTES_MAX && self.completions.len() > 1 {
            return Err(EngineError::validation(
                ValidationKind::TooLarge,
                format!("results are {bytes} bytes, the limit is {COMPLETIONS_BYTES_MAX}"),
            ));
        }
        check_next(partition, self.next.as_ref())?;
        Ok(partition)
    }
}

impl FailExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_label("reason", &self.reason, REASON_BYTES_MAX)?;
        check_snake_case("error category", &self.error_category)?;
        check_next(self.handle.execution_id().partition(), self.next.as_ref())
    }
}

impl CancelExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_label("reason", &self.reason, REASON_BYTES_MAX)?;
        match &self.by {
            CancelBy::Operator { grace_ms, .. } => {
                at_most("cancel grace_ms", *grace_ms, CANCEL_GRACE_MS_MAX)
            }
            CancelBy::LeaseHolder(handle) if handle.execution_id() != self.execution_id => {
                Err(EngineError::validation(
                    ValidationKind::Argument,
                    format!("the handle is for {}", handle.execution_id()),
                ))
            }
            CancelBy::LeaseHolder(_) => Ok(()),
        }
    }
}

impl DelayExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        at_most("delay_until", self.delay_until.as_millis(), TIMESTAMP_MS_MAX)
    }
}

impl ReleaseExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_label("reason", &self.reason, REASON_BYTES_MAX)
    }
}

/// Ends turns. An end that is refused makes no claim; a repeated end still makes (or repeats) the
/// claim that it carries; a claim that is refused never fails the end: `next` is then empty.
///
/// A repeated end answers what the first answered, for as long as the record remembers
/// the turn; another end by the same handle is `ExecutionNotActive` and tells what won.
///
/// While a cancel is requested, an end that leaves the execution live is followed at once by that
/// cancel, as if it had come right after.
#[async_trait::async_trait]
pub trait TerminalBackend: Send + Sync + fmt::Debug {
    /// Ends the execution with success.
    async fn complete_execution(&self, request: CompleteExecution) -> EngineResult<TurnEnded<()>>;

    /// Ends executions of one partition with success, each on its own. The claim that travels with
    /// them is made whatever became of them. After a [`Transport`](EngineError::Transport) error
    /// the identical request again answers what the first did.
    async fn complete_executions(
        &self,
        request: CompleteExecutions,
    ) -> EngineResult<ExecutionsCompleted>;

    /// Fails the attempt: a retry is scheduled, or the execution ends failed.
    async fn fail_execution(&self, request: FailExecution) -> EngineResult<TurnEnded<FailOutcome>>;

    /// Cancels; cancelling what is cancelled is fine, cancelling what ended otherwise is
    /// `ExecutionNotActive`. A second request keeps the earlier of the two revoke times.
    async fn cancel_execution(&self, request: CancelExecution) -> EngineResult<ExecutionCancelled>;

    /// Releases the lease until a time.
    async fn delay_execution(&self, request: DelayExecution) -> EngineResult<()>;

    /// Gives the work back at once.
    async fn release_execution(&self, request: ReleaseExecution) -> EngineResult<()>;

    /// Releases the lease until the children resolve.
    async fn move_to_waiting_children(&self, request: MoveToWaitingChildren) -> EngineResult<()>;

    /// Makes a finished execution ready for a new attempt. Its result, failure and the counts of
    /// retries and reclaims are cleared; a deadline gets the span again that it had.
    async fn replay_execution(&self, request: ReplayExecution) -> EngineResult<ExecutionReplayed>;
}

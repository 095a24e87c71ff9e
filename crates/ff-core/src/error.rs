//! One error type, sorted by what the caller can do next.
//!
//! What a correct caller may meet in daily work (nothing to claim, a duplicate signal, a soft
//! limit) is a value of the operation's outcome and never an error.

use crate::ids::{AttemptId, BudgetId, ClaimId, ExecutionId, LeaseEpoch};
use crate::name::{Capability, KeyId, WaitpointKey};
use crate::state::{LifecyclePhase, PublicState, TerminalOutcome};
use crate::time::TimestampMs;
use std::error::Error;
use std::fmt;

/// The result of every engine operation.
pub type EngineResult<T> = Result<T, EngineError>;

/// Why an engine operation did not happen. A refusal changes nothing.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The record does not exist, or its retention has ended.
    #[error("{entity} not found")]
    NotFound {
        /// What was looked for.
        entity: Entity,
    },
    /// The request is malformed or past a limit; the same request will never pass.
    #[error("invalid {kind}: {detail}")]
    Validation {
        /// Which rule it breaks.
        kind: ValidationKind,
        /// What was wrong, and what would be right.
        detail: String,
    },
    /// Somebody else is in the way for now.
    #[error(transparent)]
    Contention(#[from] ContentionKind),
    /// Somebody else won; trying again will not help.
    #[error(transparent)]
    Conflict(#[from] ConflictKind),
    /// The request is legal, but too late or too early.
    #[error(transparent)]
    State(#[from] StateKind),
    /// The engine or the store broke its own contract: please report it.
    #[error(transparent)]
    Bug(#[from] BugKind),
    /// The store could not be reached, or the answer never came. The operation may have happened:
    /// repeat the identical request.
    #[error("{backend} did not answer: {source}")]
    Transport {
        /// Which backend.
        backend: &'static str,
        /// What the client library said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The store answers, but cannot take this operation now.
    #[error("{op} is unavailable: {reason}")]
    Unavailable {
        /// The operation.
        op: &'static str,
        /// Why, and what an operator can do.
        reason: String,
    },
}

/// What a caller can do about an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The identical request may succeed later.
    Retryable,
    /// The identical request will fail again.
    Terminal,
    /// The engine is at fault.
    Bug,
}

impl EngineError {
    /// Builds a [`EngineError::Validation`].
    pub fn validation(kind: ValidationKind, detail: impl Into<String>) -> Self {
        Self::Validation { kind, detail: detail.into() }
    }

    /// Builds a [`EngineError::NotFound`] for an execution.
    pub const fn execution_not_found(execution_id: ExecutionId) -> Self {
        Self::NotFound { entity: Entity::Execution(execution_id) }
    }

    /// Tells what a caller can do about it.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Contention(_) | Self::Transport { .. } | Self::Unavailable { .. } => {
                ErrorClass::Retryable
            }
            Self::Bug(_) => ErrorClass::Bug,
            Self::NotFound { .. }
            | Self::Validation { .. }
            | Self::Conflict(_)
            | Self::State(_) => ErrorClass::Terminal,
        }
    }

    /// Tells whether the lease behind a call is gone for good: stop the work, renew no more.
    pub const fn is_lease_lost(&self) -> bool {
        matches!(
            self,
            Self::NotFound { .. }
                | Self::Conflict(ConflictKind::StaleLease { .. })
                | Self::State(
                    StateKind::LeaseExpired { .. } | StateKind::ExecutionNotActive { .. }
                )
        )
    }

    /// Makes the same error again, for the other items of a call that failed as a whole. The source
    /// of a transport error becomes its text.
    #[must_use]
    pub fn again(&self) -> Self {
        match self {
            Self::NotFound { entity } => Self::NotFound { entity: *entity },
            Self::Validation { kind, detail } => Self::validation(*kind, detail.clone()),
            Self::Contention(kind) => kind.clone().into(),
            Self::Conflict(kind) => kind.clone().into(),
            Self::State(kind) => kind.clone().into(),
            Self::Bug(kind) => kind.clone().into(),
            Self::Transport { backend, source } => {
                Self::Transport { backend, source: source.to_string().into() }
            }
            Self::Unavailable { op, reason } => Self::Unavailable { op, reason: reason.clone() },
        }
    }

    /// Tells whether two errors say the same; sources of transport errors are not compared.
    pub fn same_as(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::NotFound { entity: a }, Self::NotFound { entity: b }) => a == b,
            (Self::Validation { kind: a, detail: x }, Self::Validation { kind: b, detail: y }) => {
                a == b && x == y
            }
            (Self::Contention(a), Self::Contention(b)) => a == b,
            (Self::Conflict(a), Self::Conflict(b)) => a == b,
            (Self::State(a), Self::State(b)) => a == b,
            (Self::Bug(a), Self::Bug(b)) => a == b,
            (Self::Transport { .. }, Self::Transport { .. }) => true,
            (Self::Unavailable { op: a, .. }, Self::Unavailable { op: b, .. }) => a == b,
            _ => false,
        }
    }
}

/// What can be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entity {
    /// An execution.
    Execution(ExecutionId),
    /// A budget.
    Budget(BudgetId),
}

impl fmt::Display for Entity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Execution(id) => write!(f, "execution {id}"),
            Self::Budget(id) => write!(f, "budget {id}"),
        }
    }
}

/// Which rule a request breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ValidationKind {
    /// An id is malformed.
    Id,
    /// A name is empty, too long or holds a forbidden character.
    Name,
    /// A number, a combination or a shape is out of bounds.
    Argument,
    /// A payload, a text or a call is too large.
    TooLarge,
    /// The deadline does not lie ahead.
    DeadlineInPast,
    /// The token was not signed for this waitpoint, or nobody knows the waitpoint.
    InvalidToken,
    /// A cursor is not concrete.
    Cursor,
    /// The sum of usage would pass what can be counted exactly.
    UsageOverflow,
    /// The backend can not be set up as asked: address, credentials, version.
    Connection,
}

impl fmt::Display for ValidationKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Argument => "argument",
            Self::TooLarge => "size",
            Self::DeadlineInPast => "deadline",
            Self::InvalidToken => "token",
            Self::Cursor => "cursor",
            Self::UsageOverflow => "usage",
            Self::Connection => "connection",
        })
    }
}

/// Who is in the way for now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ContentionKind {
    /// Another grant holds the execution.
    #[error("execution {execution_id} is granted to another until {until}")]
    GrantExists {
        /// The execution.
        execution_id: ExecutionId,
        /// When that grant lapses.
        until: TimestampMs,
    },
}

/// Who won.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConflictKind {
    /// A newer claim took the execution over.
    #[error("lease of {execution_id} is stale: held epoch {held}, current {current}")]
    StaleLease {
        /// The execution.
        execution_id: ExecutionId,
        /// The epoch of the caller's handle.
        held: LeaseEpoch,
        /// The epoch of the record.
        current: LeaseEpoch,
    },
    /// The execution id is taken by a submission that differs.
    #[error("execution {execution_id} was submitted before with other content")]
    ExecutionExists {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// A newer claim of the same worker slot has replaced this one.
    #[error("claim is superseded by claim {current} of the same worker slot")]
    ClaimSuperseded {
        /// The claim that the slot holds.
        current: ClaimId,
    },
    /// An open waitpoint of the execution has the key.
    #[error("waitpoint key {waitpoint_key} of {execution_id} is open already")]
    WaitpointExists {
        /// The execution.
        execution_id: ExecutionId,
        /// The key.
        waitpoint_key: WaitpointKey,
    },
    /// The id is taken by another waitpoint, suspension or signal of the execution.
    #[error("id {id} of {execution_id} is taken by a request that differs")]
    IdTaken {
        /// The execution.
        execution_id: ExecutionId,
        /// The id.
        id: String,
    },
    /// A frame was skipped, or came twice in another batch.
    #[error("frame {got} of {execution_id} is out of order, expected {expected}")]
    FrameOutOfOrder {
        /// The execution.
        execution_id: ExecutionId,
        /// The sequence that comes next.
        expected: u64,
        /// The sequence that came.
        got: u64,
    },
    /// The budget exists with other limits.
    #[error("budget {budget_id} exists with other limits")]
    BudgetExists {
        /// The budget.
        budget_id: BudgetId,
    },
    /// The key id is taken by another secret, or no longer signs.
    #[error("key id {kid} is taken; rotate to a new id")]
    KeyIdTaken {
        /// The key.
        kid: KeyId,
    },
}

/// Why a legal request came too late or too early.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateKind {
    /// No lease is live; the details tell how it ended.
    #[error(
        "execution {execution_id} is not active: {lifecycle_phase}, outcome {terminal_outcome}, \
         epoch {lease_epoch}"
    )]
    ExecutionNotActive {
        /// The execution.
        execution_id: ExecutionId,
        /// How it ended, `none` while it is live.
        terminal_outcome: TerminalOutcome,
        /// The epoch of the last lease.
        lease_epoch: LeaseEpoch,
        /// Where it is now.
        lifecycle_phase: LifecyclePhase,
        /// The current or last attempt, `None` before the first claim.
        attempt_id: Option<AttemptId>,
    },
    /// The lease ran out before the call arrived.
    #[error("lease of {execution_id} expired at {expired_at}")]
    LeaseExpired {
        /// The execution.
        execution_id: ExecutionId,
        /// When.
        expired_at: TimestampMs,
    },
    /// Only a finished execution can be replayed.
    #[error("execution {execution_id} has not ended: it is {public_state}")]
    ExecutionNotTerminal {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it is.
        public_state: PublicState,
    },
    /// Only a ready execution can be granted.
    #[error("execution {execution_id} is not ready: it is {public_state}")]
    ExecutionNotReady {
        /// The execution.
        execution_id: ExecutionId,
        /// Where it is.
        public_state: PublicState,
    },
    /// The grant is unknown, lapsed, used, of another kind or another worker's.
    #[error("grant for {execution_id} is not valid: {reason}")]
    GrantInvalid {
        /// The execution.
        execution_id: ExecutionId,
        /// Which of these.
        reason: String,
    },
    /// The execution goes on with an attempt: only a reclaim grant can take it.
    #[error("execution {execution_id} resumes an attempt or a lost lease: use a reclaim grant")]
    UseReclaimGrant {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The execution starts a new attempt: only a claim grant can take it.
    #[error("execution {execution_id} neither resumes nor lost a lease: use a claim grant")]
    UseClaimGrant {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The worker does not offer what the execution requires.
    #[error("worker lacks {missing}, which {execution_id} requires")]
    CapabilityMissing {
        /// The execution.
        execution_id: ExecutionId,
        /// The first capability that is missing.
        missing: Capability,
    },
    /// The waitpoint takes no more signals.
    #[error("waitpoint of {execution_id} is closed")]
    WaitpointClosed {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// The pending waitpoint, or the key that signed the token, is past its expiry.
    #[error("token for {execution_id} has expired")]
    TokenExpired {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// Several pending waitpoints: the matchers must name one.
    #[error("execution {execution_id} has {open} pending waitpoints: name one by its key")]
    WaitpointAmbiguous {
        /// The execution.
        execution_id: ExecutionId,
        /// How many.
        open: u64,
    },
    /// A count that the record bounds is used up.
    #[error("execution {execution_id} is past its limit of {limit} {what}")]
    LimitReached {
        /// The execution.
        execution_id: ExecutionId,
        /// What is counted.
        what: Counted,
        /// The bound.
        limit: u64,
    },
    /// The lane holds work for too many distinct capability sets.
    #[error("lane holds {limit} distinct capability sets, the most it can")]
    RouteLimit {
        /// The bound.
        limit: u64,
    },
}

/// What a record counts and bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Open waitpoints.
    Waitpoints,
    /// Accepted signals.
    Signals,
    /// Replays.
    Replays,
}

impl Counted {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waitpoints => "open waitpoints",
            Self::Signals => "signals",
            Self::Replays => "replays",
        }
    }
}

impl fmt::Display for Counted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the engine or the store broke the contract.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BugKind {
    /// A reply is not of the agreed form.
    #[error("{function} replied with a bad {field}: expected {expected}, got {got}")]
    Parse {
        /// The function.
        function: &'static str,
        /// The field.
        field: &'static str,
        /// What the grammar says.
        expected: &'static str,
        /// What came, shortened.
        got: String,
    },
    /// A reply carries an error code that nobody knows.
    #[error("{function} replied with the unknown error code {code:?}")]
    UnknownCode {
        /// The function.
        function: &'static str,
        /// The code, quoted.
        code: String,
    },
    /// The function itself failed.
    #[error("{function} failed inside the store: {message}")]
    Function {
        /// The function.
        function: &'static str,
        /// What the store said.
        message: String,
    },
    /// What is stored of an execution cannot be read, or a part of it is gone. Nothing was changed.
    #[error("the record of {execution_id} is damaged: the doctor tells what is wrong with it")]
    RecordDamaged {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// An invariant of the rules does not hold.
    #[error("invariant broken: {0}")]
    Invariant(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_can_be_told_again() {
        let source = "gone".to_owned().into();
        for error in [
            EngineError::validation(ValidationKind::Cursor, "not concrete"),
            EngineError::Bug(BugKind::Invariant("broken".to_owned())),
            EngineError::Transport { backend: "valkey", source },
            EngineError::Unavailable { op: "tick", reason: "busy".to_owned() },
        ] {
            assert!(error.same_as(&error.again()));
            assert_eq!(error.to_string(), error.again().to_string());
        }
    }
}

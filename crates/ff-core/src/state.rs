//! The words for where an execution is. `docs/state-machine.md` draws how it moves.

use crate::words::words;
use serde::{Deserialize, Serialize};

words! {
    /// The main phase of an execution.
    LifecyclePhase {
        /// Waits for a worker, a time or a gate.
        Runnable = "runnable",
        /// A worker holds its lease.
        Active = "active",
        /// Waits for signals, without a worker.
        Suspended = "suspended",
        /// Over.
        Terminal = "terminal",
    }

    /// How an execution ended.
    TerminalOutcome {
        /// It has not ended.
        None = "none",
        /// An attempt completed it.
        Success = "success",
        /// Its last attempt failed, or too many leases were lost.
        Failed = "failed",
        /// A worker or an operator cancelled it.
        Cancelled = "cancelled",
        /// Its deadline or a suspension that expires passed.
        Expired = "expired",
        /// A flow had no use for it.
        Skipped = "skipped",
    }

    /// The state that people see, derived from the rest.
    PublicState {
        /// Ready to be claimed.
        Waiting = "waiting",
        /// Ready later.
        Delayed = "delayed",
        /// Held back by a gate.
        Blocked = "blocked",
        /// Waits for its children.
        WaitingChildren = "waiting_children",
        /// A worker runs it.
        Active = "active",
        /// Waits for signals.
        Suspended = "suspended",
        /// Ended with success.
        Completed = "completed",
        /// Ended failed.
        Failed = "failed",
        /// Ended cancelled.
        Cancelled = "cancelled",
        /// Ended expired.
        Expired = "expired",
        /// Ended skipped.
        Skipped = "skipped",
    }

    /// The one index that holds an execution: each record determines its owner.
    OwnerIndex {
        /// Claimable now.
        Ready = "ready",
        /// Claimable later.
        Delayed = "delayed",
        /// Under a lease.
        Active = "active",
        /// Waiting for signals.
        Suspended = "suspended",
        /// Held back by a gate.
        Blocked = "blocked",
        /// Over, until its retention ends.
        Done = "done",
    }

    /// What holds a blocked execution back.
    Gate {
        /// A scheduler granted it to one worker.
        Grant = "grant",
    }

    /// Why an execution is delayed.
    DelayReason {
        /// Submitted to start later.
        Start = "start",
        /// Waits before its next attempt.
        Backoff = "backoff",
        /// The worker asked for it.
        Delay = "delay",
    }

    /// Whether a claim starts an attempt or goes on with one.
    HandleKind {
        /// A new attempt.
        Fresh = "fresh",
        /// The attempt goes on after a suspension, a delay or a release.
        Resumed = "resumed",
    }

    /// What becomes of a suspension whose timeout passes.
    TimeoutBehavior {
        /// Ends failed, with category `suspension_timeout`, without a retry.
        Fail = "fail",
        /// Ends cancelled.
        Cancel = "cancel",
        /// Ends expired.
        Expire = "expire",
        /// Resumes; the task sees a synthetic timeout signal.
        AutoResume = "auto_resume_with_timeout_signal",
        /// Stays suspended without a timer, flagged, and still takes signals.
        Escalate = "escalate",
    }

    /// What a waitpoint is good for.
    WaitpointState {
        /// Buffers signals for a suspension to come.
        Pending = "pending",
        /// A suspension waits on it.
        Active = "active",
        /// Takes no more signals.
        Closed = "closed",
    }

    /// What a signal did when it was accepted.
    SignalEffect {
        /// Kept until a suspension adopts the waitpoint.
        Buffered = "buffered_for_pending_waitpoint",
        /// Met a matcher; others are still open.
        Appended = "appended_to_waitpoint",
        /// Met the last open matcher: the execution resumes.
        ResumeConditionSatisfied = "resume_condition_satisfied",
        /// Met no open matcher.
        NoOp = "no_op",
    }
}

impl TerminalOutcome {
    /// Returns the public state of an execution that ended so.
    pub const fn public_state(self) -> PublicState {
        match self {
            Self::Success => PublicState::Completed,
            Self::None | Self::Failed => PublicState::Failed,
            Self::Cancelled => PublicState::Cancelled,
            Self::Expired => PublicState::Expired,
            Self::Skipped => PublicState::Skipped,
        }
    }
}

impl PublicState {
    /// Tells whether nothing more will happen to it, a replay aside.
    pub const fn is_terminal(self) -> bool {
        matches!(
            self,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired | Self::Skipped
        )
    }

    /// Returns the index that holds the executions of this state, of others too perhaps.
    pub const fn owner_index(self) -> OwnerIndex {
        match self {
            Self::Waiting => OwnerIndex::Ready,
            Self::Delayed => OwnerIndex::Delayed,
            Self::Blocked | Self::WaitingChildren => OwnerIndex::Blocked,
            Self::Active => OwnerIndex::Active,
            Self::Suspended => OwnerIndex::Suspended,
            Self::Completed | Self::Failed | Self::Cancelled | Self::Expired | Self::Skipped => {
                OwnerIndex::Done
            }
        }
    }
}

impl TimeoutBehavior {
    /// Reads the word, the short form `auto_resume` included.
    pub fn parse_lenient(word: &str) -> Option<Self> {
        if word == "auto_resume" { Some(Self::AutoResume) } else { Self::parse(word) }
    }
}

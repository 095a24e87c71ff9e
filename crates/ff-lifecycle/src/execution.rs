//! The record of one execution, and the moves that every rule is made of.

use bytes::Bytes;
use ff_core::contracts::claim::Grant;
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::contracts::stream::{AppendFrameOutcome, FrameId};
use ff_core::contracts::suspend::{ConditionMatcher, Suspension};
use ff_core::contracts::terminal::{ExecutionCancelled, ExecutionReplayed};
use ff_core::limits::{MUTATIONS_KEPT_MAX, TURNS_KEPT_MAX, WAITPOINTS_CLOSED_KEPT_MAX};
use ff_core::policy::EffectivePolicy;
use ff_core::state::*;
use ff_core::token::WaitpointToken;
use ff_core::turn::{EndedTurn, TurnOperation, TurnOutcome};
use ff_core::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What never changes after the submission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The namespace of its lane.
    pub namespace: Namespace,
    /// Its lane.
    pub lane: LaneId,
    /// What it does.
    pub kind: ExecutionKind,
    /// The tenant among those that share the lane.
    pub fairness_key: Option<FairnessKey>,
    /// How it is to be run.
    pub policy: EffectivePolicy,
    /// The canonical set of required capabilities.
    pub route: String,
    /// The digest of the submission.
    pub fingerprint: String,
    /// The submitted bytes.
    pub input: Bytes,
    /// From the submission to the deadline.
    pub deadline_span_ms: Option<u64>,
    /// When it was submitted.
    pub created_at: TimestampMs,
}

/// A record: the definition and where the execution is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Execution {
    /// What never changes.
    pub definition: Arc<Definition>,
    /// Where it is.
    pub phase: Phase,
    /// What the next claim does.
    pub next: NextTurn,
    /// The fencing number of the current or last lease.
    pub epoch: LeaseEpoch,
    /// Attempts begun.
    pub attempts: u32,
    /// The current or last attempt.
    pub attempt_id: Option<AttemptId>,
    /// What is left of the attempt's running time, for an attempt that goes on.
    pub attempt_left_ms: Option<u64>,
    /// When it expires.
    pub deadline_at: Option<TimestampMs>,
    /// Retries since the submission or the last replay.
    pub retries: u32,
    /// Leases lost since the submission or the last replay.
    pub reclaims: u32,
    /// Replays.
    pub replays: u32,
    /// Calls of operators that changed it, oldest first, bounded.
    pub mutations: Vec<(MutationId, MutationOutcome)>,
    /// The last grant, used, lapsed or open, and when it lapses.
    pub last_grant: Option<(GrantId, TimestampMs)>,
    /// Progress in percent and words.
    pub progress: Option<(u8, Option<String>)>,
    /// A cancel that is under way.
    pub cancel: Option<CancelRequested>,
    /// The category of the last failure.
    pub failure_category: Option<String>,
    /// Why it ended, or why the last attempt failed.
    pub end_reason: Option<String>,
    /// The result of a success.
    pub result: Option<Bytes>,
    /// Ended turns, oldest first, bounded.
    pub turns: Vec<EndedTurn>,
    /// Waitpoints, oldest first: open ones and the last closed ones.
    pub waitpoints: Vec<Waitpoint>,
    /// Suspensions of this turn that buffered signals had met already, each with those signals.
    pub satisfied: Vec<(Suspension, Vec<ResumeSignal>)>,
    /// Suspensions that ended a turn, oldest first: the answers to repeated suspends.
    pub suspensions: Vec<Suspension>,
    /// Accepted signals, oldest first, bounded.
    pub signals: Vec<AcceptedSignal>,
    /// The signals that caused the last resume of this attempt.
    pub resume_signals: Vec<ResumeSignal>,
    /// Where the output stands.
    pub frames: FrameState,
    /// Until when somebody watches it.
    pub watched_until: Option<TimestampMs>,
    /// When it last changed.
    pub updated_at: TimestampMs,
}

/// Where an execution is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Claimable now.
    Ready {
        /// Ready time minus lead.
        score: i64,
    },
    /// Claimable later.
    Delayed {
        /// Why.
        reason: DelayReason,
        /// When.
        until: TimestampMs,
    },
    /// Reserved for one worker instance.
    Granted {
        /// The grant.
        grant: Grant,
        /// When it was issued.
        since: TimestampMs,
        /// When it lapses.
        expires_at: TimestampMs,
        /// The score to return to.
        score: i64,
    },
    /// Under a lease.
    Active(Lease),
    /// Waiting for signals.
    Suspended(OpenSuspension),
    /// Over.
    Terminal {
        /// How it ended.
        outcome: TerminalOutcome,
        /// When.
        ended_at: TimestampMs,
    },
}

/// What the next claim does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NextTurn {
    /// Begins a new attempt.
    NewAttempt,
    /// Begins a new attempt, because the lease of the last one was lost.
    AfterLostLease,
    /// Goes on with the attempt.
    Resume,
}

/// A lease.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Its id.
    pub lease_id: LeaseId,
    /// The worker.
    pub worker_id: WorkerId,
    /// The process.
    pub worker_instance_id: WorkerInstanceId,
    /// Whether it began the attempt or went on with it.
    pub kind: HandleKind,
    /// When it was taken.
    pub started_at: TimestampMs,
    /// When it runs out.
    pub expires_at: TimestampMs,
    /// When the attempt has run too long.
    pub attempt_timeout_at: Option<TimestampMs>,
}

/// An open suspension.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenSuspension {
    /// Its id.
    pub suspension_id: SuspensionId,
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// Why.
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

/// A waitpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waitpoint {
    /// Its id.
    pub waitpoint_id: WaitpointId,
    /// Its key.
    pub waitpoint_key: WaitpointKey,
    /// Its token.
    pub token: WaitpointToken,
    /// What it is good for.
    pub state: WaitpointState,
    /// When it was opened.
    pub created_at: TimestampMs,
    /// When it stops taking signals unless adopted.
    pub expires_at: Option<TimestampMs>,
}

/// A signal as it was accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedSignal {
    /// Where it was sent.
    pub waitpoint_id: WaitpointId,
    /// Its idempotency key.
    pub dedup_key: Option<String>,
    /// What it did.
    pub effect: SignalEffect,
    /// The rest.
    pub signal: ResumeSignal,
}

/// What a call of an operator did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MutationOutcome {
    /// A cancel.
    Cancelled(ExecutionCancelled),
    /// A replay.
    Replayed(ExecutionReplayed),
}

/// Where the output of an execution stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrameState {
    /// Sequence that comes next in this claim.
    pub next_sequence: u64,
    /// Sequence, number of frames and outcome of the last append of this claim.
    pub last_append: Option<(u64, u64, AppendFrameOutcome)>,
    /// The last id of any attempt.
    pub last_id: FrameId,
    /// Frames that the current attempt appended.
    pub count: u64,
    /// Frames of the current attempt that are kept.
    pub kept: u64,
    /// Payload bytes of the current attempt that are kept.
    pub kept_bytes: u64,
}

/// What a rule decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<T> {
    /// The request repeats an earlier one: its outcome, and nothing to write.
    Repeat(T),
    /// The record as it is to be, and the outcome.
    Change(Box<Execution>, T),
}

impl<T> Decision<T> {
    /// Returns the outcome.
    pub fn outcome(self) -> T {
        match self {
            Self::Repeat(outcome) | Self::Change(_, outcome) => outcome,
        }
    }
}

/// The owner index of a record and its place there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Which index.
    pub index: OwnerIndex,
    /// The score.
    pub score: i64,
}

/// How a turn ends; the rest of an [`EndedTurn`] comes from the record.
pub(crate) struct TurnEnd {
    pub operation: TurnOperation,
    pub outcome: TurnOutcome,
    pub delay_until: Option<TimestampMs>,
    pub suspension_id: Option<SuspensionId>,
    pub category: Option<String>,
    pub reason: Option<String>,
}

impl TurnEnd {
    pub(crate) const fn new(operation: TurnOperation, outcome: TurnOutcome) -> Self {
        Self {
            operation,
            outcome,
            delay_until: None,
            suspension_id: None,
            category: None,
            reason: None,
        }
    }

    pub(crate) fn because(mut self, reason: &str) -> Self {
        self.reason = Some(reason.to_owned());
        self
    }
}

/// Returns a time as a score.
pub(crate) fn score_of(at: TimestampMs) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}

impl Execution {
    /// Returns the execution's id.
    pub fn id(&self) -> ExecutionId {
        self.definition.execution_id
    }

    /// Returns the index that holds the record, and its place there.
    pub fn owner(&self) -> Owner {
        let (index, score) = match &self.phase {
            Phase::Ready { score } => (OwnerIndex::Ready, *score),
            Phase::Delayed { until, .. } => (OwnerIndex::Delayed, score_of(*until)),
            Phase::Granted { since, .. } => (OwnerIndex::Blocked, score_of(*since)),
            Phase::Active(lease) => (OwnerIndex::Active, score_of(lease.started_at)),
            Phase::Suspended(open) => (OwnerIndex::Suspended, score_of(open.suspended_at)),
            Phase::Terminal { ended_at, .. } => (OwnerIndex::Done, score_of(*ended_at)),
        };
        Owner { index, score }
    }

    /// Returns the earliest timer of the record.
    pub fn due(&self) -> Option<TimestampMs> {
        self.timers().map(|(at, _)| at).min()
    }

    /// Returns the current or last attempt.
    pub fn attempt_index(&self) -> AttemptIndex {
        AttemptIndex(self.attempts.saturating_sub(1))
    }

    /// Returns the last ended turn.
    pub fn last_turn(&self) -> Option<&EndedTurn> {
        self.turns.last()
    }

    /// Tells whether the current attempt is over.
    pub fn attempt_is_over(&self) -> bool {
        match self.phase {
            Phase::Active(_) | Phase::Suspended(_) => false,
            Phase::Terminal { .. } => true,
            _ => self.next != NextTurn::Resume,
        }
    }

    /// Tells whether somebody watches it.
    pub fn is_watched(&self, now: TimestampMs) -> bool {
        self.watched_until.is_some_and(|until| until > now)
    }

    pub(crate) fn lead_ms(&self) -> i64 {
        self.definition.policy.lead_ms
    }

    pub(crate) fn make_ready(&mut self, at: TimestampMs, next: NextTurn) {
        self.phase = Phase::Ready { score: score_of(at) - self.lead_ms() };
        self.next = next;
    }

    /// Ends the turn of the current lease. The caller sets the phase that follows.
    pub(crate) fn end_turn(&mut self, end: TurnEnd, at: TimestampMs) {
        let (Phase::Active(lease), Some(attempt_id)) = (&self.phase, self.attempt_id) else {
            return;
        };
        let turn = EndedTurn {
            attempt_index: self.attempt_index(),
            attempt_id,
            lease_epoch: self.epoch,
            operation: end.operation,
            outcome: end.outcome,
            delay_until: end.delay_until,
            suspension_id: end.suspension_id,
            started_at: lease.started_at,
            ended_at: at,
            worker_id: lease.worker_id.clone(),
            worker_instance_id: lease.worker_instance_id.clone(),
            category: end.category,
            reason: end.reason,
        };
        self.attempt_left_ms = lease.attempt_timeout_at.map(|timeout_at| timeout_at.since_ms(at));
        if self.turns.len() == TURNS_KEPT_MAX {
            let forgotten = self.turns.remove(0);
            self.suspensions.retain(|s| Some(s.suspension_id) != forgotten.suspension_id);
        }
        // Most executions end with their first turn, and are kept for long.
        self.turns.reserve_exact(1);
        self.turns.push(turn);
        self.satisfied.clear();
    }

    /// Remembers a call of an operator.
    pub(crate) fn remember_mutation(&mut self, id: MutationId, outcome: MutationOutcome) {
        if self.mutations.len() == MUTATIONS_KEPT_MAX {
            self.mutations.remove(0);
        }
        self.mutations.push((id, outcome));
    }

    /// Finds what a call of an operator did before.
    pub(crate) fn mutation(&self, id: MutationId) -> Option<&MutationOutcome> {
        self.mutations.iter().find(|(known, _)| *known == id).map(|(_, outcome)| outcome)
    }

    /// Tells whether it can still run: it then counts for its route.
    pub fn is_live(&self) -> bool {
        !matches!(self.phase, Phase::Terminal { .. })
    }

    /// Ends the execution.
    pub(crate) fn finish(
        &mut self,
        outcome: TerminalOutcome,
        category: Option<String>,
        reason: Option<String>,
        at: TimestampMs,
    ) {
        self.phase = Phase::Terminal { outcome, ended_at: at };
        self.failure_category = category;
        self.end_reason = reason;
        self.cancel = None;
        self.close_attempt();
    }

    /// Closes what belongs to an attempt that is over.
    pub(crate) fn close_attempt(&mut self) {
        for waitpoint in &mut self.waitpoints {
            waitpoint.state = WaitpointState::Closed;
        }
        self.forget_closed_waitpoints();
        self.resume_signals.clear();
        self.satisfied.clear();
        self.attempt_left_ms = None;
    }

    pub(crate) fn close_waitpoint(&mut self, waitpoint_id: WaitpointId) {
        for waitpoint in &mut self.waitpoints {
            if waitpoint.waitpoint_id == waitpoint_id {
                waitpoint.state = WaitpointState::Closed;
            }
        }
        self.forget_closed_waitpoints();
    }

    pub(crate) fn forget_closed_waitpoints(&mut self) {
        let closed = |w: &Waitpoint| w.state == WaitpointState::Closed;
        let mut surplus = self
            .waitpoints
            .iter()
            .filter(|w| closed(w))
            .count()
            .saturating_sub(WAITPOINTS_CLOSED_KEPT_MAX);
        self.waitpoints.retain(|waitpoint| {
            let forget = surplus > 0 && closed(waitpoint);
            surplus -= usize::from(forget);
            !forget
        });
    }

    /// Lets a requested cancel take effect once no lease stands in its way.
    pub(crate) fn apply_cancel(&mut self, at: TimestampMs) {
        if matches!(self.phase, Phase::Active(_) | Phase::Terminal { .. }) {
            return;
        }
        if let Some(cancel) = self.cancel.take() {
            self.finish(TerminalOutcome::Cancelled, None, Some(cancel.reason), at);
        }
    }

    /// Seals a change: a requested cancel takes effect, and the record says when it changed.
    pub(crate) fn changed<T>(mut self: Box<Self>, outcome: T, now: TimestampMs) -> Decision<T> {
        self.apply_cancel(now);
        self.updated_at = now;
        Decision::Change(self, outcome)
    }
}

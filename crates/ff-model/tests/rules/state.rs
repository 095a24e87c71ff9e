//! What the model remembers: the store, what workers hold, calls that may still arrive, and what
//! an onlooker has seen.

use crate::call::{Answer, Call};
use crate::law::Law;
use crate::store::Store;
use ff_core::contracts::suspend::Suspension;
use ff_core::state::TerminalOutcome;
use ff_core::*;
use ff_lifecycle::{Execution, Phase};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};

/// How many workers there are.
pub const WORKERS: usize = 2;

/// A state of the whole.
#[derive(Clone, Debug, PartialEq)]
pub struct State {
    pub now: TimestampMs,
    pub store: Store,
    pub workers: [Worker; WORKERS],
    pub posted: Vec<Posted>,
    pub grants: Vec<contracts::claim::Grant>,
    pub seen: BTreeMap<ExecutionId, Seen>,
    pub made: Counts,
    pub broken: BTreeSet<Law>,
}

/// A worker, as far as the rules can tell: what it thinks it holds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Worker {
    pub tasks: Vec<Task>,
}

/// A claim that a worker thinks it holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    pub handle: Handle,
    /// Frames that were acknowledged.
    pub frames: u64,
}

/// A call that may still arrive: for the first time, or again.
#[derive(Clone, Debug, PartialEq)]
pub struct Posted {
    pub call: Call,
    /// Who listens for the answer.
    pub worker: Option<usize>,
    /// What the first arrival was answered.
    pub answer: Option<Answer>,
    /// How often it may still arrive.
    pub left: u8,
    pub sent_at: TimestampMs,
}

/// How much has been done; a world bounds each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Counts {
    /// Claims.
    pub claims: u8,
    /// Moves of the clock.
    pub moves: u8,
    /// Calls that arrive late or twice.
    pub odd: u8,
    /// Crashes of workers.
    pub crashes: u8,
    /// Renewals, progress and appends.
    pub small: u8,
    /// Suspends.
    pub suspends: u8,
    /// Waitpoints opened ahead.
    pub waitpoints: u8,
    /// Signals.
    pub signals: u8,
    /// Calls of operators.
    pub operator: u8,
    /// Grants.
    pub grants: u8,
}

/// What an onlooker has seen of an execution: computed from calls and answers, not from records.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Seen {
    /// Whether it was submitted.
    pub submitted: bool,
    /// The highest epoch that a claim answered.
    pub epoch: u64,
    /// The lease that is out, until somebody was told that it ended.
    pub lease: Option<SeenLease>,
    /// The attempt that was claimed last.
    pub attempt: Option<(AttemptIndex, AttemptId)>,
    /// Whether the last end of a turn that anybody was told of lets the attempt go on.
    pub goes_on: bool,
    /// Signals that were acknowledged to have been taken in during this attempt.
    pub accepted: Vec<SeenSignal>,
    /// The signals that resumed this attempt last.
    pub resumed_by: Vec<SignalId>,
    /// Waitpoints of this attempt that resumed it.
    pub resumed_at: Vec<WaitpointId>,
}

/// A lease as its holder knows it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenLease {
    pub epoch: u64,
    pub lease_id: LeaseId,
    /// When it runs out unless it is renewed.
    pub expires_at: TimestampMs,
    /// When it ends whatever the holder does: attempt timeout, deadline, revoke.
    pub ends_at: Option<TimestampMs>,
    /// Frames that were acknowledged under it.
    pub written: u64,
}

/// An acknowledged signal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SeenSignal {
    pub signal_id: SignalId,
    pub signal_name: String,
    pub waitpoint_id: WaitpointId,
}

impl Seen {
    /// Tells whether the handle is of the lease that is out.
    pub fn holds(&self, handle: &Handle, now: TimestampMs) -> bool {
        self.lease.as_ref().is_some_and(|lease| {
            lease.epoch == handle.lease_epoch().0
                && lease.lease_id == handle.lease_id()
                && lease.is_live(now)
        })
    }
}

impl SeenLease {
    pub fn is_live(&self, now: TimestampMs) -> bool {
        self.expires_at > now && self.ends_at.is_none_or(|at| at > now)
    }
}

impl State {
    /// Lists the handles that somebody may still use.
    fn handles(&self) -> impl Iterator<Item = &Handle> {
        let held = self.workers.iter().flat_map(|worker| &worker.tasks).map(|task| &task.handle);
        held.chain(self.posted.iter().filter_map(|posted| posted.call.handle()))
    }

    /// Tells whether a claim may still arrive that was made before.
    fn awaits_claim(&self) -> bool {
        self.posted.iter().any(|posted| posted.call.claims())
    }
}

/// Two states are taken for one if nothing that a rule reads, or a law compares, can tell them
/// apart from here on. Left out are: the definition of a record but for its time (the world fixes
/// it by the id), ended turns whose handle nobody has any more (rules read turns only to recognise
/// a repeat, and the last one), the times and reasons of those that stay, and the memory of claims
/// that cannot be repeated (claim ids grow).
impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.now.hash(state);
        self.workers.hash(state);
        self.seen.hash(state);
        self.made.hash(state);
        self.broken.hash(state);
        let mut text = Hashed(state);
        let written = self.write(&mut text);
        written.expect("hashing text cannot fail");
    }
}

impl State {
    fn write(&self, out: &mut impl Write) -> fmt::Result {
        for record in self.store.records.values() {
            self.write_record(record, out)?;
        }
        for posted in &self.posted {
            write!(out, "{posted:?}")?;
        }
        write!(out, "{:?}{:?}{:?}", self.grants, self.store.frames, self.store.keys)?;
        if self.awaits_claim() {
            write!(out, "{:?}", self.store.claims)?;
        }
        Ok(())
    }

    fn write_record(&self, record: &Execution, out: &mut impl Write) -> fmt::Result {
        let id = record.id();
        write!(out, "{id}{}{:?}", record.definition.created_at, record.phase)?;
        let counts = (record.attempts, record.retries, record.reclaims, record.replays);
        write!(out, "{:?}{:?}{counts:?}", record.next, record.epoch)?;
        write!(out, "{:?}{:?}", record.attempt_id, record.attempt_left_ms)?;
        write!(out, "{:?}{:?}", record.deadline_at, record.updated_at)?;
        write!(out, "{:?}{:?}{:?}", record.mutations, record.last_grant, record.progress)?;
        write!(out, "{:?}{:?}{:?}", record.cancel, record.frames, record.result)?;
        write!(out, "{:?}{:?}", record.waitpoints, record.resume_signals)?;
        for accepted in &record.signals {
            let signal = &accepted.signal;
            write!(out, "{:?}{:?}", accepted.waitpoint_id, accepted.effect)?;
            write!(out, "{}{}{:?}", signal.signal_id, signal.signal_name, accepted.dedup_key)?;
        }
        let last = record.last_turn().map(|turn| turn.lease_epoch);
        for turn in &record.turns {
            let of = |handle: &Handle| {
                handle.execution_id() == id && handle.lease_epoch() == turn.lease_epoch
            };
            if Some(turn.lease_epoch) == last || self.handles().any(of) {
                let end = (turn.operation, turn.outcome, turn.delay_until, turn.suspension_id);
                write!(out, "{:?}{end:?}", turn.lease_epoch)?;
            }
        }
        let ids = |suspension: &Suspension| suspension.suspension_id;
        for suspension in record.suspensions.iter().map(ids) {
            write!(out, "{suspension}")?;
        }
        for suspension in record.satisfied.iter().map(|(suspension, _)| ids(suspension)) {
            write!(out, "{suspension}")?;
        }
        Ok(())
    }
}

/// Hashes what is written to it.
struct Hashed<'a, H>(&'a mut H);

impl<H: Hasher> Write for Hashed<'_, H> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.write(text.as_bytes());
        Ok(())
    }
}

/// Returns how a record ended, if it has.
pub fn ended(record: &Execution) -> Option<(TerminalOutcome, TimestampMs)> {
    match record.phase {
        Phase::Terminal { outcome, ended_at } => Some((outcome, ended_at)),
        _ => None,
    }
}

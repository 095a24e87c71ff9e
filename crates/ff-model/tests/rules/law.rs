//! The laws that a step can break. A step is judged by what went before, the call, the answer, and
//! what an onlooker has seen.

use crate::call::{Answer, Call, Reply};
use crate::see::{goes_on, ids};
use crate::state::{State, ended};
use crate::store::Store;
use ff_core::contracts::claim::ClaimedExecution;
use ff_core::contracts::signal::SignalOutcome;
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecution};
use ff_core::contracts::suspend::ExecutionSuspended;
use ff_core::contracts::terminal::{CancelBy, CancelExecution};
use ff_core::state::{HandleKind, TimeoutBehavior};
use ff_core::{ExecutionId, SignalId, TimestampMs};
use ff_lifecycle::claim::tick;
use ff_lifecycle::store::IdempotencyEntry;
use ff_lifecycle::{Execution, OpenSuspension, Phase, settle};

macro_rules! laws {
    ($($law:ident = $words:literal,)*) => {
        /// A law about steps.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Law { $($law,)* }

        /// Returns each law as a property: no step has broken it.
        pub fn properties() -> Vec<stateright::Property<crate::world::World>> {
            vec![$(stateright::Property::always($words, |_, state: &State| {
                !state.broken.contains(&Law::$law)
            }),)*]
        }
    };
}

laws! {
    RefusalChangesNothing = "a refusal changes nothing",
    StaleChangesNothing = "a handle that lost its lease changes nothing",
    LiveIsHonoured = "a handle that holds its lease is not refused",
    OneLease = "one lease at a time",
    EpochGrows = "every claim raises the epoch by one, and nothing else does",
    TerminalIsTerminal = "what has ended stays as it ended",
    Attempts = "a claim goes on or begins anew, as the turn before ended",
    Repeat = "a repeated call is answered as at first and changes nothing",
    Ticks = "no outcome depends on whether a tick has run",
    Resume = "a suspension ends when it is met or timed out, with its signals",
    Written = "an acknowledged frame is written, once",
    Grant = "a grant binds one worker, once",
    OneKey = "an idempotency key stands for one execution",
}

/// Returns the laws that a tick broke.
pub fn of_tick(last: &State, state: &State) -> Vec<Law> {
    let mut broken = of_records(state, &last.store, None);
    let now = state.now;
    if settled(&last.store, now).records != settled(&state.store, now).records {
        broken.push(Law::Ticks);
    }
    broken
}

/// Returns the laws that an arrival of a call broke; `state` has the store after it, and what
/// was seen before it. `first` is the answer to the arrival before this one.
pub fn of_call(
    state: &State,
    before: &Store,
    call: &Call,
    answer: &Answer,
    first: Option<&Answer>,
) -> Vec<Law> {
    let (now, after) = (state.now, &state.store);
    let changed = after != before;
    let mut broken = of_records(state, before, Some((call, answer)));
    let mut unless = |law: Law, holds: bool| {
        if !holds {
            broken.push(law);
        }
    };
    unless(Law::RefusalChangesNothing, answer.is_ok() || !changed);
    let live = call.handle().map(|handle| state.seen[&handle.execution_id()].holds(handle, now));
    unless(Law::StaleChangesNothing, live != Some(false) || !changed);
    unless(Law::LiveIsHonoured, live != Some(true) || answer.is_ok() || may_be_refused(call));
    if let Ok(Reply::Claimed(claimed)) = answer {
        unless(Law::OneLease, claimed.iter().all(|c| is_the_only_lease(state, c)));
        unless(Law::EpochGrows, claimed.iter().all(|c| epoch_grows(state, c)));
        unless(Law::Attempts, claimed.iter().all(|c| attempt_fits(state, c)));
        unless(Law::Grant, claimed.iter().all(|c| grant_binds(state, before, call, c)));
    }
    if let Some(first) = first {
        let excused = is_forgotten(before, call, first, now);
        unless(Law::Repeat, excused || is_a_repeat(state, call, first, answer, changed));
    }
    if answer.is_ok() {
        let mut store = after.clone();
        let again = call.arrive(&mut store, now);
        unless(Law::Repeat, again == *answer && store == *after);
    }
    unless(Law::Ticks, ticks_make_no_difference(before, after, call, answer, now));
    if let (Call::Append(request), Ok(_)) = (call, answer) {
        let lease = &state.seen[&request.handle.execution_id()].lease;
        let written = lease.as_ref().map_or(0, |lease| lease.written);
        unless(Law::Written, changed == (request.sequence >= written));
    }
    if let (Call::Submit(item), Ok(Reply::Submitted(outcome))) = (call, answer) {
        unless(Law::OneKey, !changed || key_is_free(before, item, *outcome, now));
    }
    broken
}

/// Tells whether a call may be refused for more than a lost lease.
fn may_be_refused(call: &Call) -> bool {
    matches!(call, Call::Suspend(_) | Call::Open(_) | Call::Append(_))
}

fn is_new(state: &State, claimed: &ClaimedExecution) -> bool {
    claimed.handle.lease_epoch().0 > state.seen[&claimed.handle.execution_id()].epoch
}

fn is_the_only_lease(state: &State, claimed: &ClaimedExecution) -> bool {
    let seen = &state.seen[&claimed.handle.execution_id()];
    if is_new(state, claimed) {
        return seen.lease.as_ref().is_none_or(|lease| !lease.is_live(state.now));
    }
    seen.holds(&claimed.handle, state.now)
}

fn epoch_grows(state: &State, claimed: &ClaimedExecution) -> bool {
    let seen = &state.seen[&claimed.handle.execution_id()];
    !is_new(state, claimed) || claimed.handle.lease_epoch().0 == seen.epoch + 1
}

fn attempt_fits(state: &State, claimed: &ClaimedExecution) -> bool {
    let (seen, handle) = (&state.seen[&claimed.handle.execution_id()], &claimed.handle);
    if !is_new(state, claimed) {
        return seen.attempt == Some((handle.attempt_index(), handle.attempt_id()));
    }
    let signals_fit = ids(&claimed.resume_signals)
        == state.store.records[&handle.execution_id()]
            .resume_signals
            .iter()
            .map(|signal| signal.signal_id)
            .collect::<Vec<_>>();
    match handle.kind() {
        HandleKind::Resumed => {
            let same = seen.attempt == Some((handle.attempt_index(), handle.attempt_id()));
            seen.goes_on && same && signals_fit
        }
        HandleKind::Fresh => {
            let next = seen.attempt.map_or(0, |(index, _)| index.0 + 1);
            let new = seen.attempt.is_none_or(|(_, id)| id != handle.attempt_id());
            !seen.goes_on && handle.attempt_index().0 == next && new && signals_fit
        }
    }
}

fn grant_binds(state: &State, before: &Store, call: &Call, claimed: &ClaimedExecution) -> bool {
    if !is_new(state, claimed) {
        return true;
    }
    let record = before.records.get(&claimed.handle.execution_id());
    let open = record.and_then(|record| match &record.phase {
        Phase::Granted { grant, expires_at, .. } if *expires_at > state.now => Some(grant),
        _ => None,
    });
    let claimer = call.claimer().map(|worker| &worker.worker_instance_id);
    match (call.grant(), open) {
        (None, open) => open.is_none(),
        (Some(used), Some(open)) => used == open && claimer == Some(&open.worker_instance_id),
        (Some(_), None) => false,
    }
}

/// Tells whether the rules say that a call that came before is not remembered any more.
fn is_forgotten(before: &Store, call: &Call, first: &Answer, now: TimestampMs) -> bool {
    let there = |id| before.records.get(&id).is_some_and(|record| settle(record, now).is_some());
    if call.execution_id().is_some_and(|id| !there(id)) {
        // The retention has ended, and with it the memory of the record.
        return true;
    }
    match call {
        // Of grants the record remembers the last one.
        Call::Grant(request) => {
            let last = before.records.get(&request.grant.execution_id).and_then(|r| r.last_grant);
            last.is_some_and(|(grant_id, _)| grant_id != request.grant.grant_id)
        }
        // A duplicate is told by its key, for as long as the key stands for the first.
        Call::Submit(_) => match first {
            Ok(Reply::Submitted(ExecutionSubmitted::Duplicate { execution_id })) => {
                let stands = |entry: &IdempotencyEntry| {
                    entry.execution_id == *execution_id && entry.expires_at > now
                };
                !before.keys.values().any(stands)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Tells whether a call that came before may be answered so now.
fn is_a_repeat(state: &State, call: &Call, first: &Answer, again: &Answer, changed: bool) -> bool {
    let live =
        call.handle().map(|handle| state.seen[&handle.execution_id()].holds(handle, state.now));
    let same = again == first && !changed;
    match (call, first, again) {
        // A renewal or a progress report takes effect each time; only the lease stands in its way.
        (Call::Renew(_) | Call::Progress(_), _, _) => true,
        (_, Err(refusal), _) => {
            !(call.ends_a_turn() && refusal.0.is_lease_lost()) || again.is_err()
        }
        (Call::Append(_), Ok(_), _) => again.is_err() || same,
        (Call::Open(_), Ok(_), _)
        | (
            Call::Suspend(_),
            Ok(Reply::Suspended(ExecutionSuspended::AlreadySatisfied { .. })),
            _,
        ) => same || (again.is_err() && live == Some(false)),
        (Call::Claim(_) | Call::TakeOver(_), Ok(Reply::Claimed(first)), again) => {
            !changed && claim_is_recalled(state, first, again)
        }
        _ => same,
    }
}

fn claim_is_recalled(state: &State, first: &[ClaimedExecution], again: &Answer) -> bool {
    let Ok(Reply::Claimed(again)) = again else {
        // A newer claim of the worker has replaced it.
        return true;
    };
    let told = |claimed: &ClaimedExecution| again.iter().any(|c| c.handle == claimed.handle);
    let owed = |claimed: &ClaimedExecution| {
        claimed.lease_expires_at > state.now
            && state.seen[&claimed.handle.execution_id()].holds(&claimed.handle, state.now)
    };
    let known = |claimed: &ClaimedExecution| first.iter().any(|c| c.handle == claimed.handle);
    first.iter().all(|claimed| !owed(claimed) || told(claimed)) && again.iter().all(known)
}

fn settled(store: &Store, now: TimestampMs) -> Store {
    let mut store = store.clone();
    tick(&mut store, 64, now);
    store
}

/// Handles each timer at its own time.
fn on_time(store: &Store, now: TimestampMs) -> Store {
    let mut store = store.clone();
    while let Some((at, _)) = store.due.first().copied().filter(|(at, _)| *at <= now) {
        tick(&mut store, 64, at);
    }
    store
}

fn ticks_make_no_difference(
    before: &Store,
    after: &Store,
    call: &Call,
    answer: &Answer,
    now: TimestampMs,
) -> bool {
    if before.due.first().is_none_or(|(at, _)| *at > now) {
        return true;
    }
    let mut ticked = on_time(before, now);
    let same_answer = call.arrive(&mut ticked, now) == *answer;
    let (ticked, unticked) = (settled(&ticked, now), settled(after, now));
    same_answer && ticked.records == unticked.records && ticked.frames == unticked.frames
}

fn key_is_free(
    before: &Store,
    item: &SubmitExecution,
    outcome: ExecutionSubmitted,
    now: TimestampMs,
) -> bool {
    let (Some(idempotency), ExecutionSubmitted::Created { .. }) = (&item.idempotency, outcome)
    else {
        return true;
    };
    let open =
        |record: &Execution| record.definition.created_at.plus_ms(idempotency.window_ms) > now;
    !before.records.values().any(|record| open(record))
}

/// Returns the laws about single records that a step broke.
fn of_records(state: &State, before: &Store, step: Option<(&Call, &Answer)>) -> Vec<Law> {
    let mut broken = Vec::new();
    for (id, record) in &before.records {
        let after = state.store.records.get(id);
        if ended(record).is_some() && !stays_ended(record, after.map(|r| &**r), step, state.now) {
            broken.push(Law::TerminalIsTerminal);
        }
        let Some(after) = after else {
            continue;
        };
        let claimed = step.is_some_and(|(_, answer)| answers_claim(answer, *id));
        if after.epoch != record.epoch && !(claimed && after.epoch > record.epoch) {
            broken.push(Law::EpochGrows);
        }
        if !suspension_is_kept(state, record, after, step) {
            broken.push(Law::Resume);
        }
    }
    broken
}

fn answers_claim(answer: &Answer, id: ExecutionId) -> bool {
    matches!(answer, Ok(Reply::Claimed(claimed))
        if claimed.iter().any(|claimed| claimed.handle.execution_id() == id))
}

fn stays_ended(
    record: &Execution,
    after: Option<&Execution>,
    step: Option<(&Call, &Answer)>,
    now: TimestampMs,
) -> bool {
    let Some(after) = after else {
        let retention_ms = record.definition.policy.retention_ms;
        return ended(record).is_some_and(|(_, at)| at.plus_ms(retention_ms) <= now);
    };
    let replayed = matches!(step, Some((Call::Replay(request), Ok(_)))
        if request.execution_id == record.id());
    replayed || same_but_for_calls(record, after)
}

/// Tells whether two records differ in no more than which calls of operators they remember.
fn same_but_for_calls(record: &Execution, after: &Execution) -> bool {
    record == after || *record == Execution { mutations: record.mutations.clone(), ..after.clone() }
}

fn suspension_is_kept(
    state: &State,
    record: &Execution,
    after: &Execution,
    step: Option<(&Call, &Answer)>,
) -> bool {
    if let Some((Call::Suspend(request), Ok(Reply::Suspended(outcome)))) = step
        && request.handle.execution_id() == record.id()
        && record != after
    {
        return satisfaction_is_true(state, request.matchers.len(), outcome);
    }
    let Phase::Suspended(open) = &record.phase else {
        return true;
    };
    if matches!(&after.phase, Phase::Suspended(same) if same.suspension_id == open.suspension_id) {
        return true;
    }
    let timed_out = open.timeout_at.is_some_and(|at| at <= state.now);
    let by_time =
        |behaviours: &[TimeoutBehavior]| timed_out && behaviours.contains(&open.timeout_behavior);
    if goes_on(record, after) {
        return is_met(open, after, step, by_time(&[TimeoutBehavior::AutoResume]));
    }
    let cancelled = matches!(
        step,
        Some((Call::Cancel(CancelExecution { by: CancelBy::Operator { .. }, .. }), Ok(_)))
    );
    cancelled
        || by_time(&[TimeoutBehavior::Fail, TimeoutBehavior::Cancel, TimeoutBehavior::Expire])
        || record.deadline_at.is_some_and(|at| at <= state.now)
}

fn is_met(
    open: &OpenSuspension,
    after: &Execution,
    step: Option<(&Call, &Answer)>,
    timed_out: bool,
) -> bool {
    let mut met: Vec<SignalId> = open.matchers.iter().filter_map(|(_, met)| *met).collect();
    if let Some((_, Ok(Reply::Signalled(SignalOutcome::TriggeredResume { signal_id })))) = step {
        met.push(*signal_id);
    }
    let told = ids(&after.resume_signals);
    let timeout = SignalId::from_uuid(open.suspension_id.as_uuid());
    let by_timeout = timed_out && told.contains(&timeout);
    let all = met.len() == open.matchers.len() && told.len() == met.len();
    met.iter().all(|id| told.contains(id)) && (all || by_timeout)
}

/// Tells whether signals that are said to have met a suspension at once did so: as many as it
/// needs, each its own, all acknowledged.
fn satisfaction_is_true(state: &State, matchers: usize, outcome: &ExecutionSuspended) -> bool {
    let ExecutionSuspended::AlreadySatisfied { suspension, resume_signals } = outcome else {
        return true;
    };
    let mut told = ids(resume_signals);
    let known = |id: &SignalId| {
        let accepted = state.seen.values().flat_map(|seen| &seen.accepted);
        accepted
            .into_iter()
            .any(|s| s.signal_id == *id && s.waitpoint_id == suspension.waitpoint_id)
    };
    let true_ones = told.iter().all(known);
    told.sort();
    told.dedup();
    true_ones && told.len() == matchers.max(1)
}

//! The laws that hold in every state.

use crate::action::times;
use crate::state::{Seen, SeenSignal, State, ended};
use crate::world::World;
use ff_core::contracts::suspend::ConditionMatcher;
use ff_core::state::{OwnerIndex, WaitpointState};
use ff_core::{AttemptIndex, SignalId};
use ff_lifecycle::{Execution, NextTurn, Phase};
use stateright::Property;

/// Returns each law as a property.
pub fn properties() -> Vec<Property<World>> {
    vec![
        Property::always("each record stands in one owner index", |_, state| owners(state)),
        Property::always("no timer is forgotten", |_, state| timers(state)),
        Property::always("no acknowledged signal is lost", |_, state| every(state, signals)),
        Property::always("counts stay within the policy", |_, state| {
            every(state, |record, _| counts(record))
        }),
        Property::always("each phase has what belongs to it", |_, state| {
            every(state, |record, _| phase(record))
        }),
        Property::always("frames stand in order", |_, state| frames(state)),
        Property::always("every live execution can end", |world, state| world.can_end(state)),
    ]
}

fn every(state: &State, holds: impl Fn(&Execution, &Seen) -> bool) -> bool {
    state.store.records.iter().all(|(id, record)| holds(record, &state.seen[id]))
}

fn owners(state: &State) -> bool {
    let store = &state.store;
    let index_of = |record: &Execution| match record.phase {
        Phase::Ready { .. } => OwnerIndex::Ready,
        Phase::Delayed { .. } => OwnerIndex::Delayed,
        Phase::Granted { .. } => OwnerIndex::Blocked,
        Phase::Active(_) => OwnerIndex::Active,
        Phase::Suspended(_) => OwnerIndex::Suspended,
        Phase::Terminal { .. } => OwnerIndex::Done,
    };
    let once = |record: &Execution| {
        let entries = store.owners.iter().filter(|entry| entry.3 == record.id());
        let indexes: Vec<OwnerIndex> = entries.map(|entry| entry.0).collect();
        indexes == [index_of(record)]
    };
    store.owners.len() == store.records.len() && store.records.values().all(|r| once(r))
}

fn timers(state: &State) -> bool {
    let store = &state.store;
    let earliest = |record: &Execution| times(record).into_iter().min();
    let entries = store.records.values().filter_map(|r| earliest(r).map(|at| (at, r.id())));
    let entries: std::collections::BTreeSet<_> = entries.collect();
    entries == store.due
}

fn signals(record: &Execution, seen: &Seen) -> bool {
    if record.attempt_is_over() || seen.attempt.map(|(_, id)| id) != record.attempt_id {
        return true;
    }
    let resumed_by: Vec<SignalId> = record.resume_signals.iter().map(|s| s.signal_id).collect();
    resumed_by == seen.resumed_by && seen.accepted.iter().all(|s| is_kept(record, seen, s))
}

fn is_kept(record: &Execution, seen: &Seen, signal: &SeenSignal) -> bool {
    let known = record.signals.iter().any(|s| s.signal.signal_id == signal.signal_id);
    let waitpoint = record.waitpoints.iter().find(|w| w.waitpoint_id == signal.waitpoint_id);
    match waitpoint.map_or(WaitpointState::Closed, |waitpoint| waitpoint.state) {
        WaitpointState::Pending => known,
        WaitpointState::Closed => seen.resumed_at.contains(&signal.waitpoint_id),
        WaitpointState::Active => {
            let Phase::Suspended(open) = &record.phase else {
                return false;
            };
            let met = |met: &Option<SignalId>| *met == Some(signal.signal_id);
            let fits = |matcher: &ConditionMatcher| {
                matcher.signal_name.is_empty() || matcher.signal_name == signal.signal_name
            };
            let waits = open.matchers.iter().any(|(m, met)| met.is_none() && fits(m));
            let taken = open.matchers.iter().filter(|(m, by)| met(by) && fits(m)).count();
            let here = open.waitpoint_id == signal.waitpoint_id;
            known && here && taken <= 1 && (taken == 1 || !waits)
        }
    }
}

fn counts(record: &Execution) -> bool {
    let policy = &record.definition.policy;
    record.retries <= policy.retry.retries_max
        && record.reclaims <= policy.reclaims_max + 1
        && (record.reclaims <= policy.reclaims_max || ended(record).is_some())
        && record.replays <= policy.replays_max
        && u64::from(record.attempts) <= record.epoch.0
        && (record.attempts == 0) == record.attempt_id.is_none()
}

fn phase(record: &Execution) -> bool {
    let active = matches!(record.phase, Phase::Active(_));
    let suspended_well = match &record.phase {
        Phase::Suspended(open) => {
            let waitpoint = record.waitpoints.iter().find(|w| w.waitpoint_id == open.waitpoint_id);
            record.next == NextTurn::Resume
                && waitpoint.is_some_and(|w| w.state == WaitpointState::Active)
                && open.matchers.iter().any(|(_, met)| met.is_none())
        }
        _ => record.waitpoints.iter().all(|w| w.state != WaitpointState::Active),
    };
    let open = record.waitpoints.iter().any(|w| w.state != WaitpointState::Closed);
    let only_active = record.cancel.is_none() && record.satisfied.is_empty();
    (only_active || active) && suspended_well && !(open && record.attempt_is_over())
}

fn frames(state: &State) -> bool {
    let ordered = state.store.frames.values().all(|ids| ids.windows(2).all(|w| w[0] < w[1]));
    let counted = |record: &Execution| {
        let current: AttemptIndex = record.attempt_index();
        let kept = state.store.frames.get(&(record.id(), current)).map_or(0, Vec::len);
        record.attempts == 0 || record.frames.count == kept as u64
    };
    ordered && state.store.records.values().all(|record| counted(record))
}

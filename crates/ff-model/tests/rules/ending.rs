//! Whether every live execution can still end.
//!
//! From each state that is explored, and for all its executions at once, one way to the end is
//! walked: a worker that nobody knew before claims what is ready and completes it, the clock moves
//! to the next timer, and a suspension without a timer gets the signals that it waits for. Each
//! step is a call of the rules themselves, so where the walk arrives there is a terminal state that
//! the explored one can reach. No operator helps, since a cancel would end anything. The walk is
//! outside the bounds of the world, which limit what is explored and not what is possible.

use crate::action::{signal_for, times};
use crate::call::{Call, LEASE_MS, Reply};
use crate::state::{State, ended};
use crate::store::Store;
use crate::world::*;
use ff_core::contracts::claim::{ClaimExecution, ClaimSource};
use ff_core::contracts::terminal::CompleteExecution;
use ff_core::*;
use ff_lifecycle::claim::tick;
use ff_lifecycle::{Execution, OpenSuspension, Phase};

/// More steps than any way to the end needs.
const STEPS_MAX: u8 = 24;

impl World {
    /// Tells whether a fair worker, the clock and the awaited signals end everything.
    pub fn can_end(&self, state: &State) -> bool {
        let (mut store, mut now) = (state.store.clone(), state.now);
        for step in 0..STEPS_MAX {
            tick(&mut store, 64, now);
            if store.records.values().all(|record| ended(record).is_some()) {
                return true;
            }
            if finish_ready(&mut store, step, now) {
                continue;
            }
            let live = store.records.values().filter(|record| ended(record).is_none());
            let stuck = live.filter_map(|record| match &record.phase {
                Phase::Suspended(open) if times(record).is_empty() => {
                    Some((record.id(), open.clone()))
                }
                _ => None,
            });
            let stuck: Vec<(ExecutionId, OpenSuspension)> = stuck.collect();
            if !stuck.is_empty() {
                if !stuck.iter().all(|(id, open)| signal(&mut store, *id, open, step, now)) {
                    return false;
                }
                continue;
            }
            let live = |record: &&std::sync::Arc<Execution>| ended(record).is_none();
            let waiting = store.records.values().filter(live);
            match waiting.flat_map(|record| times(record)).filter(|at| *at > now).min() {
                Some(at) => now = at,
                None => return false,
            }
        }
        false
    }
}

/// Claims what is ready and completes it; tells whether there was anything.
fn finish_ready(store: &mut Store, step: u8, now: TimestampMs) -> bool {
    let claim = Call::Claim(ClaimExecution {
        claim_id: ClaimId::from_uuid(uuid(8, step)).expect("it ends in 000"),
        slot: 0,
        worker: identity("fair"),
        partition: PARTITION,
        source: ClaimSource::Ready { lanes: vec![lane()], count_max: 8 },
        lease_ttl_ms: LEASE_MS,
    });
    let Ok(Reply::Claimed(claimed)) = claim.arrive(store, now) else {
        return false;
    };
    for claimed in &claimed {
        let handle = claimed.handle.clone();
        let end = Call::Complete(CompleteExecution { handle, result: None, next: None });
        if end.arrive(store, now).is_err() {
            return false;
        }
    }
    !claimed.is_empty()
}

/// Sends what a suspension waits for.
fn signal(
    store: &mut Store,
    id: ExecutionId,
    open: &OpenSuspension,
    step: u8,
    now: TimestampMs,
) -> bool {
    let awaited = open.matchers.iter().filter(|(_, met)| met.is_none());
    for (n, (matcher, _)) in (0..).zip(awaited) {
        let signal_id = SignalId::from_uuid(uuid(9, step * 10 + n));
        let name = if matcher.signal_name.is_empty() { "any" } else { &matcher.signal_name };
        let call = Call::Signal(signal_for(id, open.waitpoint_id, signal_id, name, None));
        if call.arrive(store, now).is_err() {
            return false;
        }
    }
    true
}

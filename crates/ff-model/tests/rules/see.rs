//! What an onlooker makes of a step: it knows calls, answers and which suspensions ended.

use crate::call::{Answer, Call, Reply};
use crate::state::{Seen, SeenLease, SeenSignal, State};
use crate::store::Store;
use ff_core::contracts::claim::ClaimedExecution;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::contracts::suspend::ExecutionSuspended;
use ff_core::contracts::terminal::{CancelBy, CancelExecution, ExecutionCancelled};
use ff_core::state::HandleKind;
use ff_core::{ExecutionId, Handle, SignalId};
use ff_lifecycle::{Execution, Phase};

/// Writes down what a step showed.
pub fn see(state: &mut State, before: &Store, step: Option<(&Call, &Answer)>) {
    see_resumes(state, before);
    let Some((call, Ok(reply))) = step else {
        return;
    };
    if let Reply::Claimed(claimed) = reply {
        claimed.iter().for_each(|claimed| see_claim(state, claimed));
        return;
    }
    if let (Reply::Renewed(renewed), Some(handle)) = (reply, call.handle()) {
        if let Some(lease) = &mut seen_of(state, handle.execution_id()).lease {
            lease.expires_at = renewed.expires_at;
        }
        return;
    }
    let changed = state.store.records != before.records;
    if changed {
        see_change(state, call, reply);
    }
}

fn seen_of(state: &mut State, id: ExecutionId) -> &mut Seen {
    state.seen.get_mut(&id).expect("every execution is looked at")
}

/// Returns the ids of signals.
pub fn ids(signals: &[ResumeSignal]) -> Vec<SignalId> {
    signals.iter().map(|signal| signal.signal_id).collect()
}

/// Tells whether a record is in the same attempt as another, and the attempt is not over.
pub fn goes_on(before: &Execution, after: &Execution) -> bool {
    before.attempt_id == after.attempt_id && !after.attempt_is_over()
}

fn see_resumes(state: &mut State, before: &Store) {
    for (id, record) in &before.records {
        let Some(after) = state.store.records.get(id) else {
            continue;
        };
        let open = |record: &Execution| match &record.phase {
            Phase::Suspended(open) => Some((open.suspension_id, open.waitpoint_id)),
            _ => None,
        };
        let (was, is) = (open(record), open(after));
        if was == is {
            continue;
        }
        let seen = state.seen.get_mut(id).expect("every execution is looked at");
        if let Some((_, waitpoint_id)) = was.filter(|_| goes_on(record, after)) {
            seen.resumed_by = ids(&after.resume_signals);
            seen.resumed_at.push(waitpoint_id);
        }
        if is.is_some() {
            seen.resumed_by.clear();
        }
    }
}

fn see_claim(state: &mut State, claimed: &ClaimedExecution) {
    let handle = &claimed.handle;
    let id = handle.execution_id();
    let record = state.store.records.get(&id).map(|record| (record.deadline_at, &record.phase));
    let ends_at = record.and_then(|(deadline_at, phase)| {
        let timeout_at = match phase {
            Phase::Active(lease) => lease.attempt_timeout_at,
            _ => None,
        };
        deadline_at.into_iter().chain(timeout_at).min()
    });
    let seen = seen_of(state, id);
    if handle.lease_epoch().0 <= seen.epoch {
        return;
    }
    seen.epoch = handle.lease_epoch().0;
    seen.lease = Some(SeenLease {
        epoch: seen.epoch,
        lease_id: handle.lease_id(),
        expires_at: claimed.lease_expires_at,
        ends_at,
        written: 0,
    });
    seen.goes_on = false;
    seen.attempt = Some((handle.attempt_index(), handle.attempt_id()));
    if handle.kind() == HandleKind::Fresh {
        seen.accepted.clear();
        seen.resumed_by.clear();
        seen.resumed_at.clear();
    }
}

fn see_change(state: &mut State, call: &Call, reply: &Reply) {
    match (call, reply) {
        (Call::Append(request), _) => {
            let seen = seen_of(state, request.handle.execution_id());
            if let Some(lease) = &mut seen.lease {
                lease.written = request.sequence + request.frames.len() as u64;
            }
        }
        (Call::Submit(item), _) => seen_of(state, item.execution_id).submitted = true,
        (Call::Suspend(request), Reply::Suspended(outcome)) => {
            let seen = seen_of(state, request.handle.execution_id());
            match outcome {
                ExecutionSuspended::Suspended(_) => (seen.lease, seen.goes_on) = (None, true),
                ExecutionSuspended::AlreadySatisfied { suspension, resume_signals } => {
                    seen.resumed_by = ids(resume_signals);
                    seen.resumed_at.push(suspension.waitpoint_id);
                }
            }
        }
        (
            Call::Cancel(CancelExecution { execution_id, by: CancelBy::Operator { .. }, .. }),
            Reply::Cancelled(outcome),
        ) => {
            let seen = seen_of(state, *execution_id);
            match (outcome, &mut seen.lease) {
                (ExecutionCancelled::Requested(asked), Some(lease)) => {
                    lease.ends_at = lease.ends_at.into_iter().chain([asked.revoke_at]).min();
                }
                _ => seen.lease = None,
            }
        }
        // A duplicate changes nothing, so whatever gets here was taken in.
        (Call::Signal(request), _) => {
            seen_of(state, request.execution_id).accepted.push(SeenSignal {
                signal_id: request.signal_id,
                signal_name: request.signal.signal_name.clone(),
                waitpoint_id: request.waitpoint_id,
            });
        }
        (Call::Replay(request), _) => {
            let seen = seen_of(state, request.execution_id);
            (seen.lease, seen.goes_on) = (None, false);
        }
        _ if call.ends_a_turn() => {
            let id = call.handle().map(Handle::execution_id).expect("ends are made by handle");
            let seen = seen_of(state, id);
            seen.lease = None;
            seen.goes_on =
                matches!(call, Call::Delay(_) | Call::Release(_) | Call::WaitChildren(_));
        }
        _ => {}
    }
}

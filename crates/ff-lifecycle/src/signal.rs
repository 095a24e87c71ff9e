//! Signal: tell a waiting execution to go on.

use crate::execution::{AcceptedSignal, Decision, Execution, Phase};
use crate::settle::open;
use crate::suspend::{invalid_token, meet};
use ff_core::contracts::signal::{DeliverSignal, ResumeSignal, SignalOutcome};
use ff_core::error::{Counted, StateKind};
use ff_core::limits::SIGNALS_PER_EXECUTION_MAX;
use ff_core::state::{SignalEffect, WaitpointState};
use ff_core::{EngineResult, SignalId, TimestampMs};

/// Delivers a signal whose token's signature has been checked.
pub fn deliver(
    execution: &Execution,
    request: &DeliverSignal,
    now: TimestampMs,
) -> EngineResult<Decision<SignalOutcome>> {
    let (mut next, now) = open(execution, now)?;
    let execution_id = next.id();
    if let Some(first) = next.known_delivery(request)? {
        return Ok(Decision::Repeat(first));
    }
    let waitpoint = next
        .waitpoint(request.waitpoint_id)
        .filter(|waitpoint| waitpoint.token == request.signal.waitpoint_token)
        .ok_or_else(|| invalid_token(execution_id))?;
    if let Some(existing_signal_id) = next.duplicate_of(request) {
        return Ok(Decision::Repeat(SignalOutcome::Duplicate { existing_signal_id }));
    }
    if waitpoint.state == WaitpointState::Closed {
        return Err(StateKind::WaitpointClosed { execution_id }.into());
    }
    if waitpoint.has_lapsed(now) {
        return Err(StateKind::TokenExpired { execution_id }.into());
    }
    let state = waitpoint.state;
    let signal = accepted(request, now);
    let effect = next.effect_of(state, &signal);
    let full = !next.make_room_for_signal();
    if full && effect == SignalEffect::Buffered {
        let limit = SIGNALS_PER_EXECUTION_MAX as u64;
        let what = Counted::Signals;
        return Err(StateKind::LimitReached { execution_id, what, limit }.into());
    }
    if !(full && effect == SignalEffect::NoOp) {
        next.signals.push(AcceptedSignal {
            waitpoint_id: request.waitpoint_id,
            dedup_key: request.dedup_key().map(str::to_owned),
            effect,
            signal,
        });
    }
    if effect == SignalEffect::ResumeConditionSatisfied {
        next.resume(None, now);
    }
    Ok(next.changed(outcome(request.signal_id, effect), now))
}

fn accepted(request: &DeliverSignal, now: TimestampMs) -> ResumeSignal {
    let signal = &request.signal;
    ResumeSignal {
        signal_id: request.signal_id,
        signal_name: signal.signal_name.clone(),
        signal_category: signal.signal_category.clone(),
        source_type: signal.source_type.clone(),
        source_identity: signal.source_identity.clone(),
        correlation_id: signal.correlation_id.clone(),
        accepted_at: now,
        payload: signal.payload.clone(),
    }
}

fn outcome(signal_id: SignalId, effect: SignalEffect) -> SignalOutcome {
    match effect {
        SignalEffect::ResumeConditionSatisfied => SignalOutcome::TriggeredResume { signal_id },
        _ => SignalOutcome::Accepted { signal_id, effect },
    }
}

impl Execution {
    /// Finds the outcome of this very delivery, made before.
    fn known_delivery(&self, request: &DeliverSignal) -> EngineResult<Option<SignalOutcome>> {
        let signal_id = request.signal_id;
        match self.signals.iter().find(|s| s.signal.signal_id == signal_id) {
            Some(first) if first.waitpoint_id != request.waitpoint_id => {
                Err(self.id_taken(&signal_id))
            }
            first => Ok(first.map(|first| outcome(signal_id, first.effect))),
        }
    }

    /// Finds the signal that came before under the idempotency key.
    fn duplicate_of(&self, request: &DeliverSignal) -> Option<SignalId> {
        let key = request.dedup_key()?;
        let same = self.signals.iter().find(|s| {
            s.waitpoint_id == request.waitpoint_id && s.dedup_key.as_deref() == Some(key)
        });
        same.map(|s| s.signal.signal_id)
    }

    /// Forgets the oldest signal that nothing waits for when the memory is full; tells whether
    /// there is room.
    fn make_room_for_signal(&mut self) -> bool {
        if self.signals.len() < SIGNALS_PER_EXECUTION_MAX {
            return true;
        }
        let unneeded = self.signals.iter().position(|s| {
            let open = self
                .waitpoint(s.waitpoint_id)
                .is_some_and(|waitpoint| waitpoint.state != WaitpointState::Closed);
            s.effect == SignalEffect::NoOp || !open
        });
        unneeded.map(|index| self.signals.remove(index)).is_some()
    }

    /// Lets the signal meet a matcher of the open suspension, if the waitpoint is its.
    fn effect_of(&mut self, state: WaitpointState, signal: &ResumeSignal) -> SignalEffect {
        let Phase::Suspended(open) = &mut self.phase else {
            return SignalEffect::Buffered;
        };
        if state == WaitpointState::Pending {
            return SignalEffect::Buffered;
        }
        if !meet(&mut open.matchers, signal) {
            return SignalEffect::NoOp;
        }
        if open.matchers.iter().all(|(_, met)| met.is_some()) {
            SignalEffect::ResumeConditionSatisfied
        } else {
            SignalEffect::Appended
        }
    }
}

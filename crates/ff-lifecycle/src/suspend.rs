//! Suspend: stop for signals without holding a worker.

use crate::execution::{Decision, Execution, NextTurn, OpenSuspension, Phase, TurnEnd, Waitpoint};
use crate::fence::Fence;
use crate::settle::open;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::contracts::suspend::*;
use ff_core::error::{ConflictKind, Counted, StateKind, ValidationKind};
use ff_core::limits::WAITPOINTS_OPEN_MAX;
use ff_core::state::WaitpointState;
use ff_core::token::WaitpointToken;
use ff_core::turn::{TurnOperation, TurnOutcome};
use ff_core::{
    EngineError, EngineResult, ExecutionId, SignalId, SuspensionId, TimestampMs, WaitpointId,
    WaitpointKey,
};

/// Suspends; `token` is signed for the request's waitpoint id, in case a new one is opened.
pub fn suspend(
    execution: &Execution,
    request: &SuspendExecution,
    token: &WaitpointToken,
    now: TimestampMs,
) -> EngineResult<Decision<ExecutionSuspended>> {
    let (mut next, now) = open(execution, now)?;
    let suspension_id = request.suspension_id;
    let repeat = next.fence_end(&request.handle, TurnOperation::Suspend, Some(suspension_id))?;
    if let Fence::Repeat(_) = repeat {
        let suspension = next.suspension_of_turn(suspension_id)?;
        return Ok(Decision::Repeat(ExecutionSuspended::Suspended(suspension)));
    }
    let known = next.satisfied.iter().find(|(s, _)| s.suspension_id == suspension_id);
    if let Some((suspension, resume_signals)) = known.cloned() {
        let outcome = ExecutionSuspended::AlreadySatisfied { suspension, resume_signals };
        return Ok(Decision::Repeat(outcome));
    }
    let waitpoint = next.waitpoint_for(request, token, now)?;
    let suspension = Suspension {
        suspension_id,
        waitpoint_id: waitpoint.waitpoint_id,
        waitpoint_key: waitpoint.waitpoint_key.clone(),
        waitpoint_token: waitpoint.token.clone(),
    };
    let matchers = next.match_buffered(request, waitpoint.waitpoint_id);
    next.adopt(waitpoint.waitpoint_id);
    if matchers.iter().all(|(_, met)| met.is_some()) {
        next.resume_signals = next.signals_of(&matchers);
        next.close_waitpoint(suspension.waitpoint_id);
        let resume_signals = next.resume_signals.clone();
        next.satisfied.push((suspension.clone(), resume_signals.clone()));
        let outcome = ExecutionSuspended::AlreadySatisfied { suspension, resume_signals };
        return Ok(next.changed(outcome, now));
    }
    let mut end = TurnEnd::new(TurnOperation::Suspend, TurnOutcome::Suspended);
    end.suspension_id = Some(suspension_id);
    end.reason = Some(request.reason_code.clone());
    next.end_turn(end, now);
    next.next = NextTurn::Resume;
    next.resume_signals.clear();
    next.suspensions.push(suspension.clone());
    next.phase = Phase::Suspended(OpenSuspension {
        suspension_id,
        waitpoint_id: suspension.waitpoint_id,
        reason_code: request.reason_code.clone(),
        matchers,
        timeout_at: request.timeout_ms.map(|timeout_ms| now.plus_ms(timeout_ms)),
        timeout_behavior: request.timeout_behavior,
        escalated: false,
        suspended_at: now,
    });
    Ok(next.changed(ExecutionSuspended::Suspended(suspension), now))
}

/// Opens a pending waitpoint.
pub fn create_pending_waitpoint(
    execution: &Execution,
    request: &CreatePendingWaitpoint,
    token: &WaitpointToken,
    now: TimestampMs,
) -> EngineResult<Decision<PendingWaitpointCreated>> {
    let (mut next, now) = open(execution, now)?;
    next.fence(&request.handle)?;
    if let Some(known) = next.waitpoint(request.waitpoint_id) {
        return match known.expires_at {
            Some(expires_at) if known.waitpoint_key == request.waitpoint_key => {
                Ok(Decision::Repeat(PendingWaitpointCreated {
                    waitpoint_id: known.waitpoint_id,
                    waitpoint_token: known.token.clone(),
                    expires_at,
                }))
            }
            _ => Err(next.id_taken(&request.waitpoint_id)),
        };
    }
    let expires_at = now.plus_ms(request.expires_in_ms);
    next.open_waitpoint(
        Waitpoint {
            waitpoint_id: request.waitpoint_id,
            waitpoint_key: request.waitpoint_key.clone(),
            token: token.clone(),
            state: WaitpointState::Pending,
            created_at: now,
            expires_at: Some(expires_at),
        },
        now,
    )?;
    let created = PendingWaitpointCreated {
        waitpoint_id: request.waitpoint_id,
        waitpoint_token: token.clone(),
        expires_at,
    };
    Ok(next.changed(created, now))
}

/// Replaces the token of an open waitpoint.
pub fn reissue_waitpoint_token(
    execution: &Execution,
    request: &ReissueWaitpointToken,
    token: &WaitpointToken,
    now: TimestampMs,
) -> EngineResult<Decision<WaitpointToken>> {
    let (mut next, now) = open(execution, now)?;
    let execution_id = next.id();
    let open = next.waitpoint(request.waitpoint_id).is_some_and(|w| next.is_open(w, now));
    let waitpoint = next
        .waitpoints
        .iter_mut()
        .find(|waitpoint| waitpoint.waitpoint_id == request.waitpoint_id)
        .ok_or_else(|| invalid_token(execution_id))?;
    if !open {
        return Err(StateKind::WaitpointClosed { execution_id }.into());
    }
    if waitpoint.token == *token {
        return Ok(Decision::Repeat(token.clone()));
    }
    waitpoint.token = token.clone();
    let waitpoint_id = waitpoint.waitpoint_id;
    for suspension in &mut next.suspensions {
        if suspension.waitpoint_id == waitpoint_id {
            suspension.waitpoint_token = token.clone();
        }
    }
    Ok(next.changed(token.clone(), now))
}

/// Builds the refusal of a token that does not fit.
pub fn invalid_token(execution_id: ExecutionId) -> EngineError {
    EngineError::validation(
        ValidationKind::InvalidToken,
        format!("the token is not for this waitpoint of {execution_id}"),
    )
}

impl Waitpoint {
    /// Tells whether it is pending and past its expiry: it takes no new signal.
    pub fn has_lapsed(&self, now: TimestampMs) -> bool {
        self.state == WaitpointState::Pending && self.expires_at.is_some_and(|at| at <= now)
    }
}

impl Execution {
    /// Returns a waitpoint of the record.
    pub fn waitpoint(&self, waitpoint_id: WaitpointId) -> Option<&Waitpoint> {
        self.waitpoints.iter().find(|waitpoint| waitpoint.waitpoint_id == waitpoint_id)
    }

    /// Tells whether a suspension may adopt the waitpoint: expiry stops new signals, it loses none.
    fn is_adoptable(&self, waitpoint: &Waitpoint, now: TimestampMs) -> bool {
        waitpoint.state == WaitpointState::Pending
            && (!waitpoint.has_lapsed(now)
                || self.signals.iter().any(|s| s.waitpoint_id == waitpoint.waitpoint_id))
    }

    fn is_open(&self, waitpoint: &Waitpoint, now: TimestampMs) -> bool {
        waitpoint.state == WaitpointState::Active || self.is_adoptable(waitpoint, now)
    }

    fn suspension_of_turn(&self, suspension_id: SuspensionId) -> EngineResult<Suspension> {
        let known = self.suspensions.iter().find(|s| s.suspension_id == suspension_id);
        known.cloned().ok_or_else(|| self.not_active())
    }

    /// Picks the pending waitpoint to adopt, or makes a new one.
    fn waitpoint_for(
        &mut self,
        request: &SuspendExecution,
        token: &WaitpointToken,
        now: TimestampMs,
    ) -> EngineResult<Waitpoint> {
        let key = request.waitpoint_key();
        let mut pending = self
            .waitpoints
            .iter()
            .filter(|w| self.is_adoptable(w, now) && key.is_none_or(|key| *key == w.waitpoint_key));
        let (first, others) = (pending.next().cloned(), pending.count() as u64);
        if let Some(adopted) = first {
            if others > 0 {
                let execution_id = self.id();
                let open = others + 1;
                return Err(StateKind::WaitpointAmbiguous { execution_id, open }.into());
            }
            return Ok(adopted);
        }
        if self.waitpoint(request.waitpoint_id).is_some() {
            return Err(self.id_taken(&request.waitpoint_id));
        }
        let own_key = WaitpointKey::new(request.waitpoint_id.to_string())?;
        let waitpoint = Waitpoint {
            waitpoint_id: request.waitpoint_id,
            waitpoint_key: key.cloned().unwrap_or(own_key),
            token: token.clone(),
            state: WaitpointState::Pending,
            created_at: now,
            expires_at: None,
        };
        self.open_waitpoint(waitpoint.clone(), now)?;
        Ok(waitpoint)
    }

    fn open_waitpoint(&mut self, waitpoint: Waitpoint, now: TimestampMs) -> EngineResult<()> {
        let execution_id = self.id();
        let open = self.waitpoints.iter().filter(|w| self.is_open(w, now));
        let open: Vec<WaitpointId> = open.map(|w| w.waitpoint_id).collect();
        for known in &mut self.waitpoints {
            if !open.contains(&known.waitpoint_id) {
                known.state = WaitpointState::Closed;
            } else if known.waitpoint_key == waitpoint.waitpoint_key {
                let waitpoint_key = waitpoint.waitpoint_key;
                return Err(ConflictKind::WaitpointExists { execution_id, waitpoint_key }.into());
            }
        }
        self.forget_closed_waitpoints();
        if open.len() >= WAITPOINTS_OPEN_MAX {
            let limit = WAITPOINTS_OPEN_MAX as u64;
            let what = Counted::Waitpoints;
            return Err(StateKind::LimitReached { execution_id, what, limit }.into());
        }
        self.waitpoints.push(waitpoint);
        Ok(())
    }

    fn adopt(&mut self, adopted: WaitpointId) {
        for waitpoint in &mut self.waitpoints {
            if waitpoint.waitpoint_id == adopted {
                waitpoint.state = WaitpointState::Active;
            }
        }
    }

    /// Matches the signals that the waitpoint has buffered, oldest first.
    fn match_buffered(
        &self,
        request: &SuspendExecution,
        waitpoint_id: WaitpointId,
    ) -> Vec<(ConditionMatcher, Option<SignalId>)> {
        let mut matchers: Vec<(ConditionMatcher, Option<SignalId>)> =
            request.matchers.iter().map(|matcher| (matcher.clone(), None)).collect();
        if matchers.is_empty() {
            matchers.push((ConditionMatcher::any(), None));
        }
        for accepted in self.signals.iter().filter(|s| s.waitpoint_id == waitpoint_id) {
            meet(&mut matchers, &accepted.signal);
        }
        matchers
    }

    /// Returns the signals that met the matchers, in the order of the matchers.
    pub(crate) fn signals_of(
        &self,
        matchers: &[(ConditionMatcher, Option<SignalId>)],
    ) -> Vec<ResumeSignal> {
        let met = matchers.iter().filter_map(|(_, met)| *met);
        met.filter_map(|id| self.signals.iter().find(|s| s.signal.signal_id == id))
            .map(|accepted| accepted.signal.clone())
            .collect()
    }

    /// Closes the open suspension as resumed; `extra` follows the signals that met matchers.
    pub(crate) fn resume(&mut self, extra: Option<ResumeSignal>, at: TimestampMs) {
        let Phase::Suspended(open) = &self.phase else {
            return;
        };
        let waitpoint_id = open.waitpoint_id;
        let mut signals = self.signals_of(&open.matchers);
        signals.extend(extra);
        self.resume_signals = signals;
        self.close_waitpoint(waitpoint_id);
        self.make_ready(at, NextTurn::Resume);
    }

    pub(crate) fn id_taken(&self, id: &impl ToString) -> EngineError {
        ConflictKind::IdTaken { execution_id: self.id(), id: id.to_string() }.into()
    }
}

/// Lets a signal meet the first open matcher of its name, else the first open one that takes any
/// name; tells whether one did.
pub(crate) fn meet(
    matchers: &mut [(ConditionMatcher, Option<SignalId>)],
    signal: &ResumeSignal,
) -> bool {
    let open = |name: &str| {
        matchers.iter().position(|(matcher, met)| met.is_none() && matcher.signal_name == name)
    };
    match open(&signal.signal_name).or_else(|| open("")) {
        Some(index) => {
            matchers[index].1 = Some(signal.signal_id);
            true
        }
        None => false,
    }
}

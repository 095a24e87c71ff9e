//! Terminal: how a turn ends, and how a finished execution is run again.

use crate::execution::{Decision, Execution, MutationOutcome, NextTurn, Phase, TurnEnd};
use crate::fence::Fence;
use crate::settle::open;
use crate::store::PartitionStore;
use crate::submit::check_route;
use bytes::Bytes;
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::terminal::*;
use ff_core::error::{BugKind, Counted, StateKind};
use ff_core::state::{DelayReason, TerminalOutcome};
use ff_core::turn::{EndedTurn, TurnOperation, TurnOutcome};
use ff_core::{
    AttemptIndex, EngineError, EngineResult, ExecutionId, Handle, MutationId, TimestampMs,
};

/// Completes.
pub fn complete(
    execution: &Execution,
    handle: &Handle,
    result: Option<&Bytes>,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let (mut next, now) = open(execution, now)?;
    if let Fence::Repeat(_) = next.fence_end(handle, TurnOperation::Complete, None)? {
        return Ok(Decision::Repeat(()));
    }
    next.end_turn(TurnEnd::new(TurnOperation::Complete, TurnOutcome::Success), now);
    next.finish(TerminalOutcome::Success, None, None, now);
    next.result = result.cloned();
    Ok(next.changed((), now))
}

/// Fails the attempt.
pub fn fail(
    execution: &Execution,
    request: &FailExecution,
    now: TimestampMs,
) -> EngineResult<Decision<FailOutcome>> {
    let (mut next, now) = open(execution, now)?;
    if let Fence::Repeat(turn) = next.fence_end(&request.handle, TurnOperation::Fail, None)? {
        return fail_outcome(&turn).map(Decision::Repeat);
    }
    let category = request.error_category.as_str();
    fail_attempt(&mut next, TurnOperation::Fail, category, &request.reason, now);
    let outcome = next.last_turn().map_or(Ok(FailOutcome::TerminalFailed), fail_outcome)?;
    Ok(next.changed(outcome, now))
}

fn fail_outcome(turn: &EndedTurn) -> EngineResult<FailOutcome> {
    match (turn.outcome, turn.delay_until) {
        (TurnOutcome::RetryScheduled, Some(delay_until)) => {
            Ok(FailOutcome::RetryScheduled { delay_until })
        }
        (TurnOutcome::Failed, _) => Ok(FailOutcome::TerminalFailed),
        _ => Err(BugKind::Invariant(format!("a fail ended as {turn:?}")).into()),
    }
}

/// Ends an active attempt as failed at `at`, with a retry if the policy has one left.
pub(crate) fn fail_attempt(
    execution: &mut Execution,
    operation: TurnOperation,
    category: &str,
    reason: &str,
    at: TimestampMs,
) {
    let retry = &execution.definition.policy.retry;
    let retries = execution.retries < retry.retries_max && retry.retries(category);
    let bits = jitter_bits(execution.id(), execution.retries);
    let delay_until = retries.then(|| at.plus_ms(retry.wait_ms(execution.retries, bits)));
    let outcome = if retries { TurnOutcome::RetryScheduled } else { TurnOutcome::Failed };
    let mut end = TurnEnd::new(operation, outcome).because(reason);
    end.delay_until = delay_until;
    end.category = Some(category.to_owned());
    execution.end_turn(end, at);
    let (category, reason) = (Some(category.to_owned()), Some(reason.to_owned()));
    let Some(until) = delay_until else {
        execution.finish(TerminalOutcome::Failed, category, reason, at);
        return;
    };
    execution.close_attempt();
    execution.retries += 1;
    execution.failure_category = category;
    execution.end_reason = reason;
    execution.next = NextTurn::NewAttempt;
    execution.phase = Phase::Delayed { reason: DelayReason::Backoff, until };
}

/// Returns the bits that jitter is drawn from: they differ from execution to execution and from
/// retry to retry, and are the same whenever the history is.
fn jitter_bits(id: ExecutionId, retries: u32) -> u16 {
    let tail = id.uuid().as_u128() & 0xffff;
    u16::try_from((tail + 25_033 * u128::from(retries)) % 65_536).unwrap_or(0)
}

/// Cancels.
pub fn cancel(
    execution: &Execution,
    request: &CancelExecution,
    now: TimestampMs,
) -> EngineResult<Decision<ExecutionCancelled>> {
    let (mut next, now) = open(execution, now)?;
    let (grace_ms, mutation_id) = match &request.by {
        CancelBy::LeaseHolder(handle) => {
            if let Fence::Repeat(_) = next.fence_end(handle, TurnOperation::Cancel, None)? {
                return Ok(Decision::Repeat(ExecutionCancelled::Ended));
            }
            (0, None)
        }
        CancelBy::Operator { mutation_id, grace_ms } => (*grace_ms, Some(*mutation_id)),
    };
    match mutation_id.and_then(|id| next.mutation(id)) {
        Some(MutationOutcome::Cancelled(first)) => return Ok(Decision::Repeat(first.clone())),
        Some(MutationOutcome::Replayed(_)) => {
            return Err(next.id_taken(&mutation_id.map_or_else(String::new, |id| id.to_string())));
        }
        None => {}
    }
    let outcome = match next.phase {
        Phase::Terminal { outcome: TerminalOutcome::Cancelled, .. } => {
            return Ok(next.cancelled_before(mutation_id));
        }
        Phase::Terminal { .. } => return Err(next.not_active()),
        Phase::Active(_) if grace_ms > 0 => next.request_cancel(&request.reason, grace_ms, now),
        _ => {
            let end = TurnEnd::new(TurnOperation::Cancel, TurnOutcome::Cancelled);
            next.end_turn(end.because(&request.reason), now);
            next.finish(TerminalOutcome::Cancelled, None, Some(request.reason.clone()), now);
            ExecutionCancelled::Ended
        }
    };
    if let Some(id) = mutation_id {
        next.remember_mutation(id, MutationOutcome::Cancelled(outcome.clone()));
    }
    Ok(next.changed(outcome, now))
}

impl Execution {
    /// Answers a cancel of what is cancelled. It is remembered and changes nothing else, so that a
    /// late repeat does not cancel what a replay has made of it.
    fn cancelled_before(
        mut self: Box<Self>,
        mutation_id: Option<MutationId>,
    ) -> Decision<ExecutionCancelled> {
        let Some(id) = mutation_id else {
            return Decision::Repeat(ExecutionCancelled::Ended);
        };
        self.remember_mutation(id, MutationOutcome::Cancelled(ExecutionCancelled::Ended));
        Decision::Change(self, ExecutionCancelled::Ended)
    }

    fn request_cancel(
        &mut self,
        reason: &str,
        grace_ms: u64,
        now: TimestampMs,
    ) -> ExecutionCancelled {
        let revoke_at = now.plus_ms(grace_ms);
        let asked = match self.cancel.take() {
            Some(first) => CancelRequested { revoke_at: first.revoke_at.min(revoke_at), ..first },
            None => CancelRequested { reason: reason.to_owned(), requested_at: now, revoke_at },
        };
        self.cancel = Some(asked.clone());
        ExecutionCancelled::Requested(asked)
    }
}

/// Puts the work off.
pub fn delay(
    execution: &Execution,
    request: &DelayExecution,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let (mut next, now) = open(execution, now)?;
    if let Fence::Repeat(_) = next.fence_end(&request.handle, TurnOperation::Delay, None)? {
        return Ok(Decision::Repeat(()));
    }
    let until = request.delay_until;
    let outcome = if until > now { TurnOutcome::Delayed } else { TurnOutcome::Ready };
    let mut end = TurnEnd::new(TurnOperation::Delay, outcome);
    end.delay_until = (until > now).then_some(until);
    next.end_turn(end, now);
    if until > now {
        next.next = NextTurn::Resume;
        next.phase = Phase::Delayed { reason: DelayReason::Delay, until };
    } else {
        next.make_ready(now, NextTurn::Resume);
    }
    Ok(next.changed((), now))
}

/// Gives the work back.
pub fn release(
    execution: &Execution,
    request: &ReleaseExecution,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let end = TurnEnd::new(TurnOperation::Release, TurnOutcome::Ready).because(&request.reason);
    hand_back(execution, &request.handle, end, now)
}

/// Waits for children; with none unresolved the execution is ready again at once.
pub fn wait_children(
    execution: &Execution,
    request: &MoveToWaitingChildren,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let end = TurnEnd::new(TurnOperation::WaitChildren, TurnOutcome::Ready);
    hand_back(execution, &request.handle, end, now)
}

fn hand_back(
    execution: &Execution,
    handle: &Handle,
    end: TurnEnd,
    now: TimestampMs,
) -> EngineResult<Decision<()>> {
    let (mut next, now) = open(execution, now)?;
    if let Fence::Repeat(_) = next.fence_end(handle, end.operation, None)? {
        return Ok(Decision::Repeat(()));
    }
    next.end_turn(end, now);
    next.make_ready(now, NextTurn::Resume);
    Ok(next.changed((), now))
}

/// Makes a finished execution ready again.
pub fn replay(
    store: &mut impl PartitionStore,
    request: &ReplayExecution,
    now: TimestampMs,
) -> EngineResult<ExecutionReplayed> {
    let id = request.execution_id;
    let execution = store.get(id).ok_or(EngineError::execution_not_found(id))?;
    let (mut next, now) = open(&execution, now)?;
    match next.mutation(request.mutation_id) {
        Some(MutationOutcome::Replayed(first)) => return Ok(*first),
        Some(MutationOutcome::Cancelled(_)) => return Err(next.id_taken(&request.mutation_id)),
        None => {}
    }
    if !matches!(next.phase, Phase::Terminal { .. }) {
        let public_state = next.public_state();
        return Err(EngineError::State(StateKind::ExecutionNotTerminal {
            execution_id: next.id(),
            public_state,
        }));
    }
    let limit = next.definition.policy.replays_max;
    if next.replays >= limit {
        return Err(StateKind::LimitReached {
            execution_id: next.id(),
            what: Counted::Replays,
            limit: limit.into(),
        }
        .into());
    }
    check_route(store, &next)?;
    let span_ms = next.definition.deadline_span_ms;
    next.deadline_at = span_ms.map(|span_ms| now.plus_ms(span_ms));
    next.retries = 0;
    next.reclaims = 0;
    next.replays += 1;
    next.result = None;
    next.failure_category = None;
    next.end_reason = None;
    next.progress = None;
    let replayed = ExecutionReplayed { attempt_index: AttemptIndex(next.attempts) };
    next.remember_mutation(request.mutation_id, MutationOutcome::Replayed(replayed));
    next.make_ready(now, NextTurn::NewAttempt);
    next.updated_at = now;
    store.put(*next);
    Ok(replayed)
}

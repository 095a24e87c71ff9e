//! Settling: timers that are due count as fired, each at its own time.
//!
//! Because a timer takes effect at its own time and not when somebody looks, it makes no difference
//! whether a tick, a claim or a late call comes first.

use crate::execution::{Execution, NextTurn, Phase, TurnEnd};
use crate::terminal;
use ff_core::contracts::signal::{ResumeSignal, TIMEOUT_SIGNAL_NAME, TIMEOUT_SIGNAL_SOURCE};
use ff_core::state::{TerminalOutcome, TimeoutBehavior};
use ff_core::turn::{TurnOperation, TurnOutcome};
use ff_core::{EngineError, EngineResult, SignalId, TimestampMs};

/// The category and reason of a suspension that timed out.
pub const SUSPENSION_TIMEOUT: &str = "suspension_timeout";
/// The category of an attempt that ran too long.
pub const ATTEMPT_TIMEOUT: &str = "attempt_timeout";
/// The category of an execution that lost too many leases.
pub const RECLAIMS_EXHAUSTED: &str = "reclaims_exhausted";
/// The reason of an execution that passed its deadline.
pub const DEADLINE: &str = "deadline";

/// A timer of a record; the order breaks ties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Timer {
    Retention,
    Deadline,
    CancelRevoke,
    AttemptTimeout,
    LeaseExpiry,
    SuspensionTimeout,
    GrantExpiry,
    Delay,
}

impl Execution {
    /// Lists the timers of the record.
    pub(crate) fn timers(&self) -> impl Iterator<Item = (TimestampMs, Timer)> {
        let deadline = self.deadline_at.map(|at| (at, Timer::Deadline));
        let timers = match &self.phase {
            Phase::Ready { .. } => [deadline, None, None, None],
            Phase::Delayed { until, .. } => [deadline, Some((*until, Timer::Delay)), None, None],
            Phase::Granted { expires_at, .. } => {
                [deadline, Some((*expires_at, Timer::GrantExpiry)), None, None]
            }
            Phase::Active(lease) => [
                deadline,
                self.cancel.as_ref().map(|cancel| (cancel.revoke_at, Timer::CancelRevoke)),
                lease.attempt_timeout_at.map(|at| (at, Timer::AttemptTimeout)),
                Some((lease.expires_at, Timer::LeaseExpiry)),
            ],
            Phase::Suspended(open) => {
                let timeout = open.timeout_at.map(|at| (at, Timer::SuspensionTimeout));
                [deadline, timeout, None, None]
            }
            Phase::Terminal { ended_at, .. } => {
                let until = ended_at.plus_ms(self.definition.policy.retention_ms);
                [Some((until, Timer::Retention)), None, None, None]
            }
        };
        timers.into_iter().flatten()
    }

    fn fire(&mut self, timer: Timer, at: TimestampMs) {
        match timer {
            Timer::Retention => {}
            Timer::Deadline => self.expire(at),
            Timer::CancelRevoke => self.revoke(at),
            Timer::AttemptTimeout => self.time_attempt_out(at),
            Timer::LeaseExpiry => self.lose_lease(at),
            Timer::SuspensionTimeout => self.time_suspension_out(at),
            Timer::GrantExpiry => {
                if let Phase::Granted { score, .. } = self.phase {
                    self.phase = Phase::Ready { score };
                }
            }
            Timer::Delay => self.make_ready(at, self.next),
        }
        self.apply_cancel(at);
        self.updated_at = self.updated_at.max(at);
    }

    fn expire(&mut self, at: TimestampMs) {
        let end = TurnEnd::new(TurnOperation::Deadline, TurnOutcome::Expired);
        self.end_turn(end.because(DEADLINE), at);
        self.finish(TerminalOutcome::Expired, None, Some(DEADLINE.to_owned()), at);
    }

    fn revoke(&mut self, at: TimestampMs) {
        let reason = self.cancel.as_ref().map(|cancel| cancel.reason.clone());
        let mut end = TurnEnd::new(TurnOperation::Cancel, TurnOutcome::Cancelled);
        end.reason = reason.clone();
        self.end_turn(end, at);
        self.finish(TerminalOutcome::Cancelled, None, reason, at);
    }

    fn time_attempt_out(&mut self, at: TimestampMs) {
        let limit_ms = self.definition.policy.attempt_timeout_ms.unwrap_or(0);
        let reason = format!("attempt ran longer than {limit_ms} ms");
        terminal::fail_attempt(self, TurnOperation::AttemptTimeout, ATTEMPT_TIMEOUT, &reason, at);
    }

    fn lose_lease(&mut self, at: TimestampMs) {
        self.reclaims += 1;
        if self.reclaims <= self.definition.policy.reclaims_max {
            self.end_turn(TurnEnd::new(TurnOperation::LeaseExpired, TurnOutcome::Ready), at);
            self.close_attempt();
            self.make_ready(at, NextTurn::AfterLostLease);
            return;
        }
        let reason = format!("lost {} leases", self.reclaims);
        let mut end = TurnEnd::new(TurnOperation::LeaseExpired, TurnOutcome::Failed);
        end.category = Some(RECLAIMS_EXHAUSTED.to_owned());
        self.end_turn(end.because(&reason), at);
        let category = Some(RECLAIMS_EXHAUSTED.to_owned());
        self.finish(TerminalOutcome::Failed, category, Some(reason), at);
    }

    fn time_suspension_out(&mut self, at: TimestampMs) {
        let Phase::Suspended(open) = &mut self.phase else {
            return;
        };
        let outcome = match open.timeout_behavior {
            TimeoutBehavior::Fail => TerminalOutcome::Failed,
            TimeoutBehavior::Cancel => TerminalOutcome::Cancelled,
            TimeoutBehavior::Expire => TerminalOutcome::Expired,
            TimeoutBehavior::Escalate => {
                open.escalated = true;
                open.timeout_at = None;
                return;
            }
            TimeoutBehavior::AutoResume => {
                let synthetic = ResumeSignal {
                    signal_id: SignalId::from_uuid(open.suspension_id.as_uuid()),
                    signal_name: TIMEOUT_SIGNAL_NAME.to_owned(),
                    signal_category: TIMEOUT_SIGNAL_NAME.to_owned(),
                    source_type: TIMEOUT_SIGNAL_SOURCE.to_owned(),
                    source_identity: TIMEOUT_SIGNAL_SOURCE.to_owned(),
                    correlation_id: None,
                    accepted_at: at,
                    payload: None,
                };
                self.resume(Some(synthetic), at);
                return;
            }
        };
        let reason = Some(SUSPENSION_TIMEOUT.to_owned());
        let category = (outcome == TerminalOutcome::Failed).then(|| SUSPENSION_TIMEOUT.to_owned());
        self.finish(outcome, category, reason, at);
    }
}

/// Returns the record as it stands at `now`: `None` once its retention has ended.
///
/// It is boxed, because a record is large and travels through every rule from here.
pub fn settle(execution: &Execution, now: TimestampMs) -> Option<Box<Execution>> {
    let mut settled = Box::new(execution.clone());
    // Every timer moves the record on, so a chain is short; the bound is for a broken rule.
    for _ in 0..16 {
        match settled.timers().min() {
            Some((at, timer)) if at <= now => {
                if timer == Timer::Retention {
                    return None;
                }
                settled.fire(timer, at);
            }
            _ => break,
        }
    }
    Some(settled)
}

/// Settles a record for an operation: the record and the time of the operation.
pub(crate) fn open(
    execution: &Execution,
    now: TimestampMs,
) -> EngineResult<(Box<Execution>, TimestampMs)> {
    let now = now.max(execution.updated_at);
    settle(execution, now)
        .map(|settled| (settled, now))
        .ok_or_else(|| EngineError::execution_not_found(execution.id()))
}

//! Inspect: what a record looks like from outside.

use crate::execution::{Execution, NextTurn, Phase};
use crate::settle::open;
use ff_core::contracts::inspect::*;
use ff_core::state::{DelayReason, PublicState};
use ff_core::turn::EndedTurn;
use ff_core::{EngineResult, TimestampMs};

/// Describes a record as it stands at `now`.
pub fn describe(execution: &Execution, now: TimestampMs) -> EngineResult<ExecutionInfo> {
    let (settled, _) = open(execution, now)?;
    Ok(settled.info())
}

/// Reads how an execution ended.
pub fn result(execution: &Execution, now: TimestampMs) -> EngineResult<ExecutionResult> {
    let (settled, _) = open(execution, now)?;
    let ended = matches!(settled.phase, Phase::Terminal { .. });
    Ok(ExecutionResult {
        terminal_outcome: settled.terminal_outcome(),
        result: settled.result.clone(),
        failure_category: settled.failure_category.filter(|_| ended),
        end_reason: settled.end_reason.filter(|_| ended),
    })
}

/// Sums a record up as it stands at `now`.
pub fn summary(execution: &Execution, now: TimestampMs) -> EngineResult<ExecutionSummary> {
    let (settled, _) = open(execution, now)?;
    Ok(ExecutionSummary {
        execution_id: settled.id(),
        kind: settled.definition.kind.clone(),
        public_state: settled.public_state(),
        attempts: settled.attempts,
        created_at: settled.definition.created_at,
        updated_at: settled.updated_at,
    })
}

impl Execution {
    /// Returns the state that people see.
    pub fn public_state(&self) -> PublicState {
        match &self.phase {
            Phase::Ready { .. } => PublicState::Waiting,
            Phase::Delayed { .. } => PublicState::Delayed,
            Phase::Granted { .. } => PublicState::Blocked,
            Phase::Active(_) => PublicState::Active,
            Phase::Suspended(_) => PublicState::Suspended,
            Phase::Terminal { outcome, .. } => outcome.public_state(),
        }
    }

    fn info(&self) -> ExecutionInfo {
        let definition = &self.definition;
        let (ready_score, grant) = self.readiness();
        let (delay_reason, delay_until) = self.delay();
        let (lease, attempt_timeout_at) = self.lease_info();
        let ended_at = match self.phase {
            Phase::Terminal { ended_at, .. } => Some(ended_at),
            _ => None,
        };
        ExecutionInfo {
            execution_id: self.id(),
            namespace: definition.namespace.clone(),
            lane: definition.lane.clone(),
            kind: definition.kind.clone(),
            policy: definition.policy.clone(),
            fairness_key: definition.fairness_key.clone(),
            public_state: self.public_state(),
            lifecycle_phase: self.lifecycle_phase(),
            terminal_outcome: self.terminal_outcome(),
            delay_reason,
            delay_until,
            grant,
            lease_epoch: self.epoch,
            lease,
            attempt: self.attempt_id.map(|id| (self.attempt_index(), id)),
            resumes: self.next == NextTurn::Resume && self.awaits_claim(),
            attempt_timeout_at,
            deadline_at: self.deadline_at,
            ready_score,
            retries: self.retries,
            reclaims: self.reclaims,
            replays: self.replays,
            progress: self.progress.clone(),
            cancel_requested: self.cancel.clone(),
            suspension: self.suspension_info(),
            waitpoints: self.waitpoint_infos(),
            signals: self.signals.len() as u64,
            resume_signals: self.resume_signals.clone(),
            frame_count: self.frames.count,
            failure_category: self.failure_category.clone(),
            end_reason: self.end_reason.clone(),
            has_result: self.result.is_some(),
            created_at: definition.created_at,
            updated_at: self.updated_at,
            ended_at,
            retained_until: ended_at.map(|at| at.plus_ms(definition.policy.retention_ms)),
        }
    }

    fn awaits_claim(&self) -> bool {
        !matches!(self.phase, Phase::Active(_) | Phase::Terminal { .. })
    }

    fn readiness(&self) -> (Option<i64>, Option<GrantInfo>) {
        match &self.phase {
            Phase::Ready { score } => (Some(*score), None),
            Phase::Granted { grant, expires_at, score, .. } => {
                let info = GrantInfo { grant: grant.clone(), expires_at: *expires_at };
                (Some(*score), Some(info))
            }
            _ => (None, None),
        }
    }

    fn delay(&self) -> (Option<DelayReason>, Option<TimestampMs>) {
        match self.phase {
            Phase::Delayed { reason, until } => (Some(reason), Some(until)),
            _ => (None, None),
        }
    }

    fn lease_info(&self) -> (Option<LeaseInfo>, Option<TimestampMs>) {
        let Phase::Active(lease) = &self.phase else {
            return (None, None);
        };
        let info = LeaseInfo {
            lease_id: lease.lease_id,
            worker_id: lease.worker_id.clone(),
            worker_instance_id: lease.worker_instance_id.clone(),
            started_at: lease.started_at,
            expires_at: lease.expires_at,
            kind: lease.kind,
        };
        (Some(info), lease.attempt_timeout_at)
    }

    fn suspension_info(&self) -> Option<SuspensionInfo> {
        let Phase::Suspended(open) = &self.phase else {
            return None;
        };
        Some(SuspensionInfo {
            suspension_id: open.suspension_id,
            waitpoint_id: open.waitpoint_id,
            reason_code: open.reason_code.clone(),
            matchers: open.matchers.clone(),
            timeout_at: open.timeout_at,
            timeout_behavior: open.timeout_behavior,
            escalated: open.escalated,
            suspended_at: open.suspended_at,
        })
    }

    fn waitpoint_infos(&self) -> Vec<WaitpointInfo> {
        let info = |waitpoint: &crate::Waitpoint| WaitpointInfo {
            waitpoint_id: waitpoint.waitpoint_id,
            waitpoint_key: waitpoint.waitpoint_key.clone(),
            state: waitpoint.state,
            kid: waitpoint.token.kid().unwrap_or_default().to_owned(),
            created_at: waitpoint.created_at,
            expires_at: waitpoint.expires_at,
        };
        self.waitpoints.iter().map(info).collect()
    }
}

/// Lists the ended turns that a record remembers as it stands at `now`, oldest first.
pub fn turns(execution: &Execution, now: TimestampMs) -> EngineResult<Vec<EndedTurn>> {
    let (settled, _) = open(execution, now)?;
    Ok(settled.turns)
}

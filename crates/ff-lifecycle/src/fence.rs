//! The fence: whether a handle still holds its lease, or made this very call before.

use crate::execution::{Execution, Phase};
use ff_core::error::{ConflictKind, StateKind};
use ff_core::state::{LifecyclePhase, TerminalOutcome};
use ff_core::turn::{EndedTurn, TurnOperation};
use ff_core::{EngineError, EngineResult, Handle, SuspensionId};

/// What the fence found.
#[derive(Debug)]
pub(crate) enum Fence {
    /// The handle holds the lease.
    Held,
    /// The handle's turn ended by this very call.
    Repeat(EndedTurn),
}

impl Execution {
    /// Returns the main phase.
    pub fn lifecycle_phase(&self) -> LifecyclePhase {
        match self.phase {
            Phase::Ready { .. } | Phase::Delayed { .. } | Phase::Granted { .. } => {
                LifecyclePhase::Runnable
            }
            Phase::Active(_) => LifecyclePhase::Active,
            Phase::Suspended(_) => LifecyclePhase::Suspended,
            Phase::Terminal { .. } => LifecyclePhase::Terminal,
        }
    }

    /// Returns how it ended, `None` while it is live.
    pub fn terminal_outcome(&self) -> TerminalOutcome {
        match self.phase {
            Phase::Terminal { outcome, .. } => outcome,
            _ => TerminalOutcome::None,
        }
    }

    /// Builds the refusal of a call that needs a live lease.
    pub(crate) fn not_active(&self) -> EngineError {
        StateKind::ExecutionNotActive {
            execution_id: self.id(),
            terminal_outcome: self.terminal_outcome(),
            lease_epoch: self.epoch,
            lifecycle_phase: self.lifecycle_phase(),
            attempt_id: self.attempt_id,
        }
        .into()
    }

    fn stale(&self, handle: &Handle) -> EngineError {
        ConflictKind::StaleLease {
            execution_id: self.id(),
            held: handle.lease_epoch(),
            current: self.epoch,
        }
        .into()
    }

    /// Fences a call that ends a turn: it may be a repeat.
    pub(crate) fn fence_end(
        &self,
        handle: &Handle,
        operation: TurnOperation,
        suspension_id: Option<SuspensionId>,
    ) -> EngineResult<Fence> {
        let repeat = self.turns.iter().rev().find(|turn| {
            turn.is_repeated_by(handle, operation) && turn.suspension_id == suspension_id
        });
        match repeat {
            Some(turn) => Ok(Fence::Repeat(turn.clone())),
            None => self.fence(handle).map(|()| Fence::Held),
        }
    }

    /// Fences any other call.
    pub(crate) fn fence(&self, handle: &Handle) -> EngineResult<()> {
        if handle.lease_epoch() != self.epoch {
            return Err(self.stale(handle));
        }
        if let Phase::Active(lease) = &self.phase {
            let same = lease.lease_id == handle.lease_id()
                && self.attempt_id == Some(handle.attempt_id())
                && self.attempt_index() == handle.attempt_index();
            return if same { Ok(()) } else { Err(self.stale(handle)) };
        }
        match self.last_turn() {
            Some(turn)
                if turn.operation == TurnOperation::LeaseExpired
                    && turn.lease_epoch == self.epoch =>
            {
                Err(StateKind::LeaseExpired { execution_id: self.id(), expired_at: turn.ended_at }
                    .into())
            }
            _ => Err(self.not_active()),
        }
    }
}

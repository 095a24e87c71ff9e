//! Terminal: how a turn ends, and how a finished execution is run again.

use crate::MemoryBackend;
use crate::backend::change_in;
use ff_core::contracts::TerminalBackend;
use ff_core::contracts::claim::ClaimExecution;
use ff_core::contracts::terminal::*;
use ff_core::{EngineResult, ExecutionId, TimestampMs};
use ff_lifecycle::{Decision, Execution};

impl MemoryBackend {
    /// Ends a turn and makes the claim that travels with it, in one step.
    fn end_and_claim<T>(
        &self,
        id: ExecutionId,
        next: Option<&ClaimExecution>,
        rule: impl FnOnce(&Execution, TimestampMs) -> EngineResult<Decision<T>>,
    ) -> EngineResult<TurnEnded<T>> {
        self.within(id.partition(), |store, now| {
            let outcome = change_in(store, id, now, rule)?;
            // The end stands whatever becomes of the claim: one that is refused takes nothing.
            let next =
                next.map(|claim| ff_lifecycle::claim::claim(store, claim, now).unwrap_or_default());
            Ok(TurnEnded { outcome, next })
        })
    }
}

#[async_trait::async_trait]
impl TerminalBackend for MemoryBackend {
    async fn complete_execution(&self, request: CompleteExecution) -> EngineResult<TurnEnded<()>> {
        request.check()?;
        let id = request.handle.execution_id();
        self.end_and_claim(id, request.next.as_ref(), |execution, now| {
            ff_lifecycle::terminal::complete(execution, &request, now)
        })
    }

    async fn fail_execution(&self, request: FailExecution) -> EngineResult<TurnEnded<FailOutcome>> {
        request.check()?;
        let id = request.handle.execution_id();
        self.end_and_claim(id, request.next.as_ref(), |execution, now| {
            ff_lifecycle::terminal::fail(execution, &request, now)
        })
    }

    async fn cancel_execution(&self, request: CancelExecution) -> EngineResult<ExecutionCancelled> {
        request.check()?;
        self.change(request.execution_id, |execution, now| {
            ff_lifecycle::terminal::cancel(execution, &request, now)
        })
    }

    async fn delay_execution(&self, request: DelayExecution) -> EngineResult<()> {
        request.check()?;
        self.change(request.handle.execution_id(), |execution, now| {
            ff_lifecycle::terminal::delay(execution, &request, now)
        })
    }

    async fn release_execution(&self, request: ReleaseExecution) -> EngineResult<()> {
        request.check()?;
        self.change(request.handle.execution_id(), |execution, now| {
            ff_lifecycle::terminal::release(execution, &request, now)
        })
    }

    async fn move_to_waiting_children(&self, request: MoveToWaitingChildren) -> EngineResult<()> {
        self.change(request.handle.execution_id(), |execution, now| {
            ff_lifecycle::terminal::wait_children(execution, &request, now)
        })
    }

    async fn replay_execution(&self, request: ReplayExecution) -> EngineResult<ExecutionReplayed> {
        let id = request.execution_id;
        self.within(id.partition(), |store, now| {
            ff_lifecycle::terminal::replay(store, &request, now)
        })
    }
}

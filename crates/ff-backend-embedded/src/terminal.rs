//! Terminal: how a turn ends, and how a finished execution is run again.

use crate::EmbeddedBackend;
use crate::backend::change_in;
use crate::store::{Room, Store};
use ff_core::contracts::TerminalBackend;
use ff_core::contracts::claim::ClaimExecution;
use ff_core::contracts::terminal::*;
use ff_core::{EngineResult, ExecutionId, TimestampMs};
use ff_lifecycle::{Decision, Execution, claim, terminal};

impl<S: Store> EmbeddedBackend<S> {
    /// Ends a turn and makes the claim that travels with it, in one step.
    async fn end_and_claim<T: Send + 'static>(
        &self,
        operation: &'static str,
        id: ExecutionId,
        next: Option<ClaimExecution>,
        rule: impl Fn(&Execution, TimestampMs) -> EngineResult<Decision<T>> + Send + 'static,
    ) -> EngineResult<TurnEnded<T>> {
        self.store.works(operation)?;
        let end = move |room: &mut S::Room, now| {
            let partition = room.partition(id.partition())?;
            let outcome = change_in(partition, id, now, &rule)?;
            // The end stands whatever becomes of the claim: one that is refused takes nothing.
            let next =
                next.as_ref().map(|next| claim::claim(partition, next, now).unwrap_or_default());
            Ok(TurnEnded { outcome, next })
        };
        self.store.write(operation, end).await
    }
}

#[async_trait::async_trait]
impl<S: Store> TerminalBackend for EmbeddedBackend<S> {
    async fn complete_execution(&self, request: CompleteExecution) -> EngineResult<TurnEnded<()>> {
        request.check()?;
        let (id, next) = (request.handle.execution_id(), request.next.clone());
        self.end_and_claim("complete_execution", id, next, move |execution, now| {
            terminal::complete(execution, &request.handle, request.result.as_ref(), now)
        })
        .await
    }

    async fn complete_executions(
        &self,
        request: CompleteExecutions,
    ) -> EngineResult<ExecutionsCompleted> {
        let partition = request.check()?;
        self.store.works("complete_executions")?;
        let complete = move |room: &mut S::Room, now| {
            let partition = room.partition(partition)?;
            let mut end = |Completion { handle, result }: &Completion| {
                change_in(partition, handle.execution_id(), now, |execution, now| {
                    terminal::complete(execution, handle, result.as_ref(), now)
                })
            };
            let outcomes = request.completions.iter().map(&mut end).collect();
            let next = request.next.as_ref();
            let next = next.map(|next| claim::claim(partition, next, now).unwrap_or_default());
            Ok(ExecutionsCompleted { outcomes, next })
        };
        self.store.write("complete_executions", complete).await
    }

    async fn fail_execution(&self, request: FailExecution) -> EngineResult<TurnEnded<FailOutcome>> {
        request.check()?;
        let (id, next) = (request.handle.execution_id(), request.next.clone());
        self.end_and_claim("fail_execution", id, next, move |execution, now| {
            terminal::fail(execution, &request, now)
        })
        .await
    }

    async fn cancel_execution(&self, request: CancelExecution) -> EngineResult<ExecutionCancelled> {
        request.check()?;
        if matches!(request.by, CancelBy::LeaseHolder(_)) {
            self.store.works("cancel_execution")?;
        }
        self.change("cancel_execution", request.execution_id, move |execution, now| {
            terminal::cancel(execution, &request, now)
        })
        .await
    }

    async fn delay_execution(&self, request: DelayExecution) -> EngineResult<()> {
        request.check()?;
        self.store.works("delay_execution")?;
        self.change("delay_execution", request.handle.execution_id(), move |execution, now| {
            terminal::delay(execution, &request, now)
        })
        .await
    }

    async fn release_execution(&self, request: ReleaseExecution) -> EngineResult<()> {
        request.check()?;
        self.store.works("release_execution")?;
        self.change("release_execution", request.handle.execution_id(), move |execution, now| {
            terminal::release(execution, &request, now)
        })
        .await
    }

    async fn move_to_waiting_children(&self, request: MoveToWaitingChildren) -> EngineResult<()> {
        const OPERATION: &str = "move_to_waiting_children";
        self.store.works(OPERATION)?;
        self.change(OPERATION, request.handle.execution_id(), move |execution, now| {
            terminal::wait_children(execution, &request, now)
        })
        .await
    }

    async fn replay_execution(&self, request: ReplayExecution) -> EngineResult<ExecutionReplayed> {
        let replay = move |room: &mut S::Room, now| {
            let partition = room.partition(request.execution_id.partition())?;
            terminal::replay(partition, &request, now)
        };
        self.store.write("replay_execution", replay).await
    }
}

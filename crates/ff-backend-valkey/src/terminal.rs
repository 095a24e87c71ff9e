//! Terminal: the ends of turns, and replays. Complete and fail may carry a claim.

use crate::args::{Claim, claim, execution, handle, maybe, text, with_handle};
use crate::backend::ValkeyBackend;
use crate::claim::claimant;
use crate::decode::{cancel, next};
use bytes::Bytes;
use ff_core::contracts::TerminalBackend;
use ff_core::contracts::claim::{ClaimExecution, ExecutionsClaimed};
use ff_core::contracts::terminal::*;
use ff_core::error::EngineResult;
use ff_core::handle::Handle;
use ff_core::ids::AttemptIndex;
use ff_core::keys::partition_base;
use ff_script::functions::{
    CANCEL_EXECUTION, COMPLETE_EXECUTION, COMPLETE_EXECUTIONS, DELAY_EXECUTION, FAIL_EXECUTION,
    MOVE_TO_WAITING_CHILDREN, RELEASE_EXECUTION, REPLAY_EXECUTION,
};
use ff_script::{Fields, Function, Subject, Value};

impl ValkeyBackend {
    /// Ends a turn, with the claim that travels with it.
    async fn end<const N: usize>(
        &self,
        function: &Function<N>,
        handle: &Handle,
        arguments: [Bytes; N],
        next: Option<&ClaimExecution>,
    ) -> EngineResult<Fields> {
        let execution_id = handle.execution_id();
        let base = partition_base(execution_id.partition());
        let subject = Subject::execution(execution_id);
        let next = next.map(|request| claim(&Claim::from(request)));
        let groups: &[Bytes] = next.as_ref().map_or(&[], |arguments| arguments);
        self.caller.ok(function, &base, arguments, groups, &subject).await
    }

    /// Reads what the claim took that travelled with an end.
    async fn next(
        &self,
        fields: &mut Fields,
        claim: Option<&ClaimExecution>,
    ) -> EngineResult<Option<ExecutionsClaimed>> {
        let Some(claim) = claim else {
            return next(fields, None).map(|_| None);
        };
        match next(fields, Some(&claimant(claim)))? {
            Some(claimed) => self.with_inputs(claim.partition, claimed).await.map(Some),
            None => Ok(None),
        }
    }
}

#[async_trait::async_trait]
impl TerminalBackend for ValkeyBackend {
    async fn complete_execution(&self, request: CompleteExecution) -> EngineResult<TurnEnded<()>> {
        request.check()?;
        let handle = &request.handle;
        let arguments = with_handle(handle, [maybe(request.result.as_deref())]);
        let claim = request.next.as_ref();
        let mut fields = self.end(&COMPLETE_EXECUTION, handle, arguments, claim).await?;
        Ok(TurnEnded { outcome: (), next: self.next(&mut fields, claim).await? })
    }

    async fn complete_executions(
        &self,
        request: CompleteExecutions,
    ) -> EngineResult<ExecutionsCompleted> {
        let base = partition_base(request.check()?);
        let completions = &request.completions;
        let mut groups = Vec::with_capacity(completions.len() * 6);
        for Completion { handle, result } in completions {
            groups.extend::<[Bytes; 6]>(with_handle(handle, [maybe(result.as_deref())]));
        }
        let claim = request.next.as_ref();
        let arguments =
            claim.map_or_else(Default::default, |next| crate::args::claim(&next.into()));
        let function = &COMPLETE_EXECUTIONS;
        let mut fields =
            self.caller.ok(function, &base, arguments, &groups, &Subject::NONE).await?;
        let replies = fields.sub_replies("outcomes")?;
        if replies.len() != completions.len() {
            let got = Value::Int(i64::try_from(replies.len()).unwrap_or(i64::MAX));
            return Err(fields.bad("outcomes", "one outcome a completion", &got));
        }
        let outcomes = replies.into_iter().zip(completions).map(|(reply, completion)| {
            let subject = Subject::execution(completion.handle.execution_id());
            reply.map_or(Ok(()), |reply| reply.into_success(&subject)?.ok().map(drop))
        });
        let outcomes = outcomes.collect();
        let next = self.next(&mut fields, claim).await?;
        Ok(ExecutionsCompleted { outcomes, next })
    }

    async fn fail_execution(&self, request: FailExecution) -> EngineResult<TurnEnded<FailOutcome>> {
        request.check()?;
        let handle = &request.handle;
        let reasons = [text(&request.reason), text(&request.error_category)];
        let arguments = with_handle(handle, reasons);
        let claim = request.next.as_ref();
        let mut fields = self.end(&FAIL_EXECUTION, handle, arguments, claim).await?;
        let outcome = match fields.text("outcome")?.as_str() {
            "retry_scheduled" => {
                FailOutcome::RetryScheduled { delay_until: fields.time("delay_until")? }
            }
            "terminal_failed" => FailOutcome::TerminalFailed,
            other => {
                let expected = "retry_scheduled or terminal_failed";
                return Err(fields.bad("outcome", expected, &Value::text(other)));
            }
        };
        Ok(TurnEnded { outcome, next: self.next(&mut fields, claim).await? })
    }

    async fn cancel_execution(&self, request: CancelExecution) -> EngineResult<ExecutionCancelled> {
        request.check()?;
        let execution_id = request.execution_id;
        let (by, grace_ms, mutation_id, held) = match &request.by {
            CancelBy::Operator { grace_ms, mutation_id } => {
                ("operator", *grace_ms, text(mutation_id), Default::default())
            }
            CancelBy::LeaseHolder(held) => ("holder", 0, Bytes::new(), handle(held)),
        };
        let [_, attempt_index, attempt_id, lease_id, lease_epoch] = held;
        let arguments = [
            execution(execution_id),
            text(by),
            text(&request.reason),
            text(grace_ms),
            mutation_id,
            attempt_index,
            attempt_id,
            lease_id,
            lease_epoch,
        ];
        let mut fields = self.on_execution(&CANCEL_EXECUTION, execution_id, arguments).await?;
        match fields.text("outcome")?.as_str() {
            "ended" => Ok(ExecutionCancelled::Ended),
            "requested" => cancel(&mut fields).map(ExecutionCancelled::Requested),
            other => Err(fields.bad("outcome", "ended or requested", &Value::text(other))),
        }
    }

    async fn delay_execution(&self, request: DelayExecution) -> EngineResult<()> {
        request.check()?;
        let arguments = with_handle(&request.handle, [text(request.delay_until)]);
        self.end(&DELAY_EXECUTION, &request.handle, arguments, None).await?;
        Ok(())
    }

    async fn release_execution(&self, request: ReleaseExecution) -> EngineResult<()> {
        request.check()?;
        let arguments = with_handle(&request.handle, [text(&request.reason)]);
        self.end(&RELEASE_EXECUTION, &request.handle, arguments, None).await?;
        Ok(())
    }

    async fn move_to_waiting_children(&self, request: MoveToWaitingChildren) -> EngineResult<()> {
        let arguments = handle(&request.handle);
        self.end(&MOVE_TO_WAITING_CHILDREN, &request.handle, arguments, None).await?;
        Ok(())
    }

    async fn replay_execution(&self, request: ReplayExecution) -> EngineResult<ExecutionReplayed> {
        let execution_id = request.execution_id;
        let arguments = [execution(execution_id), text(request.mutation_id)];
        let mut fields = self.on_execution(&REPLAY_EXECUTION, execution_id, arguments).await?;
        Ok(ExecutionReplayed { attempt_index: AttemptIndex(fields.u32("attempt_index")?) })
    }
}

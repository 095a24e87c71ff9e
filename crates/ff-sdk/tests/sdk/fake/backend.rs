//! Every capability, by script.

use super::{Fake, Receiver, State};
use async_trait::async_trait;
use ff_core::contracts::admin::*;
use ff_core::contracts::budget::*;
use ff_core::contracts::claim::*;
use ff_core::contracts::inspect::*;
use ff_core::contracts::lease::*;
use ff_core::contracts::notice::*;
use ff_core::contracts::signal::*;
use ff_core::contracts::stream::*;
use ff_core::contracts::submit::*;
use ff_core::contracts::suspend::*;
use ff_core::contracts::terminal::*;
use ff_core::error::{ConflictKind, EngineError, EngineResult};
use ff_core::explain::Explanation;
use ff_core::ids::{AttemptIndex, BudgetId, ExecutionId, LeaseEpoch};
use ff_core::name::{LaneId, Namespace, WaitpointKey, WorkerInstanceId};
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_core::state::{SignalEffect, TerminalOutcome};
use ff_core::time::{Clock, TimestampMs};
use ff_core::token::WaitpointToken;
use ff_core::turn::EndedTurn;
use std::sync::Arc;
use tokio::sync::mpsc;

/// What no test asks for.
fn unscripted<T>(op: &'static str) -> EngineResult<T> {
    Err(EngineError::Unavailable { op, reason: "the test has no script for it".to_owned() })
}

#[async_trait]
impl NoticeBackend for Fake {
    fn clock(&self) -> Arc<dyn Clock> {
        self.clock.clone()
    }

    async fn subscribe(&self, partitions: Vec<Partition>) -> EngineResult<Box<dyn NoticeReceiver>> {
        self.answer("subscribe", partitions, |state, _, _| {
            let (to, from) = mpsc::unbounded_channel();
            state.subscribers.push(to);
            Ok(Box::new(Receiver(from)) as Box<dyn NoticeReceiver>)
        })
        .await
    }

    async fn watch_execution(&self, request: WatchExecution) -> EngineResult<()> {
        self.answer("watch_execution", request, |_, _, _| Ok(())).await
    }
}

#[async_trait]
impl SubmitBackend for Fake {
    fn partitions(&self) -> PartitionMap {
        self.map
    }

    async fn submit_executions(
        &self,
        request: SubmitExecutions,
    ) -> EngineResult<Vec<EngineResult<ExecutionSubmitted>>> {
        self.answer("submit_executions", request, |_, request, _| {
            let items = request.items.iter().map(|item| item.execution_id);
            Ok(items.map(|id| Ok(ExecutionSubmitted::Created { execution_id: id })).collect())
        })
        .await
    }
}

#[async_trait]
impl ClaimBackend for Fake {
    async fn claim_execution(&self, request: ClaimExecution) -> EngineResult<ExecutionsClaimed> {
        self.answer("claim_execution", request, |state, request, now| {
            request.check()?;
            Ok(state.claim(request, now))
        })
        .await
    }

    async fn claim_resumed_execution(
        &self,
        request: ClaimResumedExecution,
    ) -> EngineResult<ExecutionsClaimed> {
        self.answer("claim_resumed_execution", request, |state, request, now| {
            let claim = ClaimExecution {
                claim_id: request.claim_id,
                slot: request.slot,
                worker: request.worker.clone(),
                partition: request.grant.execution_id.partition(),
                source: ClaimSource::Grant(request.grant.clone()),
                lease_ttl_ms: request.lease_ttl_ms,
            };
            Ok(state.claim(&claim, now))
        })
        .await
    }

    async fn issue_grant(&self, _request: IssueGrant) -> EngineResult<GrantIssued> {
        unscripted("issue_grant")
    }

    async fn tick(&self, request: Tick) -> EngineResult<Ticked> {
        self.answer("tick", request, |state, _, _| {
            Ok(Ticked { next_due: state.next_due, ..Ticked::default() })
        })
        .await
    }

    async fn register_worker(&self, request: RegisterWorker) -> EngineResult<()> {
        self.answer("register_worker", request, |_, request, _| request.check()).await
    }

    async fn deregister_worker(
        &self,
        namespace: Namespace,
        worker_instance_id: WorkerInstanceId,
    ) -> EngineResult<()> {
        let request = (namespace, worker_instance_id);
        self.answer("deregister_worker", request, |_, _, _| Ok(())).await
    }

    async fn list_workers(&self, _namespace: Namespace) -> EngineResult<Vec<RegisteredWorker>> {
        unscripted("list_workers")
    }
}

#[async_trait]
impl LeaseBackend for Fake {
    async fn renew_lease(
        &self,
        request: RenewLease,
    ) -> EngineResult<Vec<EngineResult<LeaseRenewed>>> {
        self.answer("renew_lease", request, |state, request, now| {
            request.check()?;
            let handles = request.handles.iter();
            Ok(handles.map(|h| renew(state, h.execution_id(), request, now)).collect())
        })
        .await
    }

    async fn update_progress(&self, request: UpdateProgress) -> EngineResult<()> {
        self.answer("update_progress", request, |_, request, _| request.check()).await
    }
}

fn renew(
    state: &State,
    execution_id: ExecutionId,
    request: &RenewLease,
    now: TimestampMs,
) -> EngineResult<LeaseRenewed> {
    if state.stale.contains(&execution_id) {
        return Err(stale(execution_id));
    }
    Ok(LeaseRenewed {
        expires_at: now.plus_ms(request.lease_ttl_ms),
        cancel_requested: state.cancels.get(&execution_id).cloned(),
    })
}

/// The answer to a lease that another claim took over.
pub fn stale(execution_id: ExecutionId) -> EngineError {
    let (held, current) = (LeaseEpoch(1), LeaseEpoch(2));
    ConflictKind::StaleLease { execution_id, held, current }.into()
}

#[async_trait]
impl TerminalBackend for Fake {
    async fn complete_execution(&self, request: CompleteExecution) -> EngineResult<TurnEnded<()>> {
        self.answer("complete_execution", request, |state, request, now| {
            request.check()?;
            let next = request.next.as_ref().map(|claim| state.claim(claim, now));
            Ok(TurnEnded { outcome: (), next })
        })
        .await
    }

    async fn complete_executions(
        &self,
        request: CompleteExecutions,
    ) -> EngineResult<ExecutionsCompleted> {
        self.answer("complete_executions", request, |state, request, now| {
            request.check()?;
            let end = |completion: &Completion| {
                let id = completion.handle.execution_id();
                if state.stale.contains(&id) { Err(stale(id)) } else { Ok(()) }
            };
            let outcomes = request.completions.iter().map(end).collect();
            let next = request.next.as_ref().map(|claim| state.claim(claim, now));
            Ok(ExecutionsCompleted { outcomes, next })
        })
        .await
    }

    async fn fail_execution(&self, request: FailExecution) -> EngineResult<TurnEnded<FailOutcome>> {
        self.answer("fail_execution", request, |state, request, now| {
            request.check()?;
            let next = request.next.as_ref().map(|claim| state.claim(claim, now));
            Ok(TurnEnded { outcome: FailOutcome::TerminalFailed, next })
        })
        .await
    }

    async fn cancel_execution(&self, request: CancelExecution) -> EngineResult<ExecutionCancelled> {
        self.answer("cancel_execution", request, |_, request, _| {
            request.check().map(|()| ExecutionCancelled::Ended)
        })
        .await
    }

    async fn delay_execution(&self, request: DelayExecution) -> EngineResult<()> {
        self.answer("delay_execution", request, |_, request, _| request.check()).await
    }

    async fn release_execution(&self, request: ReleaseExecution) -> EngineResult<()> {
        self.answer("release_execution", request, |_, request, _| request.check()).await
    }

    async fn move_to_waiting_children(&self, request: MoveToWaitingChildren) -> EngineResult<()> {
        self.answer("move_to_waiting_children", request, |_, _, _| Ok(())).await
    }

    async fn replay_execution(&self, request: ReplayExecution) -> EngineResult<ExecutionReplayed> {
        self.answer("replay_execution", request, |_, _, _| {
            Ok(ExecutionReplayed { attempt_index: AttemptIndex(1) })
        })
        .await
    }
}

#[async_trait]
impl SuspendBackend for Fake {
    async fn suspend_execution(
        &self,
        request: SuspendExecution,
    ) -> EngineResult<ExecutionSuspended> {
        self.answer("suspend_execution", request, |_, request, _| {
            request.check()?;
            Ok(ExecutionSuspended::Suspended(suspension(request)))
        })
        .await
    }

    async fn create_pending_waitpoint(
        &self,
        request: CreatePendingWaitpoint,
    ) -> EngineResult<PendingWaitpointCreated> {
        self.answer("create_pending_waitpoint", request, |_, request, now| {
            Ok(PendingWaitpointCreated {
                waitpoint_id: request.waitpoint_id,
                waitpoint_token: WaitpointToken::from_text("k.token"),
                expires_at: now.plus_ms(request.expires_in_ms),
            })
        })
        .await
    }

    async fn reissue_waitpoint_token(
        &self,
        _request: ReissueWaitpointToken,
    ) -> EngineResult<WaitpointToken> {
        unscripted("reissue_waitpoint_token")
    }
}

/// The suspension that a request opens when it adopts no waitpoint.
pub fn suspension(request: &SuspendExecution) -> Suspension {
    let key = WaitpointKey::new(request.waitpoint_id.to_string()).expect("an id is a legal key");
    Suspension {
        suspension_id: request.suspension_id,
        waitpoint_id: request.waitpoint_id,
        waitpoint_key: key,
        waitpoint_token: WaitpointToken::from_text("k.token"),
    }
}

#[async_trait]
impl SignalBackend for Fake {
    async fn deliver_signal(&self, request: DeliverSignal) -> EngineResult<SignalOutcome> {
        self.answer("deliver_signal", request, |_, request, _| {
            let (signal_id, effect) = (request.signal_id, SignalEffect::Buffered);
            Ok(SignalOutcome::Accepted { signal_id, effect })
        })
        .await
    }
}

#[async_trait]
impl StreamBackend for Fake {
    async fn append_frame(&self, request: AppendFrame) -> EngineResult<AppendFrameOutcome> {
        self.answer("append_frame", request, |_, request, now| {
            request.check()?;
            let frame_count = request.sequence + request.frames.len() as u64;
            Ok(AppendFrameOutcome {
                stream_id: FrameId { at: now, sequence: frame_count },
                frame_count,
            })
        })
        .await
    }

    async fn read_stream(&self, request: ReadStream) -> EngineResult<StreamFrames> {
        self.answer("read_stream", request, |_, _, _| Ok(StreamFrames::default())).await
    }
}

#[async_trait]
impl BudgetBackend for Fake {
    async fn create_budget(&self, _request: CreateBudget) -> EngineResult<()> {
        unscripted("create_budget")
    }

    async fn describe_budget(&self, _budget_id: BudgetId) -> EngineResult<BudgetInfo> {
        unscripted("describe_budget")
    }

    async fn report_usage_and_check(
        &self,
        request: ReportUsageAndCheck,
    ) -> EngineResult<ReportUsageResult> {
        self.answer("report_usage_and_check", request, |_, request, _| {
            request.check().map(|()| ReportUsageResult::Ok)
        })
        .await
    }
}

#[async_trait]
impl InspectBackend for Fake {
    async fn describe_execution(&self, execution_id: ExecutionId) -> EngineResult<ExecutionInfo> {
        self.answer("describe_execution", execution_id, |_, id, _| {
            Err(EngineError::execution_not_found(*id))
        })
        .await
    }

    async fn list_turns(&self, _execution_id: ExecutionId) -> EngineResult<Vec<EndedTurn>> {
        unscripted("list_turns")
    }

    async fn read_result(&self, execution_id: ExecutionId) -> EngineResult<ExecutionResult> {
        self.answer("read_result", execution_id, |state, id, _| {
            Ok(state.results.get(id).cloned().unwrap_or(ExecutionResult {
                terminal_outcome: TerminalOutcome::None,
                result: None,
                failure_category: None,
                end_reason: None,
            }))
        })
        .await
    }

    async fn list_executions(&self, request: ListExecutions) -> EngineResult<ExecutionPage> {
        self.answer("list_executions", request, |_, _, _| Ok(ExecutionPage::default())).await
    }

    async fn list_lanes(&self, _namespace: Namespace) -> EngineResult<Vec<LaneInfo>> {
        unscripted("list_lanes")
    }

    async fn explain_execution(&self, execution_id: ExecutionId) -> EngineResult<Explanation> {
        self.answer("explain_execution", execution_id, |_, id, _| {
            Err(EngineError::execution_not_found(*id))
        })
        .await
    }
}

#[async_trait]
impl AdminBackend for Fake {
    async fn prepare(&self) -> EngineResult<Prepared> {
        unscripted("prepare")
    }

    async fn ping(&self) -> EngineResult<Pong> {
        unscripted("ping")
    }

    async fn rotate_keyring(&self, _request: RotateKeyring) -> EngineResult<KeyringRotated> {
        unscripted("rotate_keyring")
    }

    async fn configure_lane(&self, _request: ConfigureLane) -> EngineResult<()> {
        unscripted("configure_lane")
    }

    async fn describe_lane(
        &self,
        _namespace: Namespace,
        _lane: LaneId,
    ) -> EngineResult<LaneDefaults> {
        unscripted("describe_lane")
    }

    async fn doctor(&self, _fix: bool) -> EngineResult<Diagnosis> {
        unscripted("doctor")
    }
}

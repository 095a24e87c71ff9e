//! The calls of a history and their replies.

use ff_core::contracts::budget::{CreateBudget, ReportUsageAndCheck, ReportUsageResult};
use ff_core::contracts::claim::*;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease, UpdateProgress};
use ff_core::contracts::signal::{DeliverSignal, SignalOutcome};
use ff_core::contracts::stream::{AppendFrame, AppendFrameOutcome};
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecutions};
use ff_core::contracts::suspend::*;
use ff_core::contracts::terminal::*;
use ff_core::token::WaitpointToken;
use ff_core::{EngineBackend, EngineResult, ExecutionId, WaitpointId};

/// One call.
#[derive(Clone, Debug)]
pub(super) enum Call {
    Advance { span_ms: u64 },
    Submit(SubmitExecutions),
    Claim(ClaimExecution),
    ClaimResumed(ClaimResumedExecution),
    IssueGrant(IssueGrant),
    Tick(Tick),
    Renew(RenewLease),
    Progress(UpdateProgress),
    Complete(CompleteExecution),
    CompleteMany(CompleteExecutions),
    Fail(FailExecution),
    Cancel(CancelExecution),
    Delay(DelayExecution),
    Release(ReleaseExecution),
    WaitChildren(MoveToWaitingChildren),
    Replay(ReplayExecution),
    Suspend(SuspendExecution),
    CreateWaitpoint(CreatePendingWaitpoint),
    Reissue(ReissueWaitpointToken),
    Signal(DeliverSignal),
    Append(AppendFrame),
    CreateBudget(CreateBudget),
    Usage(ReportUsageAndCheck),
}

/// What a call answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    Done,
    Submitted(#[allow(unused)] Vec<Result<ExecutionSubmitted, String>>),
    Claimed(ExecutionsClaimed),
    Granted(#[allow(unused)] GrantIssued),
    Renewed(#[allow(unused)] Vec<Result<LeaseRenewed, String>>),
    Completed(#[allow(unused)] Vec<Result<(), String>>, Option<ExecutionsClaimed>),
    Failed(#[allow(unused)] FailOutcome, Option<ExecutionsClaimed>),
    Cancelled(#[allow(unused)] ExecutionCancelled),
    Replayed(#[allow(unused)] ExecutionReplayed),
    Suspended(ExecutionId, ExecutionSuspended),
    WaitpointCreated(ExecutionId, PendingWaitpointCreated),
    Reissued(ExecutionId, WaitpointId, WaitpointToken),
    Signalled(#[allow(unused)] SignalOutcome),
    Appended(#[allow(unused)] AppendFrameOutcome),
    Reported(#[allow(unused)] ReportUsageResult),
}

/// Leaves out when the next timer is due: a backend may answer an earlier time.
fn claimed(mut claimed: ExecutionsClaimed) -> ExecutionsClaimed {
    claimed.next_due = None;
    claimed
}

fn texts<T>(results: Vec<EngineResult<T>>) -> Vec<Result<T, String>> {
    results.into_iter().map(|result| result.map_err(|error| format!("{error:?}"))).collect()
}

impl Call {
    /// Makes the call.
    pub(super) async fn apply(&self, on: &dyn EngineBackend) -> EngineResult<Reply> {
        Ok(match self.clone() {
            Self::Advance { .. } => Reply::Done,
            Self::Submit(request) => Reply::Submitted(texts(on.submit_executions(request).await?)),
            Self::Claim(request) => Reply::Claimed(claimed(on.claim_execution(request).await?)),
            Self::ClaimResumed(request) => {
                Reply::Claimed(claimed(on.claim_resumed_execution(request).await?))
            }
            Self::IssueGrant(request) => Reply::Granted(on.issue_grant(request).await?),
            Self::Tick(request) => {
                on.tick(request).await?;
                Reply::Done
            }
            Self::Renew(request) => Reply::Renewed(texts(on.renew_lease(request).await?)),
            Self::Progress(request) => {
                on.update_progress(request).await?;
                Reply::Done
            }
            Self::Complete(request) => match on.complete_execution(request).await?.next {
                Some(next) => Reply::Claimed(claimed(next)),
                None => Reply::Done,
            },
            Self::CompleteMany(request) => {
                let ended = on.complete_executions(request).await?;
                Reply::Completed(texts(ended.outcomes), ended.next.map(claimed))
            }
            Self::Fail(request) => {
                let ended = on.fail_execution(request).await?;
                Reply::Failed(ended.outcome, ended.next.map(claimed))
            }
            other => other.apply_rest(on).await?,
        })
    }

    async fn apply_rest(self, on: &dyn EngineBackend) -> EngineResult<Reply> {
        Ok(match self {
            Self::Cancel(request) => Reply::Cancelled(on.cancel_execution(request).await?),
            Self::Delay(request) => {
                on.delay_execution(request).await?;
                Reply::Done
            }
            Self::Release(request) => {
                on.release_execution(request).await?;
                Reply::Done
            }
            Self::WaitChildren(request) => {
                on.move_to_waiting_children(request).await?;
                Reply::Done
            }
            Self::Replay(request) => Reply::Replayed(on.replay_execution(request).await?),
            Self::Suspend(request) => {
                let id = request.handle.execution_id();
                Reply::Suspended(id, on.suspend_execution(request).await?)
            }
            Self::CreateWaitpoint(request) => {
                let id = request.handle.execution_id();
                Reply::WaitpointCreated(id, on.create_pending_waitpoint(request).await?)
            }
            Self::Reissue(request) => {
                let (id, waitpoint_id) = (request.execution_id, request.waitpoint_id);
                Reply::Reissued(id, waitpoint_id, on.reissue_waitpoint_token(request).await?)
            }
            Self::Signal(request) => Reply::Signalled(on.deliver_signal(request).await?),
            Self::Append(request) => Reply::Appended(on.append_frame(request).await?),
            Self::CreateBudget(request) => {
                on.create_budget(request).await?;
                Reply::Done
            }
            Self::Usage(request) => Reply::Reported(on.report_usage_and_check(request).await?),
            _ => Reply::Done,
        })
    }
}

//! Calls as they travel, and what the rules answer to them.

use crate::store::Store;
use ff_core::contracts::claim::*;
use ff_core::contracts::lease::{LeaseRenewed, UpdateProgress};
use ff_core::contracts::signal::{DeliverSignal, SignalOutcome};
use ff_core::contracts::stream::{AppendFrame, AppendFrameOutcome};
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecution};
use ff_core::contracts::suspend::*;
use ff_core::contracts::terminal::*;
use ff_core::policy::LaneDefaults;
use ff_core::token::WaitpointToken;
use ff_core::{EngineError, EngineResult, ExecutionId, Handle, TimestampMs, WaitpointId};
use ff_lifecycle::{Decision, Execution, PartitionStore};
use ff_lifecycle::{claim, lease, signal, stream, submit, suspend, terminal};
use std::sync::Arc;

/// How long a lease lasts.
pub const LEASE_MS: u64 = 4_000;

/// A call with the ids that make it unique.
#[derive(Clone, Debug, PartialEq)]
pub enum Call {
    Submit(SubmitExecution),
    Claim(ClaimExecution),
    TakeOver(ClaimResumedExecution),
    Grant(IssueGrant),
    Renew(Handle),
    Progress(UpdateProgress),
    Append(AppendFrame),
    Complete(CompleteExecution),
    Fail(FailExecution),
    Cancel(CancelExecution),
    Delay(DelayExecution),
    Release(ReleaseExecution),
    WaitChildren(MoveToWaitingChildren),
    Suspend(SuspendExecution),
    Open(CreatePendingWaitpoint),
    Signal(DeliverSignal),
    Replay(ReplayExecution),
}

/// An outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    Submitted(ExecutionSubmitted),
    Claimed(Vec<ClaimedExecution>),
    Granted(GrantIssued),
    Renewed(LeaseRenewed),
    Appended(AppendFrameOutcome),
    Done,
    Failed(FailOutcome),
    Cancelled(ExecutionCancelled),
    Suspended(ExecutionSuspended),
    Opened(PendingWaitpointCreated),
    Signalled(SignalOutcome),
    Replayed(ExecutionReplayed),
}

/// A refusal, so that states can be cloned and compared.
#[derive(Clone, Debug)]
pub struct Refusal(pub Arc<EngineError>);

impl PartialEq for Refusal {
    fn eq(&self, other: &Self) -> bool {
        self.0.same_as(&other.0)
    }
}

/// What a call is answered.
pub type Answer = Result<Reply, Refusal>;

impl Call {
    /// Returns the handle of a call that a worker makes for a claim it holds.
    pub fn handle(&self) -> Option<&Handle> {
        match self {
            Self::Renew(handle) => Some(handle),
            Self::Progress(request) => Some(&request.handle),
            Self::Append(request) => Some(&request.handle),
            Self::Complete(request) => Some(&request.handle),
            Self::Fail(request) => Some(&request.handle),
            Self::Delay(request) => Some(&request.handle),
            Self::Release(request) => Some(&request.handle),
            Self::WaitChildren(request) => Some(&request.handle),
            Self::Suspend(request) => Some(&request.handle),
            Self::Open(request) => Some(&request.handle),
            Self::Cancel(CancelExecution { by: CancelBy::LeaseHolder(handle), .. }) => Some(handle),
            _ => None,
        }
    }

    /// Tells whether the call ends a turn, a suspend that is satisfied already aside.
    pub fn ends_a_turn(&self) -> bool {
        self.handle().is_some()
            && !matches!(self, Self::Renew(_) | Self::Progress(_) | Self::Append(_) | Self::Open(_))
    }

    /// Tells whether the call claims.
    pub fn claims(&self) -> bool {
        matches!(self, Self::Claim(_) | Self::TakeOver(_))
    }

    /// Returns who claims.
    pub fn claimer(&self) -> Option<&WorkerIdentity> {
        match self {
            Self::Claim(request) => Some(&request.worker),
            Self::TakeOver(request) => Some(&request.worker),
            _ => None,
        }
    }

    /// Returns the grant that a claim uses.
    pub fn grant(&self) -> Option<&Grant> {
        match self {
            Self::Claim(ClaimExecution { source: ClaimSource::Grant(grant), .. }) => Some(grant),
            Self::TakeOver(request) => Some(&request.grant),
            _ => None,
        }
    }

    /// Lets the call arrive.
    pub fn arrive(&self, store: &mut Store, now: TimestampMs) -> Answer {
        self.try_arrive(store, now).map_err(|error| Refusal(Arc::new(error)))
    }

    fn try_arrive(&self, store: &mut Store, now: TimestampMs) -> EngineResult<Reply> {
        let claimed = |outcome: ExecutionsClaimed| Reply::Claimed(outcome.executions);
        match self {
            Self::Submit(item) => {
                submit::submit(store, item, &LaneDefaults::default(), now).map(Reply::Submitted)
            }
            Self::Claim(request) => {
                request.check()?;
                claim::claim(store, request, now).map(claimed)
            }
            Self::TakeOver(request) => {
                request.check()?;
                claim::claim_resumed(store, request, now).map(claimed)
            }
            Self::Append(request) => stream::append(store, request, now).map(Reply::Appended),
            Self::Replay(request) => terminal::replay(store, request, now).map(Reply::Replayed),
            _ => self.change_one(store, now),
        }
    }

    fn change_one(&self, store: &mut Store, now: TimestampMs) -> EngineResult<Reply> {
        let id = self.execution_id().expect("a rule over one record names it");
        let record = store.get(id).ok_or(EngineError::execution_not_found(id))?;
        let decision = self.decide(&record, now)?;
        if let Decision::Change(next, reply) = decision {
            store.put(*next);
            return Ok(reply);
        }
        Ok(decision.outcome())
    }

    /// Returns the execution that the call names.
    pub fn execution_id(&self) -> Option<ExecutionId> {
        match self {
            Self::Replay(request) => Some(request.execution_id),
            Self::Grant(request) => Some(request.grant.execution_id),
            Self::Cancel(request) => Some(request.execution_id),
            Self::Signal(request) => Some(request.execution_id),
            _ => self.handle().map(Handle::execution_id),
        }
    }

    fn decide(&self, record: &Execution, now: TimestampMs) -> EngineResult<Decision<Reply>> {
        match self {
            Self::Grant(request) => {
                claim::issue_grant(record, request, now).map(|d| reply(d, Reply::Granted))
            }
            Self::Renew(handle) => {
                lease::renew(record, handle, LEASE_MS, now).map(|d| reply(d, Reply::Renewed))
            }
            Self::Progress(request) => lease::update_progress(record, request, now).map(done),
            Self::Complete(request) => {
                let result = request.result.as_ref();
                terminal::complete(record, &request.handle, result, now).map(done)
            }
            Self::Fail(request) => {
                terminal::fail(record, request, now).map(|d| reply(d, Reply::Failed))
            }
            Self::Cancel(request) => {
                terminal::cancel(record, request, now).map(|d| reply(d, Reply::Cancelled))
            }
            Self::Delay(request) => terminal::delay(record, request, now).map(done),
            Self::Release(request) => terminal::release(record, request, now).map(done),
            Self::WaitChildren(request) => terminal::wait_children(record, request, now).map(done),
            Self::Suspend(request) => {
                let token = token(request.waitpoint_id);
                let decision = suspend::suspend(record, request, &token, now)?;
                Ok(reply(decision, Reply::Suspended))
            }
            Self::Open(request) => {
                let token = token(request.waitpoint_id);
                let decision = suspend::create_pending_waitpoint(record, request, &token, now)?;
                Ok(reply(decision, Reply::Opened))
            }
            Self::Signal(request) => {
                signal::deliver(record, request, now).map(|d| reply(d, Reply::Signalled))
            }
            _ => unreachable!("a rule over the store: {self:?}"),
        }
    }
}

/// Returns the token of a waitpoint; signatures are no business of the rules.
pub fn token(waitpoint_id: WaitpointId) -> WaitpointToken {
    WaitpointToken::from_text(format!("k.{waitpoint_id}"))
}

fn reply<T>(decision: Decision<T>, wrap: impl FnOnce(T) -> Reply) -> Decision<Reply> {
    match decision {
        Decision::Repeat(outcome) => Decision::Repeat(wrap(outcome)),
        Decision::Change(next, outcome) => Decision::Change(next, wrap(outcome)),
    }
}

fn done(decision: Decision<()>) -> Decision<Reply> {
    reply(decision, |()| Reply::Done)
}

//! Terse requests. Each names what a behaviour is about; struct update sets the rest:
//! `SuspendExecution { timeout_ms: Some(1_000), ..suspend(&handle) }`.

use crate::world::{Address, LEASE_TTL_MS, WAITPOINT_TTL_MS};
use ff_core::contracts::budget::{CreateBudget, DimensionLimits, ReportUsageAndCheck};
use ff_core::contracts::claim::{Grant, GrantKind, IssueGrant, WorkerIdentity};
use ff_core::contracts::lease::{RenewLease, UpdateProgress};
use ff_core::contracts::signal::{DeliverSignal, Signal};
use ff_core::contracts::stream::{AppendFrame, Frame, ReadStream, StreamCursor};
use ff_core::contracts::suspend::{ConditionMatcher, CreatePendingWaitpoint, SuspendExecution};
use ff_core::contracts::terminal::{
    CancelBy, CancelExecution, CompleteExecution, CompleteExecutions, Completion, DelayExecution,
    FailExecution, MoveToWaitingChildren, ReleaseExecution, ReplayExecution,
};
use ff_core::handle::HandleParts;
use ff_core::limits::STREAM_READ_HARD_CAP;
use ff_core::partition::BudgetPartition;
use ff_core::policy::{Backoff, RetryPolicy};
use ff_core::state::TimeoutBehavior;
use ff_core::{
    AttemptIndex, BudgetId, Capability, Dimension, ExecutionId, GrantId, Handle, LaneId,
    MutationId, Namespace, SignalId, SuspensionId, TimestampMs, WaitpointId, WaitpointKey,
    WorkerId, WorkerInstanceId,
};
use std::collections::BTreeSet;

/// Takes a lane's name.
pub fn lane(name: &str) -> LaneId {
    LaneId::new(name).expect("a legal lane")
}

/// Takes a waitpoint's key.
pub fn key(name: &str) -> WaitpointKey {
    WaitpointKey::new(name).expect("a legal waitpoint key")
}

/// Takes a dimension's name.
pub fn dimension(name: &str) -> Dimension {
    Dimension::new(name).expect("a legal dimension")
}

/// Takes capability tokens.
pub fn capabilities(tokens: &[&str]) -> BTreeSet<Capability> {
    let token = |text: &&str| Capability::new(text).expect("a legal capability");
    tokens.iter().map(token).collect()
}

/// A worker with one instance of the same name, without capabilities.
pub fn worker(name: &str) -> WorkerIdentity {
    worker_offering(name, &[])
}

/// A worker with one instance of the same name.
pub fn worker_offering(name: &str, tokens: &[&str]) -> WorkerIdentity {
    WorkerIdentity {
        namespace: Namespace::default(),
        worker_id: WorkerId::new(name).expect("a legal worker id"),
        worker_instance_id: WorkerInstanceId::new(name).expect("a legal instance id"),
        capabilities: capabilities(tokens),
    }
}

/// Retries every `delay_ms`, without jitter.
pub fn retries(retries_max: u32, delay_ms: u64) -> RetryPolicy {
    RetryPolicy {
        retries_max,
        backoff: Backoff::Fixed { delay_ms },
        jitter_pct: 0,
        ..RetryPolicy::default()
    }
}

/// Every byte there is.
pub fn every_byte() -> bytes::Bytes {
    (0..=u8::MAX).collect::<Vec<u8>>().into()
}

/// `count` bytes.
pub fn bytes_of(count: usize) -> bytes::Bytes {
    vec![0xFF; count].into()
}

/// Takes a handle apart.
pub fn parts(handle: &Handle) -> HandleParts {
    HandleParts {
        execution_id: handle.execution_id(),
        attempt_index: handle.attempt_index(),
        attempt_id: handle.attempt_id(),
        lease_id: handle.lease_id(),
        lease_epoch: handle.lease_epoch(),
        lane: handle.lane().clone(),
        worker_instance_id: handle.worker_instance_id().clone(),
        kind: handle.kind(),
    }
}

/// Ends with success and no result.
pub fn complete(handle: &Handle) -> CompleteExecution {
    CompleteExecution { handle: handle.clone(), result: None, next: None }
}

/// Ends several with success and no result.
pub fn complete_many(handles: &[&Handle]) -> CompleteExecutions {
    let completion = |handle: &&Handle| Completion { handle: (*handle).clone(), result: None };
    CompleteExecutions { completions: handles.iter().map(completion).collect(), next: None }
}

/// Ends with a result.
pub fn complete_with(handle: &Handle, result: impl Into<bytes::Bytes>) -> CompleteExecution {
    CompleteExecution { result: Some(result.into()), ..complete(handle) }
}

/// Fails with a category.
pub fn fail(handle: &Handle, error_category: &str) -> FailExecution {
    FailExecution {
        handle: handle.clone(),
        reason: "it broke".to_owned(),
        error_category: error_category.to_owned(),
        next: None,
    }
}

/// Cancels as the holder of the lease.
pub fn cancel(handle: &Handle) -> CancelExecution {
    CancelExecution {
        execution_id: handle.execution_id(),
        by: CancelBy::LeaseHolder(handle.clone()),
        reason: "not needed".to_owned(),
    }
}

/// Cancels as an operator.
pub fn cancel_by_operator(execution_id: ExecutionId, grace_ms: u64) -> CancelExecution {
    CancelExecution {
        execution_id,
        by: CancelBy::Operator { mutation_id: MutationId::generate(), grace_ms },
        reason: "operator said so".to_owned(),
    }
}

/// Puts the work off.
pub fn delay(handle: &Handle, delay_until: TimestampMs) -> DelayExecution {
    DelayExecution { handle: handle.clone(), delay_until }
}

/// Gives the work back.
pub fn release(handle: &Handle) -> ReleaseExecution {
    ReleaseExecution { handle: handle.clone(), reason: "draining".to_owned() }
}

/// Waits for children.
pub fn wait_children(handle: &Handle) -> MoveToWaitingChildren {
    MoveToWaitingChildren { handle: handle.clone() }
}

/// Runs a finished execution again.
pub fn replay(execution_id: ExecutionId) -> ReplayExecution {
    ReplayExecution { execution_id, mutation_id: MutationId::generate() }
}

/// Renews leases by [`LEASE_TTL_MS`].
pub fn renew(handles: &[&Handle]) -> RenewLease {
    RenewLease {
        handles: handles.iter().map(|handle| (*handle).clone()).collect(),
        lease_ttl_ms: LEASE_TTL_MS,
    }
}

/// Overwrites the progress.
pub fn progress(handle: &Handle, percent: u8) -> UpdateProgress {
    UpdateProgress { handle: handle.clone(), percent, message: None }
}

/// Suspends until any signal, without a timeout.
pub fn suspend(handle: &Handle) -> SuspendExecution {
    SuspendExecution {
        handle: handle.clone(),
        suspension_id: SuspensionId::generate(),
        waitpoint_id: WaitpointId::generate(),
        reason_code: "needs_approval".to_owned(),
        matchers: Vec::new(),
        timeout_ms: None,
        timeout_behavior: TimeoutBehavior::Fail,
    }
}

/// Suspends until a signal of each name came; an empty name takes any.
pub fn suspend_for(handle: &Handle, names: &[&str]) -> SuspendExecution {
    SuspendExecution {
        matchers: names.iter().copied().map(ConditionMatcher::named).collect(),
        ..suspend(handle)
    }
}

/// Suspends until any signal came to the waitpoint of this key.
pub fn suspend_on(handle: &Handle, waitpoint_key: &str) -> SuspendExecution {
    SuspendExecution {
        matchers: vec![ConditionMatcher {
            signal_name: String::new(),
            waitpoint_key: Some(key(waitpoint_key)),
        }],
        ..suspend(handle)
    }
}

/// Suspends with a timeout.
pub fn suspend_until(handle: &Handle, ms: u64, behavior: TimeoutBehavior) -> SuspendExecution {
    SuspendExecution { timeout_ms: Some(ms), timeout_behavior: behavior, ..suspend(handle) }
}

/// Opens a pending waitpoint for [`WAITPOINT_TTL_MS`].
pub fn waitpoint(handle: &Handle, waitpoint_key: &str) -> CreatePendingWaitpoint {
    CreatePendingWaitpoint {
        handle: handle.clone(),
        waitpoint_id: WaitpointId::generate(),
        waitpoint_key: key(waitpoint_key),
        expires_in_ms: WAITPOINT_TTL_MS,
    }
}

/// Sends a signal without a payload.
pub fn signal(to: &Address, name: &str) -> DeliverSignal {
    DeliverSignal {
        execution_id: to.execution_id,
        waitpoint_id: to.waitpoint_id,
        signal_id: SignalId::generate(),
        signal: Signal {
            signal_name: name.to_owned(),
            signal_category: "approval".to_owned(),
            payload: None,
            source_type: "webhook".to_owned(),
            source_identity: "alice".to_owned(),
            correlation_id: None,
            idempotency_key: None,
            waitpoint_token: to.token.clone(),
        },
    }
}

/// Sends a signal with an idempotency key.
pub fn signal_keyed(to: &Address, name: &str, idempotency_key: &str) -> DeliverSignal {
    let mut request = signal(to, name);
    request.signal.idempotency_key = Some(idempotency_key.to_owned());
    request
}

/// Makes frames of type `log`.
pub fn frames(payloads: &[&str]) -> Vec<Frame> {
    let frame = |payload: &&str| Frame {
        frame_type: "log".to_owned(),
        payload: (*payload).to_owned().into(),
        correlation_id: None,
    };
    payloads.iter().map(frame).collect()
}

/// Appends frames of type `log`.
pub fn append(handle: &Handle, sequence: u64, payloads: &[&str]) -> AppendFrame {
    AppendFrame { handle: handle.clone(), sequence, frames: frames(payloads) }
}

/// Reads the whole stream of an attempt.
pub fn read(execution_id: ExecutionId, attempt: u32) -> ReadStream {
    ReadStream {
        execution_id,
        attempt_index: AttemptIndex(attempt),
        from: StreamCursor::Start,
        after: false,
        to: StreamCursor::End,
        count_limit: STREAM_READ_HARD_CAP,
    }
}

/// A grant of an execution to the worker's instance.
pub fn grant(execution_id: ExecutionId, to: &WorkerIdentity, kind: GrantKind) -> Grant {
    Grant {
        grant_id: GrantId::generate(),
        execution_id,
        worker_instance_id: to.worker_instance_id.clone(),
        kind,
    }
}

/// Issues a grant for ten seconds.
pub fn issue(grant: &Grant) -> IssueGrant {
    IssueGrant { grant: grant.clone(), ttl_ms: 10_000 }
}

/// A budget of one dimension, `tokens`.
pub fn budget(soft: Option<u64>, hard: Option<u64>) -> CreateBudget {
    CreateBudget {
        budget_id: BudgetId::generate(BudgetPartition::new_unchecked(0)),
        limits: [(dimension("tokens"), DimensionLimits { soft, hard })].into(),
    }
}

/// Reports usage by name and amount.
pub fn usage(budget_id: BudgetId, handle: &Handle, spent: &[(&str, u64)]) -> ReportUsageAndCheck {
    ReportUsageAndCheck {
        budget_id,
        handle: handle.clone(),
        mutation_id: MutationId::generate(),
        dedup_key: None,
        usage: spent.iter().map(|(name, n)| (dimension(name), *n)).collect(),
    }
}

//! The claimed task: what a worker holds while it runs one execution.
//!
//! Its operations live with their capability: ends in `terminal`, the lease in `lease`, and so on.

use crate::lease::{Lease, Renewer};
use crate::stream::FrameState;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::claim::ClaimedExecution;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::handle::Handle;
use ff_core::ids::{
    AttemptId, AttemptIndex, BudgetId, ExecutionId, LeaseEpoch, LeaseId, SuspensionId, WaitpointId,
};
use ff_core::name::{ExecutionKind, LaneId};
use ff_core::state::HandleKind;
use ff_core::time::{Clock, TimestampMs};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::OwnedSemaphorePermit;

/// One execution under a lease of this worker. Only claims make one, because they alone take a
/// place among the worker's concurrent tasks.
///
/// The lease is renewed in the background until the task ends. Each way to end it takes the task
/// by value, so it ends once. Dropping it without an end logs a warning and lets the lease run
/// out; the execution is then claimed anew.
pub struct ClaimedTask {
    backend: Arc<dyn EngineBackend>,
    clock: Arc<dyn Clock>,
    execution: Execution,
    lease: Arc<Lease>,
    renewer: Arc<Renewer>,
    permit: Mutex<Option<OwnedSemaphorePermit>>,
    resume_signals: Mutex<Vec<ResumeSignal>>,
    pub(crate) frames: tokio::sync::Mutex<FrameState>,
    pub(crate) suspend_ids: Mutex<Option<(SuspensionId, WaitpointId)>>,
    ended: AtomicBool,
}

/// What was submitted.
struct Execution {
    kind: ExecutionKind,
    input: bytes::Bytes,
    tags: BTreeMap<String, String>,
    budgets: Vec<BudgetId>,
}

impl ClaimedTask {
    /// Takes what a claim that was first sent at `sent_at` answered, and starts to renew it.
    pub(crate) fn new(
        backend: Arc<dyn EngineBackend>,
        renewer: Arc<Renewer>,
        permit: Option<OwnedSemaphorePermit>,
        claimed: ClaimedExecution,
        sent_at: TimestampMs,
    ) -> Self {
        let lease = Arc::new(Lease::new(
            claimed.handle,
            claimed.lease_ttl_ms,
            sent_at,
            claimed.cancel_requested,
        ));
        renewer.keep(lease.clone());
        Self {
            clock: backend.clock(),
            backend,
            execution: Execution {
                kind: claimed.kind,
                input: claimed.input,
                tags: claimed.tags,
                budgets: claimed.budgets,
            },
            lease,
            renewer,
            permit: Mutex::new(permit),
            resume_signals: Mutex::new(claimed.resume_signals),
            frames: tokio::sync::Mutex::default(),
            suspend_ids: Mutex::default(),
            ended: AtomicBool::new(false),
        }
    }

    /// Returns the execution.
    pub fn execution_id(&self) -> ExecutionId {
        self.handle().execution_id()
    }

    /// Returns which attempt this is; the first is 0.
    pub fn attempt_index(&self) -> AttemptIndex {
        self.handle().attempt_index()
    }

    /// Returns the id of the attempt.
    pub fn attempt_id(&self) -> AttemptId {
        self.handle().attempt_id()
    }

    /// Returns the lease.
    pub fn lease_id(&self) -> LeaseId {
        self.handle().lease_id()
    }

    /// Returns the fencing number of the lease.
    pub fn lease_epoch(&self) -> LeaseEpoch {
        self.handle().lease_epoch()
    }

    /// Returns the submitted bytes.
    pub fn input_payload(&self) -> &[u8] {
        &self.execution.input
    }

    /// Returns what the execution does.
    pub const fn execution_kind(&self) -> &ExecutionKind {
        &self.execution.kind
    }

    /// Returns the submitted tags.
    pub const fn tags(&self) -> &BTreeMap<String, String> {
        &self.execution.tags
    }

    /// Returns the budgets that the work is charged to.
    pub fn budgets(&self) -> &[BudgetId] {
        &self.execution.budgets
    }

    /// Returns the lane of the execution.
    pub fn lane_id(&self) -> &LaneId {
        self.handle().lane()
    }

    /// Tells whether this claim began the attempt or goes on with it.
    pub fn handle_kind(&self) -> HandleKind {
        self.handle().kind()
    }

    /// Returns the plain data that names this claim, to hand it to another process.
    pub fn handle(&self) -> &Handle {
        self.lease.handle()
    }

    /// Returns the signals that caused this resume, in the order of the matchers. Empty unless the
    /// suspension of this attempt was closed as resumed.
    pub fn resume_signals(&self) -> Vec<ResumeSignal> {
        lock(&self.resume_signals).clone()
    }

    pub(crate) fn set_resume_signals(&self, signals: Vec<ResumeSignal>) {
        *lock(&self.resume_signals) = signals;
    }

    pub(crate) fn backend(&self) -> &Arc<dyn EngineBackend> {
        &self.backend
    }

    pub(crate) fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    pub(crate) fn lease(&self) -> &Lease {
        &self.lease
    }

    pub(crate) fn renewer(&self) -> &Renewer {
        &self.renewer
    }

    /// Takes the place among the worker's concurrent tasks away, to give it to the next task.
    pub(crate) fn take_permit(&self) -> Option<OwnedSemaphorePermit> {
        lock(&self.permit).take()
    }

    /// Marks the task as over: an end has landed, or its lease is gone.
    pub(crate) fn set_ended(&self) {
        self.ended.store(true, Ordering::Release);
        self.renewer.forget(&self.lease);
    }
}

impl Drop for ClaimedTask {
    fn drop(&mut self) {
        if self.ended.load(Ordering::Acquire) {
            return;
        }
        self.renewer.forget(&self.lease);
        if self.lease.is_lost() {
            return;
        }
        tracing::warn!(
            execution_id = %self.execution_id(),
            attempt_index = %self.attempt_index(),
            "a task was dropped without an end; its lease will run out and count as lost"
        );
    }
}

impl fmt::Debug for ClaimedTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClaimedTask")
            .field("handle", self.handle())
            .field("kind", &self.execution.kind)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

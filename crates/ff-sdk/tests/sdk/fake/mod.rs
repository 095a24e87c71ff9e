//! A backend that answers by script: it records every request, hands out the work it was offered,
//! and loses the replies it is told to lose.

pub mod backend;
mod trace;

pub use trace::Trace;

use ff_core::contracts::claim::{
    ClaimExecution, ClaimSource, ClaimedExecution, ExecutionsClaimed, Grant,
};
use ff_core::contracts::inspect::ExecutionResult;
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::notice::{Notice, NoticeReceiver};
use ff_core::error::{EngineError, EngineResult};
use ff_core::handle::{Handle, HandleParts};
use ff_core::ids::{AttemptIndex, ClaimId, ExecutionId, LeaseEpoch};
use ff_core::name::{ExecutionKind, LaneId, WorkerInstanceId};
use ff_core::partition::{Partition, PartitionMap};
use ff_core::state::HandleKind;
use ff_core::time::{Clock, ManualClock, TimestampMs};
use ff_sdk::{ClaimedTask, FlowFabricWorker, WorkerConfig};
use std::any::Any;
use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::future::{Future, pending};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// When every fake begins.
pub const START: TimestampMs = TimestampMs::from_millis(1_000_000);
/// Steps of a test that settles or waits before it gives up.
const YIELDS: usize = 300;

/// What one call gets instead of the usual answer.
#[derive(Debug)]
pub enum Step {
    /// It happens, but the reply is lost.
    Lost,
    /// It happens, and never answers.
    Hang,
    /// It happens, and answers after this many milliseconds.
    Slow(u64),
    /// It does not happen.
    Refuse(EngineError),
    /// It answers this.
    Answer(Box<dyn Any + Send>),
}

#[derive(Debug)]
pub struct Fake {
    pub clock: Arc<ManualClock>,
    pub map: PartitionMap,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub struct State {
    calls: Vec<Call>,
    script: HashMap<&'static str, VecDeque<Step>>,
    down: HashSet<&'static str>,
    subscribers: Vec<mpsc::UnboundedSender<Notice>>,
    /// Ready work, by partition.
    ready: BTreeMap<Partition, VecDeque<Offer>>,
    /// What each slot took last.
    slots: HashMap<u16, (ClaimId, Vec<ClaimedExecution>)>,
    pub cancels: HashMap<ExecutionId, CancelRequested>,
    pub stale: HashSet<ExecutionId>,
    pub results: HashMap<ExecutionId, ExecutionResult>,
    pub next_due: Option<TimestampMs>,
}

#[derive(Debug)]
struct Call {
    op: &'static str,
    at: TimestampMs,
    request: Box<dyn Any + Send>,
}

#[derive(Clone, Debug)]
struct Offer {
    execution_id: ExecutionId,
    input: bytes::Bytes,
}

impl Fake {
    pub fn new() -> Arc<Self> {
        Self::with_partitions(1)
    }

    pub fn with_partitions(count: u16) -> Arc<Self> {
        Arc::new(Self {
            clock: Arc::new(ManualClock::new(START)),
            map: PartitionMap::new(count).expect("a legal count"),
            state: Mutex::default(),
        })
    }

    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no test panics while it holds this")
    }

    /// Makes the next call of an operation take this step; several queue up.
    pub fn script(&self, op: &'static str, step: Step) {
        self.state().script.entry(op).or_default().push_back(step);
    }

    /// Makes every call of an operation fail without happening.
    pub fn down(&self, op: &'static str) {
        self.state().down.insert(op);
    }

    pub fn up(&self, op: &'static str) {
        self.state().down.remove(op);
    }

    pub fn notice(&self, notice: Notice) {
        self.state().subscribers.retain(|to| to.send(notice).is_ok());
    }

    /// Makes an execution ready without a notice.
    pub fn put(&self, partition: u16, input: &[u8]) -> ExecutionId {
        let partition = Partition::new_unchecked(partition);
        let execution_id = ExecutionId::generate(partition);
        let input = bytes::Bytes::copy_from_slice(input);
        let offer = Offer { execution_id, input };
        self.state().ready.entry(partition).or_default().push_back(offer);
        execution_id
    }

    /// Makes an execution ready and says so.
    pub fn offer(&self, partition: u16, input: &[u8]) -> ExecutionId {
        let id = self.put(partition, input);
        self.notice(Notice::Ready(id.partition()));
        id
    }

    /// Returns the requests of an operation so far.
    pub fn sent<R: Clone + 'static>(&self, op: &str) -> Vec<R> {
        let state = self.state();
        let calls = state.calls.iter().filter(|call| call.op == op);
        calls
            .map(|c| c.request.downcast_ref::<R>().expect("the operation's type").clone())
            .collect()
    }

    pub fn count(&self, op: &str) -> usize {
        self.state().calls.iter().filter(|call| call.op == op).count()
    }

    /// Returns when each call of an operation was made, counted from the start.
    pub fn times(&self, op: &str) -> Vec<u64> {
        let state = self.state();
        let calls = state.calls.iter().filter(|call| call.op == op);
        calls.map(|call| call.at.since_ms(START)).collect()
    }

    /// Counts all calls that a store would see.
    pub fn commands(&self) -> usize {
        self.state().calls.iter().filter(|call| call.op != "subscribe").count()
    }

    /// Moves the clock, stopping at every sleeper on the way.
    pub async fn advance(&self, ms: u64) {
        let target = self.clock.now().plus_ms(ms);
        loop {
            settle().await;
            match self.clock.next_sleeper() {
                Some(at) if at <= target => self.clock.move_to(at),
                _ => break,
            }
        }
        self.clock.move_to(target);
        settle().await;
    }

    /// Runs a future to its end and moves the clock for it, at most this far.
    pub async fn finish<T: Send + 'static>(
        &self,
        at_most_ms: u64,
        future: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let running = tokio::spawn(future);
        let until = self.clock.now().plus_ms(at_most_ms);
        settle().await;
        while !running.is_finished() {
            match self.clock.next_sleeper() {
                Some(at) if at <= until => self.clock.move_to(at),
                next => panic!("not over within {at_most_ms} ms; the next sleeper is {next:?}"),
            }
            settle().await;
        }
        running.await.expect("the future does not panic")
    }

    pub async fn worker(self: &Arc<Self>) -> FlowFabricWorker {
        self.worker_with(WorkerConfig::builder("w").build().expect("legal")).await
    }

    pub async fn worker_with(self: &Arc<Self>, config: WorkerConfig) -> FlowFabricWorker {
        let backend: Arc<dyn ff_core::EngineBackend> = self.clone();
        FlowFabricWorker::connect_with(config, backend).await.expect("the fake connects")
    }

    /// Returns a claimed task, with the worker that keeps its lease.
    pub async fn task(self: &Arc<Self>) -> (FlowFabricWorker, ClaimedTask) {
        let worker = self.worker().await;
        self.put(0, b"in\xff");
        let task = soon(worker.claim_next()).await.expect("the fake answers");
        (worker, task.expect("work was put"))
    }

    async fn answer<R: Send + 'static, T: 'static>(
        &self,
        op: &'static str,
        request: R,
        apply: impl FnOnce(&mut State, &R, TimestampMs) -> EngineResult<T> + Send,
    ) -> EngineResult<T> {
        tokio::task::yield_now().await;
        let at = self.clock.now();
        let (answer, answers_at) = {
            let mut state = self.state();
            let step = state.script.get_mut(op).and_then(VecDeque::pop_front);
            let down = state.down.contains(op);
            let mut answers_at = Some(at);
            let answer = match step {
                _ if down => Err(lost(op)),
                None => apply(&mut state, &request, at),
                Some(Step::Lost) => apply(&mut state, &request, at).and(Err(lost(op))),
                Some(Step::Hang) => {
                    answers_at = None;
                    apply(&mut state, &request, at)
                }
                Some(Step::Slow(ms)) => {
                    answers_at = Some(at.plus_ms(ms));
                    apply(&mut state, &request, at)
                }
                Some(Step::Refuse(error)) => Err(error),
                Some(Step::Answer(answer)) => {
                    Ok(*answer.downcast::<T>().expect("an answer of the operation's type"))
                }
            };
            state.calls.push(Call { op, at, request: Box::new(request) });
            (answer, answers_at)
        };
        match answers_at {
            Some(at) => self.clock.sleep_until(at).await,
            None => pending().await,
        }
        answer
    }
}

impl State {
    /// Claims as a store does: the slot's last claim id answers what it took.
    fn claim(&mut self, request: &ClaimExecution, now: TimestampMs) -> ExecutionsClaimed {
        let partition = request.partition;
        let known = self.slots.get(&request.slot).filter(|(id, _)| *id == request.claim_id);
        let executions = match known {
            Some((_, taken)) => taken.clone(),
            None => {
                let offers = self.ready.entry(partition).or_default();
                let count = match &request.source {
                    ClaimSource::Ready { count_max, .. } => {
                        offers.len().min(usize::try_from(*count_max).unwrap_or(usize::MAX))
                    }
                    ClaimSource::Grant(grant) => {
                        let id = grant.execution_id;
                        let granted = Offer { execution_id: id, input: bytes::Bytes::new() };
                        offers.push_front(granted);
                        1
                    }
                };
                let taken: Vec<Offer> = offers.drain(..count).collect();
                self.lease(taken, request, now)
            }
        };
        self.slots.insert(request.slot, (request.claim_id, executions.clone()));
        ExecutionsClaimed {
            executions,
            ready_left: self.ready.get(&partition).is_some_and(|offers| !offers.is_empty()),
            next_due: self.next_due,
        }
    }

    fn lease(
        &self,
        offers: Vec<Offer>,
        request: &ClaimExecution,
        now: TimestampMs,
    ) -> Vec<ClaimedExecution> {
        let offers = (0u32..).zip(offers);
        offers
            .map(|(index, offer)| {
                let lease_id = request.claim_id.lease_id(index);
                let parts = HandleParts {
                    execution_id: offer.execution_id,
                    attempt_index: AttemptIndex(0),
                    attempt_id: lease_id.begins_attempt(),
                    lease_id,
                    lease_epoch: LeaseEpoch(1),
                    lane: LaneId::default(),
                    worker_instance_id: request.worker.worker_instance_id.clone(),
                    kind: HandleKind::Fresh,
                };
                ClaimedExecution {
                    handle: Handle::from_parts(parts),
                    kind: ExecutionKind::new("kind").expect("a legal name"),
                    input: offer.input,
                    tags: BTreeMap::from([("tag".to_owned(), "value".to_owned())]),
                    budgets: Vec::new(),
                    lease_expires_at: now.plus_ms(request.lease_ttl_ms),
                    lease_ttl_ms: request.lease_ttl_ms,
                    resume_signals: Vec::new(),
                    cancel_requested: self.cancels.get(&offer.execution_id).cloned(),
                }
            })
            .collect()
    }
}

/// Returns a grant for an execution of partition 0.
pub fn grant(kind: ff_core::contracts::claim::GrantKind, instance: &WorkerInstanceId) -> Grant {
    Grant {
        grant_id: ff_core::ids::GrantId::generate(),
        execution_id: ExecutionId::generate(Partition::new_unchecked(0)),
        worker_instance_id: instance.clone(),
        kind,
    }
}

/// The error of a reply that never came.
pub fn lost(op: &str) -> EngineError {
    EngineError::Transport { backend: "fake", source: format!("{op}: connection reset").into() }
}

/// Lets every task that can run do so.
pub async fn settle() {
    for _ in 0..YIELDS {
        tokio::task::yield_now().await;
    }
}

/// Waits for what needs no time to pass.
pub async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::select! {
        biased;
        value = future => value,
        () = settle() => panic!("it did not come soon"),
    }
}

/// Waits until something holds, without moving the clock.
pub async fn until(what: &str, holds: impl Fn() -> bool) {
    for _ in 0..YIELDS {
        if holds() {
            return;
        }
        tokio::task::yield_now().await;
    }
    panic!("it never came true that {what}");
}

#[derive(Debug)]
struct Receiver(mpsc::UnboundedReceiver<Notice>);

#[async_trait::async_trait]
impl NoticeReceiver for Receiver {
    async fn receive(&mut self) -> Notice {
        match self.0.recv().await {
            Some(notice) => notice,
            None => pending().await,
        }
    }
}

//! Submit: name the work, and hand it in alone or by the thousand.

use super::FlowFabricClient;
use crate::error::SdkError;
use crate::resend::{Backoff, SENDS_MAX, is_in_doubt, is_unavailable};
use crate::together::{Member, Together, Turn};
use bytes::Bytes;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::submit::{
    Durability, ExecutionSubmitted, Idempotency, SubmitExecution, SubmitExecutions,
};
use ff_core::error::{BugKind, EngineError, EngineResult};
use ff_core::ids::{BudgetId, ExecutionId};
use ff_core::limits::{SUBMIT_CALL_BYTES_MAX, SUBMIT_CALL_ITEMS_MAX, SUBMIT_ITEMS_MAX};
use ff_core::name::{Capability, ExecutionKind, FairnessKey, LaneId};
use ff_core::partition::Partition;
use ff_core::policy::{ExecutionPolicy, RetryPolicy, When};
use ff_core::time::TimestampMs;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::oneshot;
use tracing::Instrument;

const CONTEXT: &str = "submit";

/// What is to be done, and how. Names are checked when it is submitted.
#[derive(Clone, Debug)]
#[must_use = "a request does nothing until it is submitted"]
pub struct SubmitRequest {
    kind: String,
    lane: String,
    input: Bytes,
    policy: ExecutionPolicy,
    idempotency: Option<Idempotency>,
    fairness_key: Option<String>,
    durability: Durability,
}

impl SubmitRequest {
    /// Names the kind of work and its input: at most 1 MiB, any bytes. The lane is `default`.
    pub fn new(kind: impl Into<String>, input: impl Into<Bytes>) -> Self {
        Self {
            kind: kind.into(),
            lane: LaneId::default().as_str().to_owned(),
            input: input.into(),
            policy: ExecutionPolicy::default(),
            idempotency: None,
            fairness_key: None,
            durability: Durability::default(),
        }
    }

    /// Queues it in this lane.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lane = lane.into();
        self
    }

    /// Sets the whole policy; the setters below change one field of it.
    pub fn policy(mut self, policy: ExecutionPolicy) -> Self {
        self.policy = policy;
        self
    }

    /// Has it claimed no earlier than this long after it is accepted.
    pub fn delay_ms(mut self, ms: u64) -> Self {
        self.policy.start = Some(When::After(ms));
        self
    }

    /// Has it claimed no earlier than this.
    pub fn start_at(mut self, at: TimestampMs) -> Self {
        self.policy.start = Some(When::At(at));
        self
    }

    /// Sets its priority, -1 000 to 1 000; higher goes first.
    pub fn priority(mut self, priority: i32) -> Self {
        self.policy.priority = priority;
        self
    }

    /// Ends it `expired` when it is still live then.
    pub fn deadline(mut self, deadline: When) -> Self {
        self.policy.deadline = Some(deadline);
        self
    }

    /// Fails an attempt with category `attempt_timeout` once it has run this long, 1 ms at least;
    /// time spent suspended or delayed is not counted.
    pub fn attempt_timeout_ms(mut self, ms: u64) -> Self {
        self.policy.attempt_timeout_ms = Some(ms);
        self
    }

    /// Has it claimed only by a worker that offers this capability, and those asked for before.
    pub fn requires(mut self, capability: Capability) -> Self {
        self.policy.required_capabilities.insert(capability);
        self
    }

    /// Charges the work to this budget, and those named before; its worker learns them.
    pub fn budget(mut self, budget_id: BudgetId) -> Self {
        self.policy.budgets.push(budget_id);
        self
    }

    /// Keeps the finished execution for this long, a minute at least.
    pub fn retention_ms(mut self, ms: u64) -> Self {
        self.policy.retention_ms = Some(ms);
        self
    }

    /// Sets what is done about failures.
    pub fn retry(mut self, retry: RetryPolicy) -> Self {
        self.policy.retry = Some(retry);
        self
    }

    /// Adds a free label.
    pub fn tag(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.policy.tags.insert(key.into(), value.into());
        self
    }

    /// Makes the submission idempotent: for a day, a second one under this key answers
    /// `Duplicate` with the first execution, whatever else it says.
    pub fn idempotency_key(mut self, key: impl Into<String>) -> Self {
        self.idempotency = Some(Idempotency::key(key));
        self
    }

    /// Makes the submission idempotent, with a window of its own.
    pub fn idempotency(mut self, idempotency: Idempotency) -> Self {
        self.idempotency = Some(idempotency);
        self
    }

    /// Names the tenant among those that share the lane.
    pub fn fairness_key(mut self, key: impl Into<String>) -> Self {
        self.fairness_key = Some(key.into());
        self
    }

    /// Sets how safely it is stored before it is acknowledged.
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}

impl FlowFabricClient {
    /// Submits one execution. A request that repeats an idempotency key answers the first one.
    ///
    /// Submissions that are made while others are on their way travel together. Dropping the
    /// future withdraws nothing.
    pub async fn submit(&self, request: SubmitRequest) -> Result<ExecutionSubmitted, SdkError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let item = self.item(&request, self.backend.partitions().rotate(turn))?;
        Ok(self.submissions.submit(item).await?)
    }

    /// Submits any number of executions, with one outcome each, in order. Those without an
    /// idempotency key travel together, up to 10 000 a call, each call to the next partition.
    ///
    /// The first malformed request fails the call before any I/O.
    pub async fn submit_many(
        &self,
        requests: Vec<SubmitRequest>,
    ) -> Result<Vec<Result<ExecutionSubmitted, SdkError>>, SdkError> {
        let mut outcomes = Vec::with_capacity(requests.len());
        let mut items = Vec::with_capacity(requests.len());
        for chunk in requests.chunks(SUBMIT_ITEMS_MAX) {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let partition = self.backend.partitions().rotate(turn);
            for request in chunk {
                items.push(self.item(request, partition)?);
            }
        }
        while !items.is_empty() {
            let rest = items.split_off(items.len().min(SUBMIT_ITEMS_MAX));
            let chunk = std::mem::replace(&mut items, rest);
            let submitted = self.submissions.send(chunk).await;
            outcomes.extend(submitted.into_iter().map(|o| o.map_err(SdkError::from)));
        }
        Ok(outcomes)
    }

    fn item(
        &self,
        request: &SubmitRequest,
        partition: Partition,
    ) -> Result<SubmitExecution, SdkError> {
        let bad = |field| move |e: EngineError| SdkError::config(CONTEXT, field, e.to_string());
        let map = self.backend.partitions();
        let partition = request
            .idempotency
            .as_ref()
            .map_or(partition, |known| map.home(self.namespace.as_str(), &known.key));
        let fairness_key = request.fairness_key.as_ref().map(FairnessKey::new);
        let item = SubmitExecution {
            execution_id: ExecutionId::generate(partition),
            namespace: self.namespace.clone(),
            lane: LaneId::new(&request.lane).map_err(bad("lane"))?,
            kind: ExecutionKind::new(&request.kind).map_err(bad("kind"))?,
            input: request.input.clone(),
            policy: request.policy.clone(),
            idempotency: request.idempotency.clone(),
            fairness_key: fairness_key.transpose().map_err(bad("fairness_key"))?,
            durability: request.durability,
        };
        item.check(map).map_err(bad("request"))?;
        Ok(item)
    }
}

/// The submissions of a client.
#[derive(Debug)]
pub(super) struct Submissions {
    backend: Arc<dyn EngineBackend>,
    waiting: Arc<Together<Waiting>>,
}

/// A submission on its way, and who waits for it.
#[derive(Debug)]
struct Waiting {
    item: SubmitExecution,
    seat: oneshot::Sender<EngineResult<ExecutionSubmitted>>,
}

impl Member for Waiting {
    const COUNT_MAX: usize = SUBMIT_CALL_ITEMS_MAX;
    const BYTES_MAX: usize = SUBMIT_CALL_BYTES_MAX;

    fn bytes(&self) -> usize {
        self.item.input.len()
    }
}

impl Submissions {
    pub(super) fn new(backend: Arc<dyn EngineBackend>) -> Self {
        Self { backend, waiting: Arc::default() }
    }

    /// Submits an item together with those that wait for the same partition. The call is a tokio
    /// task of its own: whoever gives up does not take the others along.
    async fn submit(self: &Arc<Self>, item: SubmitExecution) -> EngineResult<ExecutionSubmitted> {
        let partition = item.execution_id.partition();
        let (seat, outcome) = oneshot::channel();
        if let Some(turn) = self.waiting.join(partition, Waiting { item, seat }) {
            self.spawn(turn);
        }
        outcome.await.unwrap_or_else(|_| Err(no_outcome()))
    }

    /// Calls for those who wait, in a task of its own.
    fn spawn(self: &Arc<Self>, mut turn: Turn<Waiting>) {
        let all = self.clone();
        let calling = async move {
            while let Some((waiting, second)) = turn.next().await {
                second.into_iter().for_each(|second| all.spawn(second));
                all.call(waiting).await;
            }
        };
        tokio::spawn(calling.in_current_span());
    }

    async fn call(&self, waiting: Vec<Waiting>) {
        let (items, seats): (Vec<_>, Vec<_>) =
            waiting.into_iter().map(|w| (w.item, w.seat)).unzip();
        for (seat, outcome) in seats.into_iter().zip(self.send(items).await) {
            // Who gave up does not want to know.
            let _ = seat.send(outcome);
        }
    }

    /// Submits up to one call's items. Those whose answer did not come are sent again as they are.
    async fn send(&self, items: Vec<SubmitExecution>) -> Vec<EngineResult<ExecutionSubmitted>> {
        let clock = self.backend.clock();
        let mut outcomes: Vec<Option<EngineResult<ExecutionSubmitted>>> = Vec::new();
        outcomes.resize_with(items.len(), || None);
        let mut open: Vec<usize> = (0..items.len()).collect();
        let mut backoff = Backoff::new();
        let mut doubts: Vec<Option<EngineError>> = Vec::new();
        doubts.resize_with(items.len(), || None);
        for sends in 1..=SENDS_MAX {
            let batch: Vec<SubmitExecution> = open.iter().map(|i| items[*i].clone()).collect();
            let answers = self.submit_batch(batch).await;
            for (index, answer) in open.iter().zip(answers) {
                // A store that is full by now says nothing about a send whose answer was lost.
                let doubted = outcomes[*index].take().and_then(Result::err).filter(is_in_doubt);
                doubts[*index] = doubted.or(doubts[*index].take());
                outcomes[*index] = Some(answer);
            }
            open.retain(|index| {
                let answer = outcomes[*index].as_ref();
                answer.is_none_or(|answer| {
                    answer.as_ref().is_err_and(|error| is_in_doubt(error) || is_unavailable(error))
                })
            });
            if open.is_empty() || sends == SENDS_MAX {
                break;
            }
            backoff.wait(&*clock, None).await;
        }
        let known = |(outcome, doubt): (Option<EngineResult<_>>, Option<EngineError>)| match (
            outcome.unwrap_or_else(|| Err(no_outcome())),
            doubt,
        ) {
            (Err(error), Some(doubt)) if is_unavailable(&error) => Err(doubt),
            (outcome, _) => outcome,
        };
        outcomes.into_iter().zip(doubts).map(known).collect()
    }

    /// Makes one call; an error of the whole call is the outcome of each item.
    async fn submit_batch(
        &self,
        items: Vec<SubmitExecution>,
    ) -> Vec<EngineResult<ExecutionSubmitted>> {
        let count = items.len();
        let request = SubmitExecutions { items };
        match self.backend.submit_executions(request).await {
            Ok(answers) => answers,
            Err(error) => {
                let text = error.to_string();
                let doubt = is_in_doubt(&error);
                let mut first = Some(error);
                let copy = || match first.take() {
                    Some(error) => Err(error),
                    None if doubt => Err(EngineError::Transport {
                        backend: "the store",
                        source: text.clone().into(),
                    }),
                    None => Err(EngineError::Unavailable {
                        op: "submit_executions",
                        reason: text.clone(),
                    }),
                };
                std::iter::repeat_with(copy).take(count).collect()
            }
        }
    }
}

fn no_outcome() -> EngineError {
    BugKind::Invariant("a submission had no outcome".into()).into()
}

//! The client: hand work in, watch it, steer it.

mod submit;

use submit::Submissions;
pub use submit::SubmitRequest;

use crate::error::SdkError;
use crate::resend::{send, send_until};
use ff_core::contracts::EngineBackend;
use ff_core::contracts::budget::{BudgetInfo, CreateBudget, DimensionLimits};
use ff_core::contracts::inspect::{
    ExecutionInfo, ExecutionPage, ExecutionResult, LaneInfo, ListCursor, ListExecutions,
};
use ff_core::contracts::notice::{Notice, WatchExecution};
use ff_core::contracts::signal::{Signal, SignalOutcome};
use ff_core::contracts::stream::{StreamCursor, StreamFrames};
use ff_core::contracts::suspend::ReissueWaitpointToken;
use ff_core::contracts::terminal::{
    CancelBy, CancelExecution, ExecutionCancelled, ExecutionReplayed, ReplayExecution,
};
use ff_core::explain::Explanation;
use ff_core::ids::{AttemptIndex, BudgetId, ExecutionId, MutationId, WaitpointId};
use ff_core::name::{Dimension, LaneId, Namespace};
use ff_core::state::{PublicState, TerminalOutcome};
use ff_core::time::TimestampMs;
use ff_core::token::WaitpointToken;
use ff_core::turn::EndedTurn;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

/// Longest that a wait for a result goes without a look, in case a notice was lost.
const RESULT_POLL_MS: u64 = 5_000;
/// How long a wait keeps its execution marked as watched; marked again with every look.
const RESULT_WATCH_MS: u64 = 3 * RESULT_POLL_MS;

/// Submits executions of one namespace, watches them and steers them. Requests whose answer does
/// not come are sent again, identically, a few times; each is safe to repeat.
#[derive(Debug)]
pub struct FlowFabricClient {
    backend: Arc<dyn EngineBackend>,
    namespace: Namespace,
    /// Counts the calls that submit work without a key: each goes to the next partition.
    turn: AtomicU64,
    submissions: Arc<Submissions>,
}

impl FlowFabricClient {
    /// Makes a client of the namespace `default`.
    pub fn new(backend: Arc<dyn EngineBackend>) -> Self {
        Self::with_namespace(backend, Namespace::default())
    }

    /// Makes a client of a namespace.
    pub fn with_namespace(backend: Arc<dyn EngineBackend>, namespace: Namespace) -> Self {
        // Producers begin at different partitions.
        let turn = AtomicU64::new(uuid::Uuid::new_v4().as_u64_pair().0);
        let submissions = Arc::new(Submissions::new(backend.clone()));
        Self { backend, namespace, turn, submissions }
    }

    /// Returns the backend.
    pub fn backend(&self) -> &Arc<dyn EngineBackend> {
        &self.backend
    }

    /// Returns the namespace.
    pub const fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Describes an execution: everything but its payloads and tokens.
    pub async fn describe(&self, execution_id: &ExecutionId) -> Result<ExecutionInfo, SdkError> {
        let describe = || self.backend.describe_execution(*execution_id);
        Ok(send(&*self.backend.clock(), describe).await?)
    }

    /// Says in a sentence why an execution is not running, and who moves next.
    pub async fn explain(&self, execution_id: &ExecutionId) -> Result<Explanation, SdkError> {
        let explain = || self.backend.explain_execution(*execution_id);
        Ok(send(&*self.backend.clock(), explain).await?)
    }

    /// Lists the ended turns of an execution, oldest first: the last ones, and how each ended.
    pub async fn turns(&self, execution_id: &ExecutionId) -> Result<Vec<EndedTurn>, SdkError> {
        let turns = || self.backend.list_turns(*execution_id);
        Ok(send(&*self.backend.clock(), turns).await?)
    }

    /// Lists the lanes of the namespace, with how many executions are where.
    pub async fn lanes(&self) -> Result<Vec<LaneInfo>, SdkError> {
        let lanes = || self.backend.list_lanes(self.namespace.clone());
        Ok(send(&*self.backend.clock(), lanes).await?)
    }

    /// Lists executions of a lane that are in one state, page by page: 1 to 1 000 rows each.
    pub async fn list(
        &self,
        lane: &LaneId,
        state: PublicState,
        cursor: Option<ListCursor>,
        limit: u32,
    ) -> Result<ExecutionPage, SdkError> {
        let request = ListExecutions {
            namespace: self.namespace.clone(),
            lane: lane.clone(),
            state,
            cursor,
            limit,
        };
        let list = || self.backend.list_executions(request.clone());
        Ok(send(&*self.backend.clock(), list).await?)
    }

    /// Cancels an execution. Running work is asked to stop and has `grace_ms` (at most a day)
    /// before its lease is revoked; anything else ends at once. A reason that is too long is cut.
    pub async fn cancel(
        &self,
        execution_id: &ExecutionId,
        reason: &str,
        grace_ms: u64,
    ) -> Result<ExecutionCancelled, SdkError> {
        let request = CancelExecution {
            execution_id: *execution_id,
            by: CancelBy::Operator { grace_ms, mutation_id: MutationId::generate() },
            reason: crate::text::fit_reason(reason),
        };
        let cancel = || self.backend.cancel_execution(request.clone());
        Ok(send(&*self.backend.clock(), cancel).await?)
    }

    /// Delivers a signal to a waitpoint; the token in the signal is the right to do so.
    pub async fn signal(
        &self,
        execution_id: &ExecutionId,
        waitpoint_id: &WaitpointId,
        signal: Signal,
    ) -> Result<SignalOutcome, SdkError> {
        crate::signal::deliver(&*self.backend, execution_id, waitpoint_id, signal).await
    }

    /// Signs an open waitpoint anew and returns its token, for when the first was lost. While the
    /// keyring's key is the same, so is the token; after a rotation the old one is refused. For
    /// operators: the caller needs no token.
    pub async fn reissue_waitpoint_token(
        &self,
        execution_id: &ExecutionId,
        waitpoint_id: &WaitpointId,
    ) -> Result<WaitpointToken, SdkError> {
        let request =
            ReissueWaitpointToken { execution_id: *execution_id, waitpoint_id: *waitpoint_id };
        let reissue = || self.backend.reissue_waitpoint_token(request.clone());
        Ok(send(&*self.backend.clock(), reissue).await?)
    }

    /// Makes a budget; the same one again is fine, other limits under its id are a conflict.
    pub async fn create_budget(
        &self,
        budget_id: BudgetId,
        limits: BTreeMap<Dimension, DimensionLimits>,
    ) -> Result<(), SdkError> {
        let request = CreateBudget { budget_id, limits };
        let create = || self.backend.create_budget(request.clone());
        Ok(send(&*self.backend.clock(), create).await?)
    }

    /// Describes a budget: its limits and what was reported so far.
    pub async fn describe_budget(&self, budget_id: BudgetId) -> Result<BudgetInfo, SdkError> {
        let describe = || self.backend.describe_budget(budget_id);
        Ok(send(&*self.backend.clock(), describe).await?)
    }

    /// Makes a finished execution ready for a new attempt.
    pub async fn replay(&self, execution_id: &ExecutionId) -> Result<ExecutionReplayed, SdkError> {
        let request =
            ReplayExecution { execution_id: *execution_id, mutation_id: MutationId::generate() };
        let replay = || self.backend.replay_execution(request.clone());
        Ok(send(&*self.backend.clock(), replay).await?)
    }

    /// Reads frames of an attempt; see [`read_stream`](crate::read_stream).
    pub async fn read_stream(
        &self,
        execution_id: &ExecutionId,
        attempt_index: AttemptIndex,
        from: StreamCursor,
        to: StreamCursor,
        count_limit: usize,
    ) -> Result<StreamFrames, SdkError> {
        let backend = &*self.backend;
        crate::read_stream(backend, execution_id, attempt_index, from, to, count_limit).await
    }

    /// Waits for frames of an attempt; see [`tail_stream`](crate::tail_stream).
    pub async fn tail_stream(
        &self,
        execution_id: &ExecutionId,
        attempt_index: AttemptIndex,
        after: StreamCursor,
        block_ms: u64,
        count_limit: usize,
    ) -> Result<StreamFrames, SdkError> {
        let backend = &*self.backend;
        crate::tail_stream(backend, execution_id, attempt_index, after, block_ms, count_limit).await
    }

    /// Waits until an execution has ended and returns how, with its result; `None` when it is
    /// still live at the deadline, by the backend's clock. Waits on notices, so any number of
    /// waits costs little. A store that does not answer meanwhile is asked again until the
    /// deadline, and for a few seconds at least.
    pub async fn wait_for_result(
        &self,
        execution_id: &ExecutionId,
        deadline: TimestampMs,
    ) -> Result<Option<ExecutionResult>, SdkError> {
        let clock = self.backend.clock();
        let subscribe = || self.backend.subscribe(vec![execution_id.partition()]);
        let until = deadline.max(clock.now().plus_ms(RESULT_POLL_MS));
        let mut notices = send_until(&*clock, "subscribe", || until, subscribe).await?;
        let watch = WatchExecution { execution_id: *execution_id, ttl_ms: RESULT_WATCH_MS };
        loop {
            let mark = || self.backend.watch_execution(watch.clone());
            let until = deadline.max(clock.now().plus_ms(RESULT_POLL_MS));
            send_until(&*clock, "watch_execution", || until, mark).await?;
            let read = || self.backend.read_result(*execution_id);
            let result = send_until(&*clock, "read_result", || until, read).await?;
            if result.terminal_outcome != TerminalOutcome::None {
                return Ok(Some(result));
            }
            let now = clock.now();
            if now >= deadline {
                return Ok(None);
            }
            let look_at = now.plus_ms(RESULT_POLL_MS).min(deadline);
            let noticed = async {
                loop {
                    match notices.receive().await {
                        Notice::Done(id) if id == *execution_id => return,
                        Notice::Lagged => return,
                        _ => {}
                    }
                }
            };
            tokio::select! {
                () = noticed => {}
                () = clock.sleep_until(look_at) => {}
            }
        }
    }
}

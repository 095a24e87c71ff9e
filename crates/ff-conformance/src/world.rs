//! The world of one behaviour: a fixture, and terse ways to bring it to where the behaviour begins.

use crate::fixture::Fixture;
use crate::given::{complete, issue, lane, retries, signal, suspend_for, worker};
use ff_core::contracts::budget::CreateBudget;
use ff_core::contracts::claim::{
    ClaimExecution, ClaimResumedExecution, ClaimSource, ClaimedExecution, ExecutionsClaimed, Grant,
    GrantKind, Tick, WorkerIdentity,
};
use ff_core::contracts::inspect::ExecutionInfo;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease};
use ff_core::contracts::signal::SignalOutcome;
use ff_core::contracts::submit::{Durability, SubmitExecution};
use ff_core::contracts::suspend::{
    ExecutionSuspended, PendingWaitpointCreated, SuspendExecution, Suspension,
};
use ff_core::limits::TICK_LIMIT_MAX;
use ff_core::partition::Partition;
use ff_core::policy::ExecutionPolicy;
use ff_core::token::WaitpointToken;
use ff_core::turn::{EndedTurn, TurnOperation, TurnOutcome};
use ff_core::{
    BudgetId, ClaimId, EngineBackend, EngineBackendExt, EngineError, EngineResult, ExecutionId,
    ExecutionKind, Handle, Namespace, TimestampMs, WaitpointId,
};
use std::fmt::{self, Debug};
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;

/// How long the leases of a world last.
pub const LEASE_TTL_MS: u64 = 30_000;
/// How long a world's pending waitpoints take signals.
pub const WAITPOINT_TTL_MS: u64 = 60_000;
/// The fixed wait before a retry.
pub const BACKOFF_MS: u64 = 1_000;

/// A fixture with terse builders. It dereferences to the backend, so every operation can be called
/// on it.
pub struct World {
    fixture: Arc<dyn Fixture>,
    backend: Arc<dyn EngineBackend>,
}

impl Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("World").field("backend", &self.backend).finish_non_exhaustive()
    }
}

impl Deref for World {
    type Target = dyn EngineBackend;
    fn deref(&self) -> &Self::Target {
        &*self.backend
    }
}

/// Where a signal goes, and the right to send it.
#[derive(Clone, Debug)]
pub struct Address {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// The token.
    pub token: WaitpointToken,
}

impl Address {
    /// Takes the address of a suspension.
    pub fn of(execution_id: ExecutionId, suspension: &Suspension) -> Self {
        Self {
            execution_id,
            waitpoint_id: suspension.waitpoint_id,
            token: suspension.waitpoint_token.clone(),
        }
    }

    /// Takes the address of a pending waitpoint.
    pub fn of_pending(execution_id: ExecutionId, waitpoint: &PendingWaitpointCreated) -> Self {
        Self {
            execution_id,
            waitpoint_id: waitpoint.waitpoint_id,
            token: waitpoint.waitpoint_token.clone(),
        }
    }
}

impl World {
    /// Puts a world round a fixture.
    pub fn new(fixture: impl Fixture + 'static) -> Self {
        let backend = fixture.backend();
        Self { fixture: Arc::new(fixture), backend }
    }

    /// Returns the same world, its operations going through another backend.
    pub fn through(&self, backend: Arc<dyn EngineBackend>) -> Self {
        Self { fixture: Arc::clone(&self.fixture), backend }
    }

    /// Returns the same world as another process sees it.
    pub async fn elsewhere(&self) -> Self {
        self.through(self.fixture.another_connection().await)
    }

    /// Returns the backend.
    pub fn backend(&self) -> Arc<dyn EngineBackend> {
        Arc::clone(&self.backend)
    }

    /// Returns the store's time.
    pub fn now(&self) -> TimestampMs {
        self.fixture.now()
    }

    /// Returns the store's time in a while.
    pub fn after(&self, span_ms: u64) -> TimestampMs {
        self.now().plus_ms(span_ms)
    }

    /// Moves the time.
    pub async fn advance(&self, span_ms: u64) {
        self.fixture.advance(span_ms).await;
    }

    /// Moves the time to an instant.
    pub async fn advance_to(&self, at: TimestampMs) {
        self.advance(at.since_ms(self.now())).await;
    }

    /// Returns everything that the store holds.
    pub async fn dump(&self) -> String {
        self.fixture.dump().await
    }

    /// Returns the partition that worlds work in.
    pub fn partition(&self) -> Partition {
        Partition::new_unchecked(0)
    }

    /// Handles every timer that is due, in every partition; returns how many.
    pub async fn tick_all(&self) -> u32 {
        let mut handled = 0;
        for partition in self.partitions().iter() {
            loop {
                let request = Tick { partition, limit: TICK_LIMIT_MAX };
                let ticked = self.tick(request).await.expect("a tick");
                handled += ticked.handled;
                if !ticked.more {
                    break;
                }
            }
        }
        handled
    }

    /// Makes a call that must be refused and must change nothing; returns the refusal.
    pub async fn refuses<T: Debug>(
        &self,
        call: impl Future<Output = EngineResult<T>>,
    ) -> EngineError {
        let before = self.dump().await;
        let refusal = call.await.expect_err("the call was to be refused");
        assert_eq!(before, self.dump().await, "refused with {refusal}, and yet the store changed");
        refusal
    }

    /// Makes a call that must succeed and must change nothing, such as a repeat.
    pub async fn unchanged<T: Debug>(&self, call: impl Future<Output = EngineResult<T>>) -> T {
        let before = self.dump().await;
        let outcome = call.await.expect("the call was to succeed");
        assert_eq!(before, self.dump().await, "answered {outcome:?}, and yet the store changed");
        outcome
    }

    /// An execution to be submitted: in the default lane, with retries after [`BACKOFF_MS`].
    pub fn item(&self) -> SubmitExecution {
        SubmitExecution {
            execution_id: ExecutionId::generate(self.partition()),
            namespace: Namespace::default(),
            lane: lane("default"),
            kind: ExecutionKind::new("greet").expect("a legal kind"),
            input: "hello".into(),
            policy: ExecutionPolicy {
                retry: Some(retries(3, BACKOFF_MS)),
                ..ExecutionPolicy::default()
            },
            idempotency: None,
            fairness_key: None,
            durability: Durability::Memory,
        }
    }

    /// An execution to be submitted, with its policy set.
    pub fn item_with(&self, set: impl FnOnce(&mut ExecutionPolicy)) -> SubmitExecution {
        let mut item = self.item();
        set(&mut item.policy);
        item
    }

    /// Submits an execution.
    pub async fn submit(&self) -> ExecutionId {
        self.submit_item(self.item()).await
    }

    /// Submits an execution, with its policy set.
    pub async fn submit_with(&self, set: impl FnOnce(&mut ExecutionPolicy)) -> ExecutionId {
        self.submit_item(self.item_with(set)).await
    }

    /// Submits this execution.
    pub async fn submit_item(&self, item: SubmitExecution) -> ExecutionId {
        self.submit_execution(item).await.expect("a submission").execution_id()
    }

    /// A claim of one execution of the default lane, by worker `w`, slot 0.
    pub fn claim_request(&self) -> ClaimExecution {
        self.claim_up_to(1)
    }

    /// A claim of up to `count_max` executions of the default lane, by worker `w`, slot 0.
    pub fn claim_up_to(&self, count_max: u32) -> ClaimExecution {
        ClaimExecution {
            claim_id: ClaimId::generate(),
            slot: 0,
            worker: worker("w"),
            partition: self.partition(),
            source: ClaimSource::Ready { lanes: vec![lane("default")], count_max },
            lease_ttl_ms: LEASE_TTL_MS,
        }
    }

    /// A claim of one execution by this worker.
    pub fn claim_request_by(&self, worker: &WorkerIdentity) -> ClaimExecution {
        ClaimExecution { worker: worker.clone(), ..self.claim_request() }
    }

    /// Makes this claim.
    pub async fn claimed(&self, request: ClaimExecution) -> ExecutionsClaimed {
        self.claim_execution(request).await.expect("a claim")
    }

    /// Claims one execution.
    pub async fn claim_one(&self) -> ClaimedExecution {
        self.claim_one_by(&worker("w")).await
    }

    /// Claims one execution as this worker.
    pub async fn claim_one_by(&self, worker: &WorkerIdentity) -> ClaimedExecution {
        let mut claimed = self.claimed(self.claim_request_by(worker)).await;
        claimed.executions.pop().expect("something to claim")
    }

    /// Claims up to `count_max`; returns the ids in the order they were taken.
    pub async fn claim_ids(&self, count_max: u32) -> Vec<ExecutionId> {
        ids(&self.claimed(self.claim_up_to(count_max)).await)
    }

    /// Submits an execution and claims it.
    pub async fn started(&self) -> ClaimedExecution {
        self.started_with(|_| {}).await
    }

    /// Submits an execution, with its policy set, and claims it.
    pub async fn started_with(&self, set: impl FnOnce(&mut ExecutionPolicy)) -> ClaimedExecution {
        let execution_id = self.submit_with(set).await;
        let claimed = self.claim_one().await;
        assert_eq!(claimed.handle.execution_id(), execution_id, "another was ready before it");
        claimed
    }

    /// Submits, claims and completes an execution.
    pub async fn finished(&self) -> Handle {
        let handle = self.started().await.handle;
        self.complete_execution(complete(&handle)).await.expect("a completion");
        handle
    }

    /// Submits and claims an execution, and suspends it for these signals.
    pub async fn suspended(&self, names: &[&str]) -> (Handle, Address) {
        let handle = self.started().await.handle;
        let address = self.suspend(suspend_for(&handle, names)).await;
        (handle, address)
    }

    /// Suspends; nothing may have met the matchers yet.
    pub async fn suspend(&self, request: SuspendExecution) -> Address {
        let execution_id = request.handle.execution_id();
        match self.suspend_execution(request).await.expect("a suspension") {
            ExecutionSuspended::Suspended(suspension) => Address::of(execution_id, &suspension),
            other => panic!("expected the lease to be released, got {other:?}"),
        }
    }

    /// Sends a signal of this name.
    pub async fn signal(&self, to: &Address, name: &str) -> SignalOutcome {
        self.deliver_signal(signal(to, name)).await.expect("a delivery")
    }

    /// Resumes what was suspended and claims it.
    pub async fn resumed(&self, to: &Address, name: &str) -> ClaimedExecution {
        match self.signal(to, name).await {
            SignalOutcome::TriggeredResume { .. } => self.claim_one().await,
            other => panic!("expected a resume, got {other:?}"),
        }
    }

    /// Lets the lease run out and has worker `heir` claim what it held.
    pub async fn reclaimed(&self) -> ClaimedExecution {
        self.advance(LEASE_TTL_MS).await;
        self.claim_one_by(&worker("heir")).await
    }

    /// Issues a grant to the worker.
    pub async fn granted(
        &self,
        execution_id: ExecutionId,
        to: &WorkerIdentity,
        kind: GrantKind,
    ) -> Grant {
        let grant = crate::given::grant(execution_id, to, kind);
        self.issue_grant(issue(&grant)).await.expect("a grant");
        grant
    }

    /// A claim by grant.
    pub fn claim_by_grant(&self, grant: &Grant, worker: &WorkerIdentity) -> ClaimExecution {
        ClaimExecution {
            source: ClaimSource::Grant(grant.clone()),
            ..self.claim_request_by(worker)
        }
    }

    /// A takeover by reclaim grant.
    pub fn take_over(&self, grant: &Grant, worker: &WorkerIdentity) -> ClaimResumedExecution {
        ClaimResumedExecution {
            claim_id: ClaimId::generate(),
            slot: 0,
            worker: worker.clone(),
            grant: grant.clone(),
            lease_ttl_ms: LEASE_TTL_MS,
        }
    }

    /// Renews one lease.
    pub async fn renew_one(&self, request: RenewLease) -> EngineResult<LeaseRenewed> {
        let mut results = self.renew_lease(request).await?;
        assert_eq!(results.len(), 1, "one handle, one result");
        results.remove(0)
    }

    /// Makes a budget.
    pub async fn budget(&self, request: CreateBudget) -> BudgetId {
        let budget_id = request.budget_id;
        self.create_budget(request).await.expect("a budget");
        budget_id
    }

    /// Describes an execution.
    pub async fn info(&self, execution_id: ExecutionId) -> ExecutionInfo {
        self.describe_execution(execution_id).await.expect("a description")
    }

    /// Returns the last ended turn.
    pub async fn last_turn(&self, execution_id: ExecutionId) -> EndedTurn {
        let turns = self.list_turns(execution_id).await.expect("the turns");
        turns.last().expect("an ended turn").clone()
    }

    /// Returns how each turn ended, oldest first.
    pub async fn turns(&self, execution_id: ExecutionId) -> Vec<(TurnOperation, TurnOutcome)> {
        let turns = self.list_turns(execution_id).await.expect("the turns");
        turns.iter().map(|turn| (turn.operation, turn.outcome)).collect()
    }
}

/// Returns the executions of a claim, in order.
pub fn ids(claimed: &ExecutionsClaimed) -> Vec<ExecutionId> {
    let id = |taken: &ClaimedExecution| taken.handle.execution_id();
    claimed.executions.iter().map(id).collect()
}

//! Small worlds: what may happen in each, and how much of it.

use crate::call::Call;
use crate::sight::Sight;
use crate::state::{Counts, Seen, State, WORKERS};
use crate::store::Store;
use bytes::Bytes;
use ff_core::contracts::claim::WorkerIdentity;
use ff_core::contracts::submit::{Durability, Idempotency, SubmitExecution};
use ff_core::limits::RETENTION_MS_MIN;
use ff_core::name::Capability;
use ff_core::partition::Partition;
use ff_core::policy::{Backoff, ExecutionPolicy, RetryPolicy, When};
use ff_core::state::TimeoutBehavior;
use ff_core::*;
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The partition of everything.
pub const PARTITION: Partition = Partition::new_unchecked(0);
/// When a world begins.
pub const START: TimestampMs = TimestampMs::from_millis(1_000_000);
/// The category of failures that are not tried again.
pub const PERMANENT: &str = "bad_input";

/// What a worker may do with a claim that it thinks it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderOp {
    Renew,
    Progress,
    Append,
    Complete,
    /// Fails so that it may be tried again.
    Fail,
    /// Fails so that it may not.
    GiveUp,
    Cancel,
    Delay,
    /// Delays until a time that has passed.
    DelayPast,
    Release,
    WaitChildren,
    /// Suspends as the world's list says.
    Suspend(usize),
    /// Opens a waitpoint ahead, as the world's list says.
    Open(usize),
}

/// What an operator or a scheduler may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorOp {
    Cancel,
    CancelWithGrace,
    Replay,
}

/// A way to suspend.
#[derive(Clone, Debug)]
pub struct SuspendPlan {
    pub names: &'static [&'static str],
    pub key: Option<&'static str>,
    pub timeout: Option<(u64, TimeoutBehavior)>,
}

/// A world.
#[derive(Debug)]
pub struct World {
    pub items: Vec<SubmitExecution>,
    /// Whether the items are there from the start.
    pub submitted: bool,
    pub holder: Vec<HolderOp>,
    pub operator: Vec<OperatorOp>,
    pub suspends: Vec<SuspendPlan>,
    /// Keys of waitpoints that may be opened ahead, and how long they take signals.
    pub waitpoints: Vec<(&'static str, u64)>,
    /// Names of signals, each with an idempotency key or none.
    pub signals: Vec<(&'static str, Option<&'static str>)>,
    /// Whether workers claim what is ready; if not, they need grants.
    pub claims_ready: bool,
    /// How many executions one claim may take.
    pub claim_count: u32,
    /// How long a step of the clock is that is not a jump to the next timer; 0 for none.
    pub pause_ms: u64,
    pub bounds: Counts,
    /// What must be seen at least once.
    pub sights: Vec<Sight>,
    pub identities: [WorkerIdentity; WORKERS],
}

impl World {
    /// Makes a world of one execution in which nothing may happen.
    pub fn new(policy: ExecutionPolicy) -> Self {
        Self {
            items: vec![item(0, policy)],
            submitted: true,
            holder: Vec::new(),
            operator: Vec::new(),
            suspends: Vec::new(),
            waitpoints: Vec::new(),
            signals: Vec::new(),
            claims_ready: true,
            claim_count: 1,
            pause_ms: 0,
            bounds: Counts::default(),
            sights: Vec::new(),
            identities: [identity("w0"), identity("w1")],
        }
    }

    /// Adds an execution like the first.
    pub fn and_another(mut self) -> Self {
        let policy = self.items[0].policy.clone();
        self.items.push(item(1, policy));
        self
    }

    /// Lets the submissions happen, under one idempotency key.
    pub fn under_one_key(mut self, window_ms: u64) -> Self {
        self.submitted = false;
        for item in &mut self.items {
            item.idempotency = Some(Idempotency { key: "key".to_owned(), window_ms });
        }
        self
    }

    /// Returns the first state.
    pub fn begin(&self) -> State {
        let seen = self.items.iter().map(|item| (item.execution_id, Seen::default()));
        let mut store = Store::default();
        for item in self.items.iter().filter(|_| self.submitted) {
            let answer = Call::Submit(item.clone()).arrive(&mut store, START);
            answer.expect("the submission of a world is legal");
        }
        State {
            now: START,
            store,
            workers: Default::default(),
            posted: Vec::new(),
            grants: Vec::new(),
            seen: seen.collect(),
            made: Counts::default(),
            broken: BTreeSet::new(),
        }
    }
}

/// The policy of every world: one retry at once after a second, one lost lease, one replay.
pub fn policy() -> ExecutionPolicy {
    ExecutionPolicy {
        retry: Some(RetryPolicy {
            retries_max: 1,
            backoff: Backoff::Fixed { delay_ms: 1_000 },
            jitter_pct: 0,
            retryable_categories: BTreeSet::new(),
            permanent_categories: BTreeSet::from([PERMANENT.to_owned()]),
        }),
        reclaims_max: Some(1),
        replays_max: Some(1),
        retention_ms: Some(RETENTION_MS_MIN),
        ..ExecutionPolicy::default()
    }
}

/// Makes a span from the submission.
pub fn after(span_ms: u64) -> Option<When> {
    Some(When::After(span_ms))
}

/// Makes the `n`th id of its kind, the same in every run.
pub fn uuid(kind: u8, n: u8) -> Uuid {
    Uuid::from_u128((u128::from(n) + 1) << 32 | u128::from(kind) << 16)
}

/// Makes an identity without capabilities.
pub fn identity(name: &str) -> WorkerIdentity {
    WorkerIdentity {
        namespace: Namespace::new("ns").expect("a legal name"),
        worker_id: WorkerId::new("worker").expect("a legal name"),
        worker_instance_id: WorkerInstanceId::new(name).expect("a legal name"),
        capabilities: BTreeSet::<Capability>::new(),
    }
}

/// Returns the lane of everything.
pub fn lane() -> LaneId {
    LaneId::new("lane").expect("a legal name")
}

fn item(n: u8, policy: ExecutionPolicy) -> SubmitExecution {
    SubmitExecution {
        execution_id: ExecutionId::from_parts(PARTITION, uuid(0, n)),
        namespace: Namespace::new("ns").expect("a legal name"),
        lane: lane(),
        kind: ExecutionKind::new("kind").expect("a legal name"),
        input: Bytes::new(),
        policy: ExecutionPolicy { tags: BTreeMap::new(), ..policy },
        idempotency: None,
        fairness_key: None,
        durability: Durability::Memory,
    }
}

//! The backend: a store behind a lock, a clock, and a channel of notices.

use crate::clock::SystemClock;
use crate::memory::MemoryPartition;
use ff_core::contracts::claim::RegisteredWorker;
use ff_core::contracts::notice::Notice;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_core::token::{Keyring, Secret};
use ff_core::{
    BudgetId, Clock, EngineError, EngineResult, ExecutionId, KeyId, LaneId, Namespace, TimestampMs,
    WorkerInstanceId,
};
use ff_lifecycle::budget::Budget;
use ff_lifecycle::{Decision, Execution, PartitionStore};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// Notices that a slow subscriber may fall behind before it is told that it lagged.
const NOTICES_QUEUED_MAX: usize = 1_024;
/// The id of the first key of the keyring.
const FIRST_KID: &str = "k1";

/// A whole engine in memory. Clones share the store.
#[derive(Clone, Debug)]
pub struct MemoryBackend {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    clock: Arc<dyn Clock>,
    partitions: PartitionMap,
    notices: broadcast::Sender<Notice>,
    state: Mutex<State>,
}

/// Everything the store holds.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) partitions: Vec<MemoryPartition>,
    pub(crate) budgets: BTreeMap<BudgetId, Budget>,
    pub(crate) workers: BTreeMap<(Namespace, WorkerInstanceId), RegisteredWorker>,
    pub(crate) lanes: BTreeMap<(Namespace, LaneId), LaneDefaults>,
    pub(crate) keyring: Keyring,
}

impl Default for MemoryBackend {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryBackend {
    /// Makes an empty store of one partition that lives with the system's time.
    pub fn new() -> Self {
        let one = PartitionMap::new(1).expect("one partition is within the bounds");
        Self::with_clock(Arc::new(SystemClock), one)
    }

    /// Makes an empty store with another clock, such as a
    /// [`ManualClock`](ff_core::time::ManualClock) that a test moves.
    pub fn with_clock(clock: Arc<dyn Clock>, partitions: PartitionMap) -> Self {
        let first_kid = KeyId::new(FIRST_KID).expect("the first key id is a legal name");
        let state = State {
            partitions: partitions.iter().map(MemoryPartition::new).collect(),
            budgets: BTreeMap::new(),
            workers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            keyring: Keyring::new(first_kid, Secret::generate()),
        };
        let (notices, _) = broadcast::channel(NOTICES_QUEUED_MAX);
        let state = Mutex::new(state);
        Self { inner: Arc::new(Inner { clock, partitions, notices, state }) }
    }

    /// Writes out everything the store holds, secrets aside, in an order that does not vary: two
    /// dumps are equal exactly when the stores are.
    pub fn dump(&self) -> String {
        let now = self.now();
        let mut state = self.lock();
        state.partitions.iter_mut().for_each(|partition| partition.forget_lapsed(now));
        format!("{:#?}", *state)
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn now(&self) -> TimestampMs {
        self.inner.clock.now()
    }

    pub(crate) fn shared_clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.inner.clock)
    }

    pub(crate) fn map(&self) -> PartitionMap {
        self.inner.partitions
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Notice> {
        self.inner.notices.subscribe()
    }

    /// Runs a rule over one partition, then publishes what changed.
    pub(crate) fn within<T>(
        &self,
        partition: Partition,
        rule: impl FnOnce(&mut MemoryPartition, TimestampMs) -> EngineResult<T>,
    ) -> EngineResult<T> {
        let now = self.now();
        let mut state = self.lock();
        let number = usize::from(partition.number());
        let store = state.partitions.get_mut(number).ok_or_else(|| {
            EngineError::validation(
                ff_core::error::ValidationKind::Id,
                format!("{partition} lies outside the {} of this store", self.map().count()),
            )
        })?;
        store.forget_lapsed(now);
        let outcome = rule(store, now);
        let notices = store.take_notices();
        drop(state);
        for notice in notices {
            // Nobody listening is fine: a notice is a hint.
            let _ = self.inner.notices.send(notice);
        }
        outcome
    }

    /// Runs a rule over one record and writes what it decided.
    pub(crate) fn change<T>(
        &self,
        id: ExecutionId,
        rule: impl FnOnce(&Execution, TimestampMs) -> EngineResult<Decision<T>>,
    ) -> EngineResult<T> {
        self.within(id.partition(), |store, now| change_in(store, id, now, rule))
    }

    /// Reads one record through a rule.
    pub(crate) fn read<T>(
        &self,
        id: ExecutionId,
        rule: impl FnOnce(&Execution, TimestampMs) -> EngineResult<T>,
    ) -> EngineResult<T> {
        self.within(id.partition(), |store, now| {
            let execution = store.get(id).ok_or(EngineError::execution_not_found(id))?;
            rule(&execution, now)
        })
    }
}

/// Runs a rule over one record of a partition and writes what it decided.
pub(crate) fn change_in<T>(
    store: &mut MemoryPartition,
    id: ExecutionId,
    now: TimestampMs,
    rule: impl FnOnce(&Execution, TimestampMs) -> EngineResult<Decision<T>>,
) -> EngineResult<T> {
    let execution = store.get(id).ok_or(EngineError::execution_not_found(id))?;
    match rule(&execution, now)? {
        Decision::Repeat(outcome) => Ok(outcome),
        Decision::Change(next, outcome) => {
            store.put(*next);
            Ok(outcome)
        }
    }
}

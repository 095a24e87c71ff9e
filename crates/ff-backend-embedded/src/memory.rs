//! The store in memory: everything behind one lock.

mod budgets;
mod lane;
mod partition;
mod virtual_time;

pub use virtual_time::VirtualTime;

use crate::EmbeddedBackend;
use crate::clock::SystemClock;
use crate::store::{NOTICES_QUEUED_MAX, Room, Store};
use budgets::Budgets;
use ff_core::contracts::admin::{Diagnosis, Finding};
use ff_core::contracts::budget::{BudgetInfo, ReportUsageResult};
use ff_core::contracts::claim::RegisteredWorker;
use ff_core::contracts::notice::Notice;
use ff_core::limits::DOCTOR_FINDINGS_MAX;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_core::state::OwnerIndex;
use ff_core::token::{Keyring, Secret};
use ff_core::{
    BudgetId, Clock, EngineResult, ExecutionId, KeyId, LaneId, LeaseEpoch, MutationId, Namespace,
    TimestampMs, WorkerInstanceId,
};
use ff_lifecycle::store::UsageMemory;
use ff_lifecycle::{BudgetStore, Execution, PartitionStore};
use partition::MemoryPartition;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::broadcast;

/// A whole engine in memory. What it holds ends with it.
pub type MemoryBackend = EmbeddedBackend<MemoryStore>;

/// Records in memory.
#[derive(Debug)]
pub struct MemoryStore {
    clock: Arc<dyn Clock>,
    map: PartitionMap,
    notices: broadcast::Sender<Notice>,
    room: Mutex<MemoryRoom>,
}

/// Everything the store holds.
#[derive(Debug)]
pub struct MemoryRoom {
    partitions: Vec<MemoryPartition>,
    budgets: Budgets,
    workers: BTreeMap<(Namespace, WorkerInstanceId), RegisteredWorker>,
    lanes: BTreeMap<(Namespace, LaneId), LaneDefaults>,
    keyring: Keyring,
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
    /// [`ManualClock`](ff_core::time::ManualClock) that a test moves. To have timers fire on the
    /// way when the time moves, see [`VirtualTime`].
    pub fn with_clock(clock: Arc<dyn Clock>, partitions: PartitionMap) -> Self {
        let kid = KeyId::new(crate::FIRST_KID).expect("the first key id is a legal name");
        let room = MemoryRoom {
            partitions: partitions.iter().map(MemoryPartition::new).collect(),
            budgets: Budgets::default(),
            workers: BTreeMap::new(),
            lanes: BTreeMap::new(),
            keyring: Keyring::new(kid, Secret::generate()),
        };
        let (notices, _) = broadcast::channel(NOTICES_QUEUED_MAX);
        Self::over(MemoryStore { clock, map: partitions, notices, room: Mutex::new(room) })
    }

    /// Writes out everything the store holds, secrets aside, in an order that does not vary: two
    /// dumps are equal exactly when the stores are.
    pub fn dump(&self) -> String {
        let now = self.store.clock.now();
        let mut room = self.store.lock();
        room.forget_lapsed(now);
        format!("{:#?}", *room)
    }
}

impl MemoryStore {
    fn lock(&self) -> MutexGuard<'_, MemoryRoom> {
        self.room.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run<T>(
        &self,
        rule: impl Fn(&mut MemoryRoom, TimestampMs) -> EngineResult<T>,
    ) -> EngineResult<T> {
        let now = self.clock.now();
        let mut room = self.lock();
        room.forget_lapsed(now);
        let outcome = rule(&mut room, now);
        for notice in room.partitions.iter_mut().flat_map(MemoryPartition::take_notices) {
            // Nobody listening is fine: a notice is a hint. Sent under the lock, so in order.
            let _ = self.notices.send(notice);
        }
        let partitions = room.partitions.iter_mut();
        let replaced: Vec<_> = partitions.flat_map(MemoryPartition::take_replaced).collect();
        drop(room);
        drop(replaced);
        outcome
    }
}

impl Store for MemoryStore {
    type Room = MemoryRoom;

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn map(&self) -> PartitionMap {
        self.map
    }

    fn notices(&self) -> &broadcast::Sender<Notice> {
        &self.notices
    }

    fn place(&self) -> String {
        "memory of this process".to_owned()
    }

    fn works(&self, _operation: &'static str) -> EngineResult<()> {
        Ok(())
    }

    async fn write<T: Send + 'static>(
        &self,
        _operation: &'static str,
        rule: impl Fn(&mut MemoryRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        self.run(rule)
    }

    async fn read<T: Send + 'static>(
        &self,
        _operation: &'static str,
        rule: impl Fn(&mut MemoryRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        self.run(rule)
    }
}

impl MemoryRoom {
    fn forget_lapsed(&mut self, now: TimestampMs) {
        self.partitions.iter_mut().for_each(|partition| partition.forget_lapsed(now));
        self.budgets.forget_lapsed(now);
    }
}

impl BudgetStore for MemoryRoom {
    fn budget(&self, budget_id: BudgetId) -> Option<BudgetInfo> {
        self.budgets.budget(budget_id)
    }

    fn put_budget(&mut self, info: BudgetInfo) {
        self.budgets.put_budget(info);
    }

    fn reported(
        &self,
        budget_id: BudgetId,
        mutation_id: MutationId,
    ) -> Option<(ReportUsageResult, TimestampMs)> {
        self.budgets.reported(budget_id, mutation_id)
    }

    fn usage_key(&self, budget_id: BudgetId, dedup_key: &str) -> Option<TimestampMs> {
        self.budgets.usage_key(budget_id, dedup_key)
    }

    fn usage_epoch(
        &self,
        budget_id: BudgetId,
        execution_id: ExecutionId,
    ) -> Option<(LeaseEpoch, TimestampMs)> {
        self.budgets.usage_epoch(budget_id, execution_id)
    }

    fn remember_usage(&mut self, memory: UsageMemory) {
        self.budgets.remember_usage(memory);
    }
}

impl Room for MemoryRoom {
    type Partition = MemoryPartition;

    fn partition(&mut self, partition: Partition) -> EngineResult<&mut MemoryPartition> {
        let count = self.partitions.len();
        let found = self.partitions.get_mut(usize::from(partition.number()));
        found.ok_or_else(|| crate::outside(partition, count))
    }

    fn keyring(&self) -> Keyring {
        self.keyring.clone()
    }

    fn put_keyring(&mut self, keyring: Keyring) {
        self.keyring = keyring;
    }

    fn lane_defaults(&self, namespace: &Namespace, lane: &LaneId) -> LaneDefaults {
        self.lanes.get(&(namespace.clone(), lane.clone())).cloned().unwrap_or_default()
    }

    fn put_lane_defaults(&mut self, namespace: Namespace, lane: LaneId, defaults: LaneDefaults) {
        self.lanes.insert((namespace, lane), defaults);
    }

    fn worker(
        &self,
        namespace: &Namespace,
        instance: &WorkerInstanceId,
    ) -> Option<RegisteredWorker> {
        self.workers.get(&(namespace.clone(), instance.clone())).cloned()
    }

    fn put_worker(&mut self, worker: RegisteredWorker, now: TimestampMs) {
        self.workers.retain(|_, known| known.expires_at > now);
        let id = (worker.worker.namespace.clone(), worker.worker.worker_instance_id.clone());
        self.workers.insert(id, worker);
    }

    fn remove_worker(&mut self, namespace: &Namespace, instance: &WorkerInstanceId) {
        self.workers.remove(&(namespace.clone(), instance.clone()));
    }

    fn workers(&self, namespace: &Namespace) -> Vec<RegisteredWorker> {
        let of_it = self.workers.values().filter(|w| w.worker.namespace == *namespace);
        of_it.cloned().collect()
    }

    fn lane_counts(&self, namespace: &Namespace) -> BTreeMap<LaneId, BTreeMap<OwnerIndex, u64>> {
        let mut lanes: BTreeMap<LaneId, BTreeMap<OwnerIndex, u64>> = BTreeMap::new();
        for partition in &self.partitions {
            for index in OwnerIndex::ALL {
                let counts = partition.counts(*index).filter(|(lane, _)| lane.0 == *namespace);
                for (lane, count) in counts {
                    *lanes.entry(lane.1.clone()).or_default().entry(*index).or_default() += count;
                }
            }
        }
        lanes
    }

    fn examine(&mut self, fix: bool) -> Diagnosis {
        let mut diagnosis = Diagnosis::default();
        for partition in &mut self.partitions {
            examine(partition, fix, &mut diagnosis);
        }
        diagnosis
    }
}

fn examine(partition: &mut MemoryPartition, fix: bool, diagnosis: &mut Diagnosis) {
    let mut entries: BTreeMap<ExecutionId, Vec<(OwnerIndex, i64)>> = BTreeMap::new();
    for (index, score, id) in partition.all_entries() {
        entries.entry(id).or_default().push((index, score));
        diagnosis.index_entries += 1;
    }
    let due: BTreeMap<_, _> = partition.due_entries().map(|(at, id)| (*id, *at)).collect();
    let mut wrong = Vec::new();
    for execution in partition.records() {
        diagnosis.executions += 1;
        let (id, owner) = (execution.id(), execution.owner());
        let found = entries.remove(&id).unwrap_or_default();
        if found != [(owner.index, owner.score)] {
            wrong.push((id, format!("belongs in {owner:?} alone, stands in {found:?}")));
        } else if due.get(&id).copied() != execution.due() {
            wrong.push((id, format!("is due at {:?}, not {:?}", execution.due(), due.get(&id))));
        }
    }
    let strays = entries.into_keys().map(|id| (id, "has an entry but no record".to_owned()));
    wrong.extend(strays);
    for (id, problem) in wrong {
        let record = partition.get(id).filter(|_| fix);
        let fixed = record.is_some();
        if let Some(execution) = record {
            partition.put(Execution::clone(&execution));
        }
        diagnosis.findings_total += 1;
        if diagnosis.findings.len() < DOCTOR_FINDINGS_MAX {
            diagnosis.findings.push(Finding { execution_id: Some(id), problem, fixed });
        }
    }
}

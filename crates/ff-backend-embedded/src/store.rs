//! What the backend needs of the place where records are kept: memory, or one file.

use crate::listing::LaneKey;
use ff_core::contracts::admin::Diagnosis;
use ff_core::contracts::claim::RegisteredWorker;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::stream::{ReadStream, StreamFrame};
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_core::state::OwnerIndex;
use ff_core::token::Keyring;
use ff_core::{
    AttemptIndex, Clock, EngineResult, ExecutionId, LaneId, Namespace, TimestampMs,
    WorkerInstanceId,
};
use ff_lifecycle::{BudgetStore, PartitionStore};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Notices that a slow subscriber may fall behind before it is told that it lagged.
pub(crate) const NOTICES_QUEUED_MAX: usize = 1_024;

/// A place to keep records. An operation runs inside one transaction of it: all of what it wrote
/// is kept, or nothing, and its notices are published once it is kept.
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// The store inside a transaction.
    type Room: Room;

    /// Returns the clock that the store lives by.
    fn clock(&self) -> &Arc<dyn Clock>;
    /// Returns the number of partitions.
    fn map(&self) -> PartitionMap;
    /// Returns where notices are published.
    fn notices(&self) -> &broadcast::Sender<Notice>;
    /// Returns what the store is, for people.
    fn place(&self) -> String;
    /// Refuses an operation of workers and timers unless this process may run them.
    fn works(&self, operation: &'static str) -> EngineResult<()>;

    /// Runs an operation that may write. The operation may be run again after a run whose
    /// transaction failed, and so must not depend on how often it ran.
    fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        rule: impl Fn(&mut Self::Room, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> impl Future<Output = EngineResult<T>> + Send;

    /// Runs an operation that only reads, on a consistent view of the store.
    fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        rule: impl Fn(&mut Self::Room, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> impl Future<Output = EngineResult<T>> + Send;
}

/// A whole store inside one transaction.
pub trait Room: BudgetStore {
    /// One partition of it.
    type Partition: PartitionRoom;

    /// Returns a partition; one that the store does not have is refused.
    fn partition(&mut self, partition: Partition) -> EngineResult<&mut Self::Partition>;

    /// Reads the keyring.
    fn keyring(&self) -> Keyring;
    /// Writes the keyring.
    fn put_keyring(&mut self, keyring: Keyring);
    /// Reads the defaults of a lane.
    fn lane_defaults(&self, namespace: &Namespace, lane: &LaneId) -> LaneDefaults;
    /// Writes the defaults of a lane.
    fn put_lane_defaults(&mut self, namespace: Namespace, lane: LaneId, defaults: LaneDefaults);

    /// Reads a worker's registration, which may be over.
    fn worker(
        &self,
        namespace: &Namespace,
        instance: &WorkerInstanceId,
    ) -> Option<RegisteredWorker>;
    /// Writes a worker's registration, and forgets those that are over.
    fn put_worker(&mut self, worker: RegisteredWorker, now: TimestampMs);
    /// Forgets a worker.
    fn remove_worker(&mut self, namespace: &Namespace, instance: &WorkerInstanceId);
    /// Lists the registrations of a namespace by instance, those that are over too.
    fn workers(&self, namespace: &Namespace) -> Vec<RegisteredWorker>;

    /// Counts the records of each lane of a namespace by index.
    fn lane_counts(&self, namespace: &Namespace) -> BTreeMap<LaneId, BTreeMap<OwnerIndex, u64>>;
    /// Compares every record with its entries; with `fix`, writes wrong entries anew.
    fn examine(&mut self, fix: bool) -> Diagnosis;
}

/// One partition inside a transaction: what the rules need, and what listings need.
pub trait PartitionRoom: PartitionStore {
    /// Lists entries of an index of a lane by score and id, from behind `after`.
    fn entries(
        &self,
        lane: &LaneKey,
        index: OwnerIndex,
        after: Option<(i64, ExecutionId)>,
        limit: usize,
    ) -> Vec<(i64, ExecutionId)>;
    /// Counts the entries of a ready index before this one.
    fn ahead(&self, lane: &LaneKey, route: &str, entry: (i64, ExecutionId)) -> u64;
    /// Reads frames of an attempt, bounded by count and by bytes.
    fn frames(&self, attempt: AttemptIndex, request: &ReadStream) -> Vec<StreamFrame>;
}

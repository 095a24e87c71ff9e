//! One partition as the model holds it: records, their streams, and indexes that are kept by
//! difference, so that a rule that let them drift would be seen.

use ff_core::contracts::stream::{FrameId, StreamFrame};
use ff_core::state::OwnerIndex;
use ff_core::{AttemptIndex, ExecutionId, LaneId, Namespace, TimestampMs};
use ff_lifecycle::store::{ClaimMemory, ClaimSlot, IdempotencyEntry};
use ff_lifecycle::{Execution, PartitionStore};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An entry of an owner index. The model has one lane; only ready indexes have routes.
pub type Entry = (OwnerIndex, String, i64, ExecutionId);

/// One partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Store {
    pub records: BTreeMap<ExecutionId, Arc<Execution>>,
    pub owners: BTreeSet<Entry>,
    pub due: BTreeSet<(TimestampMs, ExecutionId)>,
    pub frames: BTreeMap<(ExecutionId, AttemptIndex), Vec<FrameId>>,
    pub keys: BTreeMap<String, IdempotencyEntry>,
    pub claims: BTreeMap<ClaimSlot, ClaimMemory>,
}

impl Store {
    fn unindex(&mut self, before: &Execution) {
        self.owners.remove(&entry(before));
        if let Some(at) = before.due() {
            self.due.remove(&(at, before.id()));
        }
    }
}

fn entry(execution: &Execution) -> Entry {
    let owner = execution.owner();
    let route = match owner.index {
        OwnerIndex::Ready => execution.definition.route.clone(),
        _ => String::new(),
    };
    (owner.index, route, owner.score, execution.id())
}

impl PartitionStore for Store {
    fn get(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        self.records.get(&id).cloned()
    }

    fn put(&mut self, execution: Execution) {
        let id = execution.id();
        if let Some(before) = self.records.remove(&id) {
            self.unindex(&before);
        }
        self.owners.insert(entry(&execution));
        if let Some(at) = execution.due() {
            self.due.insert((at, id));
        }
        self.records.insert(id, Arc::new(execution));
    }

    fn remove(&mut self, id: ExecutionId) {
        if let Some(before) = self.records.remove(&id) {
            self.unindex(&before);
        }
        self.frames.retain(|(owner, _), _| *owner != id);
    }

    fn ready_routes(&self, _: &Namespace, _: &LaneId) -> Vec<String> {
        let ready = self.owners.iter().filter(|entry| entry.0 == OwnerIndex::Ready);
        let mut routes: Vec<String> = ready.map(|entry| entry.1.clone()).collect();
        routes.dedup();
        routes
    }

    fn live_routes(&self, _: &Namespace, _: &LaneId, route: &str) -> (usize, bool) {
        let live = self.records.values().filter(|record| record.is_live());
        let routes: BTreeSet<&str> = live.map(|record| record.definition.route.as_str()).collect();
        (routes.iter().filter(|known| !known.is_empty()).count(), routes.contains(route))
    }

    fn ready_head(&self, _: &Namespace, _: &LaneId, route: &str) -> Option<(i64, ExecutionId)> {
        let of_route = |entry: &&Entry| entry.0 == OwnerIndex::Ready && entry.1.as_str() == route;
        self.owners.iter().find(of_route).map(|entry| (entry.2, entry.3))
    }

    fn due_head(&self) -> Option<(TimestampMs, ExecutionId)> {
        self.due.first().copied()
    }

    fn idempotency(&self, _: &Namespace, key: &str) -> Option<IdempotencyEntry> {
        self.keys.get(key).copied()
    }

    fn remember_key(&mut self, _: &Namespace, key: &str, entry: IdempotencyEntry) {
        self.keys.insert(key.to_owned(), entry);
    }

    fn claim_memory(&self, slot: &ClaimSlot) -> Option<ClaimMemory> {
        self.claims.get(slot).cloned()
    }

    fn remember_claim(&mut self, slot: ClaimSlot, memory: ClaimMemory) {
        self.claims.insert(slot, memory);
    }

    fn push_frames(&mut self, id: ExecutionId, attempt: AttemptIndex, frames: Vec<StreamFrame>) {
        let stream = self.frames.entry((id, attempt)).or_default();
        stream.extend(frames.iter().map(|frame| frame.id));
    }

    fn drop_stream(&mut self, id: ExecutionId, attempt: AttemptIndex) {
        self.frames.remove(&(id, attempt));
    }

    fn drop_oldest_frame(&mut self, id: ExecutionId, attempt: AttemptIndex) -> usize {
        self.frames.get_mut(&(id, attempt)).map_or(0, |stream| {
            stream.remove(0);
            1
        })
    }
}

//! One partition in memory: records, and the indexes that they determine.

use crate::listing::{LaneKey, asks_for};
use crate::notice;
use crate::store::PartitionRoom;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::stream::{ReadStream, StreamFrame};
use ff_core::limits::READ_REPLY_BYTES_MAX;
use ff_core::partition::Partition;
use ff_core::state::OwnerIndex;
use ff_core::{AttemptIndex, ExecutionId, LaneId, Namespace, TimestampMs};
use ff_lifecycle::store::{ClaimMemory, ClaimSlot, IdempotencyEntry};
use ff_lifecycle::{Execution, PartitionStore};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

/// Entries of an index, by score and id.
type Entries = BTreeSet<(i64, ExecutionId)>;

/// One partition.
#[derive(Debug)]
pub struct MemoryPartition {
    partition: Partition,
    // Shared, not owned: a tree moves what it holds about.
    records: BTreeMap<ExecutionId, Arc<Execution>>,
    ready: BTreeMap<LaneKey, BTreeMap<String, Entries>>,
    owned: BTreeMap<(LaneKey, OwnerIndex), Entries>,
    due: BTreeSet<(TimestampMs, ExecutionId)>,
    lanes: BTreeSet<LaneKey>,
    routes: BTreeMap<LaneKey, BTreeMap<String, u64>>,
    frames: BTreeMap<(ExecutionId, AttemptIndex), VecDeque<StreamFrame>>,
    keys: BTreeMap<(Namespace, String), IdempotencyEntry>,
    claims: BTreeMap<ClaimSlot, ClaimMemory>,
    lapses: BTreeSet<(TimestampMs, Lapse)>,
    notices: Vec<Notice>,
}

/// What is forgotten at a time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Lapse {
    Key(Namespace, String),
    Claim(ClaimSlot),
}

impl MemoryPartition {
    pub(crate) fn new(partition: Partition) -> Self {
        Self {
            partition,
            records: BTreeMap::new(),
            ready: BTreeMap::new(),
            owned: BTreeMap::new(),
            due: BTreeSet::new(),
            lanes: BTreeSet::new(),
            routes: BTreeMap::new(),
            frames: BTreeMap::new(),
            keys: BTreeMap::new(),
            claims: BTreeMap::new(),
            lapses: BTreeSet::new(),
            notices: Vec::new(),
        }
    }

    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Forgets keys and claims whose time is over.
    pub(crate) fn forget_lapsed(&mut self, now: TimestampMs) {
        while let Some((at, lapse)) = self.lapses.pop_first() {
            if at > now {
                self.lapses.insert((at, lapse));
                return;
            }
            // An entry that was written again has a later lapse of its own.
            match lapse {
                Lapse::Key(namespace, key) => {
                    let key = (namespace, key);
                    let over = self.keys.get(&key).is_some_and(|entry| entry.expires_at <= now);
                    over.then(|| self.keys.remove(&key));
                }
                Lapse::Claim(slot) => {
                    let over = self.claims.get(&slot).is_some_and(|m| m.forgotten_at() <= now);
                    over.then(|| self.claims.remove(&slot));
                }
            }
        }
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Execution> {
        self.records.values().map(|execution| &**execution)
    }

    pub(crate) fn lanes(&self) -> impl Iterator<Item = &LaneKey> {
        self.lanes.iter()
    }

    /// Counts the entries of an index of a lane.
    pub(crate) fn count(&self, lane: &LaneKey, index: OwnerIndex) -> u64 {
        let of_all = |routes: &BTreeMap<String, Entries>| routes.values().map(Entries::len).sum();
        let entries: usize = match index {
            OwnerIndex::Ready => self.ready.get(lane).map_or(0, of_all),
            _ => self.owned.get(&(lane.clone(), index)).map_or(0, Entries::len),
        };
        entries as u64
    }

    /// Lists every entry of every index with the index that holds it.
    pub(crate) fn all_entries(
        &self,
    ) -> impl Iterator<Item = (&LaneKey, OwnerIndex, i64, ExecutionId)> {
        let ready = self.ready.iter().flat_map(|(lane, routes)| {
            let entries = routes.values().flatten();
            entries.map(move |(score, id)| (lane, OwnerIndex::Ready, *score, *id))
        });
        let owned = self.owned.iter().flat_map(|((lane, index), entries)| {
            entries.iter().map(move |(score, id)| (lane, *index, *score, *id))
        });
        ready.chain(owned)
    }

    /// Lists every timer entry.
    pub(crate) fn due_entries(&self) -> impl Iterator<Item = &(TimestampMs, ExecutionId)> {
        self.due.iter()
    }

    fn lane_of(execution: &Execution) -> LaneKey {
        (execution.definition.namespace.clone(), execution.definition.lane.clone())
    }

    /// Counts a live record in or out of its route.
    fn count_route(&mut self, execution: &Execution, one_more: bool) {
        let route = &execution.definition.route;
        if route.is_empty() || !execution.is_live() {
            return;
        }
        let lane = Self::lane_of(execution);
        let routes = self.routes.entry(lane.clone()).or_default();
        let count = routes.entry(route.clone()).or_default();
        *count = if one_more { *count + 1 } else { count.saturating_sub(1) };
        routes.retain(|_, count| *count > 0);
        if routes.is_empty() {
            self.routes.remove(&lane);
        }
    }

    fn unindex(&mut self, execution: &Execution) {
        self.count_route(execution, false);
        let (lane, id, owner) = (Self::lane_of(execution), execution.id(), execution.owner());
        if let Some(at) = execution.due() {
            self.due.remove(&(at, id));
        }
        if owner.index != OwnerIndex::Ready {
            if let Some(entries) = self.owned.get_mut(&(lane.clone(), owner.index)) {
                entries.remove(&(owner.score, id));
                if entries.is_empty() {
                    self.owned.remove(&(lane, owner.index));
                }
            }
            return;
        }
        let Some(routes) = self.ready.get_mut(&lane) else {
            return;
        };
        let route = &execution.definition.route;
        if let Some(entries) = routes.get_mut(route) {
            entries.remove(&(owner.score, id));
            if entries.is_empty() {
                routes.remove(route);
            }
        }
        if routes.is_empty() {
            self.ready.remove(&lane);
        }
    }

    fn index(&mut self, execution: &Execution) {
        self.count_route(execution, true);
        let (lane, id, owner) = (Self::lane_of(execution), execution.id(), execution.owner());
        if let Some(at) = execution.due() {
            if self.due.first().is_none_or(|(head, _)| at < *head) {
                self.notices.push(Notice::Due { partition: self.partition, at });
            }
            self.due.insert((at, id));
        }
        if owner.index != OwnerIndex::Ready {
            self.owned.entry((lane, owner.index)).or_default().insert((owner.score, id));
            return;
        }
        let routes = self.ready.entry(lane).or_default();
        let entries = routes.entry(execution.definition.route.clone()).or_default();
        if entries.is_empty() {
            self.notices.push(Notice::Ready(self.partition));
        }
        entries.insert((owner.score, id));
    }
}

impl PartitionStore for MemoryPartition {
    fn get(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        self.records.get(&id).cloned()
    }

    fn put(&mut self, execution: Execution) {
        let execution = Arc::new(execution);
        let before = self.records.insert(execution.id(), Arc::clone(&execution));
        match &before {
            Some(before) => self.unindex(before),
            None => {
                self.lanes.insert(Self::lane_of(&execution));
            }
        }
        self.index(&execution);
        if let Some(before) = before {
            self.notices.extend(notice::changes(&before, &execution));
        }
    }

    fn remove(&mut self, id: ExecutionId) {
        let Some(execution) = self.records.remove(&id) else {
            return;
        };
        self.unindex(&execution);
        let every = (id, AttemptIndex(0))..=(id, AttemptIndex(u32::MAX));
        let streams: Vec<_> = self.frames.range(every).map(|(key, _)| *key).collect();
        for stream in streams {
            self.frames.remove(&stream);
        }
    }

    fn ready_routes(&self, namespace: &Namespace, lane: &LaneId) -> Vec<String> {
        let routes = self.ready.get(&(namespace.clone(), lane.clone()));
        routes.map(|routes| routes.keys().cloned().collect()).unwrap_or_default()
    }

    fn live_routes(&self, namespace: &Namespace, lane: &LaneId, route: &str) -> (usize, bool) {
        let routes = self.routes.get(&(namespace.clone(), lane.clone()));
        routes.map_or((0, false), |routes| (routes.len(), routes.contains_key(route)))
    }

    fn ready_head(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
        route: &str,
    ) -> Option<(i64, ExecutionId)> {
        let routes = self.ready.get(&(namespace.clone(), lane.clone()))?;
        routes.get(route)?.first().copied()
    }

    fn due_head(&self) -> Option<(TimestampMs, ExecutionId)> {
        self.due.first().copied()
    }

    fn idempotency(&self, namespace: &Namespace, key: &str) -> Option<IdempotencyEntry> {
        self.keys.get(&(namespace.clone(), key.to_owned())).copied()
    }

    fn remember_key(&mut self, namespace: &Namespace, key: &str, entry: IdempotencyEntry) {
        let lapse = Lapse::Key(namespace.clone(), key.to_owned());
        self.lapses.insert((entry.expires_at, lapse));
        self.keys.insert((namespace.clone(), key.to_owned()), entry);
    }

    fn claim_memory(&self, slot: &ClaimSlot) -> Option<ClaimMemory> {
        self.claims.get(slot).cloned()
    }

    fn remember_claim(&mut self, slot: ClaimSlot, memory: ClaimMemory) {
        self.lapses.insert((memory.forgotten_at(), Lapse::Claim(slot.clone())));
        self.claims.insert(slot, memory);
    }

    fn push_frames(&mut self, id: ExecutionId, attempt: AttemptIndex, frames: Vec<StreamFrame>) {
        self.frames.entry((id, attempt)).or_default().extend(frames);
    }

    fn drop_stream(&mut self, id: ExecutionId, attempt: AttemptIndex) {
        self.frames.remove(&(id, attempt));
    }

    fn drop_oldest_frame(&mut self, id: ExecutionId, attempt: AttemptIndex) -> usize {
        let frames = self.frames.get_mut(&(id, attempt));
        frames.and_then(VecDeque::pop_front).map_or(0, |frame| frame.payload.len())
    }
}

/// Entries behind a place.
fn behind(
    entries: &Entries,
    after: Option<(i64, ExecutionId)>,
) -> impl Iterator<Item = (i64, ExecutionId)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    entries.range((from, Bound::Unbounded)).copied()
}

impl PartitionRoom for MemoryPartition {
    fn entries(
        &self,
        lane: &LaneKey,
        index: OwnerIndex,
        after: Option<(i64, ExecutionId)>,
        limit: usize,
    ) -> Vec<(i64, ExecutionId)> {
        if index != OwnerIndex::Ready {
            let entries = self.owned.get(&(lane.clone(), index));
            return entries.into_iter().flat_map(|e| behind(e, after)).take(limit).collect();
        }
        let routes = self.ready.get(lane).into_iter().flat_map(BTreeMap::values);
        let mut merged: Vec<_> = routes.flat_map(|e| behind(e, after).take(limit)).collect();
        merged.sort_unstable();
        merged.truncate(limit);
        merged
    }

    fn ahead(&self, lane: &LaneKey, route: &str, entry: (i64, ExecutionId)) -> u64 {
        let entries = self.ready.get(lane).and_then(|routes| routes.get(route));
        entries.map_or(0, |entries| entries.range(..entry).count() as u64)
    }

    fn frames(&self, attempt: AttemptIndex, request: &ReadStream) -> Vec<StreamFrame> {
        let mut bytes = 0;
        let kept = self.frames.get(&(request.execution_id, attempt)).into_iter().flatten();
        let asked = kept.filter(|frame| asks_for(request, frame.id)).take(request.count_limit);
        let fits = |frame: &&StreamFrame| {
            let fits = bytes < READ_REPLY_BYTES_MAX;
            bytes += frame.payload.len();
            fits
        };
        asked.take_while(fits).cloned().collect()
    }
}

//! One partition in memory: records, and the indexes that they determine.

use super::lane::{Lane, Lanes};
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
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::fmt;
use std::sync::Arc;

/// One partition.
#[derive(Debug)]
pub struct MemoryPartition {
    partition: Partition,
    records: Records,
    lanes: Lanes,
    due: BTreeSet<(TimestampMs, ExecutionId)>,
    frames: BTreeMap<(ExecutionId, AttemptIndex), VecDeque<StreamFrame>>,
    keys: BTreeMap<(Namespace, String), IdempotencyEntry>,
    claims: BTreeMap<ClaimSlot, ClaimMemory>,
    lapses: BTreeSet<(TimestampMs, Lapse)>,
    notices: Vec<Notice>,
    /// Records that others took the place of.
    replaced: Vec<Arc<Execution>>,
}

/// Records by id. Shared, not owned: a table moves what it holds about.
#[derive(Default)]
struct Records(HashMap<ExecutionId, Arc<Execution>>);

impl Records {
    /// Lists them by id.
    fn in_order(&self) -> BTreeMap<&ExecutionId, &Arc<Execution>> {
        self.0.iter().collect()
    }
}

impl fmt::Debug for Records {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.in_order().fmt(f)
    }
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
            records: Records::default(),
            lanes: Lanes::default(),
            due: BTreeSet::new(),
            frames: BTreeMap::new(),
            keys: BTreeMap::new(),
            claims: BTreeMap::new(),
            lapses: BTreeSet::new(),
            notices: Vec::new(),
            replaced: Vec::new(),
        }
    }

    pub(crate) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.notices)
    }

    /// Takes what is of no use any more, to be dropped where nobody waits for that.
    pub(crate) fn take_replaced(&mut self) -> Vec<Arc<Execution>> {
        std::mem::take(&mut self.replaced)
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

    /// Lists the records by id.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Execution> {
        self.records.in_order().into_values().map(|execution| &**execution)
    }

    /// Counts the entries of an index of each lane.
    pub(crate) fn counts(&self, index: OwnerIndex) -> impl Iterator<Item = (&LaneKey, u64)> {
        self.lanes.iter().map(move |(key, lane)| (key, lane.count(index)))
    }

    /// Lists every entry of every index with the index that holds it.
    pub(crate) fn all_entries(&self) -> impl Iterator<Item = (OwnerIndex, i64, ExecutionId)> {
        self.lanes.iter().flat_map(|(_, lane)| lane.all_entries())
    }

    /// Lists every timer entry.
    pub(crate) fn due_entries(&self) -> impl Iterator<Item = &(TimestampMs, ExecutionId)> {
        self.due.iter()
    }

    fn unindex(&mut self, execution: &Execution) {
        if let Some(at) = execution.due() {
            self.due.remove(&(at, execution.id()));
        }
        self.lanes.of(execution).take(execution);
    }

    fn index(&mut self, execution: &Execution) {
        if let Some(at) = execution.due() {
            if self.due.first().is_none_or(|(head, _)| at < *head) {
                self.notices.push(Notice::Due { partition: self.partition, at });
            }
            self.due.insert((at, execution.id()));
        }
        if self.lanes.of(execution).add(execution) {
            self.notices.push(Notice::Ready(self.partition));
        }
    }
}

impl PartitionStore for MemoryPartition {
    fn get(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        self.records.0.get(&id).cloned()
    }

    fn put(&mut self, execution: Execution) {
        let execution = Arc::new(execution);
        let before = self.records.0.insert(execution.id(), Arc::clone(&execution));
        if let Some(before) = &before {
            self.unindex(before);
        }
        self.index(&execution);
        if let Some(before) = before {
            self.notices.extend(notice::changes(&before, &execution));
            self.replaced.push(before);
        }
    }

    fn remove(&mut self, id: ExecutionId) {
        let Some(execution) = self.records.0.remove(&id) else {
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
        self.lanes.get(namespace, lane).map(Lane::ready_routes).unwrap_or_default()
    }

    fn live_routes(&self, namespace: &Namespace, lane: &LaneId, route: &str) -> (usize, bool) {
        self.lanes.get(namespace, lane).map_or((0, false), |lane| lane.live_routes(route))
    }

    fn ready_head(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
        route: &str,
    ) -> Option<(i64, ExecutionId)> {
        self.lanes.get(namespace, lane)?.ready_head(route)
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

impl PartitionRoom for MemoryPartition {
    fn entries(
        &self,
        lane: &LaneKey,
        index: OwnerIndex,
        after: Option<(i64, ExecutionId)>,
        limit: usize,
    ) -> Vec<(i64, ExecutionId)> {
        let lane = self.lanes.get(&lane.0, &lane.1);
        lane.map(|lane| lane.entries(index, after, limit)).unwrap_or_default()
    }

    fn ahead(&self, lane: &LaneKey, route: &str, entry: (i64, ExecutionId)) -> u64 {
        self.lanes.get(&lane.0, &lane.1).map_or(0, |lane| lane.ahead(route, entry))
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

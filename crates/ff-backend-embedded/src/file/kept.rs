//! What a connection keeps of what it has read. The thread that writes keeps it from one
//! transaction to the next, for as long as nobody else has written: SQLite counts what other
//! connections commit, and it looks at that count when a transaction begins.

use super::row::Columns;
use ff_core::policy::LaneDefaults;
use ff_core::state::OwnerIndex;
use ff_core::{ExecutionId, LaneId, Namespace};
use ff_lifecycle::Execution;
use ff_lifecycle::store::{ClaimMemory, ClaimSlot};
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

/// Bytes of records that are kept.
const RECORD_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Entries of the order of records that may be stale.
const ORDER_SLACK: usize = 64;
/// Entries of an index that are read at a time, and that are kept.
pub(super) const WINDOW_FILL: usize = 64;
const WINDOW_MAX: usize = 256;
/// Lanes, routes, claim loops that are kept, each: past it all of its kind are forgotten.
const NAMES_MAX: usize = 4_096;

/// A place in an index: score or time, and id.
pub(super) type Place = (i64, ExecutionId);

/// A record as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub(super) seq: i64,
    pub(super) lane: i64,
    /// The columns of its row, whatever they should be.
    pub(super) columns: Columns,
    pub(super) execution: Arc<Execution>,
}

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// What other connections had committed.
    commits: Option<i64>,
    /// Numbers of lanes, by partition.
    lanes: HashMap<(u16, Namespace, LaneId), i64>,
    defaults: HashMap<(Namespace, LaneId), LaneDefaults>,
    /// Routes of the live records of a lane, the empty one aside.
    routes: HashMap<i64, BTreeSet<String>>,
    ready: HashMap<i64, HashMap<String, Window>>,
    due: HashMap<u16, Window>,
    claims: HashMap<(u16, ClaimSlot), ClaimMemory>,
    pub(super) records: Records,
}

impl Kept {
    /// Begins a transaction: forgets everything if others have written since the last.
    pub(super) fn begin(&mut self, commits: i64) {
        if self.commits != Some(commits) {
            *self = Self { commits: Some(commits), ..Self::default() };
        }
    }

    pub(super) fn lane(&self, lane: &(u16, Namespace, LaneId)) -> Option<i64> {
        self.lanes.get(lane).copied()
    }

    pub(super) fn keep_lane(&mut self, lane: (u16, Namespace, LaneId), number: i64) {
        bound(&mut self.lanes);
        self.lanes.insert(lane, number);
    }

    pub(super) fn defaults(&self, lane: &(Namespace, LaneId)) -> Option<&LaneDefaults> {
        self.defaults.get(lane)
    }

    pub(super) fn keep_defaults(&mut self, lane: (Namespace, LaneId), defaults: LaneDefaults) {
        bound(&mut self.defaults);
        self.defaults.insert(lane, defaults);
    }

    pub(super) fn routes(&self, lane: i64) -> Option<&BTreeSet<String>> {
        self.routes.get(&lane)
    }

    pub(super) fn keep_routes(&mut self, lane: i64, routes: BTreeSet<String>) {
        bound(&mut self.routes);
        self.routes.insert(lane, routes);
    }

    pub(super) fn forget_routes(&mut self, lane: i64) {
        self.routes.remove(&lane);
    }

    pub(super) fn claim(&self, slot: &(u16, ClaimSlot)) -> Option<&ClaimMemory> {
        self.claims.get(slot)
    }

    pub(super) fn keep_claim(&mut self, slot: (u16, ClaimSlot), memory: ClaimMemory) {
        bound(&mut self.claims);
        self.claims.insert(slot, memory);
    }

    /// Returns the first place of a ready index, if that is known.
    pub(super) fn ready_head(&self, lane: i64, route: &str) -> Option<Option<Place>> {
        self.ready.get(&lane)?.get(route)?.head()
    }

    pub(super) fn keep_ready(&mut self, lane: i64, route: &str, first: Vec<Place>) {
        bound(&mut self.ready);
        let routes = self.ready.entry(lane).or_default();
        bound(routes);
        routes.insert(route.to_owned(), Window::of(first));
    }

    /// Returns the first place in the order of timers, if that is known.
    pub(super) fn due_head(&self, partition: u16) -> Option<Option<Place>> {
        self.due.get(&partition)?.head()
    }

    pub(super) fn keep_due(&mut self, partition: u16, first: Vec<Place>) {
        self.due.insert(partition, Window::of(first));
    }

    /// Follows a record from one place in the indexes to another.
    pub(super) fn moved(
        &mut self,
        (partition, lane, id): (u16, i64, ExecutionId),
        before: Option<&Columns>,
        after: Option<&Columns>,
    ) {
        let due = |columns: Option<&Columns>| columns.and_then(|columns| columns.due_at);
        if let Some(timers) = self.due.get_mut(&partition) {
            timers.shift(due(before).map(|at| (at, id)), due(after).map(|at| (at, id)));
        }
        let Some(routes) = self.ready.get_mut(&lane) else { return };
        let ready = OwnerIndex::Ready.as_str();
        let is_ready = |columns: &&Columns| columns.owner == ready;
        if let Some(columns) = before.filter(is_ready)
            && let Some(window) = routes.get_mut(&columns.route)
        {
            window.shift(Some((columns.score, id)), None);
        }
        if let Some(columns) = after.filter(is_ready)
            && let Some(window) = routes.get_mut(&columns.route)
        {
            window.shift(None, Some((columns.score, id)));
        }
    }
}

/// Makes room in a map that only saves reads.
fn bound<K, V>(map: &mut HashMap<K, V>) {
    if map.len() >= NAMES_MAX {
        map.clear();
    }
}

/// The first entries of an index: all there are up to the last of them.
#[derive(Debug)]
struct Window {
    entries: BTreeSet<Place>,
    /// Whether nothing follows them.
    is_whole: bool,
}

impl Window {
    fn of(first: Vec<Place>) -> Self {
        let is_whole = first.len() < WINDOW_FILL;
        Self { entries: first.into_iter().collect(), is_whole }
    }

    fn head(&self) -> Option<Option<Place>> {
        let first = self.entries.first().copied();
        (first.is_some() || self.is_whole).then_some(first)
    }

    fn shift(&mut self, from: Option<Place>, to: Option<Place>) {
        if let Some(from) = from {
            self.entries.remove(&from);
        }
        let covers = |place: &Place| self.is_whole || self.entries.last() > Some(place);
        if let Some(place) = to.filter(covers) {
            self.entries.insert(place);
            if self.entries.len() > WINDOW_MAX {
                self.entries.pop_last();
                self.is_whole = false;
            }
        }
    }
}

/// Records by id, those written last.
#[derive(Debug, Default)]
pub(super) struct Records {
    by_id: HashMap<ExecutionId, Weighed>,
    /// The order of writing; the first goes first. A stamp that is not that of the record is stale.
    order: VecDeque<(ExecutionId, u64)>,
    stamp: u64,
    bytes: usize,
}

#[derive(Debug)]
struct Weighed {
    stored: Stored,
    stamp: u64,
    bytes: usize,
}

impl Records {
    pub(super) fn get(&self, id: ExecutionId) -> Option<&Stored> {
        self.by_id.get(&id).map(|weighed| &weighed.stored)
    }

    pub(super) fn keep(&mut self, id: ExecutionId, stored: Stored, bytes: usize) {
        self.take(id);
        self.stamp += 1;
        self.bytes += bytes;
        self.order.push_back((id, self.stamp));
        self.by_id.insert(id, Weighed { stored, stamp: self.stamp, bytes });
        while self.bytes > RECORD_BYTES_MAX {
            let Some((oldest, stamp)) = self.order.pop_front() else { return };
            if self.by_id.get(&oldest).is_some_and(|weighed| weighed.stamp == stamp) {
                self.take(oldest);
            }
        }
        if self.order.len() > 2 * self.by_id.len() + ORDER_SLACK {
            let by_id = &self.by_id;
            self.order.retain(|(id, stamp)| by_id.get(id).is_some_and(|w| w.stamp == *stamp));
        }
    }

    pub(super) fn take(&mut self, id: ExecutionId) -> Option<Stored> {
        let weighed = self.by_id.remove(&id)?;
        self.bytes -= weighed.bytes;
        Some(weighed.stored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff_core::partition::Partition;

    fn places(scores: impl IntoIterator<Item = i64>) -> Vec<Place> {
        let id = ExecutionId::generate(Partition::new_unchecked(0));
        scores.into_iter().map(|score| (score, id)).collect()
    }

    fn at(score: i64, like: &[Place]) -> Place {
        (score, like[0].1)
    }

    #[test]
    fn a_window_on_a_whole_index_knows_its_head_and_when_there_is_none() {
        let first = places([7]);
        let mut window = Window::of(first.clone());
        window.shift(None, Some(at(3, &first)));
        assert_eq!(window.head(), Some(Some(at(3, &first))));
        window.shift(Some(at(3, &first)), Some(at(9, &first)));
        window.shift(Some(at(7, &first)), None);
        assert_eq!(window.head(), Some(Some(at(9, &first))));
        window.shift(Some(at(9, &first)), None);
        assert_eq!(window.head(), Some(None));
    }

    #[test]
    fn a_window_on_the_front_of_an_index_knows_nothing_of_what_follows() {
        let end = i64::try_from(WINDOW_FILL).expect("a small number");
        let first = places(0..end);
        let mut window = Window::of(first.clone());
        window.shift(None, Some(at(end + 5, &first)));
        for place in first.iter().skip(1) {
            window.shift(Some(*place), None);
        }
        assert_eq!(window.head(), Some(Some(first[0])));
        window.shift(Some(first[0]), None);
        assert_eq!(window.head(), None, "what was added behind its end is not the first");
    }

    #[test]
    fn a_window_that_grew_too_long_lets_go_of_its_end() {
        let first = places([0]);
        let mut window = Window::of(first.clone());
        let end = i64::try_from(WINDOW_MAX).expect("a small number");
        for score in 1..=end {
            window.shift(None, Some(at(score, &first)));
        }
        assert_eq!(window.entries.len(), WINDOW_MAX);
        for score in 0..end {
            window.shift(Some(at(score, &first)), None);
        }
        assert_eq!(window.head(), None);
    }

    #[test]
    fn everything_is_forgotten_once_others_have_committed() {
        let mut kept = Kept::default();
        kept.begin(1);
        kept.keep_due(0, Vec::new());
        kept.begin(1);
        assert_eq!(kept.due_head(0), Some(None));
        kept.begin(2);
        assert_eq!(kept.due_head(0), None);
    }
}

//! One lane of a partition in memory: its indexes, and the routes of what is live there.

use crate::listing::LaneKey;
use ff_core::state::OwnerIndex;
use ff_core::{ExecutionId, LaneId, Namespace};
use ff_lifecycle::Execution;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

/// Entries of an index, by score and id.
type Entries = BTreeSet<(i64, ExecutionId)>;

/// A lane. What is empty is not there, so that equal records make equal lanes.
#[derive(Debug, Default)]
pub(super) struct Lane {
    /// What is ready, by route.
    ready: BTreeMap<String, Entries>,
    /// What is not.
    held: BTreeMap<OwnerIndex, Entries>,
    /// How many live records have each route, the empty one aside.
    live: BTreeMap<String, u64>,
}

impl Lane {
    /// Adds the entries of a record; tells whether it is the only one that is ready on its route.
    pub(super) fn add(&mut self, execution: &Execution) -> bool {
        let (id, owner, route) = (execution.id(), execution.owner(), &execution.definition.route);
        if counts(execution) {
            *self.live.entry(route.clone()).or_default() += 1;
        }
        if owner.index != OwnerIndex::Ready {
            self.held.entry(owner.index).or_default().insert((owner.score, id));
            return false;
        }
        let place = (owner.score, id);
        match self.ready.get_mut(route) {
            Some(entries) => {
                entries.insert(place);
                false
            }
            None => {
                self.ready.insert(route.clone(), Entries::from([place]));
                true
            }
        }
    }

    /// Takes the entries of a record out.
    pub(super) fn take(&mut self, execution: &Execution) {
        let (id, owner, route) = (execution.id(), execution.owner(), &execution.definition.route);
        if counts(execution)
            && let Some(count) = self.live.get_mut(route)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.live.remove(route);
            }
        }
        let place = (owner.score, id);
        if owner.index == OwnerIndex::Ready {
            if let Some(entries) = self.ready.get_mut(route) {
                entries.remove(&place);
                if entries.is_empty() {
                    self.ready.remove(route);
                }
            }
        } else if let Some(entries) = self.held.get_mut(&owner.index) {
            entries.remove(&place);
            if entries.is_empty() {
                self.held.remove(&owner.index);
            }
        }
    }

    /// Returns the first record that is ready on a route.
    pub(super) fn ready_head(&self, route: &str) -> Option<(i64, ExecutionId)> {
        self.ready.get(route)?.first().copied()
    }

    /// Lists the routes of what is ready.
    pub(super) fn ready_routes(&self) -> Vec<String> {
        self.ready.keys().cloned().collect()
    }

    /// Returns how many routes the live records have, the empty one aside, and whether this is one.
    pub(super) fn live_routes(&self, route: &str) -> (usize, bool) {
        (self.live.len(), self.live.contains_key(route))
    }

    /// Counts the entries of an index.
    pub(super) fn count(&self, index: OwnerIndex) -> u64 {
        let entries: usize = match index {
            OwnerIndex::Ready => self.ready.values().map(Entries::len).sum(),
            _ => self.held.get(&index).map_or(0, Entries::len),
        };
        entries as u64
    }

    /// Lists every entry of every index with the index that holds it.
    pub(super) fn all_entries(&self) -> impl Iterator<Item = (OwnerIndex, i64, ExecutionId)> {
        let ready =
            self.ready.values().flatten().map(|(score, id)| (OwnerIndex::Ready, *score, *id));
        let held = self.held.iter().flat_map(|(index, entries)| {
            entries.iter().map(move |(score, id)| (*index, *score, *id))
        });
        ready.chain(held)
    }

    /// Lists entries of an index by score and id, from behind `after`.
    pub(super) fn entries(
        &self,
        index: OwnerIndex,
        after: Option<(i64, ExecutionId)>,
        limit: usize,
    ) -> Vec<(i64, ExecutionId)> {
        if index != OwnerIndex::Ready {
            let entries = self.held.get(&index);
            return entries.into_iter().flat_map(|e| behind(e, after)).take(limit).collect();
        }
        let routes = self.ready.values();
        let mut merged: Vec<_> = routes.flat_map(|e| behind(e, after).take(limit)).collect();
        merged.sort_unstable();
        merged.truncate(limit);
        merged
    }

    /// Counts the entries of a ready index before this one.
    pub(super) fn ahead(&self, route: &str, entry: (i64, ExecutionId)) -> u64 {
        self.ready.get(route).map_or(0, |entries| entries.range(..entry).count() as u64)
    }
}

/// Tells whether a record counts for its route.
fn counts(execution: &Execution) -> bool {
    !execution.definition.route.is_empty() && execution.is_live()
}

/// Entries behind a place.
fn behind(
    entries: &Entries,
    after: Option<(i64, ExecutionId)>,
) -> impl Iterator<Item = (i64, ExecutionId)> {
    let from = after.map_or(Bound::Unbounded, Bound::Excluded);
    entries.range((from, Bound::Unbounded)).copied()
}

/// The lanes of a partition that ever held work, in order: a list, so that a look needs no key.
#[derive(Debug, Default)]
pub(super) struct Lanes(Vec<(LaneKey, Lane)>);

impl Lanes {
    pub(super) fn get(&self, namespace: &Namespace, lane: &LaneId) -> Option<&Lane> {
        self.place(namespace, lane).ok().map(|place| &self.0[place].1)
    }

    /// Returns the lane of a record, made on first use.
    pub(super) fn of(&mut self, execution: &Execution) -> &mut Lane {
        let (namespace, lane) = (&execution.definition.namespace, &execution.definition.lane);
        let place = self.place(namespace, lane).unwrap_or_else(|place| {
            self.0.insert(place, ((namespace.clone(), lane.clone()), Lane::default()));
            place
        });
        &mut self.0[place].1
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &(LaneKey, Lane)> {
        self.0.iter()
    }

    fn place(&self, namespace: &Namespace, lane: &LaneId) -> Result<usize, usize> {
        self.0.binary_search_by(|((n, l), _)| (n, l).cmp(&(namespace, lane)))
    }
}

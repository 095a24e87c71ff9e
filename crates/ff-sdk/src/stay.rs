//! Stays: the worker loop goes on taking from a partition while that has more, so that its tasks
//! end in the same partition and share calls.
//!
//! A call ends and claims tasks of one partition. A loop whose tasks lie in many partitions makes
//! about a call a task; one that stays makes as few as if there were one partition. A stay ends
//!
//! - when nothing more is ready in the partition;
//! - while another partition waits, with the claim that fills its quantum, [`STAY_TASKS_MAX`] tasks
//!   for each that runs at a time, or once [`STAY_MS_MAX`] have passed: tasks that take long gain
//!   nothing from shared calls, so that their places go round with every task.
//!
//! What ends in a partition without a stay claims nothing while there is work elsewhere. Its place
//! is filled where a stay is, or where the next begins. Without work anywhere, an end carries a
//! claim all the same: that costs no call.
//!
//! # The bound
//!
//! Stays begin in a fixed [`rotation`] over the partitions with ready work, and a worker of `n`
//! tasks at a time ends one with fewer than `(STAY_TASKS_MAX + 1) * n` claimed tasks. So with `p`
//! partitions and `k` stays at a time, one that is known to have ready work is claimed from before
//! the worker has claimed `(p + k) * (STAY_TASKS_MAX + 1) * n` others; `k` is one for every
//! [`STAY_SHARE_MAX`] of `n`. Priority and age, whose order is exact in a partition, are off by no
//! more than that across them.

use ff_core::name::WorkerInstanceId;
use ff_core::partition::PartitionMap;
use ff_core::time::TimestampMs;
use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Tasks that a stay claims, for each that runs at a time, while another partition waits.
pub(crate) const STAY_TASKS_MAX: u32 = 16;
/// How long a stay lasts while another partition waits.
pub(crate) const STAY_MS_MAX: u64 = 100;
/// Tasks at a time that share a stay. A call of so many costs hardly less when it grows, so more
/// tasks stay in more partitions, which may be on other primaries.
const STAY_SHARE_MAX: u16 = 64;

/// Returns the partitions in the order in which a worker instance visits them. Each has its own:
/// workers that left a partition together would otherwise go on together through all of them, and
/// keep one primary of a cluster busy at a time.
pub(crate) fn rotation(map: PartitionMap, instance: &WorkerInstanceId) -> Vec<usize> {
    let mut order: Vec<usize> = (0..usize::from(map.count())).collect();
    order.sort_by_cached_key(|index| {
        let mut hasher = DefaultHasher::new();
        (instance.as_str(), index).hash(&mut hasher);
        hasher.finish()
    });
    order
}

/// The partitions, by their index, that the worker loop stays in.
#[derive(Debug)]
pub(crate) struct Stays {
    /// The one whose turn is next first.
    held: VecDeque<Stay>,
    held_max: usize,
    /// Places that one stay is to fill.
    share: u32,
}

#[derive(Clone, Copy, Debug)]
struct Stay {
    index: usize,
    /// What is left of the quantum.
    left: u32,
    until: TimestampMs,
}

impl Stays {
    /// Makes room for the stays of a loop that runs so many tasks at a time.
    pub(crate) fn new(tasks_max: u16) -> Self {
        let held_max = tasks_max.div_ceil(STAY_SHARE_MAX).max(1);
        let share = u32::from(tasks_max.div_ceil(held_max).max(1));
        Self { held: VecDeque::new(), held_max: held_max.into(), share }
    }

    /// Returns how many places one claim may fill: the others are for the other stays.
    pub(crate) fn share(&self) -> u32 {
        self.share
    }

    /// Tells whether another stay may begin.
    pub(crate) fn has_room(&self) -> bool {
        self.held.len() < self.held_max
    }

    /// Tells whether there is a stay in a partition.
    pub(crate) fn holds(&self, index: usize) -> bool {
        self.held.iter().any(|stay| stay.index == index)
    }

    /// Begins a stay.
    pub(crate) fn begin(&mut self, index: usize, now: TimestampMs) {
        self.held.push_back(self.fresh(index, now));
    }

    /// Ends the stays that are over. While nobody waits, those in a partition that has more begin
    /// anew.
    pub(crate) fn settle(
        &mut self,
        now: TimestampMs,
        another_waits: bool,
        is_ready: impl Fn(usize) -> bool,
    ) {
        self.held.retain(|stay| is_ready(stay.index) && !(another_waits && stay.is_over(now)));
        for at in 0..self.held.len() {
            if self.held[at].is_over(now) {
                self.held[at] = self.fresh(self.held[at].index, now);
            }
        }
    }

    /// Returns the partition of the stay whose turn it is.
    pub(crate) fn turn(&mut self) -> Option<usize> {
        self.held.rotate_left(1.min(self.held.len()));
        self.held.back().map(|stay| stay.index)
    }

    /// Takes a claim of so many tasks off the quantum of a stay, if there is one.
    pub(crate) fn charge(&mut self, index: usize, count: u32) {
        if let Some(stay) = self.held.iter_mut().find(|stay| stay.index == index) {
            stay.left = stay.left.saturating_sub(count);
        }
    }

    fn fresh(&self, index: usize, now: TimestampMs) -> Stay {
        Stay { index, left: STAY_TASKS_MAX * self.share, until: now.plus_ms(STAY_MS_MAX) }
    }
}

impl Stay {
    fn is_over(&self, now: TimestampMs) -> bool {
        self.left == 0 || now >= self.until
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_worker_goes_through_all_partitions_in_an_order_of_its_own() {
        let map = PartitionMap::new(64).expect("a legal count");
        let order = |name| rotation(map, &WorkerInstanceId::new(name).expect("a legal name"));
        let (mut one, other) = (order("one"), order("other"));
        assert_ne!(one, other);
        assert_eq!(one, order("one"));
        one.sort_unstable();
        assert_eq!(one, (0..64).collect::<Vec<_>>());
    }

    #[test]
    fn a_stay_renews_its_quantum_only_while_nobody_waits() {
        let (mut stays, now) = (Stays::new(1), TimestampMs::from_millis(0));
        stays.begin(3, now);
        stays.charge(3, STAY_TASKS_MAX);
        stays.settle(now, false, |_| true);
        stays.charge(3, STAY_TASKS_MAX - 1);
        stays.settle(now, true, |_| true);
        assert!(stays.holds(3), "a task is left of the new quantum");
        stays.charge(3, 1);
        stays.settle(now, true, |_| true);
        assert!(!stays.holds(3));
    }
}

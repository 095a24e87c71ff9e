//! What a transaction keeps of what it has read: the file cannot change under it but by its own
//! writes.

use ff_core::{ExecutionId, LaneId, Namespace};
use std::collections::{BTreeSet, HashMap};

/// A place in the order of timers.
pub(super) type Due = (i64, ExecutionId);

#[derive(Debug, Default)]
pub(super) struct Kept {
    /// Numbers of lanes, by partition. They outlive the transaction: a lane is never removed.
    pub(super) lanes: HashMap<(u16, Namespace, LaneId), i64>,
    /// Routes of the live records of a lane, the empty one aside.
    pub(super) routes: HashMap<i64, BTreeSet<String>>,
    /// The earliest timer of a partition.
    due_heads: HashMap<u16, Option<Due>>,
}

impl Kept {
    /// Forgets what another process may have changed.
    pub(super) fn begin(&mut self) {
        self.routes.clear();
        self.due_heads.clear();
    }

    pub(super) fn due_head(&self, partition: u16) -> Option<Option<Due>> {
        self.due_heads.get(&partition).copied()
    }

    pub(super) fn keep_due_head(&mut self, partition: u16, head: Option<Due>) {
        self.due_heads.insert(partition, head);
    }

    /// Follows the timer of a record.
    pub(super) fn timer_moved(&mut self, partition: u16, id: ExecutionId, due_at: Option<i64>) {
        let Some(head) = self.due_heads.get_mut(&partition) else { return };
        let moved = due_at.map(|at| (at, id));
        match (*head, moved) {
            (Some((_, at_head)), _) if at_head == id => {
                self.due_heads.remove(&partition);
            }
            (Some(first), Some(moved)) if moved < first => *head = Some(moved),
            (None, Some(moved)) => *head = Some(moved),
            _ => {}
        }
    }
}

//! Calls that travel together: what is ready while a call to a partition is on its way shares the
//! next one. Whoever comes while none is on its way waits for nobody, so an idle system loses no
//! time, and under load the calls grow by themselves.

use ff_core::partition::Partition;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls of one partition on their way at a time: while the store works on one, the answers of the
/// other are worked on here. The second goes out only when it is worth its cost.
const CALLS_MAX: usize = 2;

/// What the last call took, until it has.
const UNKNOWN: usize = usize::MAX / 2;

/// Those who wait for a call, by partition.
#[derive(Debug)]
pub(crate) struct Together<M> {
    queues: Mutex<BTreeMap<Partition, Queue<M>>>,
}

#[derive(Debug)]
struct Queue<M> {
    members: VecDeque<M>,
    calls: usize,
    /// How many the last call took; as many as can be until it has.
    last: usize,
}

impl<M> Queue<M> {
    /// Tells whether a call beside so many others is worth its cost: alone it always is, beside
    /// another it takes at least half as many along.
    fn is_worth_a_call(&self, others: usize) -> bool {
        others == 0 || (others < CALLS_MAX && 2 * self.members.len() >= self.last)
    }
}

impl<M> Default for Together<M> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<M> Together<M> {
    /// Adds one who waits. With a turn, the caller makes a call: it [takes](Turn::take) and calls
    /// for as long as it [goes on](Turn::goes_on).
    #[must_use]
    pub(crate) fn join(self: &Arc<Self>, partition: Partition, member: M) -> Option<Turn<M>> {
        let mut queues = self.lock();
        let none = Queue { members: VecDeque::new(), calls: 0, last: 0 };
        let queue = queues.entry(partition).or_insert(none);
        queue.members.push_back(member);
        let calls = queue.is_worth_a_call(queue.calls);
        if calls {
            queue.calls += 1;
            queue.last = UNKNOWN;
        }
        calls.then(|| Turn { together: self.clone(), partition, over: false })
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Queue<M>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right and the duty to call for those who wait in a partition. When it is dropped before it
/// is over, with its task or in a panic, nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Turn<M> {
    together: Arc<Together<M>>,
    partition: Partition,
    over: bool,
}

impl<M> Turn<M> {
    /// Takes as many as fit in one call, one at least, while there are any.
    pub(crate) fn take(
        &self,
        count_max: usize,
        bytes_max: usize,
        bytes_of: impl Fn(&M) -> usize,
    ) -> Vec<M> {
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return Vec::new() };
        if queue.members.is_empty() {
            return Vec::new();
        }
        let mut bytes = 0;
        let fits = |member: &&M| {
            bytes += bytes_of(member);
            bytes <= bytes_max
        };
        let count = queue.members.iter().take(count_max).take_while(fits).count();
        let count = count.max(1);
        queue.last = count;
        queue.members.drain(..count).collect()
    }

    /// Tells whether to make another call for those who still wait. Who is told no calls no more:
    /// nobody waits, or another call is on its way and will see to them.
    pub(crate) fn goes_on(&mut self) -> bool {
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return false };
        if queue.members.is_empty() || !queue.is_worth_a_call(queue.calls - 1) {
            queue.calls -= 1;
            self.over = true;
            return false;
        }
        true
    }
}

impl<M> Drop for Turn<M> {
    fn drop(&mut self) {
        if self.over {
            return;
        }
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return };
        queue.calls -= 1;
        queue.last = 0;
        // Nobody is left who would call for them: they are told by the end of their channels.
        let forgotten =
            if queue.calls == 0 { std::mem::take(&mut queue.members) } else { VecDeque::new() };
        drop(queues);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition::new_unchecked(0)
    }

    fn take(turn: &Turn<usize>) -> Vec<usize> {
        turn.take(3, 10, |member| *member)
    }

    fn join(together: &Arc<Together<usize>>, bytes: usize) -> Option<Turn<usize>> {
        together.join(partition(), bytes)
    }

    #[test]
    fn one_calls_and_the_rest_wait() {
        let together = Arc::default();
        let mut turn = join(&together, 1).expect("the first calls");
        assert!((0..3).all(|_| join(&together, 1).is_none()));
        assert_eq!(take(&turn).len(), 3);
        assert!(turn.goes_on());
        assert_eq!(take(&turn).len(), 1);
        assert!(!turn.goes_on());
        assert!(join(&together, 1).is_some(), "nobody calls any more");
    }

    #[test]
    fn a_second_call_is_no_small_one() {
        let together = Arc::default();
        let mut first = join(&together, 1).expect("the first calls");
        assert!(join(&together, 1).is_none() && join(&together, 1).is_none());
        assert_eq!(take(&first).len(), 3);
        assert!(join(&together, 1).is_none(), "one waits, three are on their way");
        let mut second = join(&together, 1).expect("two are worth a call");
        assert_eq!(take(&second).len(), 2);
        assert!(join(&together, 1).is_none(), "two calls are on their way");
        assert!(first.goes_on(), "one is half of two");
        assert_eq!(take(&first).len(), 1);
        assert!(take(&second).is_empty());
        assert!(!first.goes_on() && !second.goes_on());
    }

    #[test]
    fn a_call_is_bounded_by_its_bytes_and_holds_one_at_least() {
        let together = Arc::default();
        let turn = join(&together, 11).expect("the first calls");
        assert!([6, 4, 1].into_iter().all(|bytes| join(&together, bytes).is_none()));
        assert_eq!(take(&turn), [11]);
        assert_eq!(take(&turn), [6, 4]);
        assert_eq!(take(&turn), [1]);
        assert!(take(&turn).is_empty());
    }

    #[test]
    fn a_turn_that_dies_leaves_nobody_waiting() {
        let together: Arc<Together<Arc<()>>> = Arc::default();
        let member = Arc::new(());
        let turn = together.join(partition(), member.clone()).expect("the first calls");
        assert!(together.join(partition(), member.clone()).is_none());
        drop(turn);
        assert_eq!(Arc::strong_count(&member), 1, "those who waited are let go");
        assert!(together.join(partition(), member).is_some(), "the next one calls");
    }
}

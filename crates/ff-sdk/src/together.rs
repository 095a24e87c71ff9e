//! Calls that travel together: what is ready while a call to a partition is on its way shares the
//! next one. Whoever comes while none is on its way waits for nobody, so an idle system loses no
//! time, and under load the calls grow by themselves.

use ff_core::partition::Partition;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Calls of one partition on their way at a time: while the store works on one, the answers of the
/// other are worked on here. The second goes out only when it is worth its cost.
const CALLS_MAX: usize = 2;

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
    /// Adds one who waits. When true, the caller makes a call: it [takes](Self::take) and calls for
    /// as long as it [goes on](Self::goes_on).
    #[must_use]
    pub(crate) fn join(&self, partition: Partition, member: M) -> bool {
        let mut queues = self.lock();
        let none = Queue { members: VecDeque::new(), calls: 0, last: 0 };
        let queue = queues.entry(partition).or_insert(none);
        queue.members.push_back(member);
        let calls = queue.is_worth_a_call(queue.calls);
        if calls {
            queue.calls += 1;
            queue.last = usize::MAX / 2;
        }
        calls
    }

    /// Takes as many as fit in one call, one at least, while there are any.
    pub(crate) fn take(
        &self,
        partition: Partition,
        count_max: usize,
        bytes_max: usize,
        bytes_of: impl Fn(&M) -> usize,
    ) -> Vec<M> {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(&partition) else { return Vec::new() };
        let mut bytes = 0;
        let fits = |member: &&M| {
            bytes += bytes_of(member);
            bytes <= bytes_max
        };
        let count = queue.members.iter().take(count_max).take_while(fits).count();
        let count = count.max(1).min(queue.members.len());
        queue.last = count;
        queue.members.drain(..count).collect()
    }

    /// Tells whether to make another call for those who still wait. Who is told no calls no more:
    /// nobody waits, or another call is on its way and will see to them.
    pub(crate) fn goes_on(&self, partition: Partition) -> bool {
        let mut queues = self.lock();
        let Some(queue) = queues.get_mut(&partition) else { return false };
        if queue.members.is_empty() || !queue.is_worth_a_call(queue.calls - 1) {
            queue.calls -= 1;
            return false;
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<Partition, Queue<M>>> {
        self.queues.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition() -> Partition {
        Partition::new_unchecked(0)
    }

    fn take(together: &Together<usize>) -> Vec<usize> {
        together.take(partition(), 3, 10, |member| *member)
    }

    #[test]
    fn one_calls_and_the_rest_wait() {
        let together = Together::default();
        let calls: Vec<bool> = (0..4).map(|_| together.join(partition(), 1)).collect();
        assert_eq!(calls, [true, false, false, false]);
        assert_eq!(take(&together).len(), 3);
        assert!(together.goes_on(partition()));
        assert_eq!(take(&together).len(), 1);
        assert!(!together.goes_on(partition()));
        assert!(together.join(partition(), 1), "nobody calls any more");
    }

    #[test]
    fn a_second_call_is_no_small_one() {
        let together = Together::default();
        let join = || together.join(partition(), 1);
        assert_eq!([join(), join(), join()], [true, false, false]);
        assert_eq!(take(&together).len(), 3);
        assert!(!join(), "one waits, three are on their way");
        assert!(join(), "two are worth a call");
        assert_eq!(take(&together).len(), 2);
        assert!(!join(), "two calls are on their way");
        assert!(together.goes_on(partition()), "one is half of two");
        assert_eq!(take(&together).len(), 1);
        assert!(!together.goes_on(partition()) && !together.goes_on(partition()));
    }

    #[test]
    fn a_call_is_bounded_by_its_bytes_and_holds_one_at_least() {
        let together = Together::default();
        for bytes in [11, 6, 4, 1] {
            let _ = together.join(partition(), bytes);
        }
        assert_eq!(take(&together), [11]);
        assert_eq!(take(&together), [6, 4]);
        assert_eq!(take(&together), [1]);
        assert!(take(&together).is_empty());
    }
}

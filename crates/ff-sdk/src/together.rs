//! Calls that travel together: what is ready while a call to a partition is on its way shares the
//! next one. Whoever comes while none is on its way waits for nobody, so an idle system loses no
//! time, and under load the calls grow by themselves. Many who are ready at once go in two calls of
//! equal size, so that the store works on one while the answers of the other are worked on here.

use ff_core::partition::Partition;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Calls of one partition on their way at a time.
const CALLS_MAX: usize = 2;
/// Fewest that are worth a call beside another: a call by itself costs the store what some six of
/// those in it cost. Fewer wait until that one has been answered.
const SECOND_MIN: usize = 6;

/// Who travels together with others of the kind.
pub(crate) trait Member {
    /// Most in a call.
    const COUNT_MAX: usize;
    /// Most bytes in a call, unless one alone has more.
    const BYTES_MAX: usize;

    /// Returns how many bytes it adds to a call.
    fn bytes(&self) -> usize;
}

/// Those who wait for a call, by partition.
#[derive(Debug)]
pub(crate) struct Together<M> {
    queues: Mutex<BTreeMap<Partition, Queue<M>>>,
}

#[derive(Debug)]
struct Queue<M> {
    members: VecDeque<M>,
    /// Turns that are not over.
    turns: usize,
    /// Whether one of them has yet to take its members.
    is_gathering: bool,
    /// How many are on their way.
    flying: usize,
}

impl<M> Queue<M> {
    /// Begins a turn if one is worth its cost now, beside so many others.
    fn begins(&mut self, others: usize) -> bool {
        let waiting = self.members.len();
        let is_worth = match others {
            0 => waiting > 0,
            _ => waiting >= SECOND_MIN && 2 * waiting >= self.flying,
        };
        let begins = is_worth && others < CALLS_MAX && !self.is_gathering;
        self.is_gathering |= begins;
        begins
    }

    /// Returns how many go in the next call: half of those who wait or are on their way, unless the
    /// other half is not worth a call.
    fn share(&self) -> usize {
        let all = self.members.len() + self.flying;
        if all / 2 < SECOND_MIN { self.members.len() } else { all.div_ceil(2) }
    }
}

impl<M> Default for Queue<M> {
    fn default() -> Self {
        Self { members: VecDeque::new(), turns: 0, is_gathering: false, flying: 0 }
    }
}

impl<M> Default for Together<M> {
    fn default() -> Self {
        Self { queues: Mutex::default() }
    }
}

impl<M: Member> Together<M> {
    /// Adds one who waits. With a turn, the caller calls for what is [next](Turn::next) until
    /// nothing is.
    #[must_use]
    pub(crate) fn join(self: &Arc<Self>, partition: Partition, member: M) -> Option<Turn<M>> {
        let mut queues = self.lock();
        let queue = queues.entry(partition).or_default();
        queue.members.push_back(member);
        self.turn(partition, queue)
    }

    fn turn(self: &Arc<Self>, partition: Partition, queue: &mut Queue<M>) -> Option<Turn<M>> {
        if !queue.begins(queue.turns) {
            return None;
        }
        queue.turns += 1;
        Some(Turn { together: self.clone(), partition, state: State::Gathering })
    }
}

impl<M> Together<M> {
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
    state: State,
}

/// How far a turn has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// It is about to take.
    Gathering,
    /// So many that it took are on their way.
    Flying(usize),
    Over,
}

impl<M: Member> Turn<M> {
    /// Returns whom to call for next, when the call before has been answered. With another turn, a
    /// second call is to be made for the rest.
    pub(crate) async fn next(&mut self) -> Option<(Vec<M>, Option<Self>)> {
        if self.state != State::Gathering && !self.goes_on() {
            return None;
        }
        // Whoever is about to be ready comes along.
        tokio::task::yield_now().await;
        Some(self.take())
    }

    /// Takes its share of those who wait: as many as fit in one call, one at least.
    fn take(&mut self) -> (Vec<M>, Option<Self>) {
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return (Vec::new(), None) };
        self.state.leave(queue);
        let mut bytes = 0;
        let fits = |member: &&M| {
            bytes += member.bytes();
            bytes <= M::BYTES_MAX
        };
        let share = queue.share().min(M::COUNT_MAX);
        let count = queue.members.iter().take(share).take_while(fits).count();
        let count = count.max(1).min(queue.members.len());
        let taken = queue.members.drain(..count).collect();
        queue.flying += count;
        self.state = State::Flying(count);
        (taken, self.together.turn(self.partition, queue))
    }

    /// Tells whether to make another call for those who still wait. Who is told no calls no more:
    /// nobody waits, or another call is on its way and will see to them.
    fn goes_on(&mut self) -> bool {
        if self.state == State::Over {
            return false;
        }
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return false };
        self.state.leave(queue);
        let goes_on = queue.begins(queue.turns - 1);
        if goes_on {
            self.state = State::Gathering;
        } else {
            queue.turns -= 1;
            self.state = State::Over;
        }
        goes_on
    }
}

impl State {
    /// Takes what a turn has on its way, or is about to, off its queue.
    fn leave<M>(self, queue: &mut Queue<M>) {
        match self {
            Self::Gathering => queue.is_gathering = false,
            Self::Flying(count) => queue.flying -= count,
            Self::Over => {}
        }
    }
}

impl<M> Drop for Turn<M> {
    fn drop(&mut self) {
        if self.state == State::Over {
            return;
        }
        let mut queues = self.together.lock();
        let Some(queue) = queues.get_mut(&self.partition) else { return };
        self.state.leave(queue);
        queue.turns -= 1;
        // Nobody is left who would call for them: they are told by the end of their channels.
        let forgotten =
            if queue.turns == 0 { std::mem::take(&mut queue.members) } else { VecDeque::new() };
        drop(queues);
        drop(forgotten);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One of so many bytes.
    #[derive(Debug, PartialEq)]
    struct One(usize);

    impl Member for One {
        const COUNT_MAX: usize = 100;
        const BYTES_MAX: usize = 1_000;

        fn bytes(&self) -> usize {
            self.0
        }
    }

    impl Member for Arc<()> {
        const COUNT_MAX: usize = 1;
        const BYTES_MAX: usize = 1;

        fn bytes(&self) -> usize {
            1
        }
    }

    fn partition() -> Partition {
        Partition::new_unchecked(0)
    }

    fn join(together: &Arc<Together<One>>, bytes: usize) -> Option<Turn<One>> {
        together.join(partition(), One(bytes))
    }

    /// Adds so many who wait; returns the turns that they were given.
    fn join_many(together: &Arc<Together<One>>, count: usize) -> Vec<Turn<One>> {
        (0..count).filter_map(|_| join(together, 1)).collect()
    }

    /// Has a turn take, and returns how many it took and the turn for the rest.
    fn take(turn: &mut Turn<One>) -> (usize, Option<Turn<One>>) {
        let (taken, second) = turn.take();
        (taken.len(), second)
    }

    /// Has a turn take where no second one is due.
    fn take_alone(turn: &mut Turn<One>) -> usize {
        let (taken, second) = take(turn);
        assert!(second.is_none(), "a second turn after {taken}");
        taken
    }

    #[test]
    fn one_calls_and_the_rest_wait() {
        let together = Arc::default();
        let mut turn = join(&together, 1).expect("the first calls");
        assert!(join_many(&together, 3).is_empty());
        assert_eq!(take_alone(&mut turn), 4);
        assert!(join_many(&together, 1).is_empty(), "four are on their way");
        assert!(turn.goes_on());
        assert_eq!(take_alone(&mut turn), 1);
        assert!(!turn.goes_on());
        assert!(join(&together, 1).is_some(), "nobody calls any more");
    }

    #[test]
    fn a_second_call_is_no_small_one() {
        let together = Arc::default();
        let mut first = join(&together, 1).expect("the first calls");
        assert_eq!(take_alone(&mut first), 1);
        assert!(join_many(&together, SECOND_MIN - 1).is_empty(), "too few for a call beside one");
        let mut second = join(&together, 1).expect("enough for a call");
        assert!(join_many(&together, 94).is_empty(), "two calls are on their way");
        drop(first);
        let (taken, third) = take(&mut second);
        assert_eq!(taken, 50);
        assert!(third.is_some());
    }

    #[test]
    fn a_second_call_takes_at_least_half_as_many_as_are_on_their_way() {
        let together = Arc::default();
        let mut first = join(&together, 1).expect("the first calls");
        let _ = join_many(&together, 39);
        let (taken, second) = take(&mut first);
        let mut second = second.expect("half is left");
        assert_eq!((taken, take_alone(&mut second)), (20, 20));
        assert!(!second.goes_on());
        assert!(join_many(&together, 9).is_empty(), "20 are on their way");
        assert!(join(&together, 1).is_some());
    }

    #[test]
    fn many_who_come_at_once_go_in_two_calls_of_equal_size_for_good() {
        let together = Arc::default();
        let mut turns = join_many(&together, 16);
        let (taken, second) = take(&mut turns[0]);
        turns.push(second.expect("half is left"));
        assert_eq!((taken, take_alone(&mut turns[1])), (8, 8));
        for round in 0..10 {
            let at = round % 2;
            assert!(!turns[at].goes_on());
            let mut begun = join_many(&together, 8);
            assert_eq!(begun.len(), 1, "one call for eight");
            assert_eq!(take_alone(&mut begun[0]), 8);
            turns[at] = begun.remove(0);
        }
    }

    #[test]
    fn calls_of_unequal_size_become_equal_again() {
        let together = Arc::default();
        let mut small = join(&together, 1).expect("the first calls");
        let _ = join_many(&together, 3);
        assert_eq!(take_alone(&mut small), 4);
        let mut large = join_many(&together, 12).remove(0);
        assert_eq!(take_alone(&mut large), 8, "half of 16 go in one call");
        assert!(!small.goes_on(), "four wait, and four are coming");
        let mut begun = join_many(&together, 4);
        assert_eq!(begun.len(), 1);
        assert_eq!(take_alone(&mut begun[0]), 8);
    }

    #[test]
    fn a_call_is_bounded_and_holds_one_at_least() {
        let together = Arc::default();
        let mut turn = join(&together, 1_001).expect("the first calls");
        assert!([600, 400, 1].into_iter().all(|bytes| join(&together, bytes).is_none()));
        let mut take = || turn.take().0;
        assert_eq!(take(), [One(1_001)]);
        assert_eq!(take(), [One(600), One(400)]);
        assert_eq!(take(), [One(1)]);
        let mut turns = join_many(&together, 300);
        assert_eq!(take_alone(&mut turns[0]), One::COUNT_MAX);
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

    #[test]
    fn what_a_call_leaves_is_worth_another() {
        for count in 1..=40 {
            let together = Arc::default();
            let mut turns = join_many(&together, count);
            let (taken, second) = take(&mut turns[0]);
            assert_eq!(second.is_some(), taken < count, "{taken} of {count}");
            assert_eq!(taken < count, count >= 2 * SECOND_MIN);
        }
    }

    /// Whatever happens in whatever order: nobody waits without a call, and what is counted is so.
    #[test]
    fn nobody_is_left_waiting() {
        let mut seed: u64 = 1;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 33) as usize % below
        };
        for _ in 0..300 {
            let together: Arc<Together<One>> = Arc::default();
            let (mut gathering, mut flying) = (Vec::new(), Vec::new());
            for _ in 0..300 {
                match random(16) {
                    0..8 => gathering.extend(join(&together, 1)),
                    8..11 => {
                        if let Some(mut turn) = gathering.pop() {
                            let (taken, second) = take(&mut turn);
                            assert!(taken > 0);
                            gathering.extend(second);
                            flying.push((taken, turn));
                        }
                    }
                    11..15 if !flying.is_empty() => {
                        let (_, mut turn) = flying.remove(random(flying.len()));
                        if turn.goes_on() {
                            gathering.push(turn);
                        }
                    }
                    15 if random(2) == 0 => drop(gathering.pop()),
                    15 => drop(flying.pop()),
                    _ => {}
                }
                let queues = together.lock();
                let Some(queue) = queues.get(&partition()) else { continue };
                assert_eq!(queue.is_gathering, gathering.len() == 1);
                assert_eq!(queue.flying, flying.iter().map(|(taken, _)| taken).sum());
                assert_eq!(queue.turns, gathering.len() + flying.len());
                assert!(queue.turns <= CALLS_MAX);
                assert!(queue.turns > 0 || queue.members.is_empty(), "some wait, nobody calls");
            }
        }
    }
}

//! Where to claim next: which partitions are known to hold work, and when to look in vain.

use crate::stay::Stays;
use ff_core::partition::Partition;
use ff_core::time::TimestampMs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Watches the partitions for a worker's claims.
#[derive(Debug)]
pub(crate) struct Lookout {
    state: Mutex<State>,
    version: watch::Sender<u64>,
    idle_ms: u64,
}

#[derive(Debug)]
struct State {
    partitions: Vec<Outlook>,
    /// The partitions in the order of their turns.
    order: Vec<usize>,
    /// The place in it of the partition that was claimed from last; the search goes on behind it.
    cursor: usize,
    /// Where the worker loop stays.
    stays: Stays,
    /// When the last look in vain was taken.
    polled_at: Option<TimestampMs>,
}

#[derive(Clone, Debug)]
struct Outlook {
    /// Work is believed to be ready.
    ready: bool,
    /// Raised by each notice: a claim that began before one cannot deny it.
    notices: u64,
    looked_at: Option<TimestampMs>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Claim here.
    Claim(Look),
    /// Wait for a change, at most until then.
    Wait(TimestampMs),
}

/// A claim that is about to be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) partition: Partition,
    notices: u64,
}

impl Lookout {
    /// Watches all partitions, which take turns in this order. Nothing is known at first, so every
    /// one is worth a look.
    pub(crate) fn new(order: Vec<usize>, idle_ms: u64, stays: Stays) -> Self {
        let outlook = Outlook { ready: true, notices: 0, looked_at: None };
        Self {
            state: Mutex::new(State {
                partitions: vec![outlook; order.len()],
                cursor: order.len().saturating_sub(1),
                order,
                stays,
                polled_at: None,
            }),
            version: watch::Sender::new(0),
            idle_ms,
        }
    }

    /// Subscribes to changes. Subscribe, then ask [`next`](Self::next), then wait.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.version.subscribe()
    }

    /// Returns what a claim for one task does: partitions believed to hold work in rotation;
    /// without any, the one not looked at for longest, once an idle ceiling.
    pub(crate) fn next(&self, now: TimestampMs) -> Next {
        let mut state = self.lock();
        let place = state.rotation().find(|(_, index)| state.is_ready(*index));
        let Some((place, index)) = place else { return state.poll(now, self.idle_ms) };
        state.cursor = place;
        Next::Claim(state.look(index))
    }

    /// Returns what the worker loop does with its free places: while there is room for another
    /// [stay](Stays), one begins in the next partition in rotation that is believed to hold work.
    pub(crate) fn next_stay(&self, now: TimestampMs) -> Next {
        let mut state = self.lock();
        state.settle_stays(now);
        let index = state.begin_stay(now).or_else(|| state.stays.turn());
        match index {
            Some(index) => Next::Claim(state.look(index)),
            None => state.poll(now, self.idle_ms),
        }
    }

    /// Begins a claim of so many tasks that travels with ends in a partition; none when their
    /// places are to be filled elsewhere.
    pub(crate) fn stay(&self, partition: Partition, count: u32, now: TimestampMs) -> Option<Look> {
        let mut state = self.lock();
        let index = usize::from(partition.number());
        state.settle_stays(now);
        if !state.stays.holds(index) {
            if state.is_ready_beside(|other| other == index) {
                return None;
            }
            if state.is_ready(index) {
                state.stays.begin(index, now);
            }
        }
        state.stays.charge(index, count);
        Some(state.look(index))
    }

    /// Takes a claim beside ends off the quantum of its stay.
    pub(crate) fn charge(&self, look: Look, count: u32) {
        self.lock().stays.charge(usize::from(look.partition.number()), count);
    }

    /// Returns how many places one claim of the worker loop may fill.
    pub(crate) fn share(&self) -> u32 {
        self.lock().stays.share()
    }

    /// Takes what a claim saw. "Nothing left" counts unless a notice came since it began.
    pub(crate) fn saw(&self, look: Look, ready_left: bool, now: TimestampMs) {
        let mut state = self.lock();
        let index = usize::from(look.partition.number());
        if let Some(outlook) = state.partitions.get_mut(index) {
            outlook.looked_at = outlook.looked_at.max(Some(now));
            outlook.ready = ready_left || outlook.notices != look.notices;
        }
    }

    /// Takes a notice that work became ready; `None` stands for every partition.
    pub(crate) fn notice(&self, partition: Option<Partition>) {
        let mut state = self.lock();
        for (number, outlook) in (0u16..).zip(&mut state.partitions) {
            if partition.is_none_or(|p| p.number() == number) {
                outlook.ready = true;
                outlook.notices += 1;
            }
        }
        drop(state);
        self.version.send_modify(|version| *version += 1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn is_ready(&self, index: usize) -> bool {
        self.partitions.get(index).is_some_and(|outlook| outlook.ready)
    }

    /// Tells whether work is believed to be ready in a partition other than these.
    fn is_ready_beside(&self, these: impl Fn(usize) -> bool) -> bool {
        (0..self.partitions.len()).any(|index| self.is_ready(index) && !these(index))
    }

    /// Returns the partitions in rotation, from behind the one that was claimed from last, each
    /// with its place in it.
    fn rotation(&self) -> impl Iterator<Item = (usize, usize)> {
        let places = (self.cursor + 1..self.order.len()).chain(0..=self.cursor);
        places.filter_map(|place| Some((place, *self.order.get(place)?)))
    }

    /// Begins a stay in the next partition that is believed to hold work, if there is room for one.
    fn begin_stay(&mut self, now: TimestampMs) -> Option<usize> {
        if !self.stays.has_room() {
            return None;
        }
        let waits = |index| self.is_ready(index) && !self.stays.holds(index);
        let (place, index) = self.rotation().find(|(_, index)| waits(*index))?;
        self.cursor = place;
        self.stays.begin(index, now);
        Some(index)
    }

    fn settle_stays(&mut self, now: TimestampMs) {
        let another_waits = self.is_ready_beside(|index| self.stays.holds(index));
        let Self { stays, partitions, .. } = self;
        stays.settle(now, another_waits, |index| partitions[index].ready);
    }

    /// Looks in vain, once an idle ceiling, at the partition not looked at for longest.
    fn poll(&mut self, now: TimestampMs, idle_ms: u64) -> Next {
        let stalest = self.rotation().min_by_key(|(_, index)| self.partitions[*index].looked_at);
        let Some((_, stalest)) = stalest else {
            return Next::Wait(now.plus_ms(idle_ms));
        };
        let last = self.polled_at.max(self.partitions[stalest].looked_at);
        let due = last.map_or(now, |last| last.plus_ms(idle_ms));
        if now < due {
            return Next::Wait(due);
        }
        self.polled_at = Some(now);
        Next::Claim(self.look(stalest))
    }

    fn look(&self, index: usize) -> Look {
        Look {
            partition: Partition::new_unchecked(u16::try_from(index).unwrap_or(u16::MAX)),
            notices: self.partitions.get(index).map_or(0, |o| o.notices),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> TimestampMs {
        TimestampMs::from_millis(ms)
    }

    fn lookout(count: usize) -> Lookout {
        Lookout::new((0..count).collect(), 1_000, Stays::new(1))
    }

    fn claims(lookout: &Lookout, ready_left: bool) -> u16 {
        match lookout.next(at(0)) {
            Next::Claim(look) => {
                lookout.saw(look, ready_left, at(0));
                look.partition.number()
            }
            Next::Wait(_) => panic!("work is ready"),
        }
    }

    #[test]
    fn partitions_that_hold_work_take_turns() {
        let lookout = lookout(3);
        let order: Vec<u16> = (0..6).map(|_| claims(&lookout, true)).collect();
        assert_eq!(order, [0, 1, 2, 0, 1, 2]);
    }

    #[test]
    fn an_empty_partition_is_left_alone_until_a_notice() {
        let lookout = lookout(2);
        assert_eq!(claims(&lookout, false), 0);
        assert_eq!(claims(&lookout, false), 1);
        assert_eq!(lookout.next(at(10)), Next::Wait(at(1_000)));
        lookout.notice(Some(Partition::new_unchecked(1)));
        assert_eq!(claims(&lookout, false), 1);
    }

    #[test]
    fn a_notice_that_came_during_a_claim_is_not_denied_by_it() {
        let lookout = lookout(1);
        let Next::Claim(look) = lookout.next(at(0)) else {
            panic!("nothing was looked at yet");
        };
        lookout.notice(None);
        lookout.saw(look, false, at(0));
        assert!(matches!(lookout.next(at(0)), Next::Claim(_)));
    }

    #[test]
    fn without_notices_one_partition_is_polled_an_idle_ceiling() {
        let lookout = lookout(2);
        claims(&lookout, false);
        claims(&lookout, false);
        let Next::Claim(first) = lookout.next(at(1_000)) else {
            panic!("a poll is due");
        };
        lookout.saw(first, false, at(1_000));
        assert_eq!(lookout.next(at(1_000)), Next::Wait(at(2_000)));
        let Next::Claim(second) = lookout.next(at(2_000)) else {
            panic!("a poll is due");
        };
        assert_ne!(first.partition, second.partition);
    }

    /// Returns where the worker loop claims next with all of its places.
    fn stays(lookout: &Lookout, count: u32) -> usize {
        let Next::Claim(look) = lookout.next_stay(at(0)) else {
            panic!("work is ready");
        };
        lookout.charge(look, count);
        lookout.saw(look, true, at(0));
        look.partition.number().into()
    }

    #[test]
    fn a_loop_stays_until_the_quantum_is_used_and_then_visits_all_others_first() {
        let lookout = lookout(3);
        let order: Vec<usize> = (0..4 * 16).map(|_| stays(&lookout, 1)).collect();
        let turns: Vec<usize> = order.chunks(16).map(|turn| turn[0]).collect();
        assert!(order.chunks(16).all(|turn| turn.iter().all(|index| *index == turn[0])));
        assert_eq!(turns, [0, 1, 2, 0]);
    }

    #[test]
    fn many_places_share_several_stays() {
        let lookout = Lookout::new((0..4).collect(), 1_000, Stays::new(128));
        assert_eq!(lookout.share(), 64);
        let order: Vec<usize> = (0..5).map(|_| stays(&lookout, 1)).collect();
        assert_eq!(order, [0, 1, 0, 1, 0]);
        let fused = lookout.stay(Partition::new_unchecked(1), 64 * 16, at(0));
        assert!(fused.is_some());
        assert_eq!([stays(&lookout, 1), stays(&lookout, 1)], [2, 0], "1 has had its share");
    }
}

//! When each partition is to be ticked next: plain data and arithmetic, no clock of its own.

use ff_core::contracts::claim::Ticked;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::time::TimestampMs;

/// Longest that a partition goes without a look, so that a lost notice costs at most this. With
/// many partitions it grows, see [`IDLE_TICK_SPACING_MS`].
pub const TICK_IDLE_CEILING_MS: u64 = 5_000;
/// Idle looks are spaced by at least this, whatever the number of partitions.
pub const IDLE_TICK_SPACING_MS: u64 = 600;
/// Shortest time between two ticks of one partition, unless the first left timers undone.
const TICK_SPACING_MS: u64 = 10;
/// Doublings of that time while a partition's clock lags and its due timers do not fire.
const BARREN_DOUBLINGS_MAX: u32 = 7;
/// First wait after a failed tick; it doubles.
const RETRY_MS_MIN: u64 = 100;
/// Longest wait after a failed tick.
const RETRY_MS_MAX: u64 = 5_000;

/// The schedule of every partition.
#[derive(Debug)]
pub(crate) struct Schedule {
    partitions: Vec<Entry>,
    ceiling_ms: u64,
}

#[derive(Clone, Debug, Default)]
struct Entry {
    /// The earliest due time that anybody has told, not earlier than the truth once ticked.
    due: Option<TimestampMs>,
    /// When a tick or a claim last looked; `None` before the first look.
    looked_at: Option<TimestampMs>,
    /// When the last tick began.
    ticked_at: Option<TimestampMs>,
    /// Notices may have been lost since the last tick began.
    lagged: bool,
    /// The last tick left timers undone.
    more: bool,
    in_flight: bool,
    /// Ticks in a row that found nothing though something was due by our clock.
    barren: u32,
    failures: u32,
    retry_at: Option<TimestampMs>,
}

impl Schedule {
    pub(crate) fn new(map: PartitionMap) -> Self {
        let spaced_ms = u64::from(map.count()) * IDLE_TICK_SPACING_MS;
        Self {
            partitions: vec![Entry::default(); usize::from(map.count())],
            ceiling_ms: TICK_IDLE_CEILING_MS.max(spaced_ms),
        }
    }

    /// Takes what a claim or a notice told. It may be older than what a tick saw, so it never moves
    /// the due time later: a tick too many is cheap, a timer that fires late is not.
    pub(crate) fn saw(
        &mut self,
        partition: Partition,
        next_due: Option<TimestampMs>,
        now: TimestampMs,
    ) {
        if let Some(entry) = self.entry(partition) {
            entry.due = earlier(entry.due, next_due);
            entry.looked_at = entry.looked_at.max(Some(now));
        }
    }

    /// Takes word that notices were lost: any partition may have an earlier timer.
    pub(crate) fn lagged(&mut self) {
        self.partitions.iter_mut().for_each(|entry| entry.lagged = true);
    }

    /// Returns when the partition is to be ticked; `None` while a tick is under way.
    pub(crate) fn next_at(&self, partition: Partition) -> Option<TimestampMs> {
        self.partitions.get(usize::from(partition.number()))?.next_at(self.ceiling_ms)
    }

    /// Returns when the next partition is to be ticked.
    pub(crate) fn wake_at(&self) -> Option<TimestampMs> {
        let times = self.partitions.iter();
        times.filter_map(|e| e.next_at(self.ceiling_ms)).min()
    }

    /// Takes up to `count` partitions that are to be ticked by `now`, the longest overdue first.
    pub(crate) fn begin(&mut self, now: TimestampMs, count: usize) -> Vec<Partition> {
        let mut ready: Vec<(TimestampMs, u16)> = (0u16..)
            .zip(&self.partitions)
            .filter_map(|(number, e)| Some((e.next_at(self.ceiling_ms)?, number)))
            .filter(|(at, _)| *at <= now)
            .collect();
        ready.sort_unstable();
        ready.truncate(count);
        let partitions = ready.into_iter().map(|(_, n)| Partition::new_unchecked(n));
        partitions
            .inspect(|partition| {
                let entry = &mut self.partitions[usize::from(partition.number())];
                entry.in_flight = true;
                entry.lagged = false;
                entry.more = false;
                entry.due = None;
                entry.ticked_at = Some(now);
            })
            .collect()
    }

    /// Takes what a tick did.
    pub(crate) fn ticked(&mut self, partition: Partition, ticked: Ticked, now: TimestampMs) {
        if let Some(entry) = self.entry(partition) {
            let overdue = ticked.next_due.is_some_and(|due| due <= now);
            entry.in_flight = false;
            entry.failures = 0;
            entry.retry_at = None;
            entry.looked_at = Some(now);
            entry.due = earlier(entry.due, ticked.next_due);
            entry.more = ticked.more && ticked.handled > 0;
            entry.barren =
                if overdue && ticked.handled == 0 { entry.barren.saturating_add(1) } else { 0 };
        }
    }

    /// Takes a failed tick. Returns whether it is the first in a row: the one to log.
    pub(crate) fn failed(&mut self, partition: Partition, now: TimestampMs) -> bool {
        let Some(entry) = self.entry(partition) else {
            return false;
        };
        let wait_ms = RETRY_MS_MIN << entry.failures.min(16);
        entry.in_flight = false;
        entry.failures += 1;
        entry.retry_at = Some(now.plus_ms(wait_ms.min(RETRY_MS_MAX)));
        entry.failures == 1
    }

    fn entry(&mut self, partition: Partition) -> Option<&mut Entry> {
        self.partitions.get_mut(usize::from(partition.number()))
    }
}

impl Entry {
    fn next_at(&self, ceiling_ms: u64) -> Option<TimestampMs> {
        if self.in_flight {
            return None;
        }
        if self.retry_at.is_some() {
            return self.retry_at;
        }
        let Some(ticked_at) = self.ticked_at else {
            return Some(TimestampMs::default());
        };
        if self.more {
            return Some(ticked_at);
        }
        let spacing_ms = TICK_SPACING_MS << self.barren.min(BARREN_DOUBLINGS_MAX);
        let spaced = ticked_at.plus_ms(spacing_ms);
        if self.lagged {
            return Some(spaced);
        }
        let ceiling = self.looked_at.unwrap_or(ticked_at).plus_ms(ceiling_ms);
        earlier(self.due, Some(ceiling)).map(|at| at.max(spaced))
    }
}

fn earlier(a: Option<TimestampMs>, b: Option<TimestampMs>) -> Option<TimestampMs> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const P: Partition = Partition::new_unchecked(0);

    fn at(ms: u64) -> TimestampMs {
        TimestampMs::from_millis(ms)
    }

    fn schedule() -> Schedule {
        Schedule::new(PartitionMap::new(1).expect("1 is legal"))
    }

    fn ticked(handled: u32, more: bool, next_due: Option<u64>) -> Ticked {
        Ticked { handled, more, next_due: next_due.map(at) }
    }

    /// A schedule whose partition was ticked at 1 000.
    fn after(tick: Ticked) -> Schedule {
        let mut schedule = schedule();
        assert_eq!(schedule.begin(at(1_000), 8), [P]);
        schedule.ticked(P, tick, at(1_000));
        schedule
    }

    #[test]
    fn a_new_partition_is_ticked_at_once_and_not_twice_at_a_time() {
        let mut schedule = schedule();
        assert_eq!(schedule.begin(at(0), 8), [P]);
        assert_eq!(schedule.begin(at(9_000), 8), []);
        assert_eq!(schedule.wake_at(), None);
    }

    #[test]
    fn it_waits_for_the_next_due_time_but_no_longer_than_the_ceiling() {
        assert_eq!(after(ticked(0, false, Some(3_000))).wake_at(), Some(at(3_000)));
        let far = after(ticked(0, false, Some(90_000)));
        assert_eq!(far.wake_at(), Some(at(1_000 + TICK_IDLE_CEILING_MS)));
        let none = after(ticked(0, false, None));
        assert_eq!(none.wake_at(), Some(at(1_000 + TICK_IDLE_CEILING_MS)));
    }

    #[test]
    fn timers_left_undone_are_handled_without_a_pause() {
        assert_eq!(after(ticked(5, true, Some(900))).wake_at(), Some(at(1_000)));
    }

    #[test]
    fn a_claim_stands_for_a_look_and_moves_the_due_time_only_earlier() {
        let mut schedule = after(ticked(0, false, Some(4_000)));
        schedule.saw(P, Some(at(60_000)), at(2_000));
        assert_eq!(schedule.wake_at(), Some(at(4_000)));
        schedule.saw(P, Some(at(3_000)), at(2_500));
        assert_eq!(schedule.wake_at(), Some(at(3_000)));

        let mut idle = after(ticked(0, false, None));
        idle.saw(P, None, at(5_000));
        assert_eq!(idle.wake_at(), Some(at(5_000 + TICK_IDLE_CEILING_MS)));
    }

    #[test]
    fn a_notice_of_a_timer_is_looked_at_when_that_is_due() {
        let mut schedule = after(ticked(0, false, Some(4_000)));
        schedule.saw(P, Some(at(3_000)), at(1_500));
        assert_eq!(schedule.wake_at(), Some(at(3_000)));
        assert_eq!(schedule.begin(at(2_999), 8), []);
        assert_eq!(schedule.begin(at(3_000), 8), [P]);
    }

    #[test]
    fn lost_notices_cost_a_look_at_once_but_a_storm_of_them_is_spaced() {
        let mut schedule = after(ticked(0, false, None));
        schedule.lagged();
        assert_eq!(schedule.begin(at(2_000), 8), [P]);
        schedule.lagged();
        schedule.ticked(P, ticked(0, false, None), at(2_001));
        assert_eq!(schedule.wake_at(), Some(at(2_000 + TICK_SPACING_MS)));
    }

    #[test]
    fn a_due_timer_that_does_not_fire_is_asked_after_ever_less_often() {
        let mut schedule = after(ticked(0, false, Some(1_000)));
        let first = schedule.wake_at().expect("scheduled");
        schedule.begin(first, 8);
        schedule.ticked(P, ticked(0, false, Some(1_000)), first);
        let second = schedule.wake_at().expect("scheduled");
        assert!(second.since_ms(first) > first.since_ms(at(1_000)));
    }

    #[test]
    fn a_failure_is_told_once_and_tried_again_with_a_growing_wait() {
        let mut schedule = schedule();
        schedule.begin(at(0), 8);
        assert!(schedule.failed(P, at(0)));
        assert_eq!(schedule.wake_at(), Some(at(RETRY_MS_MIN)));
        schedule.begin(at(RETRY_MS_MIN), 8);
        assert!(!schedule.failed(P, at(RETRY_MS_MIN)));
        assert_eq!(schedule.wake_at(), Some(at(RETRY_MS_MIN * 3)));
        schedule.begin(at(RETRY_MS_MIN * 3), 8);
        schedule.ticked(P, Ticked::default(), at(RETRY_MS_MIN * 3));
        schedule.lagged();
        schedule.begin(at(10_000), 8);
        assert!(schedule.failed(P, at(10_000)));
    }

    #[test]
    fn many_partitions_share_a_bounded_rate_of_idle_looks() {
        let map = PartitionMap::new(64).expect("64 is legal");
        let mut schedule = Schedule::new(map);
        for partition in schedule.begin(at(0), 100) {
            schedule.ticked(partition, Ticked::default(), at(0));
        }
        assert_eq!(schedule.wake_at(), Some(at(64 * IDLE_TICK_SPACING_MS)));
    }

    #[test]
    fn the_longest_overdue_goes_first_within_the_bound() {
        let map = PartitionMap::new(3).expect("3 is legal");
        let mut schedule = Schedule::new(map);
        for partition in schedule.begin(at(0), 3) {
            let due = 300 - 100 * u64::from(partition.number());
            schedule.ticked(partition, ticked(0, false, Some(due)), at(0));
        }
        let numbers: Vec<u16> =
            schedule.begin(at(1_000), 2).into_iter().map(Partition::number).collect();
        assert_eq!(numbers, [2, 1]);
    }
}

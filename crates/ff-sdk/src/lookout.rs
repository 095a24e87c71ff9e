//! Where to claim next: which partitions are known to hold work, and when to look in vain.

use ff_core::partition::{Partition, PartitionMap};
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
    /// The partition that was claimed from last; the search goes on behind it.
    cursor: usize,
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
    /// Nothing is known at first, so every partition is worth a look.
    pub(crate) fn new(map: PartitionMap, idle_ms: u64) -> Self {
        let outlook = Outlook { ready: true, notices: 0, looked_at: None };
        Self {
            state: Mutex::new(State {
                partitions: vec![outlook; usize::from(map.count())],
                cursor: usize::from(map.count()) - 1,
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

    /// Returns what to do: partitions believed to hold work in rotation; without any, the one not
    /// looked at for longest, once an idle ceiling.
    pub(crate) fn next(&self, now: TimestampMs) -> Next {
        let mut state = self.lock();
        let count = state.partitions.len();
        let rotation = (1..=count).map(|step| (state.cursor + step) % count);
        if let Some(index) = rotation.clone().find(|i| state.partitions[*i].ready) {
            state.cursor = index;
            return Next::Claim(state.look(index));
        }
        let Some(stalest) = rotation.min_by_key(|i| state.partitions[*i].looked_at) else {
            return Next::Wait(now.plus_ms(self.idle_ms));
        };
        let last = state.polled_at.max(state.partitions[stalest].looked_at);
        let due = last.map_or(now, |last| last.plus_ms(self.idle_ms));
        if now < due {
            return Next::Wait(due);
        }
        state.polled_at = Some(now);
        Next::Claim(state.look(stalest))
    }

    /// Begins a look that is tied to a partition, such as a fused claim.
    pub(crate) fn look(&self, partition: Partition) -> Look {
        self.lock().look(usize::from(partition.number()))
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

    /// Tells whether work is believed to be ready in another partition than this.
    pub(crate) fn is_ready_elsewhere(&self, partition: Partition) -> bool {
        let state = self.lock();
        let mut outlooks = (0u16..).zip(&state.partitions);
        outlooks.any(|(number, outlook)| outlook.ready && number != partition.number())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
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

    fn lookout(count: u16) -> Lookout {
        Lookout::new(PartitionMap::new(count).expect("legal"), 1_000)
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
}

//! What happened to each execution of a load, by its number.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use flowfabric::ff_core::ids::ExecutionId;
use tokio::sync::{Notify, Semaphore};
use uuid::Uuid;

/// Bytes at the beginning of an input: the id of the load, and a number.
const MARK_BYTES: usize = 16 + 4;

/// Counts and times each execution. An input carries the id of the load, so that what an earlier
/// load left behind is not mistaken for its own.
#[derive(Debug)]
pub(super) struct Tally {
    load: Uuid,
    begun: Instant,
    marks: Vec<Mark>,
    ids: Mutex<Vec<ExecutionId>>,
    ran: AtomicU64,
    strangers: AtomicU64,
    all_ran: Notify,
    room: Semaphore,
}

/// One execution, in microseconds since the load began; 0 is not yet.
#[derive(Debug, Default)]
struct Mark {
    submitted_us: AtomicU64,
    began_us: AtomicU64,
    runs: AtomicU32,
}

impl Tally {
    /// Expects this many executions, of which so many may be open at a time.
    pub(super) fn new(executions: u32, open: usize) -> Self {
        Self {
            load: Uuid::new_v4(),
            begun: Instant::now(),
            marks: std::iter::repeat_with(Mark::default).take(executions as usize).collect(),
            ids: Mutex::default(),
            ran: AtomicU64::new(0),
            strangers: AtomicU64::new(0),
            all_ran: Notify::new(),
            room: Semaphore::new(open),
        }
    }

    /// Waits until at least one execution more may be open, and takes room for up to `count`.
    pub(super) async fn wait_for_room(&self, count: usize) -> usize {
        if let Ok(permit) = self.room.acquire().await {
            permit.forget();
        }
        1 + self.room.forget_permits(count.saturating_sub(1))
    }

    /// Gives room back that was not used.
    pub(super) fn give_room_back(&self, count: usize) {
        self.room.add_permits(count);
    }

    /// Returns the input of an execution.
    pub(super) fn input(&self, number: u32, bytes: usize) -> Vec<u8> {
        let mut input = self.load.as_bytes().to_vec();
        input.extend(number.to_be_bytes());
        input.resize(bytes.max(MARK_BYTES), b'x');
        input
    }

    /// Notes that these are about to be submitted.
    pub(super) fn submitting(&self, first: u32, count: usize) {
        let now = self.now_us();
        for mark in self.marks.iter().skip(first as usize).take(count) {
            mark.submitted_us.store(now, Ordering::Relaxed);
        }
    }

    /// Notes the execution that came of the next submission.
    pub(super) fn submitted(&self, id: ExecutionId) {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(id);
    }

    /// Notes that the work on an input begins, and returns its number; `None` for that of another
    /// load.
    pub(super) fn began(&self, input: &[u8]) -> Option<usize> {
        let now = self.now_us();
        let number = self.number(input);
        if let Some(mark) = number.and_then(|number| self.marks.get(number)) {
            // A second run does not change when it began.
            let _ = mark.began_us.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed);
        }
        number
    }

    /// Notes that the work is done; tells whether that was the first time.
    pub(super) fn ran(&self, number: Option<usize>) -> bool {
        let Some(mark) = number.and_then(|number| self.marks.get(number)) else {
            self.strangers.fetch_add(1, Ordering::Relaxed);
            return false;
        };
        if mark.runs.fetch_add(1, Ordering::Relaxed) > 0 {
            return false;
        }
        self.room.add_permits(1);
        if self.ran.fetch_add(1, Ordering::AcqRel) + 1 == self.marks.len() as u64 {
            self.all_ran.notify_one();
        }
        true
    }

    /// Resolves once each has run.
    pub(super) async fn all_ran(&self) {
        self.all_ran.notified().await;
    }

    /// Returns how many have run.
    pub(super) fn ran_count(&self) -> u64 {
        self.ran.load(Ordering::Acquire)
    }

    /// Returns how many ran more than once.
    pub(super) fn ran_again(&self) -> u64 {
        self.marks.iter().filter(|mark| mark.runs.load(Ordering::Relaxed) > 1).count() as u64
    }

    /// Returns how many of another load ran.
    pub(super) fn strangers(&self) -> u64 {
        self.strangers.load(Ordering::Relaxed)
    }

    /// Returns the executions that were submitted.
    pub(super) fn ids(&self) -> Vec<ExecutionId> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Returns how long each waited for its start, in microseconds.
    pub(super) fn waits_us(&self) -> Vec<u64> {
        let wait = |mark: &Mark| {
            let began = mark.began_us.load(Ordering::Relaxed);
            began.saturating_sub(mark.submitted_us.load(Ordering::Relaxed))
        };
        self.marks.iter().map(wait).collect()
    }

    fn number(&self, input: &[u8]) -> Option<usize> {
        let (load, rest) = input.split_first_chunk::<16>()?;
        let number = rest.first_chunk::<4>().filter(|_| load == self.load.as_bytes())?;
        usize::try_from(u32::from_be_bytes(*number)).ok()
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX).max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_is_told_from_that_of_another_load() {
        let tally = Tally::new(2, 2);
        assert_eq!(tally.began(&tally.input(1, 0)), Some(1));
        assert_eq!(tally.began(&Tally::new(2, 2).input(1, 64)), None);
        assert_eq!(tally.began(b"short"), None);
    }

    #[tokio::test]
    async fn room_is_taken_and_given_back() {
        let tally = Tally::new(3, 2);
        assert_eq!(tally.wait_for_room(3).await, 2);
        let number = tally.began(&tally.input(0, 0));
        assert!(tally.ran(number));
        assert!(!tally.ran(number), "a second run is no first");
        assert_eq!(tally.wait_for_room(3).await, 1);
        assert_eq!(tally.ran_again(), 1);
    }
}

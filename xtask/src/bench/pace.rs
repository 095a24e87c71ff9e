//! Work at a given rate, whether or not what came before has been answered.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::work::join;
use crate::error::XtaskError;

/// How fine the timer is.
const TICK: Duration = Duration::from_millis(1);

/// When each of a row is due.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// How many a second; without bound when zero.
    rate: f64,
}

impl Pace {
    /// So many a second.
    pub(super) fn of(rate: f64) -> Self {
        Self { rate }
    }

    /// All at once.
    pub(super) fn full() -> Self {
        Self { rate: 0.0 }
    }

    /// Returns whether it has no bound.
    pub(super) fn is_full(self) -> bool {
        self.rate <= 0.0
    }

    /// Returns how long after the first one this is due.
    pub(super) fn after(self, number: u64) -> Duration {
        match self.rate {
            rate if rate > 0.0 => Duration::from_secs_f64(number as f64 / rate),
            _ => Duration::ZERO,
        }
    }

    /// Waits until this one is due, and returns from when on its time counts: from now, but at the
    /// latest from a tick of the timer after it was due, so that what came late for what was
    /// before it has waited all the while. Without a bound nothing is due before its turn.
    pub(super) async fn due(self, first: Instant, number: u64) -> Instant {
        let due = first + self.after(number);
        // What is due within the same tick of the timer begins together.
        tokio::time::sleep_until(due.into()).await;
        let now = Instant::now();
        if self.is_full() { now } else { now.min(due + TICK) }
    }

    /// Starts each call when it is due, however the others fare, and waits for all.
    pub(super) async fn keep<F>(
        self,
        count: u64,
        mut call: impl FnMut(u64, Instant) -> F,
    ) -> Result<(), XtaskError>
    where
        F: Future<Output = Result<(), XtaskError>> + Send + 'static,
    {
        let mut calls = JoinSet::new();
        let first = Instant::now();
        for number in 0..count {
            let due = self.due(first, number).await;
            calls.spawn(call(number, due));
        }
        join(calls).await
    }
}

/// When each of a row was handed in.
#[derive(Debug)]
pub(super) struct Sent {
    began: Instant,
    /// Nanoseconds after that.
    at: Vec<AtomicU64>,
}

impl Sent {
    /// Remembers so many.
    pub(super) fn new(count: u64) -> Self {
        Self { began: Instant::now(), at: (0..count).map(|_| AtomicU64::new(0)).collect() }
    }

    /// Notes when this one was handed in.
    pub(super) fn note(&self, number: u64, at: Instant) {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.at[number as usize].store(nanos, Ordering::Release);
    }

    /// Returns the microseconds from then to `now`.
    pub(super) fn until(&self, number: u64, now: Instant) -> f64 {
        let at =
            self.began + Duration::from_nanos(self.at[number as usize].load(Ordering::Acquire));
        now.saturating_duration_since(at).as_secs_f64() * 1e6
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pace_spreads_evenly() {
        let pace = Pace::of(4.0);
        assert_eq!(pace.after(0), Duration::ZERO);
        assert_eq!(pace.after(6), Duration::from_millis(1_500));
        assert_eq!(Pace::full().after(6), Duration::ZERO);
    }

    #[tokio::test]
    async fn what_comes_late_has_waited_since_it_was_due() {
        let pace = Pace::of(1_000.0);
        let first = Instant::now() - Duration::from_secs(60);
        assert_eq!(pace.due(first, 5).await, first + Duration::from_millis(5) + TICK);
        assert!(Pace::full().due(first, 5).await > first + Duration::from_secs(59));
    }
}

//! Time as a capability: a millisecond timestamp, and the clock that every timer asks.

use self::boxed::BoxFuture;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A boxed future, as an object-safe trait returns it.
pub mod boxed {
    use std::{future::Future, pin::Pin};
    /// A boxed, sendable future.
    pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;
}

/// Milliseconds since the Unix epoch.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct TimestampMs(u64);

impl TimestampMs {
    /// Takes milliseconds since the Unix epoch.
    pub const fn from_millis(ms: u64) -> Self {
        Self(ms)
    }

    /// Returns milliseconds since the Unix epoch.
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// Adds a span; saturates.
    pub const fn plus_ms(self, span_ms: u64) -> Self {
        Self(self.0.saturating_add(span_ms))
    }

    /// Returns the span since `earlier`, 0 when that is later.
    pub const fn since_ms(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for TimestampMs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Tells the time and wakes sleepers. Every timer of the SDK and the engine uses the backend's
/// clock, so a test that moves the clock moves them all.
pub trait Clock: Send + Sync + fmt::Debug {
    /// Returns the current time.
    fn now(&self) -> TimestampMs;

    /// Resolves once [`Clock::now`] is at or past `at`; at once when it already is.
    fn sleep_until(&self, at: TimestampMs) -> BoxFuture<'_, ()>;
}

/// Returns the system's time. For the clocks of backends; rules never call it.
pub fn system_now() -> TimestampMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    TimestampMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// A clock that stands still until it is moved. For tests and for virtual time.
#[derive(Debug)]
pub struct ManualClock {
    state: Mutex<ManualState>,
}

#[derive(Debug)]
struct ManualState {
    now: TimestampMs,
    next_sleeper: u64,
    sleepers: BTreeMap<(TimestampMs, u64), Option<Waker>>,
}

impl ManualClock {
    /// Starts at `now`.
    pub fn new(now: TimestampMs) -> Self {
        let state = ManualState { now, next_sleeper: 0, sleepers: BTreeMap::new() };
        Self { state: Mutex::new(state) }
    }

    /// Moves the time to `now`, never backwards, and wakes every sleeper that is due, in order.
    pub fn move_to(&self, now: TimestampMs) {
        let woken: Vec<Waker> = {
            let mut state = self.lock();
            state.now = state.now.max(now);
            let now = state.now;
            state
                .sleepers
                .range_mut(..=(now, u64::MAX))
                .filter_map(|(_, waker)| waker.take())
                .collect()
        };
        woken.into_iter().for_each(Waker::wake);
    }

    /// Returns when the next sleeper is due.
    pub fn next_sleeper(&self) -> Option<TimestampMs> {
        let state = self.lock();
        state.sleepers.iter().find(|(_, waker)| waker.is_some()).map(|((at, _), _)| *at)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, ManualState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> TimestampMs {
        self.lock().now
    }

    fn sleep_until(&self, at: TimestampMs) -> BoxFuture<'_, ()> {
        Box::pin(ManualSleep { clock: self, at, key: None })
    }
}

struct ManualSleep<'a> {
    clock: &'a ManualClock,
    at: TimestampMs,
    key: Option<(TimestampMs, u64)>,
}

impl Future for ManualSleep<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.clock.lock();
        if state.now >= self.at {
            return Poll::Ready(());
        }
        let key = self.key.unwrap_or_else(|| {
            state.next_sleeper += 1;
            (self.at, state.next_sleeper)
        });
        state.sleepers.insert(key, Some(cx.waker().clone()));
        drop(state);
        self.key = Some(key);
        Poll::Pending
    }
}

impl Drop for ManualSleep<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            self.clock.lock().sleepers.remove(&key);
        }
    }
}

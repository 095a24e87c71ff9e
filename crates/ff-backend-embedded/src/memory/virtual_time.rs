//! Virtual time: a store in memory whose clock a test moves, with every timer firing on the way.

use super::MemoryBackend;
use crate::store::{Room, Store};
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::Tick;
use ff_core::limits::TICK_LIMIT_MAX;
use ff_core::partition::PartitionMap;
use ff_core::time::ManualClock;
use ff_core::{Clock, EngineResult, TimestampMs};
use ff_lifecycle::PartitionStore;
use std::sync::Arc;
use std::time::Duration;

/// How often the tasks of the runtime get their turn at each stop.
const TURNS_PER_STOP: u32 = 32;

/// A hand on the clock of a store in memory.
///
/// [`advance`](Self::advance) goes from one timer to the next, those of the engine (retries,
/// leases, timeouts, retention) and those of whoever sleeps on the backend's clock (renewals, idle
/// polls, a handler's own waits), in order, and lets the tasks that wake have their turn before it
/// goes on. Nothing sleeps: a week passes in a moment. Use it on a current-thread runtime, so
/// that a turn is a turn. A worker's idle poll is a timer too; over days, let it poll once a
/// minute rather than once a second.
///
/// ```
/// use ff_backend_embedded::VirtualTime;
/// use ff_core::{Clock, TimestampMs, partition::PartitionMap};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ff_core::EngineResult<()> {
/// let noon = TimestampMs::from_millis(1_735_732_800_000);
/// let time = VirtualTime::new(noon, PartitionMap::new(1)?);
/// let backend = time.backend();
/// # let _ = backend;
/// time.advance(Duration::from_secs(7 * 86_400)).await?;
/// assert_eq!(time.clock().now(), noon.plus_ms(7 * 86_400_000));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct VirtualTime {
    backend: MemoryBackend,
    clock: Arc<ManualClock>,
}

impl VirtualTime {
    /// Makes an empty store whose time begins at `start` and stands still.
    pub fn new(start: TimestampMs, partitions: PartitionMap) -> Self {
        let clock = Arc::new(ManualClock::new(start));
        Self { backend: MemoryBackend::with_clock(clock.clone(), partitions), clock }
    }

    /// Returns the store.
    pub const fn backend(&self) -> &MemoryBackend {
        &self.backend
    }

    /// Returns the clock, to be moved without firing the engine's timers.
    pub const fn clock(&self) -> &Arc<ManualClock> {
        &self.clock
    }

    /// Moves the time on, firing every timer on the way.
    pub async fn advance(&self, span: Duration) -> EngineResult<()> {
        let span_ms = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let end = self.clock.now().plus_ms(span_ms);
        turns().await;
        loop {
            let next = [self.next_due().await?, self.clock.next_sleeper()].into_iter().flatten();
            let stop = next.min().map_or(end, |at| at.max(self.clock.now()));
            if stop >= end {
                break;
            }
            self.stop_at(stop).await?;
        }
        self.stop_at(end).await
    }

    /// Fires what is due at a time, and lets everybody who woke have a turn.
    async fn stop_at(&self, at: TimestampMs) -> EngineResult<()> {
        self.clock.move_to(at);
        let due = self.next_due().await?.is_some_and(|due| due <= self.clock.now());
        for partition in self.backend.store.map().iter().filter(|_| due) {
            let tick = Tick { partition, limit: TICK_LIMIT_MAX };
            while self.backend.tick(tick).await?.more {}
        }
        turns().await;
        Ok(())
    }

    async fn next_due(&self) -> EngineResult<Option<TimestampMs>> {
        let map = self.backend.store.map();
        let next = move |room: &mut super::MemoryRoom, _| {
            let mut next: Option<TimestampMs> = None;
            for partition in map.iter() {
                let head = room.partition(partition)?.due_head().map(|(at, _)| at);
                next = [next, head].into_iter().flatten().min();
            }
            Ok(next)
        };
        self.backend.store.read("advance", next).await
    }
}

async fn turns() {
    for _ in 0..TURNS_PER_STOP {
        tokio::task::yield_now().await;
    }
}

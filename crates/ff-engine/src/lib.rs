//! The loop that keeps a FlowFabric store ticking: it handles timers that nobody else touches.
//!
//! Workers start it, and so do servers: timers fire as long as one of either lives, however busy
//! it is. It never polls for work that is not there. It sleeps until the earliest due time it
//! knows of, a notice wakes it when an earlier one appears, and each partition is looked at once an
//! idle ceiling in case a notice was lost.

mod drive;
mod schedule;

pub use schedule::{IDLE_TICK_SPACING_MS, TICK_IDLE_CEILING_MS};

use ff_core::contracts::EngineBackend;
use ff_core::partition::Partition;
use ff_core::time::{Clock, TimestampMs};
use schedule::Schedule;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};
use tokio::task::JoinHandle;

/// Starts the loop.
#[derive(Debug)]
pub struct Engine;

impl Engine {
    /// Starts to drive the ticks of every partition of the backend, on the current tokio runtime.
    /// Errors of the store are logged once each time they begin, and tried again with a growing
    /// wait.
    pub fn start(backend: Arc<dyn EngineBackend>) -> EngineGuard {
        let shared = Arc::new(Shared::new(backend));
        let (stop, stopped) = oneshot::channel();
        let driver = tokio::spawn(drive::drive(shared.clone(), stopped));
        EngineGuard { shared, stop: Some(stop), driver: Some(driver) }
    }
}

/// Keeps the loop alive. Dropping it ends the loop after the ticks that are under way.
#[derive(Debug)]
pub struct EngineGuard {
    shared: Arc<Shared>,
    stop: Option<oneshot::Sender<()>>,
    driver: Option<JoinHandle<()>>,
}

impl EngineGuard {
    /// Tells the loop what a claim has just seen: the partition's timers were handled and the next
    /// is due then. Such a partition needs no look of the loop's own until that time. Costs a lock.
    pub fn saw_next_due(&self, partition: Partition, next_due: Option<TimestampMs>) {
        self.shared.saw_next_due(partition, next_due);
    }

    /// Stops the loop and waits for the ticks that are under way.
    pub async fn stop(mut self) {
        self.stop = None;
        if let Some(driver) = self.driver.take()
            && let Err(error) = driver.await
        {
            tracing::error!(%error, "the tick loop ended badly");
        }
    }
}

/// What the loop, its listener and the guard share.
#[derive(Debug)]
struct Shared {
    backend: Arc<dyn EngineBackend>,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug)]
struct State {
    schedule: Schedule,
    /// When the loop wakes by itself; `None` while it is not asleep.
    wakes_at: Option<TimestampMs>,
}

impl Shared {
    fn new(backend: Arc<dyn EngineBackend>) -> Self {
        let schedule = Schedule::new(backend.partitions());
        Self {
            clock: backend.clock(),
            backend,
            state: Mutex::new(State { schedule, wakes_at: None }),
            wake: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn saw_next_due(&self, partition: Partition, next_due: Option<TimestampMs>) {
        let now = self.clock.now();
        let mut state = self.lock();
        state.schedule.saw(partition, next_due, now);
        let next_at = state.schedule.next_at(partition);
        let sleeps_too_long = state.wakes_at > next_at && next_at.is_some();
        drop(state);
        if sleeps_too_long {
            self.wake.notify_one();
        }
    }

    fn lagged(&self) {
        self.lock().schedule.lagged();
        self.wake.notify_one();
    }
}

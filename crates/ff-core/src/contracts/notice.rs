//! Notices and time: how a waiter learns that it is worth looking again.
//!
//! A notice is a hint and may be lost. Whoever waits subscribes first, then reads the state, then
//! waits with a deadline of its own, and reads again.

use crate::error::EngineResult;
use crate::ids::ExecutionId;
use crate::limits::WATCH_TTL_MS_MAX;
use crate::partition::Partition;
use crate::policy::between;
use crate::time::{Clock, TimestampMs};
use std::fmt;
use std::sync::Arc;

/// What happened in a partition.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A ready index went from empty to not empty.
    Ready(Partition),
    /// The earliest timer moved earlier.
    Due {
        /// The partition.
        partition: Partition,
        /// When that timer is due.
        at: TimestampMs,
    },
    /// A watched execution ended.
    Done(ExecutionId),
    /// A watched execution has new frames or progress.
    Frame(ExecutionId),
    /// A cancel was requested of an active execution.
    Cancel(ExecutionId),
    /// Notices may have been lost: look at everything again.
    Lagged,
}

/// One subscriber's notices.
#[async_trait::async_trait]
pub trait NoticeReceiver: Send + fmt::Debug {
    /// Waits for the next notice; pends for ever once the backend is gone. Cancel safe.
    async fn receive(&mut self) -> Notice;
}

/// Marks an execution as watched, so that its end and its frames are noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchExecution {
    /// The execution.
    pub execution_id: ExecutionId,
    /// For how long, 1 ms to 1 hour; watch again before it is over.
    pub ttl_ms: u64,
}

impl WatchExecution {
    /// Refuses values out of bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("watch ttl_ms", self.ttl_ms, 1, WATCH_TTL_MS_MAX)
    }
}

/// Hands out the clock and the notices.
#[async_trait::async_trait]
pub trait NoticeBackend: Send + Sync + fmt::Debug {
    /// Returns the clock that every timer around this backend uses.
    fn clock(&self) -> Arc<dyn Clock>;

    /// Subscribes to the notices of the partitions. Every notice published after this resolves is
    /// received, or `Lagged` in its place. An empty list subscribes to nothing.
    async fn subscribe(&self, partitions: Vec<Partition>) -> EngineResult<Box<dyn NoticeReceiver>>;

    /// Marks an execution as watched. Repeats extend the mark; a missing execution is `NotFound`.
    async fn watch_execution(&self, request: WatchExecution) -> EngineResult<()>;
}

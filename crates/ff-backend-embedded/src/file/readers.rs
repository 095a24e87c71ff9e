//! Readers: connections of their own, each read on one consistent view of the file, beside
//! whatever is being written.

use super::error::refused;
use super::open::open_reader;
use super::room::FileRoom;
use super::sql::Fault;
use ff_core::partition::PartitionMap;
use ff_core::{Clock, EngineError, EngineResult, TimestampMs};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Reads that run at a time; more wait.
const READERS_MAX: usize = 4;

#[derive(Debug)]
pub(super) struct Readers {
    shared: Arc<Shared>,
    room: Arc<Semaphore>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    map: PartitionMap,
    clock: Arc<dyn Clock>,
    idle: Mutex<Vec<FileRoom>>,
}

impl Readers {
    pub(super) fn new(path: PathBuf, map: PartitionMap, clock: Arc<dyn Clock>) -> Self {
        let shared = Shared { path, map, clock, idle: Mutex::default() };
        Self { shared: Arc::new(shared), room: Arc::new(Semaphore::new(READERS_MAX)) }
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        rule: impl Fn(&mut FileRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        let gone = |reason: String| EngineError::Unavailable { op: operation, reason };
        let turn = Arc::clone(&self.room).acquire_owned().await;
        let turn = turn.map_err(|error| gone(error.to_string()))?;
        let shared = Arc::clone(&self.shared);
        let reading = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            shared.read(rule).unwrap_or_else(|fault| Err(refused(operation, &shared.path, &fault)))
        });
        reading.await.map_err(|error| gone(error.to_string()))?
    }
}

impl Shared {
    fn read<T>(
        &self,
        rule: impl Fn(&mut FileRoom, TimestampMs) -> EngineResult<T>,
    ) -> Result<EngineResult<T>, Fault> {
        let kept = self.idle().pop();
        let mut room = match kept {
            Some(room) => room,
            None => FileRoom::new(open_reader(&self.path)?, self.map),
        };
        room.sql().connection().execute_batch("begin")?;
        let outcome = room.run(self.clock.now(), rule);
        room.partition.forget();
        // A connection that cannot end its view is not used again.
        room.sql().connection().execute_batch("rollback")?;
        self.idle().push(room);
        outcome
    }

    fn idle(&self) -> MutexGuard<'_, Vec<FileRoom>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

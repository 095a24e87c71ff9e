//! Fresh stores whose clock stands still until it is moved.
#![allow(dead_code, reason = "each test binary uses its part of this file")]

pub mod work;

use ff_backend_embedded::{Durability, FileBackend, FileConfig, MemoryBackend};
use ff_conformance::{Fixture, START};
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::Tick;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::time::ManualClock;
use ff_core::{Clock, EngineBackend, MutationId, TimestampMs};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn map(partitions: u16) -> PartitionMap {
    PartitionMap::new(partitions).expect("a legal count")
}

pub struct MemoryFixture {
    backend: MemoryBackend,
    clock: Arc<ManualClock>,
    ticks: bool,
}

impl MemoryFixture {
    pub fn fresh(partitions: u16) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let backend = MemoryBackend::with_clock(clock.clone(), map(partitions));
        Self { backend, clock, ticks: false }
    }

    /// Handles every timer that is due whenever the time moves.
    pub fn ticking() -> Self {
        Self { ticks: true, ..Self::fresh(1) }
    }
}

#[async_trait::async_trait]
impl Fixture for MemoryFixture {
    fn backend(&self) -> Arc<dyn EngineBackend> {
        Arc::new(self.backend.clone())
    }

    async fn another_connection(&self) -> Arc<dyn EngineBackend> {
        self.backend()
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    async fn advance(&self, span_ms: u64) {
        self.clock.move_to(self.clock.now().plus_ms(span_ms));
        if self.ticks {
            let tick = Tick { partition: Partition::new_unchecked(0), limit: 1_000 };
            self.backend.tick(tick).await.expect("a tick in memory succeeds");
        }
    }

    async fn dump(&self) -> String {
        self.backend.dump()
    }
}

/// A folder of a test's own, gone with it.
pub struct Folder(PathBuf);

impl Folder {
    pub fn fresh() -> Self {
        let name = format!("flowfabric-test-{}", MutationId::generate());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).expect("a temporary folder");
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self) -> PathBuf {
        self.0.join("ff.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub struct FileFixture {
    backend: FileBackend,
    clock: Arc<ManualClock>,
    // After the backend, which closes the file when it is dropped.
    _folder: Folder,
}

impl FileFixture {
    pub async fn fresh(partitions: u16) -> Self {
        let folder = Folder::fresh();
        let clock = Arc::new(ManualClock::new(START));
        let config = FileConfig::new(folder.file())
            .durability(Durability::Fast)
            .partitions(map(partitions))
            .clock(clock.clone());
        let backend = FileBackend::open(config).await.expect("a new file opens");
        Self { backend, clock, _folder: folder }
    }
}

#[async_trait::async_trait]
impl Fixture for FileFixture {
    fn backend(&self) -> Arc<dyn EngineBackend> {
        Arc::new(self.backend.clone())
    }

    async fn another_connection(&self) -> Arc<dyn EngineBackend> {
        self.backend()
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    async fn advance(&self, span_ms: u64) {
        self.clock.move_to(self.clock.now().plus_ms(span_ms));
    }

    async fn dump(&self) -> String {
        self.backend.dump().await.expect("a dump")
    }
}

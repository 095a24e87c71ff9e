//! A fresh store in memory whose clock stands still until it is moved.

use ff_backend_embedded::MemoryBackend;
use ff_conformance::{Fixture, START};
use ff_core::contracts::ClaimBackend;
use ff_core::contracts::claim::Tick;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::time::ManualClock;
use ff_core::{Clock, EngineBackend, TimestampMs};
use std::sync::Arc;

pub struct MemoryFixture {
    backend: MemoryBackend,
    clock: Arc<ManualClock>,
    ticks: bool,
}

impl MemoryFixture {
    pub fn fresh() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let one = PartitionMap::new(1).expect("one partition is within the bounds");
        let backend = MemoryBackend::with_clock(clock.clone(), one);
        Self { backend, clock, ticks: false }
    }

    /// Handles every timer that is due whenever the time moves.
    #[allow(dead_code, reason = "each test binary uses its part of this file")]
    pub fn ticking() -> Self {
        Self { ticks: true, ..Self::fresh() }
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

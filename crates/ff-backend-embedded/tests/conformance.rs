//! The behaviour suite, in memory.

use ff_backend_embedded::MemoryBackend;
use ff_conformance::{Fixture, START};
use ff_core::contracts::{InspectBackend, SubmitBackend};
use ff_core::partition::PartitionMap;
use ff_core::time::ManualClock;
use ff_core::{Clock, EngineBackend, ExecutionId, TimestampMs};
use std::sync::Arc;

struct Memory {
    clock: Arc<ManualClock>,
    backend: Arc<MemoryBackend>,
}

impl Memory {
    fn fresh(partitions: u16) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let partitions = PartitionMap::new(partitions).expect("a legal count");
        let backend = Arc::new(MemoryBackend::with_clock(clock.clone(), partitions));
        Self { clock, backend }
    }
}

#[async_trait::async_trait]
impl Fixture for Memory {
    fn backend(&self) -> Arc<dyn EngineBackend> {
        self.backend.clone()
    }

    async fn another_connection(&self) -> Arc<dyn EngineBackend> {
        self.backend.clone()
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    async fn advance(&self, span_ms: u64) {
        self.clock.move_to(self.clock.now().plus_ms(span_ms));
    }

    async fn dump(&self) -> String {
        // Any call lets go of lapsed claims and keys first; it is what is left that counts.
        for partition in self.backend.partitions().iter() {
            let unknown = ExecutionId::generate(partition);
            assert!(self.backend.describe_execution(unknown).await.is_err());
        }
        self.backend.dump()
    }
}

mod one_partition {
    use super::Memory;
    ff_conformance::conformance_suite!(Memory::fresh(1));
}

mod three_partitions {
    use super::Memory;
    ff_conformance::conformance_suite!(Memory::fresh(3));
}

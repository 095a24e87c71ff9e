//! The same random histories on the pure rules and on Valkey, in lock step: every reply and the
//! whole visible state must be equal after every step.

mod support;

use ff_backend_embedded::MemoryBackend;
use ff_conformance::differential::{Sight, Step, compare};
use ff_conformance::{Fixture, START};
use ff_core::partition::PartitionMap;
use ff_core::time::ManualClock;
use ff_core::{Clock, EngineBackend, TimestampMs};
use ff_testserver::ServerVersion;
use proptest::prelude::*;
use std::sync::Arc;
use support::fixture::ValkeyFixture;

/// The pure rules over a store in memory.
struct Rules {
    backend: MemoryBackend,
    clock: Arc<ManualClock>,
}

impl Rules {
    fn fresh() -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let one = PartitionMap::new(1).expect("one partition is within the bounds");
        Self { backend: MemoryBackend::with_clock(clock.clone(), one), clock }
    }
}

#[async_trait::async_trait]
impl Fixture for Rules {
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
        self.backend.dump()
    }
}

/// How many histories each version is tried with; `FF_HISTORIES` asks for more.
fn cases() -> u32 {
    std::env::var("FF_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(100)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = any::<(u8, u16, u16, u16)>().prop_map(|(operation, subject, variant, amount)| {
        Step { operation, subject, variant, amount }
    });
    proptest::collection::vec(step, 1..50)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 300,
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_rules_and_valkey_8_agree(history in steps()) {
        agree(ServerVersion::V8, &history)?;
    }

    #[test]
    fn the_rules_and_valkey_9_agree(history in steps()) {
        agree(ServerVersion::V9, &history)?;
    }
}

fn agree(version: ServerVersion, history: &[Step]) -> Result<(), TestCaseError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let outcome = runtime.expect("a runtime").block_on(async {
        let valkey = ValkeyFixture::standalone(version).await;
        compare(&Rules::fresh(), &valkey, history, Sight::All).await
    });
    outcome.map_err(|divergence| TestCaseError::fail(divergence.to_string()))
}

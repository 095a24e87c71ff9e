//! Random histories: what a store shows must not depend on who ticks, or when, nor on where it is
//! kept.

mod support;

use ff_conformance::differential::{Sight, Step, compare};
use proptest::prelude::*;
use support::{FileFixture, MemoryFixture};

/// How many histories are tried; `FF_HISTORIES` asks for more.
fn cases() -> u32 {
    std::env::var("FF_HISTORIES").ok().and_then(|count| count.parse().ok()).unwrap_or(300)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = any::<(u8, u16, u16, u16)>().prop_map(|(operation, subject, variant, amount)| {
        Step { operation, subject, variant, amount }
    });
    proptest::collection::vec(step, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        max_shrink_iters: 4_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn no_outcome_depends_on_whether_a_tick_has_run(history in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let lazy = MemoryFixture::fresh(1);
        let ticking = MemoryFixture::ticking();
        let outcome = runtime.block_on(compare(&lazy, &ticking, &history, Sight::Records));
        if let Err(divergence) = outcome {
            return Err(TestCaseError::fail(divergence.to_string()));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        // Each opens a file of its own.
        cases: cases() / 3,
        max_shrink_iters: 2_000,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_file_shows_what_memory_shows(history in steps()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let outcome = runtime.expect("a runtime").block_on(async {
            let file = FileFixture::fresh(1).await;
            compare(&MemoryFixture::fresh(1), &file, &history, Sight::All).await
        });
        if let Err(divergence) = outcome {
            return Err(TestCaseError::fail(divergence.to_string()));
        }
    }
}

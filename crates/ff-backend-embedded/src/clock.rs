//! The clock of a backend that lives with the real time.

use ff_core::time::boxed::BoxFuture;
use ff_core::time::system_now;
use ff_core::{Clock, TimestampMs};
use std::time::Duration;

/// The system's time, with sleeps by the runtime.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        system_now()
    }

    fn sleep_until(&self, at: TimestampMs) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left_ms = at.since_ms(system_now());
                if left_ms == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left_ms)).await;
            }
        })
    }
}

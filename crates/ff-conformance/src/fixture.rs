//! The fixture: one fresh, empty store of a backend, with a hand on its clock.

use ff_core::limits::DAY_MS;
use ff_core::{EngineBackend, TimestampMs};
use std::sync::Arc;

/// Where a fixture's time should begin: noon on 1 January 2025, UTC.
pub const START: TimestampMs = TimestampMs::from_millis(20_089 * DAY_MS + DAY_MS / 2);

/// A fresh, empty, prepared store, made anew for each behaviour.
///
/// Its time begins at a fixed instant (such as [`START`]) and stands still unless it is advanced;
/// it is the time of the store and of the backend's clock alike.
#[async_trait::async_trait]
pub trait Fixture: Send + Sync {
    /// Returns the backend under test.
    fn backend(&self) -> Arc<dyn EngineBackend>;

    /// Returns a second, independent client of the same store: what another process would have.
    /// A backend that lives inside one process returns the same one.
    async fn another_connection(&self) -> Arc<dyn EngineBackend>;

    /// Returns the store's time.
    fn now(&self) -> TimestampMs;

    /// Moves the store's time, and the backend's clock with it. Handles no timer by itself, unless
    /// the backend cannot help doing so.
    async fn advance(&self, span_ms: u64);

    /// Returns everything that the store holds, in a canonical form: equal exactly when the stores
    /// are equal. What only frees memory, and what a second connection keeps for itself (caches,
    /// subscriptions), is left out. Ids appear in it as they are written in text.
    async fn dump(&self) -> String;
}

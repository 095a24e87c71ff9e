//! FlowFabric in one process: the pure rules over a store in memory, or over one file.
//!
//! Every promise of the contracts holds here too, so code that is tested against
//! [`MemoryBackend`] behaves the same on Valkey.
//!
//! ```
//! use ff_backend_embedded::MemoryBackend;
//! use ff_core::contracts::AdminBackend;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> ff_core::EngineResult<()> {
//! let backend = MemoryBackend::new();
//! backend.ping().await?;
//! # Ok(())
//! # }
//! ```

mod backend;
mod clock;
mod listing;
mod notice;
mod store;

mod file;
mod memory;

mod admin;
mod budget;
mod claim;
mod inspect;
mod lease;
mod signal;
mod stream;
mod submit;
mod suspend;
mod terminal;

pub use backend::EmbeddedBackend;
pub use clock::SystemClock;
pub use file::{Access, Durability, FileBackend, FileConfig, FileStore};
pub use memory::{MemoryBackend, MemoryStore, VirtualTime};

use ff_core::EngineError;
use ff_core::error::ValidationKind;
use ff_core::partition::Partition;

/// The id of the first key of a keyring.
const FIRST_KID: &str = "k1";

/// Refuses a partition that a store does not have.
fn outside(partition: Partition, count: usize) -> EngineError {
    EngineError::validation(
        ValidationKind::Id,
        format!("{partition} lies outside the {count} of this store"),
    )
}

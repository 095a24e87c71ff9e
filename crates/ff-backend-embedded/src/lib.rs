//! FlowFabric in one process: the pure rules over a store in memory.
//!
//! Every promise of the contracts holds here too, so code that is tested against
//! [`MemoryBackend`] behaves the same on Valkey. What it holds ends with the process.
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
mod memory;
mod notice;

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

pub use backend::MemoryBackend;
pub use clock::SystemClock;

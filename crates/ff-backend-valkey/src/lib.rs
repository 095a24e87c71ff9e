//! FlowFabric on Valkey: every function call, reply and reconnect.
//!
//! [`ValkeyBackend::connect`] takes a [`Config`], most easily from an address, and is then an
//! [`EngineBackend`](ff_core::EngineBackend). The rules of the engine run inside the server, as a
//! function library that this crate loads and keeps up to date.
//!
//! ```no_run
//! use ff_backend_valkey::{Config, ValkeyBackend};
//!
//! # async fn example() -> Result<(), ff_core::EngineError> {
//! let backend = ValkeyBackend::connect(Config::parse("valkey://127.0.0.1:6379")?).await?;
//! # Ok(())
//! # }
//! ```
//!
//! Whoever can write to the store can do anything, signing tokens included: guard it.

mod config;
mod error;

mod connect;
mod nodes;

mod call;
mod library;

mod args;
mod decode;

mod meta;
mod notice;

mod backend;

mod admin;
mod budget;
mod claim;
mod doctor;
mod inspect;
mod lease;
mod signal;
mod stream;
mod submit;
mod suspend;
mod terminal;

pub use backend::ValkeyBackend;
pub use config::Config;
#[doc(hidden)]
pub use library::{Described, DescribedFunction};

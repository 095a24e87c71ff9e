//! The vocabulary of FlowFabric: ids, time, policies, partitions, tokens, errors and one trait
//! a capability. Everything else builds on this crate; it does no I/O and knows no client.
//!
//! A backend implements the traits in [`contracts`]; a worker or a producer uses them through
//! `ff-sdk`. Read [`contracts`] first: each operation's promise is written there, once.

mod base64_text;
pub mod limits;
mod words;

pub mod ids;
pub mod name;
pub mod time;

pub mod partition;
pub mod policy;
pub mod state;

pub mod handle;
pub mod token;
pub mod turn;

pub mod error;

pub mod contracts;
pub mod explain;
pub mod keys;

pub use contracts::{EngineBackend, EngineBackendExt};
pub use error::{EngineError, EngineResult};
pub use handle::Handle;
pub use ids::*;
pub use name::*;
pub use time::{Clock, TimestampMs};

//! Durable execution on the Valkey you already run, or on one file.
//!
//! This crate picks a backend by its URL and re-exports the SDK. A producer or a worker that wants
//! fewer dependencies takes `ff-sdk` and one backend crate instead; the code stays the same.
//!
//! ```
//! use flowfabric::{FlowFabricClient, FlowFabricWorker, TaskContext, TaskEnd, WorkerConfig};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), flowfabric::SdkError> {
//! let backend = flowfabric::connect("memory:").await?;
//! let config = WorkerConfig::builder("greeter").lane("greetings").build()?;
//! let worker = FlowFabricWorker::connect_with(config, backend.clone()).await?;
//! # let _ = (worker, FlowFabricClient::new(backend));
//! # Ok(())
//! # }
//! ```

use std::sync::Arc;

pub use ff_core;
pub use ff_core::{EngineBackend, EngineBackendExt, EngineError, EngineResult};
pub use ff_sdk::*;

use ff_core::error::ValidationKind;

/// The URL schemes that [`connect`] knows, for messages and `--help`.
pub const SCHEMES: &[&str] = &[
    #[cfg(feature = "embedded")]
    "file:",
    #[cfg(feature = "embedded")]
    "memory:",
    #[cfg(feature = "valkey")]
    "valkey://",
    #[cfg(feature = "valkey")]
    "valkey-cluster://",
    #[cfg(feature = "tls")]
    "valkeys://",
    #[cfg(feature = "tls")]
    "valkeys-cluster://",
];

/// Connects to the backend that a URL names, and makes its store ready.
///
/// | URL | backend |
/// | --- | --- |
/// | `file:<path>` | one file, made if it is missing; this process owns it |
/// | `file:<path>?access=guest` | the same beside its owner, to read, submit, signal and cancel |
/// | `memory:` | a new store in this process; it ends with it |
/// | `valkey://[user:password@]host:port` | one Valkey server |
/// | `valkey-cluster://host:port[,host:port...]` | a Valkey cluster, by any of its nodes |
/// | `valkeys://...`, `valkeys-cluster://...` | the same over TLS, with feature `tls` |
///
/// A file's URL may end in `?access=owner|guest`, `durability=file|fast`, `size_max=<bytes>`. A
/// Valkey URL may end in `?connections=`, `timeout_ms=`, `connect_timeout_ms=`, `partitions=`.
///
/// A URL that nobody knows, a server that is too old, a wrong password, a file that is damaged,
/// foreign or owned by another process is `Validation(Connection)`; a server that does not answer
/// is `Transport`.
pub async fn connect(url: &str) -> EngineResult<Arc<dyn EngineBackend>> {
    #[cfg(feature = "embedded")]
    if url == "memory:" {
        return Ok(Arc::new(ff_backend_embedded::MemoryBackend::new()));
    }
    #[cfg(feature = "embedded")]
    if url.starts_with("file:") {
        let config = ff_backend_embedded::FileConfig::parse(url)?;
        return Ok(Arc::new(ff_backend_embedded::FileBackend::open(config).await?));
    }
    #[cfg(feature = "valkey")]
    if url.starts_with("valkey") {
        let config = ff_backend_valkey::Config::parse(url)?;
        return Ok(Arc::new(ff_backend_valkey::ValkeyBackend::connect(config).await?));
    }
    Err(EngineError::validation(
        ValidationKind::Connection,
        format!("no backend for this URL; it must begin with one of {}", SCHEMES.join(", ")),
    ))
}

/// The README's worker compiles and runs.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

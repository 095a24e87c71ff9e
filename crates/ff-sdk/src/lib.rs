//! The FlowFabric worker, task and client.
//!
//! A producer takes [`FlowFabricClient`]; a worker takes [`FlowFabricWorker`] and gives it an async
//! function over a task. Both work on any [`EngineBackend`](ff_core::EngineBackend): this crate
//! knows no store, builds no key and reads no wire value.
//!
//! ```no_run
//! # async fn example(backend: std::sync::Arc<dyn ff_core::EngineBackend>)
//! # -> Result<(), ff_sdk::SdkError> {
//! use ff_sdk::{FlowFabricWorker, TaskContext, TaskEnd, WorkerConfig};
//!
//! let config = WorkerConfig::builder("resizer").lane("images").max_concurrent_tasks(8).build()?;
//! let worker = FlowFabricWorker::connect_with(config, backend).await?;
//! let handler = |task: TaskContext| async move {
//!     task.update_progress(50, Some("half way")).await?;
//!     Ok(TaskEnd::Complete(Some(task.input_payload().to_vec())))
//! };
//! worker.run(handler, ff_sdk::shutdown_signal()).await
//! # }
//! ```

pub mod client;
pub mod config;
pub mod error;
pub mod run;
pub mod task;
pub mod worker;

mod budget;
mod claim;
mod lease;
mod lookout;
mod register;
mod resend;
mod signal;
mod stay;
mod stream;
mod suspend;
mod terminal;
mod text;
mod together;

pub use client::{FlowFabricClient, SubmitRequest};
pub use config::{WorkerConfig, WorkerConfigBuilder};
pub use error::SdkError;
pub use lease::Cancellation;
pub use run::{TaskContext, TaskEnd, TaskError, TaskResult, shutdown_signal};
pub use stream::{read_stream, tail_stream};
pub use suspend::SuspendOutcome;
pub use task::ClaimedTask;
pub use worker::FlowFabricWorker;

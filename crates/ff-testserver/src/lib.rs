//! Private Valkey servers for tests, demos and benches: found or fetched, started on a free
//! loopback port, and gone when the process that started them is gone.
//!
//! ```no_run
//! use ff_testserver::{Server, ServerVersion};
//!
//! let server = Server::start(ServerVersion::V8)?;
//! let reply = server.connect()?.command(&["PING"])?;
//! assert_eq!(reply.text().as_deref(), Some("PONG"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`Cluster`] starts three primaries, [`shared_cluster`] lends one cluster to one test at a time,
//! and [`Proxy`] stands between a client and a server to cut connections and lose replies.
//! Everything is synchronous, talks plain TCP and needs a Unix with a POSIX `sh`.

pub use client::{ClientError, Connection};
pub use cluster::{Cluster, ClusterBuilder};
pub use error::ServerError;
pub use find::{ServerVersion, find};
pub use proxy::Proxy;
pub use server::{Server, ServerBuilder};
pub use shared::{CLUSTER_VARIABLE, ClusterGuard, SHARED_CLUSTER_VERSION, shared_cluster};
pub use value::Value;

mod client;
mod cluster;
mod error;
mod fetch;
mod find;
mod frame;
mod limited;
mod places;
mod port;
mod process;
mod proxy;
mod server;
mod shared;
mod value;

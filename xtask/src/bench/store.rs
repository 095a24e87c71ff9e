//! The stores that are measured: private servers, emptied for whoever comes next, and new files.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ff_testserver::{Cluster, Server, ServerVersion};
use flowfabric::EngineBackend;
use flowfabric::ff_core::ids::MutationId;

use super::meter::{Meter, field};
use crate::error::XtaskError;

/// The version of the private servers.
pub(super) const SERVER_VERSION: ServerVersion = ServerVersion::V8;
/// How long a replica may take to follow its primary.
const FOLLOW_MAX: Duration = Duration::from_secs(30);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Servers that nobody else uses.
#[derive(Debug)]
pub(super) struct Store {
    servers: Servers,
    pub(super) meter: Meter,
}

#[derive(Debug)]
enum Servers {
    One(Server),
    /// A primary and what follows it.
    Pair(Server, #[expect(dead_code, reason = "held so that it runs")] Server),
    Three(Cluster),
}

impl Store {
    /// Starts a server that keeps nothing on disk.
    pub(super) fn start() -> Result<Self, XtaskError> {
        Self::with(&[])
    }

    /// Starts a server with these lines of configuration.
    pub(super) fn with(lines: &[(&str, &str)]) -> Result<Self, XtaskError> {
        let builder = Server::builder(SERVER_VERSION);
        let builder =
            lines.iter().fold(builder, |builder, (name, value)| builder.config(name, value));
        Self::of(Servers::One(builder.start()?))
    }

    /// Starts a server that takes no writes without its replica.
    pub(super) fn with_replica() -> Result<Self, XtaskError> {
        let primary =
            Server::builder(SERVER_VERSION).config("min-replicas-to-write", "1").start()?;
        let replica = Server::builder(SERVER_VERSION).replica_of(&primary).start()?;
        let deadline = Instant::now() + FOLLOW_MAX;
        loop {
            let info = primary.command(&["INFO", "replication"])?;
            let info = info.text().unwrap_or_default();
            if field(&info, "min_slaves_good_slaves") == Some("1") {
                return Self::of(Servers::Pair(primary, replica));
            }
            if Instant::now() > deadline {
                return Err(XtaskError::Told(format!("no replica follows after {FOLLOW_MAX:?}")));
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Starts three primaries.
    pub(super) fn cluster() -> Result<Self, XtaskError> {
        Self::of(Servers::Three(Cluster::start(SERVER_VERSION)?))
    }

    fn of(servers: Servers) -> Result<Self, XtaskError> {
        let meter = Meter::of(servers.primaries())?;
        Ok(Self { servers, meter })
    }

    /// Returns the server, the first of several.
    pub(super) fn server(&self) -> &Server {
        &self.servers.primaries()[0]
    }

    /// Removes everything but the function library.
    pub(super) fn empty(&self) -> Result<(), XtaskError> {
        for server in self.servers.primaries() {
            server.command(&["FLUSHALL", "SYNC"])?;
        }
        Ok(())
    }

    /// Empties the servers and connects the engine to them.
    pub(super) async fn fresh(&self) -> Result<Arc<dyn EngineBackend>, XtaskError> {
        self.fresh_with("").await
    }

    /// Empties the servers and connects the engine with these parameters, such as `partitions=16`.
    pub(super) async fn fresh_with(
        &self,
        parameters: &str,
    ) -> Result<Arc<dyn EngineBackend>, XtaskError> {
        self.empty()?;
        let url = match &self.servers {
            Servers::One(server) | Servers::Pair(server, _) => server.url(),
            Servers::Three(cluster) => cluster.url(),
        };
        Ok(flowfabric::connect(&format!("{url}?{parameters}")).await?)
    }
}

impl Servers {
    fn primaries(&self) -> &[Server] {
        match self {
            Self::One(server) | Self::Pair(server, _) => std::slice::from_ref(server),
            Self::Three(cluster) => cluster.nodes(),
        }
    }
}

/// A folder that goes when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(pub(super) PathBuf);

impl Folder {
    /// Makes one below the system's folder for such things.
    pub(super) fn fresh() -> Result<Self, XtaskError> {
        let path =
            std::env::temp_dir().join(format!("flowfabric-bench-{}", MutationId::generate()));
        std::fs::create_dir_all(&path)
            .map_err(|source| XtaskError::Unreadable { path: path.clone(), source })?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

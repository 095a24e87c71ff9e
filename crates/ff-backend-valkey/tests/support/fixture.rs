//! The conformance suite's fixture: a store of its own whose clock stands still.

use crate::support::dump::dump;
use ff_backend_valkey::{Config, ValkeyBackend};
use ff_conformance::{Fixture, START};
use ff_core::time::{Clock, ManualClock};
use ff_core::{EngineBackend, TimestampMs};
use ff_testserver::{ClusterGuard, Connection, Server, ServerVersion, shared_cluster};
use std::sync::{Arc, Mutex, PoisonError};

/// What holds the data, and is gone or empty again afterwards.
enum Place {
    Standalone(Server),
    Cluster(ClusterGuard),
}

/// A store of its own.
pub struct ValkeyFixture {
    // Before the place, so that the connections go before the servers.
    backend: Arc<ValkeyBackend>,
    clock: Arc<ManualClock>,
    readers: Mutex<Vec<Connection>>,
    place: Place,
}

impl ValkeyFixture {
    /// Starts a server of this version.
    pub async fn standalone(version: ServerVersion) -> Self {
        let server = Server::start(version).expect("a server");
        let readers = vec![server.connect().expect("a connection")];
        Self::of(Place::Standalone(server), readers).await
    }

    /// Borrows the shared cluster.
    pub async fn cluster() -> Self {
        let guard = tokio::task::spawn_blocking(shared_cluster).await.expect("no panic");
        let guard = guard.expect("a cluster");
        let readers = guard.connect().expect("connections");
        Self::of(Place::Cluster(guard), readers).await
    }

    /// Sends a command to the first server, as any client could.
    pub fn command(&self, words: &[&str]) {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let reply = readers[0].command(words).expect("a reply");
        reply.into_result().expect("a success");
    }

    async fn of(place: Place, readers: Vec<Connection>) -> Self {
        let clock = Arc::new(ManualClock::new(START));
        let backend = connect(&place, &clock).await;
        Self { backend, clock, readers: Mutex::new(readers), place }
    }
}

async fn connect(place: &Place, clock: &Arc<ManualClock>) -> Arc<ValkeyBackend> {
    let url = match place {
        Place::Standalone(server) => server.url(),
        Place::Cluster(guard) => guard.url(),
    };
    let clock: Arc<dyn Clock> = Arc::clone(clock) as _;
    let config = Config::parse(&url).expect("a legal address").test_clock(clock);
    Arc::new(ValkeyBackend::connect(config).await.expect("a connection"))
}

#[async_trait::async_trait]
impl Fixture for ValkeyFixture {
    fn backend(&self) -> Arc<dyn EngineBackend> {
        Arc::clone(&self.backend) as _
    }

    async fn another_connection(&self) -> Arc<dyn EngineBackend> {
        connect(&self.place, &self.clock).await
    }

    fn now(&self) -> TimestampMs {
        self.clock.now()
    }

    async fn advance(&self, span_ms: u64) {
        let now = self.clock.now().plus_ms(span_ms);
        // The store first: whoever the clock wakes then finds the new time there.
        self.backend.set_test_clock(now).await.expect("a moved clock");
        self.clock.move_to(now);
    }

    async fn dump(&self) -> String {
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        dump(&mut readers)
    }
}

//! Lends one cluster to one test at a time, because starting one for every test takes seconds.

use std::env;
use std::fs::File;
use std::net::SocketAddr;
use std::sync::{Mutex, PoisonError};

use crate::client::{ClientError, Connection};
use crate::cluster::{Cluster, wait_until_agreed};
use crate::error::ServerError;
use crate::find::ServerVersion;
use crate::places::lock;

/// The variable that names a running cluster, as `valkey-cluster://127.0.0.1:port`.
pub const CLUSTER_VARIABLE: &str = "FF_TEST_CLUSTER";
/// The version of a cluster that is shared.
pub const SHARED_CLUSTER_VERSION: ServerVersion = ServerVersion::V8;
/// The scheme of a cluster's address.
const SCHEME: &str = "valkey-cluster://";

/// The cluster of this process, for when the variable is not set. It ends with the process.
static OWN: Mutex<Option<Cluster>> = Mutex::new(None);

/// A cluster that nobody else uses until the guard is dropped.
///
/// Its primaries hold no data and no function libraries. Whoever needs other settings, or kills
/// nodes, starts a [`Cluster`] instead.
#[derive(Debug)]
pub struct ClusterGuard {
    seed: SocketAddr,
    primaries: Vec<SocketAddr>,
    _lock: File,
}

/// Waits until the shared cluster is free and empties it.
///
/// The cluster is the one that `FF_TEST_CLUSTER` names, which all processes share, else one that
/// this process starts at the first call.
pub fn shared_cluster() -> Result<ClusterGuard, ServerError> {
    let seed = match env::var(CLUSTER_VARIABLE) {
        Ok(url) if !url.is_empty() => parse(&url)?,
        _ => own_seed()?,
    };
    let lock = lock(&format!("cluster-{}", seed.port()))?;
    let Known { primaries, count } = known(seed)?;
    wait_until_agreed(&primaries, count)?;
    for &primary in &primaries {
        let mut connection = Connection::open(primary)?;
        for command in ["FLUSHALL", "FUNCTION FLUSH"] {
            let words: Vec<&str> = command.split(' ').collect();
            connection.command(&words)?.into_result()?;
        }
    }
    Ok(ClusterGuard { seed, primaries, _lock: lock })
}

impl ClusterGuard {
    /// Returns the address of one node as `valkey-cluster://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("{SCHEME}{}", self.seed)
    }

    /// Returns the addresses of the primaries.
    pub fn primaries(&self) -> &[SocketAddr] {
        &self.primaries
    }

    /// Opens a connection to each primary.
    pub fn connect(&self) -> Result<Vec<Connection>, ClientError> {
        self.primaries.iter().copied().map(Connection::open).collect()
    }
}

fn parse(url: &str) -> Result<SocketAddr, ServerError> {
    let address = url.strip_prefix(SCHEME).and_then(|rest| rest.parse().ok());
    address.ok_or_else(|| ServerError::BadVariable {
        variable: CLUSTER_VARIABLE,
        reason: format!("{url} is not of the form {SCHEME}127.0.0.1:7000"),
    })
}

fn own_seed() -> Result<SocketAddr, ServerError> {
    // A panic while the lock was held left either no cluster or a whole one.
    let mut own = OWN.lock().unwrap_or_else(PoisonError::into_inner);
    let cluster = match own.take() {
        Some(cluster) => cluster,
        None => Cluster::start(SHARED_CLUSTER_VERSION)?,
    };
    let seed = cluster.nodes()[0].address();
    *own = Some(cluster);
    Ok(seed)
}

/// What one node knows of its cluster.
struct Known {
    primaries: Vec<SocketAddr>,
    /// How many nodes there are, replicas included.
    count: usize,
}

fn known(seed: SocketAddr) -> Result<Known, ServerError> {
    let nodes = Connection::open(seed)
        .and_then(|mut node| node.command(&["CLUSTER", "NODES"])?.into_result())?;
    let known = parse_nodes(&nodes.text().unwrap_or_default());
    if known.primaries.is_empty() {
        let reason = format!("{seed} names no primary");
        return Err(ServerError::ClusterNotReady { reason });
    }
    Ok(known)
}

/// Reads lines like `id 127.0.0.1:7000@17000 myself,master - 0 0 1 connected 0-5460`.
fn parse_nodes(text: &str) -> Known {
    let primary = |line: &str| {
        let mut fields = line.split(' ').skip(1);
        let (address, flags) = (fields.next()?, fields.next()?);
        if !flags.split(',').any(|flag| flag == "master") {
            return None;
        }
        address.split('@').next()?.parse().ok()
    };
    Known { primaries: text.lines().filter_map(primary).collect(), count: text.lines().count() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_takes_a_cluster_address_only() {
        let address = parse("valkey-cluster://127.0.0.1:7000").expect("an address");
        assert_eq!(address.port(), 7000);
        let error = parse("valkey://127.0.0.1:7000").expect_err("not a cluster");
        assert!(error.to_string().contains(CLUSTER_VARIABLE), "{error}");
    }

    #[test]
    fn parse_nodes_keeps_primaries() {
        let text = "a 127.0.0.1:7000@17000,host myself,master - 0 0 1 connected 0-5460\n\
            b 127.0.0.1:7001@17001 slave a 0 1 1 connected\n\
            c 127.0.0.1:7002@17002 master - 0 1 2 connected 5461-16383\n";
        let known = parse_nodes(text);
        let ports: Vec<u16> = known.primaries.iter().map(SocketAddr::port).collect();
        assert_eq!(ports, [7000, 7002]);
        assert_eq!(known.count, 3);
    }
}

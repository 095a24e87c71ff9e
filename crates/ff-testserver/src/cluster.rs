//! A cluster of three primaries, ready to take writes for every slot.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::error::ServerError;
use crate::find::ServerVersion;
use crate::server::{Server, ServerBuilder};

/// How many primaries share the slots.
const PRIMARIES: u16 = 3;
/// How many slots there are; the protocol fixes it.
const SLOTS: u16 = 16_384;
/// How long the nodes may take to agree.
const AGREE_MAX: Duration = Duration::from_secs(30);
/// How often the nodes are asked whether they agree.
const POLL_EVERY: Duration = Duration::from_millis(20);

/// A private cluster on loopback ports; killed on drop, and with the process that started it.
#[derive(Debug)]
pub struct Cluster {
    nodes: Vec<Server>,
}

/// Collects what a cluster shall be started with.
#[derive(Debug, Clone)]
pub struct ClusterBuilder {
    node: ServerBuilder,
    replicas_per_primary: u16,
}

impl Cluster {
    /// Starts three primaries of `version` without replicas.
    pub fn start(version: ServerVersion) -> Result<Self, ServerError> {
        Self::builder(version).start()
    }

    /// Returns a builder for a cluster that needs replicas or further configuration.
    pub fn builder(version: ServerVersion) -> ClusterBuilder {
        ClusterBuilder { node: Server::builder(version).cluster_node(), replicas_per_primary: 0 }
    }

    /// Returns the address of one node as `valkey-cluster://127.0.0.1:port`.
    pub fn url(&self) -> String {
        format!("valkey-cluster://{}", self.nodes[0].address())
    }

    /// Returns the nodes: the three primaries in the order of their slots, then the replicas.
    pub fn nodes(&self) -> &[Server] {
        &self.nodes
    }

    /// Returns the nodes for stopping and restarting.
    pub fn nodes_mut(&mut self) -> &mut [Server] {
        &mut self.nodes
    }

    /// Waits until every running node sees every slot served and knows every other node.
    pub fn wait_until_ready(&self) -> Result<(), ServerError> {
        let running: Vec<SocketAddr> =
            self.nodes.iter().filter(|node| node.pid().is_some()).map(Server::address).collect();
        wait_until_agreed(&running, self.nodes.len())
    }

    fn assign_slots(&self) -> Result<(), ServerError> {
        let mut first = 0;
        for (number, node) in (1..=PRIMARIES).zip(&self.nodes) {
            let next = u16::try_from(u32::from(SLOTS) * u32::from(number) / u32::from(PRIMARIES))
                .unwrap_or(SLOTS);
            let (from, to) = (first.to_string(), (next - 1).to_string());
            node.command(&["CLUSTER", "ADDSLOTSRANGE", &from, &to])?;
            // Distinct epochs from the start spare the nodes a round of settling conflicts.
            node.command(&["CLUSTER", "SET-CONFIG-EPOCH", &number.to_string()])?;
            first = next;
        }
        Ok(())
    }

    fn introduce(&self) -> Result<(), ServerError> {
        for node in &self.nodes {
            for other in &self.nodes {
                let Some(bus) = other.bus_port().filter(|_| other.port() != node.port()) else {
                    continue;
                };
                let (port, bus) = (other.port().to_string(), bus.to_string());
                node.command(&["CLUSTER", "MEET", "127.0.0.1", &port, &bus])?;
            }
        }
        Ok(())
    }

    fn attach_replicas(&self) -> Result<(), ServerError> {
        let (primaries, replicas) = self.nodes.split_at(usize::from(PRIMARIES));
        for (replica, primary) in replicas.iter().zip(primaries.iter().cycle()) {
            let id = primary.command(&["CLUSTER", "MYID"])?;
            let id = id.text().unwrap_or_default().into_owned();
            replica.command(&["CLUSTER", "REPLICATE", &id])?;
        }
        Ok(())
    }
}

impl ClusterBuilder {
    /// Adds a line of configuration to every node, as in [`ServerBuilder::config`].
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.node = self.node.config(name, value);
        self
    }

    /// Gives every primary so many replicas.
    #[must_use]
    pub fn replicas_per_primary(mut self, count: u16) -> Self {
        self.replicas_per_primary = count;
        self
    }

    /// Starts the nodes, joins them, and waits until all slots are served.
    pub fn start(self) -> Result<Cluster, ServerError> {
        let count = PRIMARIES * (1 + self.replicas_per_primary);
        let nodes = (0..count).map(|_| self.node.clone().start()).collect::<Result<_, _>>()?;
        let cluster = Cluster { nodes };
        cluster.assign_slots()?;
        cluster.introduce()?;
        cluster.wait_until_ready()?;
        if self.replicas_per_primary > 0 {
            cluster.attach_replicas()?;
            cluster.wait_until_ready()?;
        }
        Ok(cluster)
    }
}

/// Waits until each node of `addresses` sees all slots served and knows `count` nodes.
pub(crate) fn wait_until_agreed(addresses: &[SocketAddr], count: usize) -> Result<(), ServerError> {
    let deadline = Instant::now() + AGREE_MAX;
    for &address in addresses {
        while let Some(reason) = disagreement(address, count) {
            if Instant::now() >= deadline {
                return Err(ServerError::ClusterNotReady { reason });
            }
            thread::sleep(POLL_EVERY);
        }
    }
    Ok(())
}

/// Returns what the node at `address` lacks of a cluster that is ready.
fn disagreement(address: SocketAddr, count: usize) -> Option<String> {
    let info = match Connection::open(address)
        .and_then(|mut node| node.command(&["CLUSTER", "INFO"])?.into_result())
    {
        Ok(info) => info.text().unwrap_or_default().into_owned(),
        Err(error) => return Some(error.to_string()),
    };
    let wanted = [
        "cluster_state:ok".to_owned(),
        format!("cluster_slots_ok:{SLOTS}"),
        format!("cluster_known_nodes:{count}"),
    ];
    let missing = wanted
        .iter()
        .find(|wanted| !info.lines().any(|line| line.trim_end() == wanted.as_str()))?;
    Some(format!("{address} lacks {missing}"))
}

//! The primaries: which there are, and which of them holds a slot.
//!
//! Each primary has connections of its own, of a client that knows nothing of clusters. The client
//! library's own cluster client serves all primaries by one task, which stops for all of them
//! while it tries to reach one that hangs.

use crate::config::Config;
use crate::connect::{command, open_primary};
use crate::error::{connect_error, connection};
use ff_core::error::{EngineError, EngineResult};
use ff_script::Value;
use fred::clients::{Client, Pool};
use fred::error::Error;
use fred::interfaces::ClientLike;
use fred::types::Resp3Frame;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, Notify};

/// The slots of a cluster.
const SLOTS: u16 = 16_384;
/// Refreshes of the layout are at least so far apart; one that is asked for sooner is served by
/// the one before.
const REFRESH_EVERY: Duration = Duration::from_millis(250);
/// After this many timeouts in a row a primary's connections are opened anew: under steady traffic
/// the client library does not see by itself that a server has stopped answering.
const TIMEOUTS_MAX: u32 = 3;

/// A primary and the connections to it.
pub(crate) struct Primary {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) pool: Pool,
    timeouts: AtomicU32,
}

/// A shared primary.
pub(crate) type Node = Arc<Primary>;

impl fmt::Debug for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Primary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Primary {
    /// Returns a connection, one that stands if there is any.
    pub(crate) fn client(&self) -> &Client {
        self.pool.next_connected()
    }

    /// Takes note of whether an answer came.
    pub(crate) fn watch(&self, client: &Client, timed_out: bool) {
        if !timed_out {
            self.timeouts.store(0, Ordering::Relaxed);
            return;
        }
        let timeouts = self.timeouts.fetch_add(1, Ordering::Relaxed) + 1;
        if !timeouts.is_multiple_of(TIMEOUTS_MAX) || !client.is_connected() {
            return;
        }
        tracing::warn!(node = %self, timeouts, "calls time out, opening the connections anew");
        let client = client.clone();
        tokio::spawn(async move { client.force_reconnection().await });
    }
}

/// Which primaries there are, and the slots of each.
#[derive(Debug, Default)]
struct Layout {
    nodes: Vec<Node>,
    /// First slot, last slot, place in `nodes`.
    ranges: Vec<(u16, u16, usize)>,
}

impl Layout {
    fn of_slot(&self, slot: u16) -> Option<&Node> {
        let range = self.ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot));
        range.and_then(|(_, _, place)| self.nodes.get(*place))
    }

    fn at(&self, host: &str, port: u16) -> Option<&Node> {
        self.nodes.iter().find(|node| node.host == host && node.port == port)
    }
}

/// Keeps the layout.
#[derive(Debug)]
pub(crate) struct Nodes {
    config: Config,
    layout: RwLock<Arc<Layout>>,
    refreshed: Mutex<Option<Instant>>,
    /// Tells that the layout has changed.
    pub(crate) changed: Notify,
}

/// A range of slots as a server tells it.
type Range = (u16, u16, String, u16);

impl Nodes {
    /// Connects to the server, or to every primary of the cluster.
    pub(crate) async fn connect(config: &Config) -> EngineResult<Self> {
        let endpoint = &config.endpoint;
        let nodes = Self {
            config: config.clone(),
            layout: RwLock::default(),
            refreshed: Mutex::default(),
            changed: Notify::default(),
        };
        if endpoint.cluster {
            nodes.discover().await?;
            return Ok(nodes);
        }
        let [(host, port)] = endpoint.hosts.as_slice() else {
            return Err(connection(
                "several hosts are named, which only a cluster has: use valkey-cluster://",
            ));
        };
        let node = Self::open(config, host, *port, true).await?;
        nodes.set(Layout { nodes: vec![node], ranges: vec![(0, SLOTS - 1, 0)] });
        Ok(nodes)
    }

    /// Lists the primaries.
    pub(crate) fn all(&self) -> Vec<Node> {
        self.layout().nodes.clone()
    }

    /// Returns the primary of a slot.
    pub(crate) fn of_slot(&self, slot: u16) -> Option<Node> {
        self.layout().of_slot(slot).cloned()
    }

    /// Returns the primary at an address.
    pub(crate) fn at(&self, host: &str, port: u16) -> Option<Node> {
        self.layout().at(host, port).cloned()
    }

    /// Tells whether the store is a cluster.
    pub(crate) const fn is_clustered(&self) -> bool {
        self.config.endpoint.cluster
    }

    /// Asks the cluster for its layout, unless that has just been done.
    pub(crate) async fn refresh(&self) {
        if !self.is_clustered() {
            return;
        }
        let mut refreshed = self.refreshed.lock().await;
        if refreshed.is_some_and(|at| at.elapsed() < REFRESH_EVERY) {
            return;
        }
        // All at once, so that one that hangs holds nobody up.
        let asked = self.all().into_iter().map(|node| Box::pin(ranges(node)));
        let layout = match futures::future::select_ok(asked).await {
            Ok((ranges, _)) => self.laid_out(ranges).await,
            Err(error) => Err(connect_error(&self.config.endpoint, error)),
        };
        *refreshed = Some(Instant::now());
        match layout {
            Ok(layout) => self.set(layout),
            Err(error) => tracing::warn!(%error, "could not ask for the cluster's layout"),
        }
    }

    /// Closes every connection.
    pub(crate) async fn quit(&self) {
        let all = self.all();
        // Nobody is left who could be told that a connection did not close nicely.
        let _ = futures::future::join_all(all.iter().map(|node| node.pool.quit())).await;
    }

    /// Asks the seeds for the layout, until one answers.
    async fn discover(&self) -> EngineResult<()> {
        let mut last = None;
        for (host, port) in &self.config.endpoint.hosts {
            let seed = match Self::open(&self.config, host, *port, true).await {
                Ok(seed) => seed,
                Err(error) => {
                    last = Some(error);
                    continue;
                }
            };
            let found = ranges(Arc::clone(&seed)).await;
            let found = found.map_err(|error| connect_error(&self.config.endpoint, error));
            let laid_out = match found {
                Ok(ranges) => self.laid_out(ranges).await,
                Err(error) => Err(error),
            };
            // The seed may go by another name in the layout.
            let _ = seed.pool.quit().await;
            match laid_out {
                Ok(layout) => {
                    self.set(layout);
                    return Ok(());
                }
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| connection("no host is named")))
    }

    /// Makes the layout of what a server told, with the connections that are open already.
    async fn laid_out(&self, ranges: Vec<Range>) -> EngineResult<Layout> {
        let known = self.layout();
        let mut layout = Layout::default();
        for (first, last, host, port) in ranges {
            let place = layout.nodes.iter().position(|n| n.host == host && n.port == port);
            let place = match place {
                Some(place) => place,
                None => {
                    let node = match known.at(&host, port) {
                        Some(node) => Arc::clone(node),
                        None => Self::open(&self.config, &host, port, false).await?,
                    };
                    layout.nodes.push(node);
                    layout.nodes.len() - 1
                }
            };
            layout.ranges.push((first, last, place));
        }
        if layout.nodes.is_empty() {
            return Err(EngineError::Unavailable {
                op: "connect",
                reason: "the cluster serves no slot: look at CLUSTER SHARDS".to_owned(),
            });
        }
        Ok(layout)
    }

    async fn open(config: &Config, host: &str, port: u16, must: bool) -> EngineResult<Node> {
        let pool = open_primary(config, host, port, must).await?;
        let timeouts = AtomicU32::default();
        Ok(Arc::new(Primary { host: host.to_owned(), port, pool, timeouts }))
    }

    fn layout(&self) -> Arc<Layout> {
        Arc::clone(&self.layout.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn set(&self, layout: Layout) {
        let layout = Arc::new(layout);
        let before = {
            let mut current = self.layout.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, Arc::clone(&layout))
        };
        for gone in before.nodes.iter().filter(|n| layout.at(&n.host, n.port).is_none()) {
            tracing::info!(node = %gone, "a primary has left the cluster's layout");
            let gone = Arc::clone(gone);
            tokio::spawn(async move { gone.pool.quit().await });
        }
        if before.nodes.len() != layout.nodes.len()
            || layout.nodes.iter().any(|n| before.at(&n.host, n.port).is_none())
        {
            self.changed.notify_one();
        }
    }
}

/// Asks a server which primary holds which slots.
async fn ranges(node: Node) -> Result<Vec<Range>, Error> {
    let arguments = vec![fred::types::Value::from_static_str("SLOTS")];
    let frame: Resp3Frame = node.client().custom_raw(command("CLUSTER"), arguments).await?;
    let value = crate::call::value(frame)?;
    let Value::Array(entries) = value else {
        return Ok(Vec::new());
    };
    Ok(entries.iter().filter_map(|entry| range(entry, &node.host)).collect())
}

/// Reads `[first, last, [host, port, ...], ...]`; an absent host is that of the server asked.
fn range(entry: &Value, asked: &str) -> Option<Range> {
    let number = |value: &Value| match value {
        Value::Int(number) => u16::try_from(*number).ok(),
        _ => None,
    };
    let Value::Array(parts) = entry else { return None };
    let [first, last, Value::Array(primary), ..] = parts.as_slice() else { return None };
    let [host, port, ..] = primary.as_slice() else { return None };
    let host = match host {
        Value::Bytes(host) if !host.is_empty() && host != "?" => std::str::from_utf8(host).ok()?,
        _ => asked,
    };
    Some((number(first)?, number(last)?, host.to_owned(), number(port)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_of_slots_names_its_primary() {
        let primary = |host: Value| Value::Array(vec![host, Value::Int(7_000), Value::text("id")]);
        let entry =
            |host| Value::Array(vec![Value::Int(0), Value::Int(5_460), primary(host), Value::Null]);
        let named = range(&entry(Value::text("10.0.0.1")), "seed");
        assert_eq!(named, Some((0, 5_460, "10.0.0.1".to_owned(), 7_000)));
        for absent in [Value::Null, Value::text(""), Value::text("?")] {
            let found = range(&entry(absent), "seed").map(|(_, _, host, _)| host);
            assert_eq!(found.as_deref(), Some("seed"));
        }
        assert_eq!(range(&Value::Array(vec![Value::Int(0)]), "seed"), None);
    }
}

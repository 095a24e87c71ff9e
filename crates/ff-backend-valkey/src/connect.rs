//! Connections: how the client library is set up, and what a server must be.

use crate::config::Config;
use crate::error::{connect_error, connection};
use crate::nodes::Node;
use ff_core::error::EngineResult;
use fred::clients::{Pool, SubscriberClient};
use fred::interfaces::ClientLike;
use fred::types::config::{
    ClusterDiscoveryPolicy, ConnectionConfig, PerformanceConfig, ReconnectPolicy, Server,
    ServerConfig, TcpConfig, UnresponsiveConfig,
};
use fred::types::{ClusterHash, CustomCommand, InfoKind, RespVersion};
use std::time::Duration;

/// First and longest wait between two attempts to connect again; it doubles each time.
const RECONNECT_WAIT_MS: (u32, u32) = (20, 2_000);
/// How often a connection is looked at for a server that has stopped answering.
const RESPONSIVENESS_EVERY: Duration = Duration::from_millis(250);
/// How often the client library sends a command. Once: when it sends again by itself and the store
/// is full by then, the error would say that nothing happened, while the first send did.
const ATTEMPTS_MAX: u32 = 1;
/// Messages that the client library keeps for a slow reader before it drops the oldest.
const MESSAGES_KEPT: usize = 8_192;
/// The compatibility version below which functions, or flags that ours use, are missing.
const COMPATIBLE_MIN: (u32, u32) = (7, 2);

/// Opens the connections to one primary. One that must be there fails at once if it is not; any
/// other is waited for a while, and is then tried on.
pub(crate) async fn open_primary(
    config: &Config,
    host: &str,
    port: u16,
    must: bool,
) -> EngineResult<Pool> {
    let mut client = client_config(config, ServerConfig::new_centralized(host, port))?;
    client.fail_fast = must;
    let (performance, connections) = (performance(config), connections(config));
    let reconnects = Some(reconnects());
    let count = config.connections;
    let failed = |error| connect_error(&config.endpoint, error);
    let pool = Pool::new(client, Some(performance), Some(connections), reconnects, count)
        .map_err(failed)?;
    // The tasks behind the handles end with the pool, which `quit` ends.
    if must {
        let _running = pool.init().await.map_err(failed)?;
    } else {
        let _running = pool.connect_pool();
        let connected = tokio::time::timeout(config.connect_timeout, pool.wait_for_connect()).await;
        if !matches!(connected, Ok(Ok(()))) {
            tracing::warn!(host, port, "a primary of the cluster cannot be reached yet");
        }
    }
    Ok(pool)
}

/// Opens the connection that takes notices.
pub(crate) async fn open_subscriber(config: &Config) -> EngineResult<SubscriberClient> {
    let client = SubscriberClient::new(
        client_config(config, subscribed(config))?,
        Some(performance(config)),
        Some(connections(config)),
        Some(reconnects()),
    );
    let _running = client.init().await.map_err(|error| connect_error(&config.endpoint, error))?;
    Ok(client)
}

/// Names the servers that notices come from.
fn subscribed(config: &Config) -> ServerConfig {
    let endpoint = &config.endpoint;
    let mut servers = endpoint.hosts.iter().map(|(host, port)| Server::new(host.clone(), *port));
    match servers.next() {
        Some(server) if !endpoint.cluster => ServerConfig::Centralized { server },
        first => ServerConfig::Clustered {
            hosts: first.into_iter().chain(servers).collect(),
            // A seed may be the very node that is gone: what was learnt of others is tried too.
            policy: ClusterDiscoveryPolicy::UseCache,
        },
    }
}

fn client_config(
    config: &Config,
    server: ServerConfig,
) -> EngineResult<fred::types::config::Config> {
    let endpoint = &config.endpoint;
    let client = fred::types::config::Config {
        server,
        username: endpoint.username.clone(),
        password: endpoint.password.clone(),
        database: endpoint.database,
        version: RespVersion::RESP3,
        fail_fast: true,
        ..Default::default()
    };
    with_tls(client, endpoint.tls)
}

#[cfg(feature = "tls")]
fn with_tls(
    mut client: fred::types::config::Config,
    tls: bool,
) -> EngineResult<fred::types::config::Config> {
    if tls {
        let connector = fred::types::config::TlsConnector::default_rustls()
            .map_err(|error| connection(format!("TLS cannot be set up: {error}")))?;
        client.tls = Some(connector.into());
    }
    Ok(client)
}

#[cfg(not(feature = "tls"))]
fn with_tls(
    client: fred::types::config::Config,
    tls: bool,
) -> EngineResult<fred::types::config::Config> {
    if tls {
        return Err(connection(
            "this program was built without TLS: turn on feature `tls` of ff-backend-valkey",
        ));
    }
    Ok(client)
}

fn performance(config: &Config) -> PerformanceConfig {
    PerformanceConfig {
        default_command_timeout: config.call_timeout,
        broadcast_channel_capacity: MESSAGES_KEPT,
        ..Default::default()
    }
}

fn connections(config: &Config) -> ConnectionConfig {
    ConnectionConfig {
        connection_timeout: config.connect_timeout,
        internal_command_timeout: config.connect_timeout,
        max_command_attempts: ATTEMPTS_MAX,
        // Finds a hung server while it owes an answer ...
        unresponsive: UnresponsiveConfig {
            max_timeout: Some(config.call_timeout),
            interval: RESPONSIVENESS_EVERY,
        },
        // ... and this, one whose socket takes no more bytes. `nodelay` costs on loopback.
        tcp: TcpConfig { user_timeout: Some(config.call_timeout), ..Default::default() },
        ..Default::default()
    }
}

fn reconnects() -> ReconnectPolicy {
    let (first, longest) = RECONNECT_WAIT_MS;
    ReconnectPolicy::new_exponential(0, first, longest, 2)
}

/// Makes a command that is not blocking in the client library's eyes, so that it finds out when
/// the server stops answering; `fcall` would be.
pub(crate) fn command(word: &'static str) -> CustomCommand {
    CustomCommand::new_static(word, ClusterHash::Random, false)
}

/// Refuses a server that cannot run the library, and returns its name and version.
pub(crate) async fn check_server(node: &Node, config: &Config) -> EngineResult<String> {
    let client = node.client();
    let failed = |error| connect_error(&config.endpoint, error);
    let server: String = client.info(Some(InfoKind::Server)).await.map_err(failed)?;
    let cluster: String = client.info(Some(InfoKind::Cluster)).await.map_err(failed)?;
    judge_server(&server, &cluster, config)
}

/// Judges what a server says of itself.
fn judge_server(server: &str, cluster: &str, config: &Config) -> EngineResult<String> {
    let field = |text: &str, name: &str| -> Option<String> {
        let value = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(value.strip_prefix(':')?.trim_end().to_owned())
    };
    let compatible = field(server, "redis_version").unwrap_or_default();
    let shown = match field(server, "valkey_version") {
        Some(version) => format!("valkey {version}"),
        None => format!("redis {compatible}"),
    };
    let mut numbers = compatible.split('.').map(|part| part.parse::<u32>().ok());
    let version = (numbers.next().flatten(), numbers.next().flatten());
    let new_enough = matches!(version, (Some(major), Some(minor))
        if (major, minor) >= COMPATIBLE_MIN);
    if !new_enough {
        return Err(connection(format!(
            "{} runs {shown}, which is too old: version 7.2 or Valkey 8 is the least",
            config.endpoint
        )));
    }
    let clustered = field(cluster, "cluster_enabled").as_deref() == Some("1");
    if clustered && !config.endpoint.cluster {
        return Err(connection(format!(
            "{} is a node of a cluster: use valkey-cluster:// in its address",
            config.endpoint
        )));
    }
    Ok(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALONE: &str = "cluster_enabled:0\r\n";

    fn judged(server: &str, cluster: &str) -> Result<String, String> {
        let config = Config::parse("valkey://localhost").expect("a legal address");
        judge_server(server, cluster, &config).map_err(|error| error.to_string())
    }

    #[test]
    fn a_server_that_is_too_old_is_refused_with_its_version() {
        for old in ["6.2.14", "7.0.15", "7.1.9", "", "x.y"] {
            let refused = judged(&format!("redis_version:{old}\r\n"), ALONE);
            let refused = refused.expect_err("it is too old");
            assert!(refused.contains("too old") && refused.contains(old), "{refused}");
        }
        for new in ["7.2.4", "8.0.0", "10.0.1"] {
            assert!(judged(&format!("redis_version:{new}\r\n"), ALONE).is_ok(), "{new}");
        }
    }

    #[test]
    fn valkey_is_shown_by_its_own_version() {
        let server = "redis_version:7.2.4\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(judged(server, ALONE).as_deref(), Ok("valkey 8.0.1"));
    }
}

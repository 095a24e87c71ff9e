//! What the tests of this crate share: a private server, a backend on it, and terse requests.
#![allow(dead_code, reason = "each test binary uses its part of this folder")]

pub mod dump;
pub mod fixture;

use ff_backend_valkey::{Config, ValkeyBackend};
use ff_core::contracts::claim::{ClaimExecution, ClaimSource, ClaimedExecution, WorkerIdentity};
use ff_core::contracts::submit::{Durability, SubmitExecution};
use ff_core::contracts::terminal::CompleteExecution;
use ff_core::contracts::{ClaimBackend, SubmitBackend};
use ff_core::partition::Partition;
use ff_core::{ClaimId, EngineBackendExt, ExecutionId, Handle};
use ff_testserver::{Connection, Server, ServerVersion, Value};
use std::collections::BTreeSet;

/// Expands to one test for each version of the server.
#[macro_export]
macro_rules! on_each_version {
    ($($(#[$attribute:meta])* async fn $name:ident($server:ident: Server) $body:block)*) => {
        $(
            $(#[$attribute])*
            async fn $name($server: ff_testserver::Server) $body
        )*

        mod v8 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::start(ff_testserver::ServerVersion::V8)).await;
                }
            )*
        }

        mod v9 {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $name() {
                    super::$name($crate::support::start(ff_testserver::ServerVersion::V9)).await;
                }
            )*
        }
    };
}

/// Starts a server.
pub fn start(version: ServerVersion) -> Server {
    Server::start(version).expect("a server")
}

/// Connects to a server.
pub async fn connect(url: &str) -> ValkeyBackend {
    let config = Config::parse(url).expect("a legal address");
    ValkeyBackend::connect(config).await.expect("a connection")
}

/// The only partition of a standalone store.
pub fn partition() -> Partition {
    Partition::new_unchecked(0)
}

/// A worker without capabilities.
pub fn worker() -> WorkerIdentity {
    WorkerIdentity {
        namespace: Default::default(),
        worker_id: "w".parse().expect("legal"),
        worker_instance_id: "w1".parse().expect("legal"),
        capabilities: BTreeSet::new(),
    }
}

/// An execution to be submitted.
pub fn item() -> SubmitExecution {
    SubmitExecution {
        execution_id: ExecutionId::generate(partition()),
        namespace: Default::default(),
        lane: Default::default(),
        kind: "test".parse().expect("legal"),
        input: "input".into(),
        policy: Default::default(),
        idempotency: None,
        fairness_key: None,
        durability: Durability::Memory,
    }
}

/// A claim of up to `count_max`.
pub fn claim(count_max: u32) -> ClaimExecution {
    ClaimExecution {
        claim_id: ClaimId::generate(),
        slot: 0,
        worker: worker(),
        partition: partition(),
        source: ClaimSource::Ready { lanes: vec![Default::default()], count_max },
        lease_ttl_ms: 30_000,
    }
}

/// A completion without a result.
pub fn complete(handle: &Handle) -> CompleteExecution {
    CompleteExecution { handle: handle.clone(), result: None, next: None }
}

/// Submits one execution.
pub async fn submit(backend: &ValkeyBackend) -> ExecutionId {
    backend.submit_execution(item()).await.expect("a submission").execution_id()
}

/// Submits one execution and claims it.
pub async fn started(backend: &ValkeyBackend) -> ClaimedExecution {
    submit(backend).await;
    let mut claimed = backend.claim_execution(claim(1)).await.expect("a claim").executions;
    claimed.pop().expect("something to claim")
}

/// Submits this many executions in one request.
pub async fn submit_many(backend: &ValkeyBackend, count: usize) {
    let items = (0..count).map(|_| item()).collect();
    let request = ff_core::contracts::submit::SubmitExecutions { items };
    let outcomes = backend.submit_executions(request).await.expect("a submission");
    assert_eq!(outcomes.len(), count);
    for outcome in outcomes {
        outcome.expect("an item");
    }
}

/// Counts calls of functions that write, as the server has counted them.
pub fn calls(connection: &mut Connection) -> u64 {
    let info = connection.command(&["INFO", "commandstats"]).expect("the statistics");
    let text = info.text().unwrap_or_default().into_owned();
    text.lines()
        .find_map(|line| line.strip_prefix("cmdstat_fcall:calls="))
        .and_then(|rest| rest.split(',').next())
        .map_or(0, |digits| digits.parse().expect("a number"))
}

/// Counts what functions have asked of the server's data, as the server has counted it: reads and
/// writes of keys, not the calls themselves.
pub fn inner_commands(connection: &mut Connection) -> u64 {
    const DATA: &[&str] = &[
        "exists", "get", "hget", "hkeys", "hset", "mget", "mset", "sadd", "set", "xadd", "zadd",
        "zcard", "zrange", "zrem",
    ];
    let info = connection.command(&["INFO", "commandstats"]).expect("the statistics");
    let text = info.text().unwrap_or_default().into_owned();
    let counts = text.lines().filter_map(|line| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
        let digits = rest.split(',').next()?;
        DATA.contains(&command).then(|| digits.parse::<u64>().expect("a number"))
    });
    counts.sum()
}

/// Calls a function as any client could, and returns the raw reply.
pub fn raw(connection: &mut Connection, words: &[&[u8]]) -> Value {
    connection.command(words).expect("a reply")
}

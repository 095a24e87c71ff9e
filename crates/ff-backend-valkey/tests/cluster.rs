//! What only a cluster can show: many primaries, each with the library, each with its slots.

mod support;

use ff_backend_valkey::{Config, ValkeyBackend};
use ff_core::contracts::claim::{ClaimExecution, RegisterWorker};
use ff_core::contracts::inspect::ListExecutions;
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::submit::{SubmitExecution, SubmitExecutions};
use ff_core::contracts::{
    AdminBackend, ClaimBackend, InspectBackend, LeaseBackend, NoticeBackend, SubmitBackend,
    TerminalBackend,
};
use ff_core::error::{EngineError, ValidationKind};
use ff_core::keys::partition_base;
use ff_core::state::PublicState;
use ff_core::{ExecutionId, Handle};
use ff_script::VERSION;
use ff_testserver::{Cluster, ClusterGuard, Server, ServerVersion, shared_cluster};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};
use support::{claim, complete, connect, item, worker};

/// How long something that must come may take on a slow machine.
const SOON: Duration = Duration::from_secs(20);

async fn cluster() -> (ClusterGuard, ValkeyBackend) {
    let guard = tokio::task::spawn_blocking(shared_cluster).await.expect("no panic");
    let guard = guard.expect("a cluster");
    let backend = connect(&guard.url()).await;
    (guard, backend)
}

/// One execution for each partition.
fn each_partition(backend: &ValkeyBackend) -> impl Iterator<Item = SubmitExecution> {
    backend.partitions().iter().map(|partition| SubmitExecution {
        execution_id: ExecutionId::generate(partition),
        ..item()
    })
}

/// Submits one execution to each partition.
async fn spread(backend: &ValkeyBackend) -> Vec<ExecutionId> {
    let items: Vec<SubmitExecution> = each_partition(backend).collect();
    let ids = items.iter().map(|item| item.execution_id).collect();
    let outcomes = backend.submit_executions(SubmitExecutions { items }).await;
    for outcome in outcomes.expect("a submission") {
        outcome.expect("an item");
    }
    ids
}

async fn claim_all(backend: &ValkeyBackend) -> Vec<Handle> {
    let mut handles = Vec::new();
    for partition in backend.partitions().iter() {
        let request = ClaimExecution { partition, ..claim(10) };
        let claimed = backend.claim_execution(request).await.expect("a claim");
        handles.extend(claimed.executions.into_iter().map(|claimed| claimed.handle));
    }
    handles
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_is_spread_over_every_primary_and_done() {
    let (guard, backend) = cluster().await;
    assert_eq!(backend.partitions().count(), 64);
    let ids = spread(&backend).await;
    for primary in &mut guard.connect().expect("connections") {
        let size = primary.command(&["DBSIZE"]).expect("a size").integer();
        assert!(size > Some(10), "a primary holds {size:?} keys");
    }
    let handles = claim_all(&backend).await;
    assert_eq!(handles.len(), ids.len());
    let request = RenewLease { handles: handles.clone(), lease_ttl_ms: 30_000 };
    for renewed in backend.renew_lease(request).await.expect("renewals") {
        renewed.expect("a renewal");
    }
    for handle in &handles {
        backend.complete_execution(complete(handle)).await.expect("a completion");
    }
    let diagnosis = backend.doctor(false).await.expect("a diagnosis");
    assert_eq!((diagnosis.executions, diagnosis.findings_total), (64, 0), "{diagnosis:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_primary_gets_the_library_and_gets_it_back() {
    let (guard, backend) = cluster().await;
    let versions = |described: Vec<Option<ff_backend_valkey::Described>>| -> Vec<Option<u32>> {
        described.into_iter().map(|library| library.map(|library| library.version)).collect()
    };
    let described = backend.describe_library().await.expect("a description");
    assert_eq!(versions(described), vec![Some(VERSION); 3]);
    let mut primaries = guard.connect().expect("connections");
    primaries[1].command(&["FUNCTION", "FLUSH"]).expect("a flush");
    let described = versions(backend.describe_library().await.expect("a description"));
    assert_eq!(described.iter().flatten().count(), 2, "{described:?}");
    assert_eq!(spread(&backend).await.len(), 64);
    let described = backend.describe_library().await.expect("a description");
    assert_eq!(versions(described), vec![Some(VERSION); 3]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_walks_every_partition_once() {
    let (_guard, backend) = cluster().await;
    let ids: BTreeSet<ExecutionId> = spread(&backend).await.into_iter().collect();
    let mut listed = Vec::new();
    let mut cursor = None;
    loop {
        let request = ListExecutions {
            namespace: Default::default(),
            lane: Default::default(),
            state: PublicState::Waiting,
            cursor: cursor.take(),
            limit: 7,
        };
        let page = backend.list_executions(request).await.expect("a page");
        assert!(page.executions.len() <= 7);
        listed.extend(page.executions.into_iter().map(|row| row.execution_id));
        match page.next {
            Some(next) => cursor = Some(next),
            None => break,
        }
    }
    assert_eq!(listed.len(), ids.len());
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), ids);
    let lanes = backend.list_lanes(Default::default()).await.expect("the lanes");
    assert_eq!(lanes.len(), 1);
    assert_eq!(lanes[0].counts.iter().map(|(_, count)| count).sum::<u64>(), 64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notices_come_from_every_primary() {
    let (_guard, backend) = cluster().await;
    let partitions: Vec<_> = backend.partitions().iter().collect();
    let mut receiver = backend.subscribe(partitions.clone()).await.expect("a subscription");
    spread(&backend).await;
    let mut heard = BTreeSet::new();
    let all = async {
        while heard.len() < partitions.len() {
            if let Notice::Ready(partition) = receiver.receive().await {
                heard.insert(partition);
            }
        }
    };
    tokio::time::timeout(SOON, all).await.expect("a notice from each partition");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_belongs_to_no_partition_has_a_home_too() {
    let (_guard, backend) = cluster().await;
    let request =
        RegisterWorker { worker: worker(), lanes: vec![Default::default()], ttl_ms: 60_000 };
    backend.register_worker(request).await.expect("a registration");
    let workers = backend.list_workers(Default::default()).await.expect("the workers");
    assert_eq!(workers.len(), 1);
    assert_eq!(workers[0].worker, worker());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_cluster_is_no_standalone_server() {
    let (guard, _backend) = cluster().await;
    let url = format!("valkey://{}", guard.primaries()[0]);
    let config = Config::parse(&url).expect("a legal address");
    match ValkeyBackend::connect(config).await {
        Err(EngineError::Validation { kind: ValidationKind::Connection, detail }) => {
            assert!(detail.contains("valkey-cluster://"), "{detail}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hung_primary_hangs_nobody_else() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(ServerVersion::V8)).await;
    let cluster = cluster.expect("no panic").expect("a cluster");
    let url = format!("{}?timeout_ms=500&connect_timeout_ms=500", cluster.url());
    let backend = connect(&url).await;
    // The seed of all, too: whoever is asked for the layout must not be that one alone.
    let hung = &cluster.nodes()[0];
    hung.pause().expect("a pause");
    for _ in 0..5 {
        let items: Vec<SubmitExecution> = each_partition(&backend).collect();
        let outcomes = backend.submit_executions(SubmitExecutions { items }).await;
        let outcomes = outcomes.expect("outcomes");
        let landed = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert!((30..60).contains(&landed), "{landed} of 64 landed");
        for error in outcomes.into_iter().filter_map(Result::err) {
            assert!(matches!(error, EngineError::Transport { .. }), "{error:?}");
        }
    }
    hung.resume().expect("a resume");
    let deadline = Instant::now() + SOON;
    loop {
        let items: Vec<SubmitExecution> = each_partition(&backend).collect();
        let outcomes = backend.submit_executions(SubmitExecutions { items }).await;
        if outcomes.expect("outcomes").iter().all(Result::is_ok) {
            return;
        }
        assert!(Instant::now() < deadline, "the primary was not found again");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failover_is_followed() {
    let started = tokio::task::spawn_blocking(|| {
        Cluster::builder(ServerVersion::V8)
            .replicas_per_primary(1)
            .config("cluster-node-timeout", "1000")
            .config("repl-diskless-sync-delay", "0")
            .start()
    });
    let mut cluster = started.await.expect("no panic").expect("a cluster");
    let url = format!("{}?timeout_ms=500&connect_timeout_ms=500", cluster.url());
    let backend = connect(&url).await;
    spread(&backend).await;
    // Only a replica that has the data may take over.
    let deadline = Instant::now() + SOON;
    loop {
        let info = cluster.nodes()[0].command(&["INFO", "replication"]).expect("the replicas");
        if info.text().is_some_and(|text| text.contains("state=online")) {
            break;
        }
        assert!(Instant::now() < deadline, "the replica never came");
        tokio::task::yield_now().await;
    }
    cluster.nodes_mut()[0].stop();
    let deadline = Instant::now() + SOON;
    loop {
        let items: Vec<SubmitExecution> = each_partition(&backend).collect();
        let outcomes = backend.submit_executions(SubmitExecutions { items }).await;
        if outcomes.expect("outcomes").iter().all(Result::is_ok) {
            return;
        }
        assert!(Instant::now() < deadline, "the replica was not found");
    }
}

/// Runs a command that must succeed and returns its text.
fn run(node: &Server, words: &[&str]) -> String {
    let reply = node.command(words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
    reply.text().unwrap_or_default().into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_is_refused_and_then_followed() {
    let cluster = tokio::task::spawn_blocking(|| Cluster::start(ServerVersion::V8)).await;
    let cluster = cluster.expect("no panic").expect("a cluster");
    let backend = connect(&cluster.url()).await;
    let id = spread(&backend).await[0];
    let slot = cluster.nodes()[0].command(&["CLUSTER", "KEYSLOT", &partition_base(id.partition())]);
    let slot = slot.expect("a slot").integer().expect("a number");
    let from = usize::try_from(slot * 3 / 16_384).expect("one of three");
    let to = (from + 1) % 3;
    let (from, to) = (&cluster.nodes()[from], &cluster.nodes()[to]);
    let (from_id, to_id) = (run(from, &["CLUSTER", "MYID"]), run(to, &["CLUSTER", "MYID"]));
    let slot = slot.to_string();

    run(to, &["CLUSTER", "SETSLOT", &slot, "IMPORTING", &from_id]);
    run(from, &["CLUSTER", "SETSLOT", &slot, "MIGRATING", &to_id]);
    let error = backend.describe_execution(id).await.expect_err("the slot moves");
    assert!(matches!(error, EngineError::Unavailable { .. }), "{error:?}");
    let request = ClaimExecution { partition: id.partition(), ..claim(1) };
    let error = backend.claim_execution(request.clone()).await.expect_err("the slot moves");
    assert!(matches!(error, EngineError::Unavailable { .. }), "{error:?}");

    let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "1000"]).expect("keys");
    let port = to.port().to_string();
    for key in keys.array().expect("an array") {
        let key = key.text().unwrap_or_default().into_owned();
        run(from, &["MIGRATE", "127.0.0.1", &port, &key, "0", "5000"]);
    }
    for node in [to, from] {
        run(node, &["CLUSTER", "SETSLOT", &slot, "NODE", &to_id]);
    }
    backend.describe_execution(id).await.expect("it has moved");
    let claimed = backend.claim_execution(request).await.expect("a claim");
    assert_eq!(claimed.executions[0].handle.execution_id(), id);
}

//! A server that hangs for longer than a lease: what it still carries out when it comes back is
//! work for a live worker, leased to nobody by nothing.

use ff_core::turn::TurnOperation;
use ff_core::{AttemptIndex, ExecutionId};
use ff_testserver::{Server, ServerVersion};
use flowfabric::*;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use tokio::sync::watch;

const TASKS: usize = 1_500;
const WORKERS: usize = 3;
const LEASE_TTL_MS: u64 = 2_000;
const HANG_MS: u64 = 3 * LEASE_TTL_MS;
/// The server hangs once this many handlers have begun.
const BEFORE: usize = 300;

type Begun = Arc<Mutex<BTreeSet<(ExecutionId, AttemptIndex)>>>;

async fn worker(server: &Server, name: String) -> FlowFabricWorker {
    let config = WorkerConfig::builder(name).max_concurrent_tasks(64).lease_ttl_ms(LEASE_TTL_MS);
    let config = config.build().expect("a legal configuration");
    let backend = connect(&server.url()).await.expect("a backend");
    FlowFabricWorker::connect_with(config, backend).await.expect("a worker")
}

async fn work(worker: FlowFabricWorker, begun: Begun, mut over: watch::Receiver<bool>) {
    let handler = move |task: TaskContext| {
        let turn = (task.execution_id(), task.attempt_index());
        begun.lock().expect("no panic").insert(turn);
        async move { Ok(TaskEnd::done()) }
    };
    let shutdown = async move {
        over.wait_for(|over| *over).await.expect("the test goes on");
    };
    worker.run(handler, shutdown).await.expect("a worker that ran");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_hangs_leaves_nothing_leased_to_nobody() {
    let server = Server::start(ServerVersion::V8).expect("a server");
    let backend = connect(&server.url()).await.expect("a backend");
    let clock = backend.clock();
    let client = FlowFabricClient::new(backend);
    let requests = (0..TASKS).map(|_| SubmitRequest::new("work", Vec::new()));
    let submitted = client.submit_many(requests.collect()).await.expect("submissions");
    let ids: Vec<_> =
        submitted.into_iter().map(|one| one.expect("a submission").execution_id()).collect();
    let begun = Begun::default();
    let (end, over) = watch::channel(false);
    let mut workers = Vec::new();
    for number in 0..WORKERS {
        workers.push(worker(&server, format!("w{number}")).await);
    }
    let workers =
        workers.into_iter().map(|one| tokio::spawn(work(one, begun.clone(), over.clone())));
    let workers: Vec<_> = workers.collect();
    while begun.lock().expect("no panic").len() < BEFORE {
        tokio::task::yield_now().await;
    }
    server.pause().expect("a server that hangs");
    let hung_at = clock.now();
    clock.sleep_until(clock.now().plus_ms(HANG_MS)).await;
    server.resume().expect("a server that goes on");
    for id in &ids {
        let ended = client.wait_for_result(id, clock.now().plus_ms(60_000)).await;
        assert!(ended.expect("an answer").is_some(), "{id} has not ended");
    }
    end.send_replace(true);
    for worker in workers {
        worker.await.expect("no panic");
    }

    let begun = begun.lock().expect("no panic").clone();
    for id in ids {
        let turns = client.backend().list_turns(id).await.expect("turns");
        let completed = turns.iter().filter(|turn| turn.operation == TurnOperation::Complete);
        assert_eq!(completed.count(), 1, "{turns:?}");
        // A claim from before, whose reply did not make it, cannot be helped.
        let after = turns.iter().filter(|turn| turn.started_at > hung_at);
        for turn in after.filter(|turn| turn.operation == TurnOperation::LeaseExpired) {
            assert!(begun.contains(&(id, turn.attempt_index)), "leased to nobody: {turns:?}");
        }
    }
    let diagnosis = client.backend().doctor(false).await.expect("a diagnosis");
    assert_eq!(diagnosis.findings, []);
}

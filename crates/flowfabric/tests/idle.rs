//! What an idle worker costs the server, counted by the server's own monitor.

use ff_testserver::{Server, ServerVersion};
use flowfabric::*;
use std::time::Duration;

/// How long a line of the monitor may take before the worker counts as dead.
const PATIENCE: Duration = Duration::from_secs(20);
/// Commands that an idle worker on one partition may cost in a second.
const COMMANDS_A_SECOND_MAX: usize = 3;
/// Fallback polls that are watched; they are a second apart.
const POLLS: usize = 4;

/// Reads the monitor until `POLLS` claims after the first few calls have passed, and returns the
/// commands that came between the first and the last of them.
fn watch(server: &Server) -> Vec<String> {
    let mut monitor = server.connect().expect("a connection");
    monitor.set_timeout(PATIENCE).expect("a timeout");
    monitor.command(&["MONITOR"]).expect("a monitor");
    let mut polls = 0;
    let mut between = Vec::new();
    while polls < POLLS {
        let line = monitor.read().expect("a line");
        let line = line.text().expect("text").into_owned();
        // What a function does inside is not a command of the worker's.
        if line.contains(" lua]") {
            continue;
        }
        let claims = line.contains("ff_claim_execution");
        if polls > 0 {
            between.push(line);
        }
        polls += usize::from(claims);
    }
    between
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_idle_worker_on_one_partition_costs_at_most_three_commands_a_second() {
    let server = Server::start(ServerVersion::V8).expect("a server");
    let backend = connect(&server.url()).await.expect("a backend");
    let config = WorkerConfig::builder("idle").build().expect("a legal configuration");
    let worker = FlowFabricWorker::connect_with(config, backend).await.expect("a worker");
    let (done, over) = tokio::sync::oneshot::channel::<Vec<String>>();
    let watching = tokio::task::spawn_blocking(move || {
        let commands = watch(&server);
        done.send(commands).expect("somebody waits");
        server
    });
    let commands = async { over.await.expect("the monitor's lines") };
    let mut seen = Vec::new();
    let idle = async { seen = commands.await };
    let handler = |_task: TaskContext| async move { Ok(TaskEnd::done()) };
    worker.run(handler, idle).await.expect("a worker that ran");
    watching.await.expect("no panic");
    let seconds = POLLS - 1;
    assert!(seen.len() <= seconds * COMMANDS_A_SECOND_MAX, "{seen:#?}");
}

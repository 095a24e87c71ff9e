//! Leases: what it costs to keep many executions active.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowfabric::ff_core::limits::LEASE_TTL_MS_DEFAULT;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricWorker, TaskContext, TaskEnd, WorkerConfig};
use tokio::sync::watch;

use super::figures::{Row, Unit};
use super::load::{Load, Tally, check_all_in, client, count};
use super::setting::Bench;
use super::store::Store;
use super::wait::Running;
use super::work::submit_bulk;
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "leases";
/// Tasks of one worker.
const TASKS_A_WORKER: u64 = 1_000;
/// A lease in a hurry.
const TTL_MS_QUICK: u64 = 3_000;
/// How many lease times are measured, in percent: a whole one, with every renewal in it.
const TTLS_PCT: u64 = 100;
/// How long the tasks may take to be active.
const ACTIVE_MAX: Duration = Duration::from_secs(60);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Measures the shares of a core that the server and the workers spend while tasks merely run.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    // 10 000 of them, unless other sizes are asked for.
    let load = Load { tasks: bench.load().tasks / 2, ..bench.load() };
    let ttl_ms = bench.pick(TTL_MS_QUICK, LEASE_TTL_MS_DEFAULT);
    let span = Duration::from_millis(ttl_ms * TTLS_PCT / 100);
    let mut store = Store::start()?;
    let client = client(&store.fresh().await?)?;
    submit_bulk(&client, &load, 0..load.tasks).await?;
    let tally = Arc::new(Tally::new(load.tasks));
    let (go_on, held) = watch::channel(false);
    let mut running = Vec::new();
    for _ in 0..load.tasks.div_ceil(TASKS_A_WORKER) {
        let config = WorkerConfig::builder("bench")
            .namespace(client.namespace().as_str())
            .max_concurrent_tasks(TASKS_A_WORKER.min(load.tasks) as u16)
            .lease_ttl_ms(ttl_ms)
            .build()?;
        let worker = FlowFabricWorker::connect_with(config, client.backend().clone()).await?;
        let (runs, held) = (tally.clone(), held.clone());
        let handler = move |task: TaskContext| {
            runs.ran(task.input_payload());
            let mut held = held.clone();
            async move {
                held.wait_for(|go_on| *go_on).await.ok();
                Ok(TaskEnd::done())
            }
        };
        running.push(Running::start(worker, handler));
    }
    let deadline = Instant::now() + ACTIVE_MAX;
    while count(&client, Some(OwnerIndex::Active)).await? < load.tasks {
        if Instant::now() > deadline {
            return Err(XtaskError::Told(format!("not all are active after {ACTIVE_MAX:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    // A worker that is stopped before it has the answer of its claim gives back what it took.
    tally.enough_ran().await;
    eprintln!("{SECTION}: {} active executions for {span:?}", load.tasks);
    let begun = store.meter.begin()?;
    tokio::time::sleep(span).await;
    let spent = store.meter.end(&begun)?;
    check_all_in(&client, OwnerIndex::Active, load.tasks, SECTION).await?;
    go_on.send_replace(true);
    for running in running {
        running.stop().await?;
    }
    tally.check(SECTION)?;
    check_all_in(&client, OwnerIndex::Done, load.tasks, SECTION).await?;

    let took_us = spent.took.as_secs_f64() * 1e6;
    let what = |side| format!("{side}: {} active, leases of {} s", load.tasks, ttl_ms / 1_000);
    let put = |bench: &mut Bench, side, us: f64| {
        bench.figures.put(
            &Row::new(SECTION, "R15", what(side)),
            Unit::Percent,
            100.0 * us / took_us,
        );
    };
    if let Some(server) = spent.server {
        put(bench, "share of a server core", server.cpu_us);
    }
    put(bench, "share of a client core", spent.client_us);
    Ok(())
}

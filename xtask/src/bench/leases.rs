//! Leases: what it costs to keep many executions active.

use std::time::Duration;

use flowfabric::ff_core::limits::LEASE_TTL_MS_DEFAULT;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricWorker, WorkerConfig};

use super::figures::{Row, Unit};
use super::hold::Held;
use super::load::{Load, check_all_in, client};
use super::setting::Bench;
use super::store::Store;
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

/// Measures the shares of a core that the server and the workers spend while tasks merely run.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    // 10 000 of them, unless other sizes are asked for.
    let load = Load { tasks: bench.load().tasks / 2, ..bench.load() };
    let ttl_ms = bench.pick(TTL_MS_QUICK, LEASE_TTL_MS_DEFAULT);
    let span = Duration::from_millis(ttl_ms * TTLS_PCT / 100);
    let mut store = Store::start()?;
    let client = client(&store.fresh().await?)?;
    submit_bulk(&client, &load, 0..load.tasks).await?;
    let mut workers = Vec::new();
    for _ in 0..load.tasks.div_ceil(TASKS_A_WORKER) {
        let config = WorkerConfig::builder("bench")
            .namespace(client.namespace().as_str())
            .max_concurrent_tasks(TASKS_A_WORKER.min(load.tasks) as u16)
            .lease_ttl_ms(ttl_ms)
            .build()?;
        workers.push(FlowFabricWorker::connect_with(config, client.backend().clone()).await?);
    }
    let held = Held::by(workers, &client, load.tasks).await?;
    eprintln!("{SECTION}: {} active executions for {span:?}", load.tasks);
    let begun = store.meter.begin()?;
    tokio::time::sleep(span).await;
    let spent = store.meter.end(&begun)?;
    check_all_in(&client, OwnerIndex::Active, load.tasks, SECTION).await?;
    held.release(SECTION).await?;
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

//! Capability routing: most work asks for something, and half of it for what no worker offers.

use std::sync::Arc;

use flowfabric::ff_core::name::Capability;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricClient, FlowFabricWorker, WorkerConfig};
use futures::future::try_join_all;

use super::figures::Row;
use super::load::{Load, Tally, client, count};
use super::setting::Bench;
use super::store::Store;
use super::work::{BULK, Backend, run as run_worker};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "routing";
/// Capabilities that work asks for, one each; workers offer the first half.
const SETS: u64 = 10;
const SETS_SERVED: u64 = SETS / 2;
/// Places for tasks, in all.
const PLACES: u16 = 100;
/// Who does the same without capabilities, to compare with.
pub(super) const ALIKE: &str = "without capabilities";

/// Measures the same number of tasks and places with capabilities and without.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let mut store = Store::start()?;
    let mut load = bench.load();
    load.tasks -= load.tasks % SETS;
    for _ in bench.rounds(SECTION) {
        for instances in [100, 5] {
            let what = format!("{instances} instances of {} tasks", PLACES / instances);
            let row = Row::new(SECTION, "R11", what);
            for (row, routed) in [(row.of(ALIKE), false), (row, true)] {
                let backend = store.fresh().await?;
                measure(bench, &backend, &mut store, &load, (&row, instances, routed)).await?;
            }
        }
    }
    Ok(())
}

async fn measure(
    bench: &mut Bench,
    backend: &Backend,
    store: &mut Store,
    load: &Load,
    (row, instances, routed): (&Row, u16, bool),
) -> Result<(), XtaskError> {
    let client = client(backend)?;
    // As many for each that is not served as for each that is: those are never to be looked at.
    let sets = if routed { SETS } else { 1 };
    let all = if routed { load.tasks * SETS / SETS_SERVED } else { load.tasks };
    let load = Load { tasks: all, ..*load };
    submit(&client, &load, sets).await?;
    let served = |number: u64| !routed || number % SETS < SETS_SERVED;
    let to_run = (0..all).filter(|number| served(*number)).count() as u64;
    let tally = Arc::new(Tally::until(all, to_run));
    let workers = (0..instances).map(|at| {
        let set = routed.then_some(u64::from(at) % SETS_SERVED);
        worker(&client, PLACES / instances, set)
    });
    let workers = try_join_all(workers).await?;
    let begun = store.meter.begin()?;
    try_join_all(workers.iter().map(|worker| run_worker(worker, &tally))).await?;
    bench.figures.note(row, to_run, &store.meter.end(&begun)?);
    let ran = tally.check_none_twice(&row.what)?;
    let done = count(&client, Some(OwnerIndex::Done)).await?;
    let ready = count(&client, Some(OwnerIndex::Ready)).await?;
    if (ran, done, ready) == (to_run, to_run, all - to_run) {
        return Ok(());
    }
    Err(XtaskError::Told(format!("of {to_run} tasks {ran} ran; {done} are done, {ready} ready")))
}

/// Submits in bulk; each bulk holds tasks of every capability.
async fn submit(client: &FlowFabricClient, load: &Load, sets: u64) -> Result<(), XtaskError> {
    for first in (0..load.tasks).step_by(BULK as usize) {
        let numbers = first..load.tasks.min(first + BULK);
        let mut requests = Vec::new();
        for number in numbers {
            let request = load.request(number);
            requests.push(match sets {
                1 => request,
                _ => request.requires(capability(number % sets)?),
            });
        }
        for outcome in client.submit_many(requests).await? {
            outcome?;
        }
    }
    Ok(())
}

async fn worker(
    client: &FlowFabricClient,
    places: u16,
    set: Option<u64>,
) -> Result<FlowFabricWorker, XtaskError> {
    let mut config = WorkerConfig::builder("bench")
        .namespace(client.namespace().as_str())
        .max_concurrent_tasks(places);
    if let Some(set) = set {
        config = config.capability(capability(set)?.as_str());
    }
    Ok(FlowFabricWorker::connect_with(config.build()?, client.backend().clone()).await?)
}

fn capability(set: u64) -> Result<Capability, XtaskError> {
    Ok(Capability::new(format!("set-{set}"))?)
}

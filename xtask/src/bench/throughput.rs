//! Submit, claim and complete: rates, and what a task costs, against the raw ceiling and the peers.

use std::sync::Arc;

use flowfabric::ff_core::state::OwnerIndex;

use super::figures::{RAW, Row};
use super::load::{Load, check_all_in, client};
use super::meter::Meter;
use super::peer::Ask;
use super::raw;
use super::setting::Bench;
use super::store::Store;
use super::work::{Backend, CONCURRENT_TASKS, check_results, submit_alone, submit_bulk, work};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "throughput";
/// Tasks at a time of a worker that shall do much rather than soon.
pub(super) const MANY_TASKS: u16 = 64;
/// Bytes of a large payload.
const LARGE_PAYLOAD: usize = 4 * 1024;

/// The rows.
fn bulk() -> Row {
    Row::new(SECTION, "R1", "submit in bulk, 100 a call")
}

fn single() -> Row {
    Row::new(SECTION, "R2", "submit one at a time, 32 outstanding")
}

fn small() -> Row {
    Row::new(SECTION, "R3", "claim + complete, 16 at a time")
}

fn large() -> Row {
    Row::new(SECTION, "R4", "claim + complete, 16 at a time, 4 KiB")
}

fn whole() -> Row {
    Row::new(SECTION, "R5", "submit in bulk, then work, 64 at a time")
}

/// Measures the engine, the raw commands and the peers in turns, on one server.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let load = bench.load();
    if let Some(url) = bench.arguments.url.clone() {
        for _ in bench.rounds(SECTION) {
            let backend = flowfabric::connect(&url).await?;
            let mut meter = Meter::default();
            submits(bench, &backend, &load, &mut meter).await?;
            works(bench, &backend, &load, &mut meter).await?;
        }
        return Ok(());
    }
    let mut store = Store::start()?;
    for _ in bench.rounds(SECTION) {
        let backend = store.fresh().await?;
        submits(bench, &backend, &load, &mut store.meter).await?;
        let backend = store.fresh().await?;
        works(bench, &backend, &load, &mut store.meter).await?;
        drop(backend);
        peers(bench, &mut store, &load)?;
        ceiling(bench, &mut store, &load)?;
    }
    Ok(())
}

/// Measures how fast work is handed in.
async fn submits(
    bench: &mut Bench,
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
) -> Result<(), XtaskError> {
    let client = Arc::new(client(backend)?);
    let begun = meter.begin()?;
    submit_alone(&client, load).await?;
    bench.figures.note(&single(), load.tasks, &meter.end(&begun)?);
    check_all_in(&client, OwnerIndex::Ready, load.tasks, "submit one at a time").await
}

/// Measures how fast it is done, with small and large payloads, a few and many at a time.
async fn works(
    bench: &mut Bench,
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
) -> Result<(), XtaskError> {
    let large_load = Load { payload: LARGE_PAYLOAD, ..*load };
    let shapes = [
        (small(), CONCURRENT_TASKS, *load),
        (large(), CONCURRENT_TASKS, large_load),
        (whole(), MANY_TASKS, *load),
    ];
    for (row, tasks_at_a_time, load) in shapes {
        let client = client(backend)?;
        let begun = meter.begin()?;
        let ids = submit_bulk(&client, &load, 0..load.tasks).await?;
        let submitted = meter.end(&begun)?;
        let worked = work(&client, &load, tasks_at_a_time, meter).await?;
        if row == whole() {
            bench.figures.note(&row, load.tasks, &submitted.and(worked));
        } else {
            bench.figures.note(&row, load.tasks, &worked);
        }
        if row == small() {
            bench.figures.note(&bulk(), load.tasks, &submitted);
        }
        check_all_in(&client, OwnerIndex::Done, load.tasks, &row.what).await?;
        check_results(backend, &ids).await?;
    }
    Ok(())
}

/// Measures the same with the peers.
fn peers(bench: &mut Bench, store: &mut Store, load: &Load) -> Result<(), XtaskError> {
    let port = store.server().port();
    for peer in &mut bench.peers {
        let name = peer.name();
        let load = Load { tasks: peer.tasks(load.tasks), ..*load };
        let mut measure = |run, queue: &str, concurrency, payload| {
            let ask = Ask { payload, concurrency, ..Ask::of(run, queue, &load) };
            peer.measure(port, &ask, &mut store.meter).map(|(spent, _)| spent)
        };
        let spent = measure("submit_single", "single", CONCURRENT_TASKS, load.payload)?;
        bench.figures.note(&single().of(name), load.tasks, &spent);
        let submitted = measure("submit_bulk", "whole", MANY_TASKS, load.payload)?;
        bench.figures.note(&bulk().of(name), load.tasks, &submitted);
        let worked = measure("work_submitted", "whole", MANY_TASKS, load.payload)?;
        bench.figures.note(&whole().of(name), load.tasks, &submitted.and(worked));
        let spent = measure("work", "small", CONCURRENT_TASKS, load.payload)?;
        bench.figures.note(&small().of(name), load.tasks, &spent);
        let spent = measure("work", "large", CONCURRENT_TASKS, LARGE_PAYLOAD)?;
        bench.figures.note(&large().of(name), load.tasks, &spent);
        store.empty()?;
    }
    Ok(())
}

/// Measures the raw commands.
fn ceiling(bench: &mut Bench, store: &mut Store, load: &Load) -> Result<(), XtaskError> {
    store.empty()?;
    let begun = store.meter.begin()?;
    raw::end_to_end(store.server().address(), load)?;
    bench.figures.note(&whole().of(RAW), load.tasks, &store.meter.end(&begun)?);
    let done = store.server().command(&["ZCARD", "raw:done"])?.integer();
    if done == i64::try_from(load.tasks).ok() {
        return Ok(());
    }
    Err(XtaskError::Told(format!("the raw commands completed {done:?} of {}", load.tasks)))
}

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
/// Rounds for each of another scenario: what is compared here is what a verdict hangs on.
const ROUNDS_TIMES: u16 = 2;
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

/// What is measured of everybody before the next: the machine's speed drifts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Submissions one at a time.
    Single,
    /// Submissions in bulk, then the work.
    Whole,
    Small,
    Large,
}

const PARTS: [Part; 4] = [Part::Single, Part::Whole, Part::Small, Part::Large];

/// Measures the engine, the raw commands and the peers in turns, on one server.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let load = bench.load();
    if let Some(url) = bench.arguments.url.clone() {
        for _ in bench.rounds_as(SECTION, |rounds| rounds * ROUNDS_TIMES) {
            let mut meter = Meter::default();
            for part in PARTS {
                ours(bench, part, &flowfabric::connect(&url).await?, &load, &mut meter).await?;
            }
        }
        return Ok(());
    }
    let mut store = Store::start()?;
    for _ in bench.rounds_as(SECTION, |rounds| rounds * ROUNDS_TIMES) {
        for part in PARTS {
            let backend = store.fresh().await?;
            ours(bench, part, &backend, &load, &mut store.meter).await?;
            drop(backend);
            peers(bench, part, &mut store, &load)?;
            if part == Part::Whole {
                ceiling(bench, &mut store, &load)?;
            }
        }
    }
    Ok(())
}

/// Measures a part of the engine.
async fn ours(
    bench: &mut Bench,
    part: Part,
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
) -> Result<(), XtaskError> {
    let (row, tasks_at_a_time, load) = match part {
        Part::Single => return submits(bench, backend, load, meter).await,
        Part::Whole => (whole(), MANY_TASKS, *load),
        Part::Small => (small(), CONCURRENT_TASKS, *load),
        Part::Large => (large(), CONCURRENT_TASKS, Load { payload: LARGE_PAYLOAD, ..*load }),
    };
    let client = client(backend)?;
    let begun = meter.begin()?;
    let ids = submit_bulk(&client, &load, 0..load.tasks).await?;
    let submitted = meter.end(&begun)?;
    let mut spent = work(&client, &load, tasks_at_a_time, meter).await?;
    if part == Part::Whole {
        bench.figures.note(&bulk(), load.tasks, &submitted);
        spent = submitted.and(spent);
    }
    bench.figures.note(&row, load.tasks, &spent);
    check_all_in(&client, OwnerIndex::Done, load.tasks, &row.what).await?;
    check_results(backend, &ids).await
}

/// Measures how fast work is handed in one at a time.
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
    check_all_in(&client, OwnerIndex::Ready, load.tasks, "submit one at a time").await?;
    if bench.arguments.url.is_some() {
        // What stays ready would stay for good.
        work(&client, load, MANY_TASKS, &mut Meter::default()).await?;
    }
    Ok(())
}

/// Measures the same part of the peers.
fn peers(bench: &mut Bench, part: Part, store: &mut Store, load: &Load) -> Result<(), XtaskError> {
    let port = store.server().port();
    for peer in &mut bench.peers {
        store.empty()?;
        let name = peer.name();
        let load = Load { tasks: peer.tasks(load.tasks), ..*load };
        let mut measure = |run, queue: &str, concurrency, payload| {
            let ask = Ask { payload, concurrency, ..Ask::of(run, queue, &load) };
            peer.measure(port, &ask, &mut store.meter).map(|(spent, _)| spent)
        };
        let (row, spent) = match part {
            Part::Single => {
                (single(), measure("submit_single", "single", CONCURRENT_TASKS, load.payload)?)
            }
            Part::Whole => {
                let submitted = measure("submit_bulk", "whole", MANY_TASKS, load.payload)?;
                bench.figures.note(&bulk().of(name), load.tasks, &submitted);
                let worked = measure("work_submitted", "whole", MANY_TASKS, load.payload)?;
                (whole(), submitted.and(worked))
            }
            Part::Small => (small(), measure("work", "small", CONCURRENT_TASKS, load.payload)?),
            Part::Large => (large(), measure("work", "large", CONCURRENT_TASKS, LARGE_PAYLOAD)?),
        };
        bench.figures.note(&row.of(name), load.tasks, &spent);
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

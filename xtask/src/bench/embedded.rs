//! The same without a server: memory and files, and how soon an idle worker begins.

use std::sync::Arc;

use flowfabric::ff_core::state::OwnerIndex;

use super::figures::Row;
use super::load::{Load, Tally, check_all_in, client};
use super::meter::Meter;
use super::setting::Bench;
use super::store::Folder;
use super::wait;
use super::work::{
    Backend, CONCURRENT_TASKS, run as run_worker, submit_alone, submit_bulk, work, worker,
};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "embedded";
/// How many times more tasks memory does in a round: it is that much faster.
const MEMORY_TIMES: u64 = 5;

/// The stores: the number of the target, who it is, and the durability of a file.
const STORES: [(&str, &str, Option<&str>); 3] = [
    ("E3", "memory", None),
    ("E1", "file, durability=fast", Some("fast")),
    ("E2", "file, durability=file", Some("file")),
];

/// Measures every store in turns.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    for _ in bench.rounds(SECTION) {
        for (id, name, durability) in STORES {
            // Dropped at the end of the turn, and with it the file.
            let folder = Folder::fresh()?;
            let url = match durability {
                None => "memory:".to_owned(),
                Some(word) => {
                    format!("file:{}?durability={word}", folder.0.join("ff.db").display())
                }
            };
            let backend = flowfabric::connect(&url).await?;
            let mut load = bench.load();
            if durability.is_none() {
                load.tasks *= bench.pick(1, MEMORY_TIMES);
            }
            rates(bench, &backend, &load, (id, name)).await?;
            let row = Row::new(SECTION, "E4", format!("submit to handler start, {name}"));
            let mut spans = wait::submit_to_start(&backend, &load, bench.pick(50, 500)).await?;
            bench.figures.note_spans(&row, &mut spans);
        }
    }
    Ok(())
}

/// Measures submit, claim and complete one after the other, and all at once.
async fn rates(
    bench: &mut Bench,
    backend: &Backend,
    load: &Load,
    (id, name): (&'static str, &str),
) -> Result<(), XtaskError> {
    let mut meter = Meter::default();
    let row = |id, what: &str| Row::new(SECTION, id, format!("{what}, {name}"));
    let begun = meter.begin()?;
    at_once(backend, load).await?;
    bench.figures.note(&row(id, "submit + claim + complete"), load.tasks, &meter.end(&begun)?);

    let client = client(backend)?;
    let begun = meter.begin()?;
    submit_bulk(&client, load, 0..load.tasks).await?;
    bench.figures.note(&row("", "submit in bulk"), load.tasks, &meter.end(&begun)?);
    check_all_in(&client, OwnerIndex::Ready, load.tasks, "submit in bulk").await?;
    let worked = work(&client, load, CONCURRENT_TASKS, &mut meter).await?;
    bench.figures.note(&row("", "claim + complete, 16 at a time"), load.tasks, &worked);
    check_all_in(&client, OwnerIndex::Done, load.tasks, "claim + complete").await
}

/// Submits one at a time while a worker works.
async fn at_once(backend: &Backend, load: &Load) -> Result<(), XtaskError> {
    let client = Arc::new(client(backend)?);
    let worker = worker(&client, CONCURRENT_TASKS).await?;
    let tally = Arc::new(Tally::new(load.tasks));
    tokio::try_join!(submit_alone(&client, load), run_worker(&worker, &tally))?;
    tally.check("submit + claim + complete")?;
    check_all_in(&client, OwnerIndex::Done, load.tasks, "submit + claim + complete").await
}

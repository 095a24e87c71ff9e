//! The same work on servers that keep it more and less safely.

use std::sync::Arc;

use flowfabric::ff_core::state::OwnerIndex;

use super::figures::{Row, Unit};
use super::load::{check_all_in, client};
use super::setting::Bench;
use super::store::Store;
use super::table::{Table, pivot};
use super::work::{CONCURRENT_TASKS, check_results, submit_alone, submit_bulk, work};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "durability";

/// How a store keeps what it is given.
#[derive(Clone, Copy)]
enum Keeps {
    Nothing,
    Fsync(&'static str),
    OneReplica,
    Cluster,
}

impl Keeps {
    const ALL: [Self; 5] = [
        Self::Nothing,
        Self::Fsync("everysec"),
        Self::Fsync("always"),
        Self::OneReplica,
        Self::Cluster,
    ];

    fn name(self) -> String {
        match self {
            Self::Nothing => "no persistence".to_owned(),
            Self::Fsync(when) => format!("AOF {when}"),
            Self::OneReplica => "one replica".to_owned(),
            Self::Cluster => "cluster of three".to_owned(),
        }
    }

    fn start(self) -> Result<Store, XtaskError> {
        match self {
            Self::Nothing => Store::start(),
            Self::Fsync(when) => Store::with(&[("appendonly", "yes"), ("appendfsync", when)]),
            Self::OneReplica => Store::with_replica(),
            Self::Cluster => Store::cluster(),
        }
    }
}

/// Measures each in turns.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let mut stores = Vec::new();
    for keeps in Keeps::ALL {
        stores.push((keeps.name(), keeps.start()?));
    }
    for _ in bench.rounds(SECTION) {
        for (name, store) in &mut stores {
            measure(bench, name, store).await?;
        }
    }
    Ok(())
}

/// Lays the rates out, then what a task costs the servers.
pub(super) fn tables(bench: &Bench) -> Vec<Table> {
    let rates = pivot(&bench.figures, SECTION, Unit::PerSecond, "a second");
    let costs = pivot(&bench.figures, SECTION, Unit::ServerCpu, "server CPU");
    rates.into_iter().chain(costs).collect()
}

async fn measure(bench: &mut Bench, name: &str, store: &mut Store) -> Result<(), XtaskError> {
    let load = bench.load();
    let row = |what: &str| Row::new(SECTION, "", what).of(name);
    let backend = store.fresh().await?;
    let single = Arc::new(client(&backend)?);
    let begun = store.meter.begin()?;
    submit_alone(&single, &load).await?;
    let spent = store.meter.end(&begun)?;
    bench.figures.note(&row("submit one at a time, 32 outstanding"), load.tasks, &spent);
    check_all_in(&single, OwnerIndex::Ready, load.tasks, name).await?;

    let client = client(&backend)?;
    let begun = store.meter.begin()?;
    let ids = submit_bulk(&client, &load, 0..load.tasks).await?;
    let spent = store.meter.end(&begun)?;
    bench.figures.note(&row("submit in bulk, 100 a call"), load.tasks, &spent);
    let spent = work(&client, &load, CONCURRENT_TASKS, &mut store.meter).await?;
    bench.figures.note(&row("claim + complete, 16 at a time"), load.tasks, &spent);
    check_all_in(&client, OwnerIndex::Done, load.tasks, name).await?;
    check_results(&backend, &ids).await
}

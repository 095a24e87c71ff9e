//! What an execution takes of the server's memory in each state, and what is left of it.

use std::time::{Duration, Instant};

use flowfabric::ff_core::limits::RETENTION_MS_MIN;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricClient, TaskEnd};
use tokio::sync::mpsc;

use super::figures::{Row, Unit};
use super::hold::Held;
use super::load::{Load, await_all_in, check_all_in, client, count};
use super::peer::Ask;
use super::setting::Bench;
use super::store::Store;
use super::wait::{Running, suspend_once};
use super::work::{CONCURRENT_TASKS, submit_bulk, work, worker};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "memory";
/// Tasks that are active at a time, at most.
const ACTIVE_MAX: u64 = 1_000;
/// How long it may take until what is not kept any longer is gone.
const REMOVED_MAX: Duration = Duration::from_secs(180);
/// How often that is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What a server held before.
#[derive(Clone, Copy)]
struct Before {
    keys: u64,
    used: u64,
}

/// Measures each state once: bytes do not vary.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    // Bytes do not vary, so half of a round's tasks are enough.
    let load = Load { tasks: bench.load().tasks / 2, ..bench.load() };
    let mut store = Store::start()?;
    eprintln!("{SECTION}: pending and finished");
    pending_and_finished(bench, &mut store, &load).await?;
    eprintln!("{SECTION}: active and suspended");
    active(bench, &mut store, &load).await?;
    suspended(bench, &mut store, &load).await?;
    for at in 0..bench.peers.len() {
        peer(bench, &mut store, &load, at)?;
    }
    if !bench.quick() {
        eprintln!("{SECTION}: after a retention of a minute");
        after_retention(bench, &mut store, &load).await?;
    }
    Ok(())
}

async fn pending_and_finished(
    bench: &mut Bench,
    store: &mut Store,
    load: &Load,
) -> Result<(), XtaskError> {
    let (client, before) = begin(store, load).await?;
    submit_bulk(&client, load, 0..load.tasks).await?;
    note(bench, store, "pending", load.tasks, before)?;
    work(&client, load, CONCURRENT_TASKS, &mut store.meter).await?;
    note(bench, store, "finished", load.tasks, before)
}

async fn active(bench: &mut Bench, store: &mut Store, load: &Load) -> Result<(), XtaskError> {
    let load = Load { tasks: load.tasks.min(ACTIVE_MAX), ..*load };
    let (client, before) = begin(store, &load).await?;
    submit_bulk(&client, &load, 0..load.tasks).await?;
    let places = u16::try_from(load.tasks).unwrap_or(u16::MAX);
    let worker = worker(&client, places).await?;
    let held = Held::by(vec![worker], &client, load.tasks).await?;
    note(bench, store, "active", load.tasks, before)?;
    held.release("active").await?;
    // One more than ran, from warming up.
    check_all_in(&client, OwnerIndex::Done, load.tasks + 1, "active").await
}

async fn suspended(bench: &mut Bench, store: &mut Store, load: &Load) -> Result<(), XtaskError> {
    let (client, before) = begin(store, load).await?;
    submit_bulk(&client, load, 0..load.tasks).await?;
    let (opened, _opens) = mpsc::unbounded_channel();
    let (began, _begins) = mpsc::unbounded_channel();
    let handler = move |task| suspend_once(task, opened.clone(), began.clone());
    let running = Running::start(worker(&client, CONCURRENT_TASKS).await?, handler);
    await_all_in(&client, OwnerIndex::Suspended, load.tasks).await?;
    running.stop().await?;
    note(bench, store, "suspended", load.tasks, before)
}

async fn after_retention(
    bench: &mut Bench,
    store: &mut Store,
    load: &Load,
) -> Result<(), XtaskError> {
    let (client, before) = begin(store, load).await?;
    for number in 0..load.tasks.min(ACTIVE_MAX) {
        client.submit(load.request(number).retention_ms(RETENTION_MS_MIN)).await?;
    }
    let load = Load { tasks: load.tasks.min(ACTIVE_MAX), ..*load };
    work(&client, &load, CONCURRENT_TASKS, &mut store.meter).await?;
    // The timers of a store are driven by whoever works on it.
    let idle = Running::start(worker(&client, 1).await?, |_| async { Ok(TaskEnd::done()) });
    let deadline = Instant::now() + REMOVED_MAX;
    // What is left is the one from warming up.
    while count(&client, None).await? > 1 {
        if Instant::now() > deadline {
            return Err(XtaskError::Told(format!("kept longer than {REMOVED_MAX:?}")));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
    idle.stop().await?;
    note(bench, store, "after retention", load.tasks, before)
}

/// Measures pending and finished tasks of a peer.
fn peer(bench: &mut Bench, store: &mut Store, load: &Load, at: usize) -> Result<(), XtaskError> {
    store.empty()?;
    let (port, name) = (store.server().port(), bench.peers[at].name());
    let load = Load { tasks: bench.peers[at].tasks(load.tasks), ..*load };
    let mut ask = |store: &mut Store, run, queue: &str, tasks| {
        let ask = Ask { tasks, ..Ask::of(run, queue, &load) };
        bench.peers[at].measure(port, &ask, &mut store.meter).map(|_| ())
    };
    ask(store, "work", "warm", load.tasks.min(100))?;
    let held = before(store)?;
    ask(store, "submit_bulk", "memory", load.tasks)?;
    let pending = grown(store, held)?;
    ask(store, "work_submitted", "memory", load.tasks)?;
    let finished = grown(store, held)?;
    for (state, grown) in [("pending", pending), ("finished", finished)] {
        put(bench, state, name, load.tasks, grown);
    }
    Ok(())
}

/// Empties the store, pays for what all executions share, and reads what that takes.
async fn begin(store: &mut Store, load: &Load) -> Result<(FlowFabricClient, Before), XtaskError> {
    let client = client(&store.fresh().await?)?;
    let one = Load { tasks: 1, ..*load };
    submit_bulk(&client, &one, 0..one.tasks).await?;
    work(&client, &one, CONCURRENT_TASKS, &mut store.meter).await?;
    Ok((client, before(store)?))
}

fn before(store: &mut Store) -> Result<Before, XtaskError> {
    Ok(Before { keys: store.meter.keys_memory()?, used: store.meter.used_memory()? })
}

/// Returns by how much the keys and the server have grown.
fn grown(store: &mut Store, before: Before) -> Result<(i64, i64), XtaskError> {
    let grown = |after: u64, before: u64| after.cast_signed() - before.cast_signed();
    let keys = grown(store.meter.keys_memory()?, before.keys);
    Ok((keys, grown(store.meter.used_memory()?, before.used)))
}

fn note(
    bench: &mut Bench,
    store: &mut Store,
    state: &str,
    tasks: u64,
    before: Before,
) -> Result<(), XtaskError> {
    let grown = grown(store, before)?;
    put(bench, state, super::figures::FLOWFABRIC, tasks, grown);
    Ok(())
}

fn put(bench: &mut Bench, state: &str, who: &str, tasks: u64, (keys, used): (i64, i64)) {
    for (what, bytes) in [("its keys", keys), ("growth of the server", used)] {
        let row = Row::new(SECTION, "R12", format!("{state}, {what}")).of(who);
        bench.figures.put(&row, Unit::Bytes, bytes as f64 / tasks as f64);
    }
}

//! What becomes of the rates as more waits, over more partitions, for more workers.

use std::sync::Arc;

use ff_cli::text::grouped;
use flowfabric::FlowFabricClient;
use flowfabric::ff_core::state::OwnerIndex;

use super::figures::{Row, Unit};
use super::load::{Load, Tally, client, count};
use super::setting::Bench;
use super::store::Store;
use super::table::{Table, pivot};
use super::work::{submit_bulk, work_on};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "growth";
/// Executions that wait at the least while a rate is measured, each ten times the one before.
const PENDING: [u64; 4] = [1_000, 10_000, 100_000, 1_000_000];
const PENDING_QUICK: [u64; 2] = [50, 500];
/// How many times the tasks of a round wait at most.
const PENDING_TIMES: u64 = 50;
/// Partitions.
const PARTITIONS: [u16; 3] = [1, 16, 64];
/// Tasks at a time, and how many are measured with.
const AT_A_TIME: [(u16, u64); 4] = [(1, 1_500), (4, 3_000), (16, 6_000), (64, 6_000)];
/// How often each is measured.
const TIMES: u16 = 2;
/// Who submits, in the table.
const SUBMITS: &str = "submit in bulk";

/// Fills stores and measures on the way.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let mut store = Store::start()?;
    let most = bench.load().tasks * PENDING_TIMES;
    let mut pending = bench.pick(PENDING_QUICK.to_vec(), PENDING.to_vec());
    pending.retain(|pending| *pending <= most);
    let partitions = bench.pick(&PARTITIONS[..2], &PARTITIONS[..]);
    for partitions in partitions {
        let backend = store.fresh_with(&format!("partitions={partitions}")).await?;
        let mut lane = Lane { client: client(&backend)?, submitted: 0, ran: 0 };
        for pending in &pending {
            eprintln!("{SECTION}: partitions: {partitions}, pending: {pending}");
            measure(bench, &mut store, &mut lane, (*partitions, *pending)).await?;
        }
    }
    losses(bench, partitions, &pending);
    Ok(())
}

/// Lays out the rates, then what growth costs.
pub(super) fn tables(bench: &Bench) -> Vec<Table> {
    let rates = pivot(&bench.figures, SECTION, Unit::PerSecond, "a second");
    let losses = pivot(&bench.figures, SECTION, Unit::Percent, "lost");
    rates.into_iter().chain(losses).collect()
}

/// A lane that is filled and worked off, numbers in order.
struct Lane {
    client: FlowFabricClient,
    submitted: u64,
    ran: u64,
}

async fn measure(
    bench: &mut Bench,
    store: &mut Store,
    lane: &mut Lane,
    (partitions, pending): Size,
) -> Result<(), XtaskError> {
    let load = bench.load();
    for (at_a_time, measured) in bench.pick(&AT_A_TIME[..2], &AT_A_TIME[..]) {
        let measured = bench.pick(50, *measured);
        for _ in 0..bench.pick(1, TIMES) {
            let missing = (pending + measured).saturating_sub(lane.submitted - lane.ran);
            let begun = store.meter.begin()?;
            let numbers = lane.submitted..lane.submitted + missing;
            submit_bulk(&lane.client, &Load { tasks: numbers.end, ..load }, numbers).await?;
            let filled = store.meter.end(&begun)?;
            lane.submitted += missing;
            if missing > measured {
                let row = row(partitions, pending).of(SUBMITS);
                bench.figures.put(
                    &row,
                    Unit::PerSecond,
                    missing as f64 / filled.took.as_secs_f64(),
                );
            }
            let tally = Arc::new(Tally::until(lane.submitted, measured));
            let spent = work_on(&lane.client, &tally, *at_a_time, &mut store.meter).await?;
            let ran = tally.check_none_twice(SECTION)?;
            lane.ran += ran;
            let row = row(partitions, pending).of(who(*at_a_time));
            bench.figures.put(&row, Unit::PerSecond, ran as f64 / spent.took.as_secs_f64());
        }
    }
    lane.check().await
}

impl Lane {
    /// Fails unless what ran is done and the rest still waits.
    async fn check(&self) -> Result<(), XtaskError> {
        let done = count(&self.client, Some(OwnerIndex::Done)).await?;
        let ready = count(&self.client, Some(OwnerIndex::Ready)).await?;
        if (done, done + ready) == (self.ran, self.submitted) {
            return Ok(());
        }
        let (submitted, ran) = (self.submitted, self.ran);
        Err(XtaskError::Told(format!(
            "of {submitted} executions {ran} ran; {done} are done, {ready} ready"
        )))
    }
}

fn row(partitions: u16, pending: u64) -> Row {
    let s = if partitions == 1 { "" } else { "s" };
    Row::new(SECTION, "R16", format!("{partitions} partition{s}, {} pending", grouped(pending)))
}

fn name((partitions, pending): Size) -> String {
    row(partitions, pending).what
}

fn who(at_a_time: u16) -> String {
    format!("{at_a_time} at a time")
}

/// A store by its partitions and by what waits in it.
type Size = (u16, u64);

/// Notes what each growth costs, and how much less the worst of all stores does than the best.
fn losses(bench: &mut Bench, partitions: &[u16], pending: &[u64]) {
    let mut steps = Vec::new();
    for partitions in partitions {
        for step in pending.windows(2) {
            steps.push(((*partitions, step[0]), (*partitions, step[1])));
        }
    }
    for pending in pending {
        for step in partitions.windows(2) {
            steps.push(((step[0], *pending), (step[1], *pending)));
        }
    }
    for (from, to) in steps {
        for (at_a_time, _) in AT_A_TIME {
            let rates = rate(bench, from, at_a_time).zip(rate(bench, to, at_a_time));
            if let Some((before, after)) = rates {
                let what = format!("{} -> {}", name(from), name(to));
                let row = Row::new(SECTION, "R16", what).of(who(at_a_time));
                bench.figures.put(&row, Unit::Percent, 100.0 * (1.0 - after / before));
            }
        }
    }
    let sizes = partitions.iter().flat_map(|at| pending.iter().map(move |waits| (*at, *waits)));
    let sizes: Vec<Size> = sizes.collect();
    let shares: Vec<f64> = sizes.iter().map(|size| share(bench, *size, &sizes)).collect();
    let best = shares.iter().copied().fold(0.0, f64::max);
    let worst = shares.iter().copied().fold(1.0, f64::min);
    let row = Row::new(SECTION, "R16", "from the best store to the worst");
    bench.figures.put(&row, Unit::Percent, 100.0 * (1.0 - worst / best));
}

/// Returns what a store does of the most that any does, as the mean over the numbers of tasks.
fn share(bench: &Bench, size: Size, all: &[Size]) -> f64 {
    let shares: Vec<f64> = AT_A_TIME
        .iter()
        .filter_map(|(at_a_time, _)| {
            let most =
                all.iter().filter_map(|size| rate(bench, *size, *at_a_time)).fold(0.0, f64::max);
            Some(rate(bench, size, *at_a_time)? / most)
        })
        .collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

fn rate(bench: &Bench, size: Size, at_a_time: u16) -> Option<f64> {
    let row = row(size.0, size.1).of(who(at_a_time));
    Some(bench.figures.spread(&row, Unit::PerSecond)?.median)
}

//! What becomes of the rates as more waits, over more partitions, for more workers.

use std::sync::Arc;

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
    let store = Store::start()?;
    let pending = bench.pick(&PENDING_QUICK[..], &PENDING[..]);
    let partitions = bench.pick(&PARTITIONS[..2], &PARTITIONS[..]);
    let mut store = store;
    for partitions in partitions {
        let backend = store.fresh_with(&format!("partitions={partitions}")).await?;
        let mut lane = Lane { client: client(&backend)?, submitted: 0, ran: 0 };
        for pending in pending {
            eprintln!("{SECTION}: {partitions} partitions, {pending} pending");
            measure(bench, &mut store, &mut lane, (*partitions, *pending)).await?;
        }
    }
    losses(bench, partitions, pending);
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
    (partitions, pending): (u16, u64),
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
    Row::new(SECTION, "R16", format!("{partitions} partition{s}, {pending} pending"))
}

fn who(at_a_time: u16) -> String {
    format!("{at_a_time} at a time")
}

/// Notes what each tenfold growth of what waits costs, each growth of the partitions, and the most.
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
    let mut most = f64::MIN;
    for (from, to) in steps {
        for (at_a_time, _) in AT_A_TIME {
            let rate = |(partitions, pending): (u16, u64)| {
                let row = row(partitions, pending).of(who(at_a_time));
                Some(bench.figures.spread(&row, Unit::PerSecond)?.median)
            };
            if let Some((before, after)) = rate(from).zip(rate(to)) {
                let lost = 100.0 * (1.0 - after / before);
                most = most.max(lost);
                let what = format!("{} -> {}", row(from.0, from.1).what, row(to.0, to.1).what);
                let row = Row::new(SECTION, "R16", what).of(who(at_a_time));
                bench.figures.put(&row, Unit::Percent, lost);
            }
        }
    }
    bench.figures.put(&Row::new(SECTION, "R16", "most lost by a growth"), Unit::Percent, most);
}

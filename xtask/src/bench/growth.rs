//! What becomes of the rates as more waits, over more partitions, for more workers.

use std::sync::Arc;

use ff_cli::text::grouped;
use flowfabric::FlowFabricClient;
use flowfabric::ff_core::state::OwnerIndex;

use super::figures::{Figures, Row, Unit};
use super::load::{Load, Tally, client, count};
use super::meter::Spent;
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
const AT_A_TIME: [(u16, u64); 4] = [(1, 1_000), (4, 2_000), (16, 4_000), (64, 4_000)];
/// Rounds for each of another scenario: they are short, and what is asked is small beside what a
/// machine's speed varies by.
const ROUNDS_TIMES: u16 = 3;
/// Who submits, in the table.
const SUBMITS: &str = "submit in bulk";

/// Fills a store of each size, then measures all of them in turns.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let most = bench.load().tasks * PENDING_TIMES;
    let mut pending = bench.pick(PENDING_QUICK.to_vec(), PENDING.to_vec());
    pending.retain(|pending| *pending <= most);
    let partitions = bench.pick(&PARTITIONS[..2], &PARTITIONS[..]);
    let mut lanes = Vec::new();
    for partitions in partitions {
        for pending in &pending {
            eprintln!("{SECTION}: filling {}", name((*partitions, *pending)));
            lanes.push(Lane::filled(bench, (*partitions, *pending)).await?);
        }
    }
    for _ in bench.rounds_as(SECTION, |rounds| rounds * ROUNDS_TIMES) {
        for lane in &mut lanes {
            lane.measure(bench).await?;
        }
    }
    losses(&mut bench.figures, partitions, &pending);
    Ok(())
}

/// Lays out the rates and what a task costs in calls, then what growth costs.
pub(super) fn tables(bench: &Bench) -> Vec<Table> {
    let parts =
        [(Unit::PerSecond, "a second"), (Unit::Calls, "calls a task"), (Unit::Percent, "lost")];
    let tables = parts.map(|(unit, corner)| pivot(&bench.figures, SECTION, unit, corner));
    tables.into_iter().flatten().collect()
}

/// A lane that is filled and worked off, numbers in order, on a server of its own.
struct Lane {
    size: Size,
    store: Store,
    client: FlowFabricClient,
    submitted: u64,
    ran: u64,
}

impl Lane {
    /// Fills a lane.
    async fn filled(bench: &Bench, size: Size) -> Result<Self, XtaskError> {
        let store = Store::start()?;
        let backend = store.fresh_with(&format!("partitions={}", size.0)).await?;
        let mut lane = Self { size, store, client: client(&backend)?, submitted: 0, ran: 0 };
        lane.submit(&bench.load(), size.1).await?;
        Ok(lane)
    }

    /// Submits the next so many.
    async fn submit(&mut self, load: &Load, count: u64) -> Result<Spent, XtaskError> {
        let numbers = self.submitted..self.submitted + count;
        let begun = self.store.meter.begin()?;
        submit_bulk(&self.client, &Load { tasks: numbers.end, ..*load }, numbers).await?;
        self.submitted += count;
        self.store.meter.end(&begun)
    }

    /// Measures every number of tasks at a time, each after as many were submitted as it runs, so
    /// that no fewer wait than are to.
    async fn measure(&mut self, bench: &mut Bench) -> Result<(), XtaskError> {
        let load = bench.load();
        let row = row(self.size.0, self.size.1);
        let (before, mut submits, mut works) = (self.submitted, Vec::new(), Vec::new());
        for (at_a_time, measured) in bench.pick(&AT_A_TIME[..2], &AT_A_TIME[..]) {
            let measured = bench.pick(50, *measured);
            let missing = (self.size.1 + measured).saturating_sub(self.submitted - self.ran);
            submits.push(self.submit(&load, missing).await?);
            let tally = Arc::new(Tally::until(self.submitted, measured));
            let meter = &mut self.store.meter;
            let spent = work_on(&self.client, &tally, *at_a_time, meter).await?;
            let ran = tally.check_none_twice(SECTION)?;
            self.ran += ran;
            works.push((*at_a_time, ran, spent));
        }
        if let Some(spent) = submits.into_iter().reduce(Spent::and) {
            bench.figures.note(&row.of(SUBMITS), self.submitted - before, &spent);
        }
        for (at_a_time, ran, spent) in works {
            bench.figures.note(&row.of(who(at_a_time)), ran, &spent);
        }
        self.check().await
    }

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
fn losses(figures: &mut Figures, partitions: &[u16], pending: &[u64]) {
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
            let rates = rate(figures, from, at_a_time).zip(rate(figures, to, at_a_time));
            if let Some((before, after)) = rates {
                let what = format!("{} -> {}", name(from), name(to));
                let row = Row::new(SECTION, "R16", what).of(who(at_a_time));
                figures.put(&row, Unit::Percent, 100.0 * (1.0 - after / before));
            }
        }
    }
    let sizes = partitions.iter().flat_map(|at| pending.iter().map(move |waits| (*at, *waits)));
    let sizes: Vec<Size> = sizes.collect();
    let shares: Vec<f64> = sizes.iter().map(|size| share(figures, *size, &sizes)).collect();
    let best = shares.iter().copied().fold(0.0, f64::max);
    let worst = shares.iter().copied().fold(1.0, f64::min);
    let row = Row::new(SECTION, "R16", "from the best store to the worst");
    figures.put(&row, Unit::Percent, 100.0 * (1.0 - worst / best));
}

/// Returns what a store does of the most that any does, as the mean over the numbers of tasks.
fn share(figures: &Figures, size: Size, all: &[Size]) -> f64 {
    let shares: Vec<f64> = AT_A_TIME
        .iter()
        .filter_map(|(at_a_time, _)| {
            let most =
                all.iter().filter_map(|size| rate(figures, *size, *at_a_time)).fold(0.0, f64::max);
            Some(rate(figures, size, *at_a_time)? / most)
        })
        .collect();
    shares.iter().sum::<f64>() / shares.len() as f64
}

fn rate(figures: &Figures, size: Size, at_a_time: u16) -> Option<f64> {
    let row = row(size.0, size.1).of(who(at_a_time));
    Some(figures.spread(&row, Unit::PerSecond)?.median)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the verdict on four stores with these rates: by partitions, then by what waits.
    fn verdict(rates: [[f64; 2]; 2]) -> f64 {
        let mut figures = Figures::default();
        let (partitions, pending) = ([1, 16], [1_000, 10_000]);
        for (partitions, rates) in partitions.iter().zip(rates) {
            for (pending, rate) in pending.iter().zip(rates) {
                let row = row(*partitions, *pending).of(who(AT_A_TIME[0].0));
                // An outlier among the rounds counts for nothing.
                for rate in [rate, 10.0 * rate, rate] {
                    figures.put(&row, Unit::PerSecond, rate);
                }
            }
        }
        losses(&mut figures, &partitions, &pending);
        let worst = Row::new(SECTION, "R16", "from the best store to the worst");
        figures.spread(&worst, Unit::Percent).expect("a verdict").median
    }

    #[test]
    fn the_verdict_counts_from_the_best_to_the_worst_in_whatever_direction() {
        assert_eq!(verdict([[100.0, 90.0], [80.0, 75.0]]), 25.0);
        assert_eq!(verdict([[75.0, 80.0], [90.0, 100.0]]), 25.0);
        assert_eq!(verdict([[80.0, 100.0], [75.0, 90.0]]), 25.0);
        assert_eq!(verdict([[100.0, 100.0], [100.0, 100.0]]), 0.0);
    }
}

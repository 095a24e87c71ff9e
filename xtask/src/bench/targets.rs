//! What the engine is to reach, and what it may not fall below.

use serde::Serialize;

use super::figures::{FLOWFABRIC, Figures, RAW, Unit};
use super::peer::BULLMQ;
use super::routing::ALIKE;
use super::table::{Table, number};
use super::throughput;

/// A goal for one figure.
#[derive(Debug)]
struct Target {
    id: &'static str,
    what: &'static str,
    /// The section of the row.
    section: &'static str,
    /// The number of the row, and how its text begins.
    row: (&'static str, &'static str),
    unit: Unit,
    measure: Measure,
    target: f64,
    /// A release below this has a defect.
    floor: f64,
}

/// How a figure is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Measure {
    /// So many times what another reaches, or more.
    Times(&'static str),
    /// So many times what the engine itself reaches in this row of the throughput, or more.
    Like(&'static str),
    /// So much more than another takes, or less.
    Over(&'static str),
    /// So much or more.
    AtLeast,
    /// So much or less.
    AtMost,
}

use Measure::{AtLeast, AtMost, Like, Over, Times};
use Unit::{Bytes, ClientCpu, CommandsPerSecond, P50, P99, PerSecond, Percent, ServerCpu};

/// No floor is named for it.
const NONE: f64 = f64::NAN;

macro_rules! targets {
    ($($id:literal $what:literal, $section:ident $row:literal $part:literal $unit:ident:
        $measure:expr, $target:expr, floor $floor:expr;)*) => {
        [$(Target {
            id: $id, what: $what, section: super::$section::SECTION, row: ($row, $part),
            unit: $unit, measure: $measure, target: $target, floor: $floor,
        }),*]
    };
}

#[rustfmt::skip]
const TARGETS: [Target; 25] = targets![
    "R1" "submit in bulk", throughput "R1" "" PerSecond: Times(BULLMQ), 5.0, floor 3.0;
    "R2" "submit one at a time", throughput "R2" "" PerSecond: Times(BULLMQ), 2.5, floor 1.5;
    "R3" "claim + complete", throughput "R3" "" PerSecond: Times(BULLMQ), 3.0, floor 2.0;
    "R4" "the same, 4 KiB", throughput "R4" "" PerSecond: Times(BULLMQ), 3.0, floor 2.0;
    "R5" "server CPU a task, in all", throughput "R5" "" ServerCpu: AtMost, 40.0, floor 70.0;
    "R6" "share of the raw ceiling", throughput "R5" "" PerSecond: Times(RAW), 0.6, floor 0.4;
    "R7" "submit to handler start, p50 over a round trip",
        latency "R7" "" P50: Over(RAW), 500.0, floor 1_500.0;
    "R7" "submit to handler start, p99 over a round trip",
        latency "R7" "" P99: Over(RAW), 2_000.0, floor 5_000.0;
    "R8" "signal to resumed handler, p50", latency "R8" "" P50: AtMost, 1_000.0, floor 3_000.0;
    "R8" "signal to resumed handler, p99", latency "R8" "" P99: AtMost, 5_000.0, floor NONE;
    "R11" "capability routing, against the same without",
        routing "R11" "" PerSecond: Times(ALIKE), 0.8, floor NONE;
    "R11" "capability routing, against R3",
        routing "R11" "100 instances" PerSecond: Like("R3"), 0.8, floor NONE;
    "R12" "a pending execution",
        memory "R12" "pending, its keys" Bytes: AtMost, 550.0, floor 900.0;
    "R12" "a finished execution",
        memory "R12" "finished, its keys" Bytes: AtMost, 650.0, floor 1_000.0;
    "R13" "an idle worker asks", idle "R13" "1 idle" CommandsPerSecond: AtMost, 1.0, floor 3.0;
    "R14" "append frames", frames "R14" "append 64" PerSecond: AtLeast, 40_000.0, floor 20_000.0;
    "R14" "append to delivery at a tail, p50",
        frames "R14" "append to" P50: AtMost, 1_000.0, floor 5_000.0;
    "R15" "renewals, share of a server core",
        leases "R15" "share of a server" Percent: AtMost, 3.0, floor NONE;
    "R15" "renewals, share of a client core",
        leases "R15" "share of a client" Percent: AtMost, 5.0, floor NONE;
    "R16" "lost from the best store to the worst",
        growth "R16" "from the best" Percent: AtMost, 20.0, floor NONE;
    "R17" "client CPU a task in the worker", throughput "R3" "" ClientCpu: AtMost, 25.0, floor 50.0;
    "E1" "file, fast", embedded "E1" "" PerSecond: AtLeast, 20_000.0, floor 8_000.0;
    "E2" "file", embedded "E2" "" PerSecond: AtLeast, 8_000.0, floor 3_000.0;
    "E3" "memory", embedded "E3" "" PerSecond: AtLeast, 200_000.0, floor 80_000.0;
    "E4" "submit to handler start", embedded "E4" "" P50: AtMost, 100.0, floor 1_000.0;
];

/// The head of the table.
const HEAD: [&str; 6] = ["", "what", "reached", "target", "floor", "verdict"];
/// The verdict on what a run did not bring.
const UNMEASURED: &str = "not measured";

/// How a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Met,
    /// Not met, and no floor is named.
    Missed,
    AboveFloor,
    BelowFloor,
}

/// A target beside what was measured.
#[derive(Debug, Serialize)]
pub(super) struct Judged {
    id: &'static str,
    what: &'static str,
    measured: f64,
    target: f64,
    floor: Option<f64>,
    verdict: Verdict,
    #[serde(skip)]
    cells: [String; 4],
}

/// Judges what was measured; what was not is left out.
pub(super) fn judge(figures: &Figures) -> Vec<Judged> {
    TARGETS.iter().filter_map(|target| target.judge(figures)).collect()
}

/// Lays the judgements out.
pub(super) fn table(judged: &[Judged]) -> Option<Table> {
    let rows = judged.iter().map(Judged::row).collect();
    (!judged.is_empty()).then(|| Table::new(HEAD, 2, rows))
}

/// Lays out what a page tells after a run of some sections: their targets anew, without a figure
/// where the run brought none, and the others as the page has them. A row of no target goes.
pub(super) fn merged(page: &[Vec<String>], judged: &[Judged], sections: &[&str]) -> Table {
    let rows = TARGETS.iter().filter_map(|target| {
        let key = (target.id, target.what);
        if sections.contains(&target.section) {
            let judged = judged.iter().find(|judged| (judged.id, judged.what) == key);
            return Some(judged.map_or_else(|| target.unmeasured(), Judged::row));
        }
        let same = |row: &&Vec<String>| row.starts_with(&[key.0.to_owned(), key.1.to_owned()]);
        page.iter().find(same).cloned()
    });
    Table::new(HEAD, 2, rows.collect())
}

impl Judged {
    fn row(&self) -> Vec<String> {
        let mut row = vec![self.id.to_owned(), self.what.to_owned()];
        row.extend(self.cells.clone());
        row
    }
}

impl Target {
    fn judge(&self, figures: &Figures) -> Option<Judged> {
        let row = |who| figures.row(self.section, self.row, who);
        let median = |row| figures.median(row, self.unit);
        let ours = median(row(FLOWFABRIC)?)?;
        let measured = match self.measure {
            Times(who) => figures.times(row(FLOWFABRIC)?, row(who)?, self.unit)?.median,
            Like(id) => ours / median(figures.row(throughput::SECTION, (id, ""), FLOWFABRIC)?)?,
            Over(who) => ours - median(row(who)?)?,
            AtLeast | AtMost => ours,
        };
        let reaches = |goal: f64| match self.measure {
            Times(_) | Like(_) | AtLeast => measured >= goal,
            Over(_) | AtMost => measured <= goal,
        };
        let verdict = if reaches(self.target) {
            Verdict::Met
        } else if self.floor.is_nan() {
            Verdict::Missed
        } else if reaches(self.floor) {
            Verdict::AboveFloor
        } else {
            Verdict::BelowFloor
        };
        let words = match verdict {
            Verdict::Met => "target met",
            Verdict::Missed => "target missed",
            Verdict::AboveFloor => "above the floor",
            Verdict::BelowFloor => "below the floor",
        };
        let cells = self.cells(measured, words);
        let floor = (!self.floor.is_nan()).then_some(self.floor);
        let (id, what) = (self.id, self.what);
        Some(Judged { id, what, measured, target: self.target, floor, verdict, cells })
    }

    /// Returns the row of a run that did not bring what is judged, such as one without the peers.
    fn unmeasured(&self) -> Vec<String> {
        let mut row = vec![self.id.to_owned(), self.what.to_owned()];
        row.extend(self.cells(f64::NAN, UNMEASURED));
        row
    }

    fn cells(&self, measured: f64, verdict: &str) -> [String; 4] {
        let write = |value: f64| match self.measure {
            _ if value.is_nan() => String::new(),
            Times(who) | Like(who) => format!("{value:.2} x {who}"),
            Over(_) | AtLeast | AtMost => number(self.unit, value),
        };
        [write(measured), write(self.target), write(self.floor), verdict.to_owned()]
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Row;
    use super::*;

    /// Judges R3, of the throughput.
    fn judged(ours: f64, theirs: f64) -> Vec<Judged> {
        let mut figures = Figures::default();
        let row = Row::new(throughput::SECTION, "R3", "work");
        figures.put(&row, PerSecond, ours);
        figures.put(&row.of(BULLMQ), PerSecond, theirs);
        let judged = judge(&figures);
        judged.into_iter().filter(|judged| judged.what == "claim + complete").collect()
    }

    #[test]
    fn a_ratio_is_met_above_the_floor_or_below_it() {
        let verdict = |ours, theirs| judged(ours, theirs)[0].verdict;
        assert_eq!(verdict(3.0, 1.0), Verdict::Met);
        assert_eq!(verdict(2.5, 1.0), Verdict::AboveFloor);
        assert_eq!(verdict(1.9, 1.0), Verdict::BelowFloor);
    }

    #[test]
    fn what_has_no_floor_is_met_or_missed() {
        let verdict = |lost| {
            let mut figures = Figures::default();
            figures.put(&Row::new("growth", "R16", "from the best to"), Percent, lost);
            judge(&figures)[0].verdict
        };
        assert_eq!(verdict(20.0), Verdict::Met);
        assert_eq!(verdict(20.1), Verdict::Missed);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(judge(&Figures::default()).len(), 0);
    }

    /// Returns the rows of a page with an old figure for each target.
    fn page() -> Vec<Vec<String>> {
        let rows = TARGETS.iter().map(|target| {
            let mut row = vec![target.id.to_owned(), target.what.to_owned()];
            row.extend(target.cells(7.0, "old"));
            row
        });
        rows.collect()
    }

    #[test]
    fn a_run_replaces_the_targets_of_its_sections_and_leaves_the_others() {
        let (page, judged) = (page(), judged(3.0, 1.0));
        let merged = merged(&page, &judged, &[throughput::SECTION]);
        assert_eq!(merged.rows().len(), page.len());
        for ((before, after), target) in page.iter().zip(merged.rows()).zip(&TARGETS) {
            match target.what {
                "claim + complete" => assert_eq!(after, &judged[0].row()),
                _ if target.section == throughput::SECTION => {
                    assert_eq!((after[2].as_str(), after[5].as_str()), ("", UNMEASURED));
                    assert_eq!(after[..2], before[..2]);
                }
                _ => assert_eq!(after, before),
            }
        }
    }

    #[test]
    fn a_run_of_a_section_without_targets_changes_none() {
        assert_eq!(merged(&page(), &[], &["durability"]).rows(), page());
    }

    #[test]
    fn a_new_target_comes_in_its_place_and_one_that_is_gone_goes() {
        let (mut page, judged) = (page(), judged(3.0, 1.0));
        page.retain(|row| row[1] != "claim + complete");
        page.push(vec!["R99".to_owned(), "what nobody targets".to_owned()]);
        let merged = merged(&page, &judged, &[throughput::SECTION]);
        let ids: Vec<&str> = merged.rows().iter().map(|row| row[0].as_str()).collect();
        assert_eq!(ids, TARGETS.map(|target| target.id));
    }

    #[test]
    fn a_target_is_named_by_its_number_and_what_it_is() {
        for (place, target) in TARGETS.iter().enumerate() {
            let key = (target.id, target.what);
            let first = TARGETS.iter().position(|other| (other.id, other.what) == key);
            assert_eq!(first, Some(place), "{key:?}");
        }
    }
}

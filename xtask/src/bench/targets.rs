//! What the engine is to reach, and what it may not fall below.

use serde::Serialize;

use super::figures::{FLOWFABRIC, Figures, RAW, Unit};
use super::peer::BULLMQ;
use super::routing::ALIKE;
use super::table::{Table, number};

/// A goal for one figure.
#[derive(Debug)]
struct Target {
    id: &'static str,
    what: &'static str,
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
    /// So many times what the engine itself reaches in the row of this number, or more.
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
    ($($id:literal $what:literal, $row:literal $part:literal $unit:ident:
        $measure:expr, $target:expr, floor $floor:expr;)*) => {
        [$(Target {
            id: $id, what: $what, row: ($row, $part), unit: $unit,
            measure: $measure, target: $target, floor: $floor,
        }),*]
    };
}

#[rustfmt::skip]
const TARGETS: [Target; 25] = targets![
    "R1" "submit in bulk", "R1" "" PerSecond: Times(BULLMQ), 5.0, floor 3.0;
    "R2" "submit one at a time", "R2" "" PerSecond: Times(BULLMQ), 2.5, floor 1.5;
    "R3" "claim + complete", "R3" "" PerSecond: Times(BULLMQ), 3.0, floor 2.0;
    "R4" "the same, 4 KiB", "R4" "" PerSecond: Times(BULLMQ), 3.0, floor 2.0;
    "R5" "server CPU a task, in all", "R5" "" ServerCpu: AtMost, 40.0, floor 70.0;
    "R6" "share of the raw ceiling", "R5" "" PerSecond: Times(RAW), 0.6, floor 0.4;
    "R7" "submit to handler start, p50 over a round trip",
        "R7" "" P50: Over(RAW), 500.0, floor 1_500.0;
    "R7" "submit to handler start, p99 over a round trip",
        "R7" "" P99: Over(RAW), 2_000.0, floor 5_000.0;
    "R8" "signal to resumed handler, p50", "R8" "" P50: AtMost, 1_000.0, floor 3_000.0;
    "R8" "signal to resumed handler, p99", "R8" "" P99: AtMost, 5_000.0, floor NONE;
    "R11" "capability routing, against the same without",
        "R11" "" PerSecond: Times(ALIKE), 0.8, floor NONE;
    "R11" "capability routing, against R3",
        "R11" "100 instances" PerSecond: Like("R3"), 0.8, floor NONE;
    "R12" "a pending execution",
        "R12" "pending, its keys" Bytes: AtMost, 550.0, floor 900.0;
    "R12" "a finished execution",
        "R12" "finished, its keys" Bytes: AtMost, 650.0, floor 1_000.0;
    "R13" "an idle worker asks", "R13" "1 idle" CommandsPerSecond: AtMost, 1.0, floor 3.0;
    "R14" "append frames", "R14" "append 64" PerSecond: AtLeast, 40_000.0, floor 20_000.0;
    "R14" "append to delivery at a tail, p50",
        "R14" "append to" P50: AtMost, 1_000.0, floor 5_000.0;
    "R15" "renewals, share of a server core",
        "R15" "share of a server" Percent: AtMost, 3.0, floor NONE;
    "R15" "renewals, share of a client core",
        "R15" "share of a client" Percent: AtMost, 5.0, floor NONE;
    "R16" "lost from the best store to the worst",
        "R16" "from the best" Percent: AtMost, 20.0, floor NONE;
    "R17" "client CPU a task in the worker", "R3" "" ClientCpu: AtMost, 25.0, floor 50.0;
    "E1" "file, fast", "E1" "" PerSecond: AtLeast, 20_000.0, floor 8_000.0;
    "E2" "file", "E2" "" PerSecond: AtLeast, 8_000.0, floor 3_000.0;
    "E3" "memory", "E3" "" PerSecond: AtLeast, 200_000.0, floor 80_000.0;
    "E4" "submit to handler start", "E4" "" P50: AtMost, 100.0, floor 1_000.0;
];

/// How a target was met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    Met,
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
    let rows = judged.iter().map(|judged| {
        let mut row = vec![judged.id.to_owned(), judged.what.to_owned()];
        row.extend(judged.cells.clone());
        row
    });
    let head = ["", "what", "reached", "target", "floor", "verdict"];
    (!judged.is_empty()).then(|| Table::new(head, 2, rows.collect()))
}

impl Target {
    fn judge(&self, figures: &Figures) -> Option<Judged> {
        let (id, part) = self.row;
        let median = |who| figures.median(id, part, who, self.unit);
        let ours = median(FLOWFABRIC)?;
        let measured = match self.measure {
            Times(who) => ours / median(who)?,
            Like(id) => ours / figures.median(id, "", FLOWFABRIC, self.unit)?,
            Over(who) => ours - median(who)?,
            AtLeast | AtMost => ours,
        };
        let reaches = |goal: f64| match self.measure {
            Times(_) | Like(_) | AtLeast => measured >= goal,
            Over(_) | AtMost => measured <= goal,
        };
        let verdict = if reaches(self.target) {
            Verdict::Met
        } else if self.floor.is_nan() || reaches(self.floor) {
            Verdict::AboveFloor
        } else {
            Verdict::BelowFloor
        };
        let words = match verdict {
            Verdict::Met => "target met",
            Verdict::AboveFloor => "above the floor",
            Verdict::BelowFloor => "below the floor",
        };
        let write = |value: f64| match self.measure {
            _ if value.is_nan() => String::new(),
            Times(who) | Like(who) => format!("{value:.2} x {who}"),
            Over(_) | AtLeast | AtMost => number(self.unit, value),
        };
        let cells = [write(measured), write(self.target), write(self.floor), words.to_owned()];
        let floor = (!self.floor.is_nan()).then_some(self.floor);
        let (id, what) = (self.id, self.what);
        Some(Judged { id, what, measured, target: self.target, floor, verdict, cells })
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::Row;
    use super::*;

    fn judged(ours: f64, theirs: f64) -> Verdict {
        let mut figures = Figures::default();
        let row = Row::new("s", "R3", "work");
        figures.put(&row, PerSecond, ours);
        figures.put(&row.of(BULLMQ), PerSecond, theirs);
        let judged = judge(&figures);
        judged.iter().find(|judged| judged.id == "R3").expect("R3").verdict
    }

    #[test]
    fn a_ratio_is_met_above_the_floor_or_below_it() {
        assert_eq!(judged(3.0, 1.0), Verdict::Met);
        assert_eq!(judged(2.5, 1.0), Verdict::AboveFloor);
        assert_eq!(judged(1.9, 1.0), Verdict::BelowFloor);
    }

    #[test]
    fn what_was_not_measured_is_not_judged() {
        assert_eq!(judge(&Figures::default()).len(), 0);
    }
}

//! Figures over rounds: the median, and how far the rounds lie apart.

use serde::Serialize;

use super::meter::Spent;

/// The engine.
pub(super) const FLOWFABRIC: &str = "FlowFabric";
/// The writes that the engine cannot do without, in plain pipelined commands.
pub(super) const RAW: &str = "raw ceiling";

/// What was measured, and on whom.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Row {
    /// The scenario that measured it.
    pub(super) section: &'static str,
    /// The number by which targets speak of it.
    pub(super) id: &'static str,
    /// What was done.
    pub(super) what: String,
    /// Who did it.
    pub(super) who: String,
}

impl Row {
    /// Names a row of the engine's.
    pub(super) fn new(section: &'static str, id: &'static str, what: impl Into<String>) -> Self {
        Self { section, id, what: what.into(), who: FLOWFABRIC.to_owned() }
    }

    /// Names the same of somebody else.
    pub(super) fn of(&self, who: impl Into<String>) -> Self {
        Self { who: who.into(), ..self.clone() }
    }
}

/// Figures in the order in which they were first measured.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub(super) struct Figures {
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    #[serde(flatten)]
    row: Row,
    unit: Unit,
    /// One value a round.
    rounds: Vec<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// How many in a second.
    #[serde(rename = "per_second")]
    PerSecond,
    /// Microseconds of the server's processor time for one.
    #[serde(rename = "server_us_each")]
    ServerCpu,
    /// Microseconds of processor time of clients and workers for one.
    #[serde(rename = "client_us_each")]
    ClientCpu,
    /// Calls of functions and scripts on the server for one.
    #[serde(rename = "server_calls_each")]
    Calls,
    /// Commands that those made inside the server, and plain ones, for one.
    #[serde(rename = "server_commands_each")]
    Commands,
    /// Microseconds that half of all stay within.
    #[serde(rename = "us_p50")]
    P50,
    /// Microseconds that all but a hundredth stay within.
    #[serde(rename = "us_p99")]
    P99,
    /// Microseconds that all but a thousandth stay within.
    #[serde(rename = "us_p999")]
    P999,
    /// Bytes for one.
    #[serde(rename = "bytes_each")]
    Bytes,
    /// Percent.
    #[serde(rename = "percent")]
    Percent,
    /// Commands that reach the server in a second.
    #[serde(rename = "server_commands_per_second")]
    CommandsPerSecond,
}

/// The least, the median and the greatest of a figure.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Spread {
    pub(super) least: f64,
    pub(super) median: f64,
    pub(super) most: f64,
}

impl Figures {
    /// Adds the value of a round.
    pub(super) fn put(&mut self, row: &Row, unit: Unit, value: f64) {
        let known = self.figures.iter_mut().find(|known| known.row == *row && known.unit == unit);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure { row: row.clone(), unit, rounds: vec![value] }),
        }
    }

    /// Adds the rate of a round and what it cost.
    pub(super) fn note(&mut self, row: &Row, count: u64, spent: &Spent) {
        let count = count as f64;
        self.put(row, Unit::PerSecond, count / spent.took.as_secs_f64());
        self.put(row, Unit::ClientCpu, spent.client_us / count);
        if let Some(server) = &spent.server {
            self.put(row, Unit::ServerCpu, server.cpu_us / count);
            self.put(row, Unit::Calls, server.calls as f64 / count);
            self.put(row, Unit::Commands, server.commands as f64 / count);
        }
    }

    /// Adds the percentiles of a round's spans, in microseconds; sorts them.
    pub(super) fn note_spans(&mut self, row: &Row, spans_us: &mut [f64]) {
        spans_us.sort_by(f64::total_cmp);
        for (unit, permille) in [(Unit::P50, 500), (Unit::P99, 990), (Unit::P999, 999)] {
            let place = spans_us.len().saturating_sub(1) * permille / 1_000;
            self.put(row, unit, spans_us.get(place).copied().unwrap_or(f64::NAN));
        }
    }

    /// Returns the rows of a section, each once: by their numbers, whoever did the same together.
    pub(super) fn rows(&self, section: &str) -> Vec<&Row> {
        let mut rows: Vec<&Row> = Vec::new();
        for figure in self.figures.iter().filter(|figure| figure.row.section == section) {
            if !rows.contains(&&figure.row) {
                rows.push(&figure.row);
            }
        }
        let first = |row: &Row| {
            let same = |known: &&Row| (known.id, &known.what) == (row.id, &row.what);
            rows.iter().position(same)
        };
        let mut ordered = rows.clone();
        ordered.sort_by_key(|row| (number(row.id), first(row)));
        ordered
    }

    /// Returns how many times the figure of another row that of a row is: the spread over rounds,
    /// each of which compares what was measured shortly after one another.
    pub(super) fn times(&self, row: &Row, other: &Row, unit: Unit) -> Option<Spread> {
        let pairs = self.figure(row, unit)?.rounds.iter().zip(&self.figure(other, unit)?.rounds);
        Some(spread(&pairs.map(|(ours, theirs)| ours / theirs).collect::<Vec<_>>()))
    }

    /// Returns the spread of a figure over the rounds.
    pub(super) fn spread(&self, row: &Row, unit: Unit) -> Option<Spread> {
        Some(spread(&self.figure(row, unit)?.rounds))
    }

    fn figure(&self, row: &Row, unit: Unit) -> Option<&Figure> {
        self.figures.iter().find(|known| known.row == *row && known.unit == unit)
    }

    /// Returns the first row of a section with this number whose text begins so.
    pub(super) fn row(&self, section: &str, (id, part): (&str, &str), who: &str) -> Option<&Row> {
        let wanted = |row: &&Row| {
            let named = (row.section, row.id, row.who.as_str()) == (section, id, who);
            named && row.what.starts_with(part)
        };
        self.figures.iter().map(|figure| &figure.row).find(wanted)
    }

    /// Returns the median of a figure over the rounds.
    pub(super) fn median(&self, row: &Row, unit: Unit) -> Option<f64> {
        Some(self.spread(row, unit)?.median)
    }
}

/// Returns the number in an id; rows without one come last.
fn number(id: &str) -> u32 {
    id.trim_start_matches(char::is_alphabetic).parse().unwrap_or(u32::MAX)
}

fn spread(values: &[f64]) -> Spread {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (at(middle.saturating_sub(1)) + at(middle)) / 2.0,
        _ => at(middle),
    };
    Spread { least: at(0), median, most: at(sorted.len().saturating_sub(1)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_no_outlier() {
        let odd = spread(&[9.0, 1.0, 2.0]);
        assert_eq!((odd.least, odd.median, odd.most), (1.0, 2.0, 9.0));
        assert_eq!(spread(&[4.0, 2.0]).median, 3.0);
    }

    #[test]
    fn percentiles_are_values_that_occurred() {
        let mut figures = Figures::default();
        let row = Row::new("s", "R0", "wait");
        let mut spans: Vec<f64> = (1..=1_000).rev().map(f64::from).collect();
        figures.note_spans(&row, &mut spans);
        let at = |unit| figures.spread(&row, unit).expect("a figure").median;
        assert_eq!((at(Unit::P50), at(Unit::P99), at(Unit::P999)), (500.0, 990.0, 999.0));
    }

    #[test]
    fn rows_come_by_their_numbers_and_those_of_the_same_together() {
        let mut figures = Figures::default();
        let (two, ten) = (Row::new("s", "R2", "a"), Row::new("s", "R10", "b"));
        for row in [&ten, &Row::new("s", "", "c"), &two, &ten.of(RAW)] {
            figures.put(row, Unit::PerSecond, 1.0);
        }
        let rows = figures.rows("s");
        let rows: Vec<_> = rows.iter().map(|row| (row.id, row.who.as_str())).collect();
        let ours = FLOWFABRIC;
        assert_eq!(rows, [("R2", ours), ("R10", ours), ("R10", RAW), ("", ours)]);
    }

    #[test]
    fn a_ratio_is_that_of_the_same_rounds() {
        let mut figures = Figures::default();
        let row = Row::new("s", "R1", "work");
        for (ours, theirs) in [(10.0, 5.0), (30.0, 10.0), (4.0, 1.0)] {
            figures.put(&row, Unit::PerSecond, ours);
            figures.put(&row.of("other"), Unit::PerSecond, theirs);
        }
        let times = figures.times(&row, &row.of("other"), Unit::PerSecond).expect("both");
        assert_eq!((times.least, times.median, times.most), (2.0, 3.0, 4.0));
        assert!(figures.times(&row, &row.of("nobody"), Unit::PerSecond).is_none());
    }

    #[test]
    fn a_median_is_found_by_section_number_and_beginning() {
        let mut figures = Figures::default();
        figures.put(&Row::new("s", "R12", "pending, its keys"), Unit::Bytes, 7.0);
        figures.put(&Row::new("s", "R12", "finished, its keys").of("other"), Unit::Bytes, 8.0);
        let finished = |section, who| {
            figures.median(figures.row(section, ("R12", "finished"), who)?, Unit::Bytes)
        };
        assert_eq!(finished("s", "other"), Some(8.0));
        assert_eq!(finished("s", FLOWFABRIC), None);
        assert_eq!(finished("t", "other"), None);
    }
}

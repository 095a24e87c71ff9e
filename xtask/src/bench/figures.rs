//! Figures over rounds: the median, and how far the rounds lie apart.

use serde::Serialize;

use ff_cli::text::{grouped, table};

/// What was measured on one store.
#[derive(Debug, Serialize)]
pub(super) struct Measured {
    pub(super) store: String,
    #[serde(flatten)]
    pub(super) figures: Figures,
}

/// Figures in the order in which they were first measured.
#[derive(Debug, Default, Serialize)]
pub(super) struct Figures {
    figures: Vec<Figure>,
}

#[derive(Debug, Serialize)]
struct Figure {
    name: &'static str,
    unit: Unit,
    /// One value a round.
    rounds: Vec<f64>,
}

/// What a figure counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) enum Unit {
    /// Executions in a second.
    #[serde(rename = "per_second")]
    PerSecond,
    /// Function calls on the server for one execution.
    #[serde(rename = "calls_per_task")]
    Calls,
    /// Commands that functions made inside the server, and plain ones, for one execution.
    #[serde(rename = "inner_commands_per_task")]
    Commands,
    /// Microseconds of processor time for one execution.
    #[serde(rename = "us_per_task")]
    Microseconds,
    /// Microseconds that half of all stay within.
    #[serde(rename = "us_p50")]
    LatencyP50,
    /// Microseconds that all but a hundredth stay within.
    #[serde(rename = "us_p99")]
    LatencyP99,
    /// Bytes for one execution.
    #[serde(rename = "bytes_per_task")]
    Bytes,
}

impl Figures {
    /// Adds the value of a round.
    pub(super) fn put(&mut self, name: &'static str, unit: Unit, value: f64) {
        let known =
            self.figures.iter_mut().find(|figure| figure.name == name && figure.unit == unit);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure { name, unit, rounds: vec![value] }),
        }
    }

    /// Lays the figures out, a row a scenario; what takes memory comes below.
    pub(super) fn table(&self, store: &str) -> String {
        let apart = [Unit::Bytes, Unit::LatencyP50, Unit::LatencyP99];
        let rates = self.names(|unit| !apart.contains(&unit)).into_iter().map(|name| {
            let rate = self.spread_of(name, Unit::PerSecond);
            let number = |value: f64| grouped(value.round() as u64);
            let mut row = vec![name.to_owned()];
            let order = [1, 0, 2];
            row.extend(order.map(|at| rate.map_or_else(String::new, |rate| number(rate[at]))));
            let inner = self.spread_of(name, Unit::Commands);
            let calls = self.spread_of(name, Unit::Calls);
            let cpu = self.spread_of(name, Unit::Microseconds);
            row.push(calls.map_or_else(String::new, |calls| format!("{:.3}", calls[1])));
            row.push(inner.map_or_else(String::new, |inner| format!("{:.1}", inner[1])));
            row.push(cpu.map_or_else(String::new, |cpu| format!("{:.1} us", cpu[1])));
            row
        });
        let head =
            [store, "per second", "least", "most", "calls/task", "inner/task", "server CPU/task"];
        let mut text =
            table(&head, &[false, true, true, true, true, true, true], &rates.collect::<Vec<_>>());
        let bytes = self.names(|unit| unit == Unit::Bytes).into_iter().filter_map(|name| {
            let [_, middle, _] = self.spread_of(name, Unit::Bytes)?;
            Some(vec![name.to_owned(), grouped(middle.round() as u64)])
        });
        let bytes: Vec<Vec<String>> = bytes.collect();
        if !bytes.is_empty() {
            text.push_str("\n\n");
            text.push_str(&table(&["memory an execution", "bytes"], &[false, true], &bytes));
        }
        let latencies =
            self.names(|unit| unit == Unit::LatencyP50).into_iter().filter_map(|name| {
                let us =
                    |unit| self.spread_of(name, unit).map(|spread| format!("{:.0} us", spread[1]));
                Some(vec![name.to_owned(), us(Unit::LatencyP50)?, us(Unit::LatencyP99)?])
            });
        let latencies: Vec<Vec<String>> = latencies.collect();
        if !latencies.is_empty() {
            text.push_str("\n\n");
            text.push_str(&table(&["latency", "p50", "p99"], &[false, true, true], &latencies));
        }
        text
    }

    fn names(&self, wanted: impl Fn(Unit) -> bool) -> Vec<&'static str> {
        let mut names = Vec::new();
        for figure in self.figures.iter().filter(|figure| wanted(figure.unit)) {
            if !names.contains(&figure.name) {
                names.push(figure.name);
            }
        }
        names
    }

    /// Returns the least, the median and the greatest of a figure.
    fn spread_of(&self, name: &str, unit: Unit) -> Option<[f64; 3]> {
        let figure = self.figures.iter().find(|known| known.name == name && known.unit == unit)?;
        Some(spread(&figure.rounds))
    }
}

/// Returns the least, the median and the greatest.
fn spread(values: &[f64]) -> [f64; 3] {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = |index: usize| sorted.get(index).copied().unwrap_or(f64::NAN);
    let middle = sorted.len() / 2;
    let median = match sorted.len() % 2 {
        0 => (at(middle.saturating_sub(1)) + at(middle)) / 2.0,
        _ => at(middle),
    };
    [at(0), median, at(sorted.len().saturating_sub(1))]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_no_outlier() {
        assert_eq!(spread(&[9.0, 1.0, 2.0]), [1.0, 2.0, 9.0]);
        assert_eq!(spread(&[4.0, 2.0]), [2.0, 3.0, 4.0]);
    }
}

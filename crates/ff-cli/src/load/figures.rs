//! What a load came to: rates, and how long things took.

use std::time::Duration;

use serde::Serialize;

use super::check::Verdict;
use super::tally::Tally;
use crate::error::CliError;
use crate::out::{Out, bold};
use crate::text::{grouped, table};

/// Columns of the longest bar.
const BAR_COLUMNS: u64 = 40;

/// The figures of a load.
#[derive(Debug, Serialize)]
pub(super) struct Figures {
    executions: u64,
    concurrency: u16,
    took_ms: u64,
    per_second: u64,
    /// From just before the call that submits to the first line of the handler.
    submit_to_start_us: Spread,
    /// From the claim to the end, as the store noted them: in whole milliseconds.
    start_to_end_ms: Spread,
    ended_once: u64,
    ended_again: u64,
    not_ended: u64,
    ran_again: u64,
    #[serde(skip)]
    waits_us: Vec<u64>,
    #[serde(skip)]
    runs_ms: Vec<u64>,
}

/// How values are spread, in the unit that the field names.
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq)]
struct Spread {
    p50: u64,
    p90: u64,
    p99: u64,
    max: u64,
}

impl Figures {
    /// Works the figures out.
    pub(super) fn new(tally: &Tally, verdict: &Verdict, concurrency: u16, took: Duration) -> Self {
        let mut waits_us = tally.waits_us();
        waits_us.sort_unstable();
        let mut runs_ms = verdict.ran_ms.clone();
        runs_ms.sort_unstable();
        let executions = waits_us.len() as u64;
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).max(1);
        Self {
            executions,
            concurrency,
            took_ms: took_us / 1_000,
            per_second: executions * 1_000_000 / took_us,
            submit_to_start_us: Spread::of(&waits_us),
            start_to_end_ms: Spread::of(&runs_ms),
            ended_once: verdict.ended_once,
            ended_again: verdict.ended_again,
            not_ended: verdict.not_ended,
            ran_again: tally.ran_again(),
            waits_us,
            runs_ms,
        }
    }

    /// Prints them for people.
    pub(super) fn print(&self, out: Out) -> Result<(), CliError> {
        let (executions, rate) = (grouped(self.executions), grouped(self.per_second));
        let took = short(self.took_ms * 1_000);
        out.line(format!(
            "{executions} executions in {took}: {rate} a second, {} at a time\n",
            self.concurrency
        ))?;
        let row = |name: &str, spread: Spread, written: fn(u64) -> String| {
            let values = [spread.p50, spread.p90, spread.p99, spread.max];
            let mut row = vec![name.to_owned()];
            row.extend(values.map(written));
            row
        };
        let rows = [
            row("submit to start", self.submit_to_start_us, short),
            row("start to end", self.start_to_end_ms, whole),
        ];
        let head = ["", "p50", "p90", "p99", "max"];
        out.line(table(&head, &[false, true, true, true, true], &rows))?;
        out.line(format!(
            "\n{}\n{}",
            bold("submit to start"),
            histogram(&self.waits_us, &[100, 200, 500])
        ))?;
        let runs_us: Vec<u64> = self.runs_ms.iter().map(|ms| ms * 1_000).collect();
        out.line(format!("\n{}\n{}", bold("start to end"), histogram(&runs_us, &[])))?;
        out.line(format!(
            "\n  {}  {} of {executions} ended exactly once",
            if self.ended_once == self.executions { "ok   " } else { "WRONG" },
            grouped(self.ended_once)
        ))?;
        match self.ran_again {
            0 => Ok(()),
            count => out.line(format!("  {} were run more than once", grouped(count))),
        }
    }
}

impl Spread {
    /// Reads values in order.
    fn of(values: &[u64]) -> Self {
        let at = |percent: usize| {
            let last = values.len().saturating_sub(1);
            values.get(last * percent / 100).copied().unwrap_or(0)
        };
        Self { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
    }
}

/// Draws how many values lie below each of the steps 1, 2, 5, 10 ms and so on, `finer` ones first.
fn histogram(values: &[u64], finer: &[u64]) -> String {
    let mut steps: Vec<(u64, u64)> = Vec::new();
    let mut rest = values;
    let mut bounds = (3..10).flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)));
    let mut bound = 0;
    let mut finer = finer.iter().copied();
    while !rest.is_empty() {
        bound = finer.next().or_else(|| bounds.next()).unwrap_or(bound * 10);
        let below = rest.partition_point(|value| *value < bound);
        if below > 0 || !steps.is_empty() {
            steps.push((bound, below as u64));
        }
        rest = &rest[below..];
    }
    let most = steps.iter().map(|(_, count)| *count).max().unwrap_or(1).max(1);
    let line = |(bound, count): &(u64, u64)| {
        let columns = (count * BAR_COLUMNS).div_ceil(most);
        let bar = "█".repeat(usize::try_from(columns).unwrap_or(0));
        format!("  < {:>6}  {:>9}  {bar}", short(*bound), grouped(*count)).trim_end().to_owned()
    };
    steps.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Writes microseconds with two or three digits that count.
fn short(us: u64) -> String {
    let (value, unit) = match us {
        0..1_000 => return format!("{us} µs"),
        1_000..1_000_000 => (us as f64 / 1_000.0, "ms"),
        _ => (us as f64 / 1_000_000.0, "s"),
    };
    let whole = value.fract() == 0.0 || value >= 100.0;
    if whole { format!("{value:.0} {unit}") } else { format!("{value:.1} {unit}") }
}

/// Writes milliseconds that were noted whole.
fn whole(ms: u64) -> String {
    if ms == 0 { "< 1 ms".to_owned() } else { format!("{} ms", grouped(ms)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_spread_reads_its_places() {
        let values: Vec<u64> = (0..=100).collect();
        assert_eq!(Spread::of(&values), Spread { p50: 50, p90: 90, p99: 99, max: 100 });
        assert_eq!(Spread::of(&[]), Spread { p50: 0, p90: 0, p99: 0, max: 0 });
        assert_eq!(Spread::of(&[7]).p50, 7);
    }

    #[test]
    fn a_histogram_begins_with_its_first_value_and_counts_all() {
        let drawn = histogram(&[150, 160, 700, 2_500_000], &[100, 200, 500]);
        let lines: Vec<&str> = drawn.lines().collect();
        assert_eq!(
            lines[0].split_whitespace().take(4).collect::<Vec<_>>(),
            ["<", "200", "µs", "2"]
        );
        assert!(lines.last().expect("a line").contains("< ") && drawn.contains("5 s"), "{drawn}");
    }

    #[test]
    fn times_are_short() {
        let texts = [999, 1_000, 1_540, 123_456, 5_000_000].map(short);
        assert_eq!(texts, ["999 µs", "1 ms", "1.5 ms", "123 ms", "5 s"]);
    }

    #[test]
    fn whole_milliseconds_stay_milliseconds() {
        assert_eq!([0, 1, 999, 1_540].map(whole), ["< 1 ms", "1 ms", "999 ms", "1\u{a0}540 ms"]);
    }
}

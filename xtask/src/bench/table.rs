//! Tables of figures, for a terminal and for Markdown.

use super::figures::{FLOWFABRIC, Figures, Row, Spread, Unit};
use ff_cli::text::{grouped, table};

/// Rows under a head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Table {
    head: Vec<String>,
    /// Whether a column holds numbers.
    numbers: Vec<bool>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// Lays rows out; the first `texts` columns hold no numbers.
    pub(super) fn new<S: Into<String>>(
        head: impl IntoIterator<Item = S>,
        texts: usize,
        rows: Vec<Vec<String>>,
    ) -> Self {
        let head: Vec<String> = head.into_iter().map(Into::into).collect();
        let numbers = (0..head.len()).map(|column| column >= texts).collect();
        Self { head, numbers, rows }
    }

    /// Leaves out the columns past the first that hold nothing.
    fn without_empty(self) -> Self {
        let holds = |column: usize| self.rows.iter().any(|row| !row[column].is_empty());
        let kept: Vec<bool> =
            (0..self.head.len()).map(|column| column == 0 || holds(column)).collect();
        let keep = |cells: Vec<String>| {
            let cells = cells.into_iter().zip(&kept);
            cells.filter_map(|(cell, kept)| kept.then_some(cell)).collect()
        };
        let numbers = self.numbers.iter().zip(&kept);
        let numbers = numbers.filter_map(|(number, kept)| kept.then_some(*number)).collect();
        let rows = self.rows.into_iter().map(&keep).collect();
        Self { head: keep(self.head), numbers, rows }
    }

    /// Returns the rows.
    #[cfg(test)]
    pub(super) fn rows(&self) -> &[Vec<String>] {
        &self.rows
    }

    /// Writes it for a terminal.
    pub(super) fn text(&self) -> String {
        let head: Vec<&str> = self.head.iter().map(String::as_str).collect();
        table(&head, &self.numbers, &self.rows)
    }

    /// Writes it in Markdown.
    pub(super) fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let sides = self.numbers.iter().map(|number| if *number { "---:" } else { "---" });
        let sides: Vec<String> = sides.map(str::to_owned).collect();
        let mut text = line(&self.head) + &line(&sides);
        text.extend(self.rows.iter().map(|row| line(row)));
        text.replace('\u{a0}', " ")
    }
}

/// Returns the tables of a section: rates, times, and whatever else was measured.
pub(super) fn tables(figures: &Figures, section: &str) -> Vec<Table> {
    let rows = figures.rows(section);
    [rates(figures, &rows), times(figures, &rows), others(figures, &rows)]
        .into_iter()
        .flatten()
        .collect()
}

/// Returns a table of one unit with a column for each who that is not the engine itself.
pub(super) fn pivot(figures: &Figures, section: &str, unit: Unit, corner: &str) -> Option<Table> {
    let rows: Vec<&Row> = figures.rows(section);
    let wanted = |row: &&&Row| row.who != FLOWFABRIC && figures.spread(row, unit).is_some();
    let rows: Vec<&&Row> = rows.iter().filter(wanted).collect();
    let (mut whats, mut whos) = (Vec::new(), Vec::new());
    for row in &rows {
        push_new(&mut whats, row.what.as_str());
        push_new(&mut whos, row.who.as_str());
    }
    let cell = |what: &str, who: &str| {
        let row = rows.iter().find(|row| row.what == what && row.who == who);
        let median = row.and_then(|row| figures.spread(row, unit)).map(|spread| spread.median);
        median.map_or_else(String::new, |median| number(unit, median))
    };
    let lines: Vec<Vec<String>> = whats
        .iter()
        .map(|what| {
            let cells = whos.iter().map(|who| cell(what, who));
            std::iter::once((*what).to_owned()).chain(cells).collect()
        })
        .collect();
    let head = std::iter::once(corner).chain(whos.iter().copied());
    (!lines.is_empty()).then(|| Table::new(head, 1, lines))
}

fn push_new<T: PartialEq>(all: &mut Vec<T>, one: T) {
    if !all.contains(&one) {
        all.push(one);
    }
}

fn rates(figures: &Figures, rows: &[&Row]) -> Option<Table> {
    let lines = rows.iter().filter_map(|row| {
        let rate = figures.spread(row, Unit::PerSecond)?;
        let mut line = begin(row);
        line.extend(three(Unit::PerSecond, rate));
        line.push(times_as_fast(figures, row));
        for unit in [Unit::ServerCpu, Unit::ClientCpu, Unit::Calls, Unit::Commands] {
            let cell = figures.spread(row, unit).map(|spread| number(unit, spread.median));
            line.push(cell.unwrap_or_default());
        }
        Some(line)
    });
    let head = [
        "",
        "rate",
        "who",
        "a second",
        "least",
        "most",
        "FlowFabric does",
        "server CPU",
        "client CPU",
        "calls",
        "commands",
    ];
    some(Table::new(head, 3, lines.collect()).without_empty())
}

/// Says how many times the rate of `row` the engine reaches in the same, and in which bounds.
fn times_as_fast(figures: &Figures, row: &Row) -> String {
    match figures.times(&row.of(FLOWFABRIC), row, Unit::PerSecond) {
        Some(times) if row.who != FLOWFABRIC => {
            format!("{:.2} x ({:.2} to {:.2})", times.median, times.least, times.most)
        }
        _ => String::new(),
    }
}

fn times(figures: &Figures, rows: &[&Row]) -> Option<Table> {
    let lines = rows.iter().filter_map(|row| {
        let median = figures.spread(row, Unit::P50)?;
        let mut line = begin(row);
        line.extend([Unit::P50, Unit::P99, Unit::P999].map(|unit| {
            figures.spread(row, unit).map_or_else(String::new, |spread| number(unit, spread.median))
        }));
        line.extend([number(Unit::P50, median.least), number(Unit::P50, median.most)]);
        Some(line)
    });
    let head = ["", "time", "who", "p50", "p99", "p99.9", "least p50", "most p50"];
    some(Table::new(head, 3, lines.collect()))
}

fn others(figures: &Figures, rows: &[&Row]) -> Option<Table> {
    let mut lines = Vec::new();
    for row in rows {
        for unit in [Unit::Bytes, Unit::Percent, Unit::CommandsPerSecond] {
            if let Some(spread) = figures.spread(row, unit) {
                let mut line = begin(row);
                line.extend(three(unit, spread));
                lines.push(line);
            }
        }
    }
    some(Table::new(["", "what", "who", "median", "least", "most"], 3, lines))
}

fn some(table: Table) -> Option<Table> {
    (!table.rows.is_empty()).then_some(table)
}

fn begin(row: &Row) -> Vec<String> {
    vec![row.id.to_owned(), row.what.clone(), row.who.clone()]
}

fn three(unit: Unit, spread: Spread) -> [String; 3] {
    [spread.median, spread.least, spread.most].map(|value| number(unit, value))
}

/// Writes a value with its unit.
pub(super) fn number(unit: Unit, value: f64) -> String {
    let whole = || grouped(value.max(0.0).round() as u64);
    match unit {
        Unit::PerSecond => whole(),
        Unit::ServerCpu | Unit::ClientCpu => format!("{value:.1} us"),
        Unit::Calls => format!("{value:.3}"),
        Unit::Commands => format!("{value:.1}"),
        Unit::P50 | Unit::P99 | Unit::P999 if value.abs() >= 10_000.0 => {
            format!("{:.1} ms", value / 1_000.0)
        }
        Unit::P50 | Unit::P99 | Unit::P999 => format!("{} us", whole()),
        Unit::Bytes => format!("{} B", whole()),
        Unit::Percent => format!("{value:.1} %"),
        Unit::CommandsPerSecond => format!("{value:.1} /s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::figures::RAW;
    use super::*;

    fn figures() -> Figures {
        let mut figures = Figures::default();
        let row = Row::new("s", "R1", "submit");
        figures.put(&row, Unit::PerSecond, 3_000.0);
        figures.put(&row.of(RAW), Unit::PerSecond, 1_500.0);
        figures
    }

    #[test]
    fn a_rate_is_compared_with_others() {
        let tables = tables(&figures(), "s");
        assert_eq!(tables.len(), 1, "nothing but rates was measured");
        assert_eq!(
            tables[0].head,
            ["", "rate", "who", "a second", "least", "most", "FlowFabric does"]
        );
        assert_eq!(tables[0].rows[0][6], "");
        assert_eq!(tables[0].rows[1][6], "2.00 x (2.00 to 2.00)");
    }

    #[test]
    fn a_pivot_has_a_column_for_each_who() {
        let mut figures = figures();
        figures.put(&Row::new("s", "R1", "submit").of("else"), Unit::PerSecond, 2_000.0);
        let table = pivot(&figures, "s", Unit::PerSecond, "what").expect("rows");
        assert_eq!(table.head, ["what", RAW, "else"]);
        assert_eq!(table.rows, [["submit", "1\u{a0}500", "2\u{a0}000"]]);
    }

    #[test]
    fn markdown_has_a_line_a_row() {
        let table = Table::new(["a", "n"], 1, vec![vec!["x".into(), "1\u{a0}000".into()]]);
        assert_eq!(table.markdown(), "| a | n |\n| --- | ---: |\n| x | 1 000 |\n");
    }
}

//! `ff list`: the executions of lanes, page by page.

use flowfabric::ff_core::contracts::inspect::{ExecutionSummary, LaneInfo, ListCursor};
use flowfabric::ff_core::name::LaneId;
use flowfabric::ff_core::state::{OwnerIndex, PublicState};
use serde::Serialize;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::invocation::quote;
use crate::out::{self, note};
use crate::text::table;
use crate::when;

/// Rows of a page unless told.
const LIMIT_DEFAULT: u32 = 50;
/// Rows of one call to the store.
const ROWS_PER_CALL_MAX: u32 = 1_000;
/// Rows that are laid out together, so that a long listing begins at once.
const ROWS_PER_TABLE: usize = 1_000;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff list                                    every lane, the live ones first
  ff list --lane words --state failed
  ff list --state completed --all -o json    one JSON document a row
  ff list --cursor 'words:failed:0|17...'    goes on where a page ended

With -o json a page that is not the last ends with {\"next_cursor\": ...}.";

/// Which executions to list.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Only this lane. May be given several times.
    #[arg(long = "lane", value_name = "NAME")]
    lanes: Vec<LaneId>,
    /// Only this state, such as waiting, active, suspended, completed, failed. May be given several
    /// times.
    #[arg(long = "state", value_name = "STATE", value_parser = parse_state)]
    states: Vec<PublicState>,
    /// Rows of a page.
    #[arg(long, value_name = "N", default_value_t = LIMIT_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    limit: u32,
    /// Goes on where a page ended, with the same lanes and states.
    #[arg(long, value_name = "CURSOR", value_parser = parse_cursor)]
    cursor: Option<Cursor>,
    /// Everything, without pages.
    #[arg(long, conflicts_with = "limit")]
    all: bool,
}

fn parse_state(word: &str) -> Result<PublicState, String> {
    PublicState::parse(word).ok_or_else(|| {
        let known: Vec<&str> = PublicState::ALL.iter().map(|state| state.as_str()).collect();
        format!("the states are {}", known.join(", "))
    })
}

/// Where a page ended: in which lane and state, and where among those.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Cursor {
    lane: LaneId,
    state: PublicState,
    inner: Option<ListCursor>,
}

fn parse_cursor(text: &str) -> Result<Cursor, String> {
    let mut parts = text.splitn(3, ':');
    let cursor = (|| {
        let lane = LaneId::new(parts.next()?).ok()?;
        let state = PublicState::parse(parts.next()?)?;
        let inner = Some(parts.next()?).filter(|inner| !inner.is_empty());
        Some(Cursor { lane, state, inner: inner.map(|inner| ListCursor(inner.to_owned())) })
    })();
    cursor.ok_or_else(|| "take the cursor that the page before ended with, unchanged".to_owned())
}

impl Cursor {
    fn text(&self) -> String {
        let inner = self.inner.as_ref().map_or("", |inner| &inner.0);
        format!("{}:{}:{inner}", self.lane, self.state)
    }
}

/// A row for programs.
#[derive(Debug, Serialize)]
struct Row<'a> {
    lane: &'a LaneId,
    #[serde(flatten)]
    execution: &'a ExecutionSummary,
}

/// Lists.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let lanes = context.client.lanes().await?;
    let shelves = arguments.shelves(&lanes);
    let limit = if arguments.all { usize::MAX } else { arguments.limit as usize };
    let mut page = Page::new(context);
    let mut inner = arguments.cursor.as_ref().and_then(|cursor| cursor.inner.clone());
    for (lane, state) in shelves {
        loop {
            let left = limit - page.count;
            if left == 0 {
                return page.end(Some(Cursor { lane, state, inner }));
            }
            let rows = u32::try_from(left).unwrap_or(u32::MAX).min(ROWS_PER_CALL_MAX);
            let found = context.client.list(&lane, state, inner.take(), rows).await?;
            page.take(&lane, &found.executions)?;
            inner = found.next;
            if inner.is_none() {
                break;
            }
        }
    }
    page.end(None)
}

impl Arguments {
    /// Returns the lanes and states to look through, in order, from the cursor on. A state whose
    /// index holds nothing is left out.
    fn shelves(&self, lanes: &[LaneInfo]) -> Vec<(LaneId, PublicState)> {
        let mut shelves = Vec::new();
        for lane in lanes {
            if !self.lanes.is_empty() && !self.lanes.contains(&lane.lane) {
                continue;
            }
            for state in PublicState::ALL {
                let holds = |(index, count): &(OwnerIndex, u64)| {
                    *count > 0 && *index == state.owner_index()
                };
                let asked = self.states.is_empty() || self.states.contains(state);
                if asked && lane.counts.iter().any(holds) {
                    shelves.push((lane.lane.clone(), *state));
                }
            }
        }
        let Some(cursor) = &self.cursor else { return shelves };
        let place =
            |(lane, state): &(LaneId, PublicState)| (lane, *state) < (&cursor.lane, cursor.state);
        shelves.retain(|shelf| !place(shelf));
        let goes_on = shelves
            .first()
            .is_some_and(|(lane, state)| (lane, *state) == (&cursor.lane, cursor.state));
        if !goes_on && cursor.inner.is_some() {
            // The shelf is empty by now; the cursor must not be used on another.
            shelves.insert(0, (cursor.lane.clone(), cursor.state));
        }
        shelves
    }
}

/// Prints rows while they come.
struct Page<'a> {
    context: &'a Context,
    count: usize,
    rows: Vec<Vec<String>>,
}

impl<'a> Page<'a> {
    fn new(context: &'a Context) -> Self {
        Self { context, count: 0, rows: Vec::new() }
    }

    fn take(&mut self, lane: &LaneId, found: &[ExecutionSummary]) -> Result<(), CliError> {
        self.count += found.len();
        let now = self.context.now();
        for execution in found {
            if self.context.out.is_json() {
                self.context.out.row(&Row { lane, execution })?;
                continue;
            }
            self.rows.push(vec![
                execution.execution_id.to_string(),
                lane.to_string(),
                execution.kind.to_string(),
                out::state(execution.public_state),
                execution.attempts.to_string(),
                when::from(execution.created_at, now),
                when::from(execution.updated_at, now),
            ]);
        }
        if self.rows.len() >= ROWS_PER_TABLE { self.print() } else { Ok(()) }
    }

    fn print(&mut self) -> Result<(), CliError> {
        let head = ["execution", "lane", "kind", "state", "attempts", "submitted", "changed"];
        let numbers = [false, false, false, false, true, true, true];
        let rows = std::mem::take(&mut self.rows);
        self.context.out.line(table(&head, &numbers, &rows))
    }

    fn end(mut self, next: Option<Cursor>) -> Result<(), CliError> {
        let next = next.map(|cursor| cursor.text());
        if self.context.out.is_json() {
            return next.map_or(Ok(()), |next| self.context.out.row(&json!({"next_cursor": next})));
        }
        if !self.rows.is_empty() {
            self.print()?;
        }
        match next {
            Some(next) => {
                note(format!("\n{} shown; for more, add --cursor {}", self.count, quote(&next)));
            }
            None if self.count == 0 => {
                let (namespace, place) =
                    (self.context.client.namespace(), self.context.place.shown());
                note(format!("nothing there in namespace {namespace} of {place}"));
            }
            None => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        for text in ["words:failed:0|17|{fp:0}:x", "a,b:waiting:"] {
            assert_eq!(parse_cursor(text).map(|cursor| cursor.text()).as_deref(), Ok(text));
        }
        for text in ["", "words", "words:gone:1", "words:failed"] {
            assert!(parse_cursor(text).is_err(), "{text}");
        }
    }
}

//! Rows of the table of executions, and the columns that are derived from a record.

use ff_core::TimestampMs;
use ff_core::state::OwnerIndex;
use ff_lifecycle::Execution;
use std::borrow::Cow;

/// The columns that are derived from a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) state: Cow<'static, str>,
    pub(super) owner: Cow<'static, str>,
    pub(super) route: String,
    pub(super) score: i64,
    pub(super) due_at: Option<i64>,
}

/// A row of the table of executions.
pub(super) struct Row {
    pub(super) seq: i64,
    pub(super) lane: i64,
    pub(super) columns: Columns,
    pub(super) signals: i64,
    pub(super) record: String,
    pub(super) result: Option<Vec<u8>>,
}

pub(super) fn column_of(at: TimestampMs) -> i64 {
    number_of(at.as_millis())
}

/// A count or a length as SQLite keeps it.
pub(super) fn number_of(count: impl TryInto<i64>) -> i64 {
    count.try_into().unwrap_or(i64::MAX)
}

pub(super) fn time_of(column: i64) -> TimestampMs {
    TimestampMs::from_millis(u64::try_from(column).unwrap_or(0))
}

impl Columns {
    pub(super) fn of(execution: &Execution) -> Self {
        let owner = execution.owner();
        let ready = owner.index == OwnerIndex::Ready;
        Self {
            state: execution.public_state().as_str().into(),
            owner: owner.index.as_str().into(),
            route: if ready { execution.definition.route.clone() } else { String::new() },
            score: owner.score,
            due_at: execution.due().map(column_of),
        }
    }
}

/// Selects rows for [`Row::read`].
macro_rules! select_rows {
    ($which:literal) => {
        concat!(
            "select seq, lane, state, owner, route, score, due_at, signals, record, result ",
            "from executions ",
            $which
        )
    };
}
pub(super) use select_rows;

impl Row {
    pub(super) fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let columns = Columns {
            state: row.get::<_, String>(2)?.into(),
            owner: row.get::<_, String>(3)?.into(),
            route: row.get(4)?,
            score: row.get(5)?,
            due_at: row.get(6)?,
        };
        Ok(Self {
            seq: row.get(0)?,
            lane: row.get(1)?,
            columns,
            signals: row.get(7)?,
            record: row.get(8)?,
            result: row.get(9)?,
        })
    }
}

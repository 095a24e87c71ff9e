//! The canonical dump: every table, row by row.

use super::room::FileRoom;
use super::row::column_of;
use ff_core::TimestampMs;
use rusqlite::types::ValueRef;
use std::fmt::Write as _;

/// Every table, its columns in full and the order of its rows. Row numbers come from the order of
/// writing and stand for ids, so they are left out.
const TABLES: &[(&str, &str)] = &[
    ("meta", "select name from meta order by name"),
    ("lanes", "select partition, namespace, name from lanes order by 1, 2, 3"),
    ("lane_defaults", "select * from lane_defaults order by namespace, name"),
    (
        "executions",
        "select e.id, l.namespace, l.name, e.partition, e.state, e.owner, e.route, e.score, \
         e.due_at, e.attempts, e.updated_at, e.signals, e.record, e.result, d.kind, \
         d.fairness_key, d.policy, d.fingerprint, d.deadline_span_ms, d.created_at, d.input \
         from executions e join definitions d using (seq) join lanes l using (lane) order by e.id",
    ),
    (
        "routes",
        "select namespace, name, partition, route, live \
                from routes join lanes using (lane) order by 1, 2, 3, 4",
    ),
    (
        "signals",
        "select e.id, s.signal from signals s join executions e using (seq) \
                 order by e.id, s.number",
    ),
    (
        "frames",
        "select e.id, attempt, at, sequence, frame_type, payload, correlation_id \
                from frames join executions e using (seq) order by 1, 2, 3, 4",
    ),
    ("idempotency", "select * from idempotency where expires_at > ?1 order by 1, 2, 3"),
    ("claims", "select * from claims where expires_at > ?1 order by 1, 2, 3, 4"),
    ("workers", "select * from workers order by namespace, instance"),
    ("budgets", "select * from budgets order by id"),
    ("usage_memory", "select * from usage_memory where expires_at > ?1 order by 1, 2, 3"),
];

impl FileRoom {
    /// Writes out everything the file holds but secrets and what has lapsed.
    pub(super) fn dump(&self, now: TimestampMs) -> String {
        let mut text = String::new();
        for (table, select) in TABLES {
            let rows = self.sql().rows(
                select,
                rusqlite::params_from_iter(select.contains("?1").then(|| column_of(now))),
                |row| {
                    let mut line = String::new();
                    for column in 0..row.as_ref().column_count() {
                        let _ = match row.get_ref(column)? {
                            ValueRef::Text(text) => {
                                write!(line, " {}", String::from_utf8_lossy(text))
                            }
                            other => write!(line, " {other:?}"),
                        };
                    }
                    Ok(line)
                },
            );
            for row in rows {
                let _ = writeln!(text, "{table}{row}");
            }
        }
        text
    }
}

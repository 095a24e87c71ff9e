//! Writing a record: its row, its definition, its signals, the count of its route.

use super::definitions;
use super::kept::Stored;
use super::partition::FilePartition;
use super::record::Parts;
use super::row::{Columns, column_of, number_of, time_of};
use bytes::Bytes;
use ff_core::contracts::notice::Notice;
use ff_core::partition::Partition;
use ff_core::policy::EffectivePolicy;
use ff_core::state::OwnerIndex;
use ff_core::{ExecutionId, SignalId};
use ff_lifecycle::{AcceptedSignal, PartitionStore};
use rusqlite::params;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Bytes that the document and the result of a live execution take at least: as many as those of
/// most that have ended.
const ROW_BYTES: usize = 640;
const BLANKS: &str = match std::str::from_utf8(&[b' '; ROW_BYTES]) {
    Ok(blanks) => blanks,
    Err(_) => "",
};

impl FilePartition {
    /// Counts a live record in or out of its route.
    pub(super) fn count_route(&self, lane: i64, route: &str, one_more: bool) {
        if route.is_empty() {
            return;
        }
        self.kept.borrow_mut().forget_routes(lane);
        let add = "insert into routes (lane, route, live) values (?, ?, 1) \
                   on conflict do update set live = live + 1";
        if one_more {
            self.sql.run(add, params![lane, route]);
            return;
        }
        let take = "update routes set live = live - 1 where lane = ? and route = ?";
        self.sql.run(take, params![lane, route]);
        let forget = "delete from routes where lane = ? and route = ? and live <= 0";
        self.sql.run(forget, params![lane, route]);
    }

    /// Notes that work became ready or a timer moved to the front, before it is written.
    pub(super) fn note(&mut self, lane: i64, before: Option<&Columns>, after: &Columns) {
        let ready = OwnerIndex::Ready.as_str();
        let partition = Partition::new_unchecked(self.number);
        let was_ready = before.is_some_and(|before| before.owner == ready);
        if after.owner == ready && !was_ready {
            let any = self.ready_head_of(lane, &after.route);
            if any.is_none() && !self.notices.contains(&Notice::Ready(partition)) {
                self.notices.push(Notice::Ready(partition));
            }
        }
        if after.due_at.is_none() || before.is_some_and(|before| before.due_at == after.due_at) {
            return;
        }
        let Some(at) = after.due_at.map(time_of) else { return };
        if self.due_head().is_none_or(|(head, _)| at < head) {
            self.notices.push(Notice::Due { partition, at });
        }
    }

    /// Writes a new record; returns the numbers of its row and of its lane, and the length of its
    /// document.
    pub(super) fn insert(
        &mut self,
        id: ExecutionId,
        columns: &Columns,
        parts: &Parts,
    ) -> (i64, i64, usize) {
        let definition = &parts.definition;
        let lane = self.lane(&definition.namespace, &definition.lane);
        self.note(lane, None, columns);
        let insert = "insert into executions (id, lane, partition, state, owner, route, score, \
                      due_at, attempts, updated_at, signals, record, result) \
                      values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
        let record = self.record(parts, columns.owner != OwnerIndex::Done.as_str());
        self.sql.run(
            insert,
            params![
                id.to_string(),
                lane,
                self.number,
                columns.state,
                columns.owner,
                columns.route,
                columns.score,
                columns.due_at,
                parts.record.attempts,
                column_of(parts.record.updated_at),
                number_of(parts.signals.len()),
                record,
                parts.result.as_deref(),
            ],
        );
        let seq = self.sql.connection().last_insert_rowid();
        definitions::write(&self.sql, seq, definition, &self.policy(&definition.policy));
        (seq, lane, record.len())
    }

    /// Writes a policy out. Most executions have that of the one before.
    fn policy(&self, policy: &EffectivePolicy) -> Arc<str> {
        let mut last = self.last_policy.borrow_mut();
        match &*last {
            Some((known, json)) if known == policy => Arc::clone(json),
            _ => {
                let json: Arc<str> = self.sql.document("policy", policy).into();
                // One that could not be written is empty, and its transaction is lost.
                *last = (!json.is_empty()).then(|| (policy.clone(), Arc::clone(&json)));
                json
            }
        }
    }

    /// Writes a record out. One that will grow has blanks behind it, or its row would outgrow its
    /// page whenever it did.
    fn record(&self, parts: &Parts, is_live: bool) -> String {
        let mut record = self.sql.document("record", &parts.record);
        let room = ROW_BYTES.saturating_sub(parts.result.as_ref().map_or(0, Bytes::len));
        if is_live && record.len() < room {
            record.push_str(&BLANKS[record.len()..room]);
        }
        record
    }

    /// Writes a record anew; returns the length of its document.
    pub(super) fn update(&self, before: &Stored, columns: &Columns, parts: &Parts) -> usize {
        let record = self.record(parts, columns.owner != OwnerIndex::Done.as_str());
        let (seq, result) = (before.seq, parts.result.as_deref());
        let (attempts, signals) = (parts.record.attempts, number_of(parts.signals.len()));
        let (was, due_at) = (&before.columns, columns.due_at);
        let updated_at = column_of(parts.record.updated_at);
        // SQLite looks at the indexes of the columns that a statement names.
        if was == columns {
            let update = "update executions set attempts = ?, updated_at = ?, signals = ?, \
                          record = ?, result = ? where seq = ?";
            self.sql.run(update, params![attempts, updated_at, signals, record, result, seq]);
        } else if *was == (Columns { due_at: was.due_at, ..columns.clone() }) {
            let update = "update executions set due_at = ?, attempts = ?, updated_at = ?, \
                          signals = ?, record = ?, result = ? where seq = ?";
            self.sql
                .run(update, params![due_at, attempts, updated_at, signals, record, result, seq]);
        } else {
            let Columns { state, owner, route, score, .. } = columns;
            let update = "update executions set state = ?, owner = ?, route = ?, score = ?, \
                          due_at = ?, attempts = ?, updated_at = ?, signals = ?, record = ?, \
                          result = ? where seq = ?";
            let params = params![
                state, owner, route, score, due_at, attempts, updated_at, signals, record, result,
                seq
            ];
            self.sql.run(update, params);
        }
        record.len()
    }

    /// Brings the table of signals up to date: they are only ever added and forgotten.
    pub(super) fn keep_signals(
        &self,
        seq: i64,
        before: &[AcceptedSignal],
        signals: &[AcceptedSignal],
    ) {
        let ids = |signals: &[AcceptedSignal]| -> BTreeSet<SignalId> {
            signals.iter().map(|s| s.signal.signal_id).collect()
        };
        let (before, now) = (ids(before), ids(signals));
        for gone in before.iter().filter(|id| !now.contains(id)) {
            let forget = "delete from signals where seq = ? and signal_id = ?";
            self.sql.run(forget, params![seq, gone.to_string()]);
        }
        let new = |s: &&AcceptedSignal| !before.contains(&s.signal.signal_id);
        for signal in signals.iter().filter(new) {
            let json = self.sql.document("signal", signal);
            let insert = "insert into signals (seq, signal_id, signal) values (?, ?, ?)";
            self.sql.run(insert, params![seq, signal.signal.signal_id.to_string(), json]);
        }
    }
}

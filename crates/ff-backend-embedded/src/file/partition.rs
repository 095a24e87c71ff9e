//! One partition of the file, inside a transaction: records, and the columns that are its indexes.

use super::definitions::Definitions;
use super::kept::Kept;
use super::record::{Parts, Record};
use super::row::{Columns, Row, column_of, number_of, select_rows, time_of};
use super::sql::{Sql, damaged};
use crate::notice::Outward;
use bytes::Bytes;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::stream::StreamFrame;
use ff_core::{AttemptIndex, ExecutionId, LaneId, Namespace, SignalId, TimestampMs};
use ff_lifecycle::store::{ClaimMemory, ClaimSlot, IdempotencyEntry};
use ff_lifecycle::{AcceptedSignal, Execution, PartitionStore};
use rusqlite::params;
use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};

/// Partitions take turns on one connection: this is the one whose turn it is.
#[derive(Debug)]
pub struct FilePartition {
    pub(super) sql: Sql,
    pub(super) number: u16,
    pub(super) notices: Vec<Notice>,
    pub(super) definitions: Definitions,
    pub(super) kept: RefCell<Kept>,
    /// What the operation has read. `None` stands for a record that is not there.
    seen: RefCell<HashMap<ExecutionId, Option<Seen>>>,
    /// Records that the operation could not read.
    damaged: RefCell<BTreeSet<ExecutionId>>,
}

/// A record as it stands in the file.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) seq: i64,
    lane: i64,
    pub(super) columns: Columns,
    is_live: bool,
    signals: Vec<SignalId>,
    outward: Outward,
}

impl FilePartition {
    pub(super) fn new(sql: Sql) -> Self {
        Self {
            sql,
            number: 0,
            notices: Vec::new(),
            definitions: Definitions::default(),
            kept: RefCell::default(),
            seen: RefCell::default(),
            damaged: RefCell::default(),
        }
    }

    /// Begins a transaction.
    pub(super) fn begin_transaction(&self) {
        self.kept.borrow_mut().begin();
    }

    /// Forgets what is kept of a transaction that was undone.
    pub(super) fn undone(&mut self) {
        *self.kept.borrow_mut() = Kept::default();
        self.notices.clear();
        self.definitions.clear();
        self.sql.take_fault();
    }

    /// Begins an operation: nothing has been read yet.
    pub(super) fn begin(&self) {
        self.seen.borrow_mut().clear();
        self.damaged.borrow_mut().clear();
    }

    /// Returns what the operation could not read, the first of it.
    pub(super) fn take_damaged(&self) -> Option<ExecutionId> {
        self.damaged.borrow_mut().pop_first()
    }

    /// Puts a record together from its row.
    pub(super) fn join(&self, id: ExecutionId, row: Row) -> Result<Execution, String> {
        let definition = self.definitions.read(&self.sql, id, row.seq, row.lane)?;
        let record: Record =
            serde_json::from_str(&row.record).map_err(|error| error.to_string())?;
        let signals = if row.signals > 0 { self.signals_of(row.seq)? } else { Vec::new() };
        let result = row.result.map(Bytes::from);
        Ok(Parts { definition, record, signals, result }.into())
    }

    fn signals_of(&self, seq: i64) -> Result<Vec<AcceptedSignal>, String> {
        let select = "select signal from signals where seq = ? order by number";
        let signals = self.sql.rows(select, [seq], |row| row.get::<_, String>(0));
        let parse = |json: String| serde_json::from_str(&json).map_err(|error| error.to_string());
        signals.into_iter().map(parse).collect()
    }

    /// Returns the number of a lane of this partition, made on first use.
    pub(super) fn lane(&mut self, namespace: &Namespace, lane: &LaneId) -> i64 {
        if let Some(known) = self.find_lane(namespace, lane) {
            return known;
        }
        let insert = "insert into lanes (partition, namespace, name) values (?, ?, ?)";
        self.sql.run(insert, params![self.number, namespace.as_str(), lane.as_str()]);
        self.sql.connection().last_insert_rowid()
    }

    /// Returns the number of a lane that ever held work.
    pub(super) fn find_lane(&self, namespace: &Namespace, lane: &LaneId) -> Option<i64> {
        let key = (self.number, namespace.clone(), lane.clone());
        if let Some(known) = self.kept.borrow().lanes.get(&key) {
            return Some(*known);
        }
        let select = "select lane from lanes where partition = ? and namespace = ? and name = ?";
        let name = params![self.number, namespace.as_str(), lane.as_str()];
        let number = self.sql.row(select, name, |row| row.get(0))?;
        self.kept.borrow_mut().lanes.insert(key, number);
        Some(number)
    }

    /// Lists the routes of the live records of a lane, the empty one aside.
    pub(super) fn routes(&self, lane: i64) -> BTreeSet<String> {
        if let Some(kept) = self.kept.borrow().routes.get(&lane) {
            return kept.clone();
        }
        let select = "select route from routes where lane = ?";
        let routes = self.sql.rows(select, [lane], |row| row.get(0));
        let routes: BTreeSet<String> = routes.into_iter().collect();
        self.kept.borrow_mut().routes.insert(lane, routes.clone());
        routes
    }

    fn row(&self, id: ExecutionId) -> Option<Row> {
        self.sql.row(select_rows!("where id = ?"), [id.to_string()], Row::read)
    }

    fn remember(&self, id: ExecutionId, row: &RowPlace, execution: &Execution) {
        let seen = Seen {
            seq: row.seq,
            lane: row.lane,
            columns: row.columns.clone(),
            is_live: execution.is_live(),
            signals: execution.signals.iter().map(|s| s.signal.signal_id).collect(),
            outward: Outward::of(execution),
        };
        self.seen.borrow_mut().insert(id, Some(seen));
    }

    fn seen(&self, id: ExecutionId) -> Option<Seen> {
        if !self.seen.borrow().contains_key(&id) {
            let _ = self.get(id);
        }
        self.seen.borrow().get(&id).cloned().flatten()
    }
}

/// What of a row outlives the record that was made from it.
struct RowPlace {
    seq: i64,
    lane: i64,
    columns: Columns,
}

impl PartitionStore for FilePartition {
    fn get(&self, id: ExecutionId) -> Option<Execution> {
        let Some(row) = self.row(id) else {
            self.seen.borrow_mut().insert(id, None);
            return None;
        };
        let place = RowPlace { seq: row.seq, lane: row.lane, columns: row.columns.clone() };
        match self.join(id, row) {
            Ok(execution) => {
                self.remember(id, &place, &execution);
                Some(execution)
            }
            Err(_) => {
                self.damaged.borrow_mut().insert(id);
                None
            }
        }
    }

    fn put(&mut self, execution: Execution) {
        let id = execution.id();
        let columns = Columns::of(&execution);
        let (is_live, outward) = (execution.is_live(), Outward::of(&execution));
        let before = self.seen(id);
        if let Some(before) = &before {
            self.note(before.lane, Some(&before.columns), &columns);
            self.notices.extend(before.outward.changes(&execution));
        }
        let parts = Parts::from(execution);
        let signals = parts.signals.iter().map(|s| s.signal.signal_id).collect();
        let (seq, lane) = match &before {
            Some(before) => {
                self.update(before, &columns, &parts);
                (before.seq, before.lane)
            }
            None => self.insert(id, &columns, &parts),
        };
        let known = before.as_ref().map_or(&[][..], |before| &before.signals);
        if !(known.is_empty() && parts.signals.is_empty()) {
            self.keep_signals(seq, known, &parts.signals);
        }
        let was_due = before.as_ref().and_then(|before| before.columns.due_at);
        if was_due != columns.due_at {
            self.kept.borrow_mut().timer_moved(self.number, id, columns.due_at);
        }
        let was_live = before.is_some_and(|before| before.is_live);
        if was_live != is_live {
            self.count_route(lane, &parts.definition.route, is_live);
        }
        let seen = Seen { seq, lane, columns, is_live, signals, outward };
        self.seen.borrow_mut().insert(id, Some(seen));
    }

    fn remove(&mut self, id: ExecutionId) {
        let Some(seen) = self.seen(id) else {
            self.set_aside(id);
            return;
        };
        if seen.is_live {
            let route = self.definitions.route(&self.sql, id, seen.seq, seen.lane);
            self.count_route(seen.lane, &route.unwrap_or_default(), false);
        }
        for delete in [
            "delete from frames where seq = ?",
            "delete from signals where seq = ?",
            "delete from definitions where seq = ?",
            "delete from executions where seq = ?",
        ] {
            self.sql.run(delete, [seen.seq]);
        }
        self.kept.borrow_mut().timer_moved(self.number, id, None);
        self.definitions.forget(seen.seq);
        self.seen.borrow_mut().insert(id, None);
    }

    fn ready_routes(&self, namespace: &Namespace, lane: &LaneId) -> Vec<String> {
        let Some(lane) = self.find_lane(namespace, lane) else {
            return Vec::new();
        };
        // Some of them may hold nothing that is ready; their head tells.
        std::iter::once(String::new()).chain(self.routes(lane)).collect()
    }

    fn live_routes(&self, namespace: &Namespace, lane: &LaneId, route: &str) -> (usize, bool) {
        let Some(lane) = self.find_lane(namespace, lane) else {
            return (0, false);
        };
        let routes = self.routes(lane);
        (routes.len(), routes.contains(route))
    }

    fn ready_head(
        &self,
        namespace: &Namespace,
        lane: &LaneId,
        route: &str,
    ) -> Option<(i64, ExecutionId)> {
        let lane = self.find_lane(namespace, lane)?;
        let select = "select score, id from executions \
                      where lane = ? and owner = 'ready' and route = ? order by score, id limit 1";
        let head = self.sql.row(select, params![lane, route], entry_of)?;
        self.entry(head)
    }

    fn due_head(&self) -> Option<(TimestampMs, ExecutionId)> {
        let kept = self.kept.borrow().due_head(self.number);
        let head = kept.unwrap_or_else(|| {
            let select = "select due_at, id from executions \
                          where partition = ? and due_at is not null order by due_at, id limit 1";
            let head = self.sql.row(select, [self.number], entry_of);
            let head = head.and_then(|head| self.entry(head));
            self.kept.borrow_mut().keep_due_head(self.number, head);
            head
        });
        head.map(|(at, id)| (time_of(at), id))
    }

    fn idempotency(&self, namespace: &Namespace, key: &str) -> Option<IdempotencyEntry> {
        let select = "select execution_id, expires_at from idempotency \
                      where partition = ? and namespace = ? and key = ?";
        let params = params![self.number, namespace.as_str(), key];
        let (id, expires_at) = self
            .sql
            .row(select, params, |row| Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?)))?;
        let execution_id = self.sql.sound(id.parse().map_err(|e| damaged("idempotency", e)))?;
        Some(IdempotencyEntry { execution_id, expires_at: time_of(expires_at) })
    }

    fn remember_key(&mut self, namespace: &Namespace, key: &str, entry: IdempotencyEntry) {
        let replace = "insert or replace into idempotency \
                       (partition, namespace, key, execution_id, expires_at) \
                       values (?, ?, ?, ?, ?)";
        let (id, expires_at) = (entry.execution_id.to_string(), column_of(entry.expires_at));
        self.sql.run(replace, params![self.number, namespace.as_str(), key, id, expires_at]);
    }

    fn claim_memory(&self, slot: &ClaimSlot) -> Option<ClaimMemory> {
        let select = "select memory from claims \
                      where partition = ? and namespace = ? and instance = ? and slot = ?";
        let ClaimSlot { namespace, worker_instance_id, slot } = slot;
        let params = params![self.number, namespace.as_str(), worker_instance_id.as_str(), slot];
        let json: String = self.sql.row(select, params, |row| row.get(0))?;
        self.sql.parsed("claim memory", &json)
    }

    fn remember_claim(&mut self, slot: ClaimSlot, memory: ClaimMemory) {
        let upsert = "insert into claims \
                      (partition, namespace, instance, slot, memory, expires_at) \
                      values (?, ?, ?, ?, ?, ?) \
                      on conflict do update set memory = excluded.memory, \
                      expires_at = excluded.expires_at";
        let ClaimSlot { namespace, worker_instance_id, slot } = slot;
        let (instance, expires_at) =
            (worker_instance_id.as_str(), column_of(memory.forgotten_at()));
        let json = self.sql.document("claim memory", &memory);
        let params = params![self.number, namespace.as_str(), instance, slot, json, expires_at];
        self.sql.run(upsert, params);
    }

    fn push_frames(&mut self, id: ExecutionId, attempt: AttemptIndex, frames: Vec<StreamFrame>) {
        let Some(seen) = self.seen(id) else { return };
        let insert = "insert into frames \
                      (seq, attempt, at, sequence, frame_type, payload, correlation_id) \
                      values (?, ?, ?, ?, ?, ?, ?)";
        for frame in frames {
            let (at, sequence) = (column_of(frame.id.at), frame.id.sequence);
            let payload = frame.payload.as_ref();
            let StreamFrame { frame_type, correlation_id, .. } = &frame;
            let params = params![
                seen.seq,
                attempt.0,
                at,
                number_of(sequence),
                frame_type,
                payload,
                correlation_id
            ];
            self.sql.run(insert, params);
        }
    }

    fn drop_stream(&mut self, id: ExecutionId, attempt: AttemptIndex) {
        if let Some(seen) = self.seen(id) {
            let delete = "delete from frames where seq = ? and attempt = ?";
            self.sql.run(delete, params![seen.seq, attempt.0]);
        }
    }

    fn drop_oldest_frame(&mut self, id: ExecutionId, attempt: AttemptIndex) -> usize {
        let Some(seen) = self.seen(id) else { return 0 };
        let select = "select at, sequence, length(payload) from frames \
                      where seq = ? and attempt = ? order by at, sequence limit 1";
        let oldest = self.sql.row(select, params![seen.seq, attempt.0], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let Some((at, sequence, bytes)) = oldest else { return 0 };
        let delete = "delete from frames where seq = ? and attempt = ? and at = ? and sequence = ?";
        self.sql.run(delete, params![seen.seq, attempt.0, at, sequence]);
        usize::try_from(bytes).unwrap_or(0)
    }
}

pub(super) fn entry_of(row: &rusqlite::Row<'_>) -> rusqlite::Result<(i64, String)> {
    Ok((row.get(0)?, row.get(1)?))
}

impl FilePartition {
    pub(super) fn entry(&self, (score, id): (i64, String)) -> Option<(i64, ExecutionId)> {
        let id = id.parse().map_err(|error| damaged("execution id", error));
        self.sql.sound(id).map(|id| (score, id))
    }

    /// Takes a record that cannot be read out of every index, so that it stops nobody; `doctor`
    /// tells of it.
    fn set_aside(&self, id: ExecutionId) {
        if self.damaged.borrow().contains(&id) {
            let update = "update executions set owner = 'damaged', due_at = null where id = ?";
            self.sql.run(update, [id.to_string()]);
            self.kept.borrow_mut().timer_moved(self.number, id, None);
        }
    }
}

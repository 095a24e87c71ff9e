//! One partition of the file, inside a transaction: records, and the columns that are its indexes.

use super::definitions;
use super::kept::{Kept, Place, Stored, WINDOW_FILL};
use super::record::{Parts, Record};
use super::row::{Columns, Row, column_of, number_of, select_rows, time_of};
use super::sql::{Sql, damaged};
use crate::notice;
use bytes::Bytes;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::stream::StreamFrame;
use ff_core::policy::EffectivePolicy;
use ff_core::{AttemptIndex, ExecutionId, LaneId, Namespace, TimestampMs};
use ff_lifecycle::store::{ClaimMemory, ClaimSlot, IdempotencyEntry};
use ff_lifecycle::{AcceptedSignal, Execution, PartitionStore};
use rusqlite::{Params, params};
use std::cell::RefCell;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

/// What a record weighs in memory besides its document, its signals and its payloads.
const RECORD_BYTES: usize = 1_024;

/// Partitions take turns on one connection: this is the one whose turn it is.
#[derive(Debug)]
pub struct FilePartition {
    pub(super) sql: Sql,
    pub(super) number: u16,
    pub(super) notices: Vec<Notice>,
    pub(super) kept: RefCell<Kept>,
    /// The policy that was written last, and how.
    pub(super) last_policy: RefCell<Option<(EffectivePolicy, Arc<str>)>>,
    /// Records that the operation has looked for in vain.
    missing: RefCell<HashSet<ExecutionId>>,
    /// Records that the operation could not read.
    damaged: RefCell<BTreeSet<ExecutionId>>,
}

impl FilePartition {
    pub(super) fn new(sql: Sql) -> Self {
        Self {
            sql,
            number: 0,
            notices: Vec::new(),
            kept: RefCell::default(),
            last_policy: RefCell::default(),
            missing: RefCell::default(),
            damaged: RefCell::default(),
        }
    }

    /// Begins a transaction, told how much other connections have committed.
    pub(super) fn begin_transaction(&self, commits: i64) {
        self.kept.borrow_mut().begin(commits);
    }

    /// Forgets what was read.
    pub(super) fn forget(&self) {
        *self.kept.borrow_mut() = Kept::default();
    }

    /// Forgets what is kept of a transaction that was undone.
    pub(super) fn undone(&mut self) {
        self.forget();
        self.notices.clear();
        self.sql.take_fault();
    }

    /// Begins an operation.
    pub(super) fn begin(&self) {
        self.missing.borrow_mut().clear();
        self.damaged.borrow_mut().clear();
    }

    /// Returns what the operation could not read, the first of it.
    pub(super) fn take_damaged(&self) -> Option<ExecutionId> {
        self.damaged.borrow_mut().pop_first()
    }

    /// Puts a record together from its row.
    pub(super) fn join(&self, id: ExecutionId, row: Row) -> Result<Execution, String> {
        let definition = definitions::read(&self.sql, id, row.seq, row.lane)?;
        let record: Record =
            serde_json::from_str(&row.record).map_err(|error| error.to_string())?;
        let signals = if row.signals > 0 { self.signals_of(row.seq)? } else { Vec::new() };
        let result = row.result.map(Bytes::from);
        Ok(Parts { definition: Arc::new(definition), record, signals, result }.into())
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
        if let Some(known) = self.kept.borrow().lane(&key) {
            return Some(known);
        }
        let select = "select lane from lanes where partition = ? and namespace = ? and name = ?";
        let name = params![self.number, namespace.as_str(), lane.as_str()];
        let number = self.sql.row(select, name, |row| row.get(0))?;
        self.kept.borrow_mut().keep_lane(key, number);
        Some(number)
    }

    /// Lists the routes of the live records of a lane, the empty one aside.
    pub(super) fn routes(&self, lane: i64) -> BTreeSet<String> {
        if let Some(kept) = self.kept.borrow().routes(lane) {
            return kept.clone();
        }
        let select = "select route from routes where lane = ?";
        let routes = self.sql.rows(select, [lane], |row| row.get(0));
        let routes: BTreeSet<String> = routes.into_iter().collect();
        self.kept.borrow_mut().keep_routes(lane, routes.clone());
        routes
    }

    /// Returns the first place of the ready index of a lane and a route.
    pub(super) fn ready_head_of(&self, lane: i64, route: &str) -> Option<Place> {
        if let Some(head) = self.kept.borrow().ready_head(lane, route) {
            return head;
        }
        let select = "select score, id from executions where lane = ? and owner = 'ready' \
                      and route = ? order by score, id limit ?";
        let first = self.places(select, params![lane, route, number_of(WINDOW_FILL)])?;
        let head = first.first().copied();
        self.kept.borrow_mut().keep_ready(lane, route, first);
        head
    }

    /// Reads places; `None` if one cannot be read.
    pub(super) fn places(&self, select: &str, params: impl Params) -> Option<Vec<Place>> {
        let rows = self
            .sql
            .rows(select, params, |row| Ok((row.get::<_, i64>(0)?, row.get::<_, String>(1)?)));
        let place = |(score, id): (i64, String)| {
            let id = id.parse().map_err(|error| damaged("execution id", error));
            self.sql.sound(id).map(|id| (score, id))
        };
        rows.into_iter().map(place).collect()
    }

    /// Reads the first timers of the partition, of what is over and of the rest.
    fn first_timers(&self) -> Option<Vec<Place>> {
        let params = params![self.number, number_of(WINDOW_FILL)];
        let live = "select due_at, id from executions where partition = ? and due_at is not null \
                    and owner <> 'done' order by due_at, id limit ?";
        let over = "select due_at, id from executions where partition = ? and due_at is not null \
                    and owner = 'done' order by due_at, id limit ?";
        let mut first = self.places(live, params)?;
        first.extend(self.places(over, params)?);
        first.sort_unstable();
        first.truncate(WINDOW_FILL);
        Some(first)
    }

    /// Reads a record to be kept, unless it is.
    fn load(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        if let Some(stored) = self.kept.borrow().records.get(id) {
            return Some(Arc::clone(&stored.execution));
        }
        if self.missing.borrow().contains(&id) {
            return None;
        }
        let row = self.sql.row(select_rows!("where id = ?"), [id.to_string()], Row::read);
        let Some(row) = row else {
            self.missing.borrow_mut().insert(id);
            return None;
        };
        let (seq, lane, columns) = (row.seq, row.lane, row.columns.clone());
        let document_bytes = row.record.len();
        let Ok(execution) = self.join(id, row) else {
            self.damaged.borrow_mut().insert(id);
            return None;
        };
        let execution = Arc::new(execution);
        let bytes = weight(&execution, document_bytes);
        let stored = Stored { seq, lane, columns, execution: Arc::clone(&execution) };
        self.kept.borrow_mut().records.keep(id, stored, bytes);
        Some(execution)
    }

    /// Takes a record out of what is kept.
    fn take(&self, id: ExecutionId) -> Option<Stored> {
        self.load(id)?;
        self.kept.borrow_mut().records.take(id)
    }

    /// Returns the number of the row of a record.
    fn seq(&self, id: ExecutionId) -> Option<i64> {
        self.load(id)?;
        self.kept.borrow().records.get(id).map(|stored| stored.seq)
    }
}

fn weight(execution: &Execution, document_bytes: usize) -> usize {
    let payload =
        |s: &AcceptedSignal| RECORD_BYTES + s.signal.payload.as_ref().map_or(0, Bytes::len);
    let signals: usize = execution.signals.iter().map(payload).sum();
    let result = execution.result.as_ref().map_or(0, Bytes::len);
    RECORD_BYTES + document_bytes + signals + result + execution.definition.input.len()
}

impl PartitionStore for FilePartition {
    fn get(&self, id: ExecutionId) -> Option<Arc<Execution>> {
        self.load(id)
    }

    fn put(&mut self, execution: Execution) {
        let id = execution.id();
        let columns = Columns::of(&execution);
        let is_live = execution.is_live();
        let before = self.take(id);
        if let Some(before) = &before {
            self.note(before.lane, Some(&before.columns), &columns);
            self.notices.extend(notice::changes(&before.execution, &execution));
        }
        let parts = Parts::from(execution);
        let (seq, lane, document_bytes) = match &before {
            Some(before) => (before.seq, before.lane, self.update(before, &columns, &parts)),
            None => self.insert(id, &columns, &parts),
        };
        let known = before.as_ref().map_or(&[][..], |before| &before.execution.signals);
        if !(known.is_empty() && parts.signals.is_empty()) {
            self.keep_signals(seq, known, &parts.signals);
        }
        let was_live = before.as_ref().is_some_and(|before| before.execution.is_live());
        if was_live != is_live {
            self.count_route(lane, &parts.definition.route, is_live);
        }
        let mut kept = self.kept.borrow_mut();
        let was = before.as_ref().map(|before| &before.columns);
        kept.moved((self.number, lane, id), was, Some(&columns));
        self.missing.borrow_mut().remove(&id);
        // Hardly anybody asks again for what is over.
        if is_live {
            let execution = Arc::new(Execution::from(parts));
            let bytes = weight(&execution, document_bytes);
            kept.records.keep(id, Stored { seq, lane, columns, execution }, bytes);
        }
    }

    fn remove(&mut self, id: ExecutionId) {
        let Some(stored) = self.take(id) else {
            self.set_aside(id);
            return;
        };
        if stored.execution.is_live() {
            self.count_route(stored.lane, &stored.execution.definition.route, false);
        }
        for delete in [
            "delete from frames where seq = ?",
            "delete from signals where seq = ?",
            "delete from definitions where seq = ?",
            "delete from executions where seq = ?",
        ] {
            self.sql.run(delete, [stored.seq]);
        }
        let place = (self.number, stored.lane, id);
        self.kept.borrow_mut().moved(place, Some(&stored.columns), None);
        self.missing.borrow_mut().insert(id);
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
        self.ready_head_of(lane, route)
    }

    fn due_head(&self) -> Option<(TimestampMs, ExecutionId)> {
        let kept = self.kept.borrow().due_head(self.number);
        let head = match kept {
            Some(head) => head,
            None => {
                let first = self.first_timers()?;
                let head = first.first().copied();
                self.kept.borrow_mut().keep_due(self.number, first);
                head
            }
        };
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
        let key = (self.number, slot.clone());
        if let Some(kept) = self.kept.borrow().claim(&key) {
            return Some(kept.clone());
        }
        let select = "select memory from claims \
                      where partition = ? and namespace = ? and instance = ? and slot = ?";
        let ClaimSlot { namespace, worker_instance_id, slot } = slot;
        let params = params![self.number, namespace.as_str(), worker_instance_id.as_str(), slot];
        let json: String = self.sql.row(select, params, |row| row.get(0))?;
        let memory: ClaimMemory = self.sql.parsed("claim memory", &json)?;
        self.kept.borrow_mut().keep_claim(key, memory.clone());
        Some(memory)
    }

    fn remember_claim(&mut self, slot: ClaimSlot, memory: ClaimMemory) {
        let upsert = "insert into claims \
                      (partition, namespace, instance, slot, memory, expires_at) \
                      values (?, ?, ?, ?, ?, ?) \
                      on conflict do update set memory = excluded.memory, \
                      expires_at = excluded.expires_at";
        let (namespace, instance) = (slot.namespace.as_str(), slot.worker_instance_id.as_str());
        let json = self.sql.document("claim memory", &memory);
        let expires_at = column_of(memory.forgotten_at());
        let params = params![self.number, namespace, instance, slot.slot, json, expires_at];
        self.sql.run(upsert, params);
        self.kept.borrow_mut().keep_claim((self.number, slot), memory);
    }

    fn push_frames(&mut self, id: ExecutionId, attempt: AttemptIndex, frames: Vec<StreamFrame>) {
        let Some(seq) = self.seq(id) else { return };
        let insert = "insert into frames \
                      (seq, attempt, at, sequence, frame_type, payload, correlation_id) \
                      values (?, ?, ?, ?, ?, ?, ?)";
        for frame in frames {
            let (at, sequence) = (column_of(frame.id.at), frame.id.sequence);
            let payload = frame.payload.as_ref();
            let StreamFrame { frame_type, correlation_id, .. } = &frame;
            let params = params![
                seq,
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
        if let Some(seq) = self.seq(id) {
            let delete = "delete from frames where seq = ? and attempt = ?";
            self.sql.run(delete, params![seq, attempt.0]);
        }
    }

    fn drop_oldest_frame(&mut self, id: ExecutionId, attempt: AttemptIndex) -> usize {
        let Some(seq) = self.seq(id) else { return 0 };
        let select = "select at, sequence, length(payload) from frames \
                      where seq = ? and attempt = ? order by at, sequence limit 1";
        let oldest = self.sql.row(select, params![seq, attempt.0], |row| {
            Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
        });
        let Some((at, sequence, bytes)) = oldest else { return 0 };
        let delete = "delete from frames where seq = ? and attempt = ? and at = ? and sequence = ?";
        self.sql.run(delete, params![seq, attempt.0, at, sequence]);
        usize::try_from(bytes).unwrap_or(0)
    }
}

impl FilePartition {
    /// Takes a record that cannot be read out of every index, so that it stops nobody; `doctor`
    /// tells of it.
    fn set_aside(&self, id: ExecutionId) {
        if self.damaged.borrow().contains(&id) {
            let update = "update executions set owner = 'damaged', due_at = null where id = ?";
            self.sql.run(update, [id.to_string()]);
            self.forget();
        }
    }
}

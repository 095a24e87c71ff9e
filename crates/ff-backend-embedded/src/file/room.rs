//! The whole file inside a transaction.

use super::doctor;
use super::partition::FilePartition;
use super::row::{column_of, number_of, time_of};
use super::sql::{Fault, Sql, damaged};
use crate::listing::LaneKey;
use crate::store::{PartitionRoom, Room};
use ff_core::contracts::admin::Diagnosis;
use ff_core::contracts::budget::{BudgetInfo, ReportUsageResult};
use ff_core::contracts::claim::RegisteredWorker;
use ff_core::contracts::notice::Notice;
use ff_core::contracts::stream::{FrameId, ReadStream, StreamCursor, StreamFrame};
use ff_core::error::BugKind;
use ff_core::limits::READ_REPLY_BYTES_MAX;
use ff_core::partition::{Partition, PartitionMap};
use ff_core::policy::LaneDefaults;
use ff_core::state::OwnerIndex;
use ff_core::token::{Keyring, Secret};
use ff_core::{
    AttemptIndex, BudgetId, EngineError, EngineResult, ExecutionId, KeyId, LaneId, LeaseEpoch,
    MutationId, Namespace, TimestampMs, WorkerInstanceId,
};
use ff_lifecycle::BudgetStore;
use ff_lifecycle::store::UsageMemory;
use rusqlite::params;
use serde::Serialize;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Rows of one table that are forgotten at a time.
const FORGET_ROWS_MAX: u32 = 1_000;

/// The file, through one connection.
#[derive(Debug)]
pub struct FileRoom {
    pub(super) partition: FilePartition,
    map: PartitionMap,
}

impl FileRoom {
    pub(super) fn new(sql: Sql, map: PartitionMap) -> Self {
        Self { partition: FilePartition::new(sql), map }
    }

    pub(super) const fn sql(&self) -> &Sql {
        &self.partition.sql
    }

    /// Runs an operation. A fault means that the transaction cannot stand.
    pub(super) fn run<T>(
        &mut self,
        now: TimestampMs,
        rule: impl Fn(&mut Self, TimestampMs) -> EngineResult<T>,
    ) -> Result<EngineResult<T>, Fault> {
        self.partition.begin();
        let run = AssertUnwindSafe(|| rule(self, now));
        let outcome = catch_unwind(run).map_err(|_| Fault::Panicked)?;
        let damaged = self.partition.take_damaged();
        let told = |execution_id| BugKind::RecordDamaged { execution_id }.into();
        if let Some(fault) = self.sql().take_fault() {
            return Err(match damaged {
                Some(id) => Fault::Record(id),
                None => fault,
            });
        }
        Ok(match (outcome, damaged) {
            (Err(EngineError::NotFound { .. }), Some(id)) => Err(told(id)),
            (outcome, _) => outcome,
        })
    }

    /// Returns what SQLite counts of the commits of other connections.
    pub(super) fn count_commits(&self) -> rusqlite::Result<i64> {
        let mut count = self.sql().connection().prepare_cached("pragma data_version")?;
        count.query_row([], |row| row.get(0))
    }

    pub(super) fn take_notices(&mut self) -> Vec<Notice> {
        std::mem::take(&mut self.partition.notices)
    }

    /// Forgets keys, claims, usage and workers whose time is over, a bounded number of each.
    pub(super) fn forget_lapsed(&self, now: TimestampMs) {
        self.sql().run("delete from claims where expires_at <= ?", [column_of(now)]);
        for table in ["idempotency", "usage_memory"] {
            let delete = format!(
                "delete from {table} where rowid in \
                 (select rowid from {table} where expires_at <= ? limit {FORGET_ROWS_MAX})"
            );
            self.sql().run(&delete, [column_of(now)]);
        }
    }

    fn meta<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        let select = "select value from meta where name = ?";
        let json: Option<String> = self.sql().row(select, [name], |row| row.get(0));
        if json.is_none() {
            self.sql().blame(damaged(name, "the file does not hold it"));
        }
        self.sql().parsed(name, &json?)
    }

    fn remember(
        &self,
        budget_id: BudgetId,
        (kind, name): (&str, &str),
        value: &impl Serialize,
        expires_at: TimestampMs,
    ) {
        let upsert = "insert into usage_memory (budget, kind, name, value, expires_at) \
                      values (?, ?, ?, ?, ?) on conflict do update set \
                      value = excluded.value, expires_at = excluded.expires_at";
        let json = self.sql().document("usage memory", value);
        let params = params![budget_id.to_string(), kind, name, json, column_of(expires_at)];
        self.sql().run(upsert, params);
    }

    fn remembered<T: serde::de::DeserializeOwned>(
        &self,
        budget_id: BudgetId,
        kind: &str,
        name: &str,
    ) -> Option<(T, TimestampMs)> {
        let select = "select value, expires_at from usage_memory \
                      where budget = ? and kind = ? and name = ?";
        let (json, at) =
            self.sql().row(select, params![budget_id.to_string(), kind, name], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, i64>(1)?))
            })?;
        Some((self.sql().parsed("usage memory", &json)?, time_of(at)))
    }
}

const CALL: &str = "call";
const KEY: &str = "key";
const EPOCH: &str = "epoch";

impl BudgetStore for FileRoom {
    fn budget(&self, budget_id: BudgetId) -> Option<BudgetInfo> {
        let select = "select info from budgets where id = ?";
        let json: String = self.sql().row(select, [budget_id.to_string()], |row| row.get(0))?;
        self.sql().parsed("budget", &json)
    }

    fn put_budget(&mut self, info: BudgetInfo) {
        let upsert = "insert into budgets (id, info) values (?, ?) \
                      on conflict do update set info = excluded.info";
        let json = self.sql().document("budget", &info);
        self.sql().run(upsert, params![info.budget_id.to_string(), json]);
    }

    fn reported(
        &self,
        budget_id: BudgetId,
        mutation_id: MutationId,
    ) -> Option<(ReportUsageResult, TimestampMs)> {
        self.remembered(budget_id, CALL, &mutation_id.to_string())
    }

    fn usage_key(&self, budget_id: BudgetId, dedup_key: &str) -> Option<TimestampMs> {
        self.remembered::<()>(budget_id, KEY, dedup_key).map(|((), at)| at)
    }

    fn usage_epoch(
        &self,
        budget_id: BudgetId,
        execution_id: ExecutionId,
    ) -> Option<(LeaseEpoch, TimestampMs)> {
        self.remembered(budget_id, EPOCH, &execution_id.to_string())
    }

    fn remember_usage(&mut self, memory: UsageMemory) {
        let (budget_id, at) = (memory.budget_id, memory.expires_at);
        self.remember(budget_id, (CALL, &memory.mutation_id.to_string()), &memory.result, at);
        if let Some(key) = &memory.dedup_key {
            self.remember(budget_id, (KEY, key), &(), at);
        }
        let id = memory.execution_id.to_string();
        self.remember(budget_id, (EPOCH, &id), &memory.lease_epoch, at);
    }
}

impl Room for FileRoom {
    type Partition = FilePartition;

    fn partition(&mut self, partition: Partition) -> EngineResult<&mut FilePartition> {
        if partition.number() >= self.map.count() {
            return Err(crate::outside(partition, self.map.count().into()));
        }
        self.partition.number = partition.number();
        Ok(&mut self.partition)
    }

    fn keyring(&self) -> Keyring {
        self.meta("keyring").unwrap_or_else(|| {
            // The fault is remembered: whatever is signed with this key reaches nobody.
            let kid = KeyId::new(crate::FIRST_KID).expect("the first key id is a legal name");
            Keyring::new(kid, Secret::generate())
        })
    }

    fn put_keyring(&mut self, keyring: Keyring) {
        let json = self.sql().document("keyring", &keyring);
        self.sql().run("update meta set value = ? where name = 'keyring'", [json]);
    }

    fn lane_defaults(&self, namespace: &Namespace, lane: &LaneId) -> LaneDefaults {
        let key = (namespace.clone(), lane.clone());
        if let Some(kept) = self.partition.kept.borrow().defaults(&key) {
            return kept.clone();
        }
        let select = "select defaults from lane_defaults where namespace = ? and name = ?";
        let params = params![namespace.as_str(), lane.as_str()];
        let json: Option<String> = self.sql().row(select, params, |row| row.get(0));
        let defaults = json.and_then(|json| self.sql().parsed("lane defaults", &json));
        let defaults: LaneDefaults = defaults.unwrap_or_default();
        self.partition.kept.borrow_mut().keep_defaults(key, defaults.clone());
        defaults
    }

    fn put_lane_defaults(&mut self, namespace: Namespace, lane: LaneId, defaults: LaneDefaults) {
        let upsert = "insert into lane_defaults (namespace, name, defaults) values (?, ?, ?) \
                      on conflict do update set defaults = excluded.defaults";
        let json = self.sql().document("lane defaults", &defaults);
        self.sql().run(upsert, params![namespace.as_str(), lane.as_str(), json]);
        self.partition.kept.borrow_mut().keep_defaults((namespace, lane), defaults);
    }

    fn worker(
        &self,
        namespace: &Namespace,
        instance: &WorkerInstanceId,
    ) -> Option<RegisteredWorker> {
        let select = "select registration from workers where namespace = ? and instance = ?";
        let params = params![namespace.as_str(), instance.as_str()];
        let json: String = self.sql().row(select, params, |row| row.get(0))?;
        self.sql().parsed("registration", &json)
    }

    fn put_worker(&mut self, worker: RegisteredWorker, now: TimestampMs) {
        self.sql().run("delete from workers where expires_at <= ?", [column_of(now)]);
        let upsert = "insert or replace into workers \
                      (namespace, instance, registration, expires_at) values (?, ?, ?, ?)";
        let json = self.sql().document("registration", &worker);
        let (identity, at) = (&worker.worker, column_of(worker.expires_at));
        let instance = identity.worker_instance_id.as_str();
        self.sql().run(upsert, params![identity.namespace.as_str(), instance, json, at]);
    }

    fn remove_worker(&mut self, namespace: &Namespace, instance: &WorkerInstanceId) {
        let delete = "delete from workers where namespace = ? and instance = ?";
        self.sql().run(delete, params![namespace.as_str(), instance.as_str()]);
    }

    fn workers(&self, namespace: &Namespace) -> Vec<RegisteredWorker> {
        let select = "select registration from workers where namespace = ? order by instance";
        let rows: Vec<String> = self.sql().rows(select, [namespace.as_str()], |row| row.get(0));
        rows.iter().filter_map(|json| self.sql().parsed("registration", json)).collect()
    }

    fn lane_counts(&self, namespace: &Namespace) -> BTreeMap<LaneId, BTreeMap<OwnerIndex, u64>> {
        let select = "select lane, name from lanes where namespace = ?";
        let lanes: Vec<(i64, String)> =
            self.sql().rows(select, [namespace.as_str()], |row| Ok((row.get(0)?, row.get(1)?)));
        let mut all: BTreeMap<LaneId, BTreeMap<OwnerIndex, u64>> = BTreeMap::new();
        let count = |index: OwnerIndex| {
            let owner = owner_is(index);
            format!("select count(*) from executions where lane = ? and {owner}")
        };
        for (lane, name) in lanes {
            let name = self.sql().sound(LaneId::new(name).map_err(|e| damaged("lane", e)));
            let Some(name) = name else { continue };
            let counts = all.entry(name).or_default();
            for index in OwnerIndex::ALL {
                let found: Option<i64> = self.sql().row(&count(*index), [lane], |row| row.get(0));
                *counts.entry(*index).or_default() +=
                    found.and_then(|found| u64::try_from(found).ok()).unwrap_or(0);
            }
        }
        all
    }

    fn examine(&mut self, fix: bool) -> Diagnosis {
        doctor::examine(&mut self.partition, self.map, fix)
    }
}

impl PartitionRoom for FilePartition {
    fn entries(
        &self,
        lane: &LaneKey,
        index: OwnerIndex,
        after: Option<(i64, ExecutionId)>,
        limit: usize,
    ) -> Vec<(i64, ExecutionId)> {
        let Some(lane) = self.find_lane(&lane.0, &lane.1) else {
            return Vec::new();
        };
        let (score, id) = after.map_or((i64::MIN, String::new()), |(s, id)| (s, id.to_string()));
        let count = number_of(limit);
        let behind = |route: &str| {
            let owner = owner_is(index);
            format!(
                "select score, id from executions where lane = ? and {owner} {route} \
                 and (score, id) > (?, ?) order by score, id limit ?"
            )
        };
        let mut entries = Vec::new();
        if index == OwnerIndex::Ready {
            let select = behind("and route = ?");
            for route in std::iter::once(String::new()).chain(self.routes(lane)) {
                let places = self.places(&select, params![lane, route, score, id, count]);
                entries.extend(places.unwrap_or_default());
            }
        } else {
            let places = self.places(&behind(""), params![lane, score, id, count]);
            entries.extend(places.unwrap_or_default());
        }
        entries.sort_unstable();
        entries.truncate(limit);
        entries
    }

    fn ahead(&self, lane: &LaneKey, route: &str, (score, id): (i64, ExecutionId)) -> u64 {
        let Some(lane) = self.find_lane(&lane.0, &lane.1) else { return 0 };
        let count = "select count(*) from executions \
                     where lane = ? and owner = 'ready' and route = ? and (score, id) < (?, ?)";
        let params = params![lane, route, score, id.to_string()];
        let ahead: Option<i64> = self.sql.row(count, params, |row| row.get(0));
        ahead.and_then(|ahead| u64::try_from(ahead).ok()).unwrap_or(0)
    }

    fn frames(&self, attempt: AttemptIndex, request: &ReadStream) -> Vec<StreamFrame> {
        let (from, to) = bounds(request);
        let select = "select f.at, f.sequence, f.frame_type, f.payload, f.correlation_id \
                      from frames f join executions e using (seq) \
                      where e.id = ? and f.attempt = ? \
                      and (f.at, f.sequence) >= (?, ?) and (f.at, f.sequence) <= (?, ?) \
                      order by f.at, f.sequence limit ?";
        let id = request.execution_id.to_string();
        let count = number_of(request.count_limit);
        let params = params![id, attempt.0, from.0, from.1, to.0, to.1, count];
        let read = || -> rusqlite::Result<Vec<StreamFrame>> {
            let mut statement = self.sql.connection().prepare_cached(select)?;
            let mut rows = statement.query(params)?;
            let (mut frames, mut bytes) = (Vec::new(), 0);
            while bytes < READ_REPLY_BYTES_MAX {
                let Some(row) = rows.next()? else { break };
                let payload: Vec<u8> = row.get(3)?;
                bytes += payload.len();
                let sequence = u64::try_from(row.get::<_, i64>(1)?).unwrap_or(0);
                frames.push(StreamFrame {
                    id: FrameId { at: time_of(row.get(0)?), sequence },
                    frame_type: row.get(2)?,
                    payload: payload.into(),
                    correlation_id: row.get(4)?,
                });
            }
            Ok(frames)
        };
        self.sql.sound(read()).unwrap_or_default()
    }
}

/// Returns the condition of an index as the schema has it: only then does SQLite look there.
const fn owner_is(index: OwnerIndex) -> &'static str {
    match index {
        OwnerIndex::Ready => "owner = 'ready'",
        OwnerIndex::Done => "owner = 'done'",
        OwnerIndex::Active => "owner = 'active' and owner <> 'ready' and owner <> 'done'",
        OwnerIndex::Delayed => "owner = 'delayed' and owner <> 'ready' and owner <> 'done'",
        OwnerIndex::Suspended => "owner = 'suspended' and owner <> 'ready' and owner <> 'done'",
        OwnerIndex::Blocked => "owner = 'blocked' and owner <> 'ready' and owner <> 'done'",
    }
}

/// Returns the first and the last place that a read asks for.
fn bounds(request: &ReadStream) -> ((i64, i64), (i64, i64)) {
    let place = |id: FrameId| (column_of(id.at), number_of(id.sequence));
    let from = match request.from {
        StreamCursor::Start | StreamCursor::End => (0, 0),
        StreamCursor::At(id) if request.after => {
            let (at, sequence) = place(id);
            (at, sequence.saturating_add(1))
        }
        StreamCursor::At(id) => place(id),
    };
    let to = match request.to {
        StreamCursor::Start | StreamCursor::End => (i64::MAX, i64::MAX),
        StreamCursor::At(id) => place(id),
    };
    (from, to)
}

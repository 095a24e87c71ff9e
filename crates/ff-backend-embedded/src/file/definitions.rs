//! Definitions: what never changes after the submission, read once and kept for a while.
//!
//! They are kept by the number of their row. A number is never given again, so what is kept can be
//! of no use but never wrong, whatever other processes do to the file.

use super::row::{column_of, number_of, time_of};
use super::sql::Sql;
use bytes::Bytes;
use ff_core::policy::EffectivePolicy;
use ff_core::{ExecutionId, LaneId, Namespace};
use ff_lifecycle::Definition;
use rusqlite::params;
use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

/// Bytes of inputs that are kept, and what a definition counts besides its input.
const KEPT_BYTES_MAX: usize = 32 * 1024 * 1024;
const DEFINITION_BYTES: usize = 1_024;
/// Entries of the order that may be stale.
const ORDER_SLACK: usize = 64;

#[derive(Debug, Default)]
pub(super) struct Definitions {
    kept: RefCell<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    by_seq: HashMap<i64, Arc<Definition>>,
    /// The order of arrival; the first goes first.
    order: VecDeque<i64>,
    bytes: usize,
}

impl Kept {
    fn add(&mut self, seq: i64, definition: Arc<Definition>) {
        self.bytes += weight(&definition);
        self.by_seq.insert(seq, definition);
        self.order.push_back(seq);
        while self.bytes > KEPT_BYTES_MAX {
            let Some(oldest) = self.order.pop_front() else { return };
            self.take(oldest);
        }
        // Numbers that were forgotten since stand in the order for nothing.
        if self.order.len() > 2 * self.by_seq.len() + ORDER_SLACK {
            self.order.retain(|seq| self.by_seq.contains_key(seq));
        }
    }

    fn take(&mut self, seq: i64) {
        if let Some(definition) = self.by_seq.remove(&seq) {
            self.bytes -= weight(&definition);
        }
    }
}

fn weight(definition: &Definition) -> usize {
    definition.input.len() + DEFINITION_BYTES
}

impl Definitions {
    /// Reads the definition of a record.
    pub(super) fn read(
        &self,
        sql: &Sql,
        id: ExecutionId,
        seq: i64,
        lane: i64,
    ) -> Result<Arc<Definition>, String> {
        if let Some(kept) = self.kept.borrow().by_seq.get(&seq) {
            return Ok(Arc::clone(kept));
        }
        let select = "select d.kind, d.fairness_key, d.policy, d.fingerprint, \
                      d.deadline_span_ms, d.created_at, d.input, l.namespace, l.name \
                      from definitions d, lanes l where d.seq = ? and l.lane = ?";
        let read = sql.row(select, params![seq, lane], |row| {
            Ok(Stored {
                kind: row.get(0)?,
                fairness_key: row.get(1)?,
                policy: row.get(2)?,
                fingerprint: row.get(3)?,
                deadline_span_ms: row.get(4)?,
                created_at: row.get(5)?,
                input: row.get(6)?,
                namespace: row.get(7)?,
                lane: row.get(8)?,
            })
        });
        let stored = read.ok_or("it has no definition")?;
        let definition = Arc::new(stored.definition(id)?);
        self.kept.borrow_mut().add(seq, Arc::clone(&definition));
        Ok(definition)
    }

    /// Reads the route of a record.
    pub(super) fn route(&self, sql: &Sql, id: ExecutionId, seq: i64, lane: i64) -> Option<String> {
        self.read(sql, id, seq, lane).ok().map(|definition| definition.route.clone())
    }

    pub(super) fn write(&self, sql: &Sql, seq: i64, definition: &Arc<Definition>) {
        let insert = "insert into definitions (seq, kind, fairness_key, policy, fingerprint, \
                      deadline_span_ms, created_at, input) values (?, ?, ?, ?, ?, ?, ?, ?)";
        let policy = sql.document("policy", &definition.policy);
        let span = definition.deadline_span_ms.map(number_of);
        sql.run(
            insert,
            params![
                seq,
                definition.kind.as_str(),
                definition.fairness_key.as_ref().map(|key| key.as_str()),
                policy,
                definition.fingerprint,
                span,
                column_of(definition.created_at),
                definition.input.as_ref(),
            ],
        );
        self.kept.borrow_mut().add(seq, Arc::clone(definition));
    }

    pub(super) fn forget(&self, seq: i64) {
        self.kept.borrow_mut().take(seq);
    }

    /// Forgets everything: the numbers that an undone transaction gave are given again.
    pub(super) fn clear(&self) {
        *self.kept.borrow_mut() = Kept::default();
    }
}

struct Stored {
    kind: String,
    fairness_key: Option<String>,
    policy: String,
    fingerprint: String,
    deadline_span_ms: Option<i64>,
    created_at: i64,
    input: Vec<u8>,
    namespace: String,
    lane: String,
}

impl Stored {
    fn definition(self, id: ExecutionId) -> Result<Definition, String> {
        let wrong = |error: ff_core::EngineError| error.to_string();
        let policy: EffectivePolicy =
            serde_json::from_str(&self.policy).map_err(|error| error.to_string())?;
        let fairness_key = self.fairness_key.map(ff_core::FairnessKey::new).transpose();
        Ok(Definition {
            execution_id: id,
            namespace: Namespace::new(self.namespace).map_err(wrong)?,
            lane: LaneId::new(self.lane).map_err(wrong)?,
            kind: ff_core::ExecutionKind::new(self.kind).map_err(wrong)?,
            fairness_key: fairness_key.map_err(wrong)?,
            route: policy.route(),
            policy,
            fingerprint: self.fingerprint,
            input: Bytes::from(self.input),
            deadline_span_ms: self.deadline_span_ms.and_then(|span| u64::try_from(span).ok()),
            created_at: time_of(self.created_at),
        })
    }
}

//! Definitions: what never changes after the submission.

use super::row::{column_of, number_of, time_of};
use super::sql::Sql;
use bytes::Bytes;
use ff_core::policy::EffectivePolicy;
use ff_core::{ExecutionId, LaneId, Namespace};
use ff_lifecycle::Definition;
use rusqlite::params;

/// Reads the definition of a record, by the numbers of its row and of its lane.
pub(super) fn read(sql: &Sql, id: ExecutionId, seq: i64, lane: i64) -> Result<Definition, String> {
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
    read.ok_or("it has no definition")?.definition(id)
}

pub(super) fn write(sql: &Sql, seq: i64, definition: &Definition, policy: &str) {
    let insert = "insert into definitions (seq, kind, fairness_key, policy, fingerprint, \
                  deadline_span_ms, created_at, input) values (?, ?, ?, ?, ?, ?, ?, ?)";
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

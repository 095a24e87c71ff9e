//! Submit: hand executions to the engine.

use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::ids::ExecutionId;
use crate::limits::{
    IDEMPOTENCY_KEY_BYTES_MAX, IDEMPOTENCY_WINDOW_MS_DEFAULT, IDEMPOTENCY_WINDOW_MS_MAX,
    PAYLOAD_BYTES_MAX, SUBMIT_CALL_BYTES_MAX, SUBMIT_CALL_ITEMS_MAX, SUBMIT_ITEMS_MAX,
};
use crate::name::{ExecutionKind, FairnessKey, LaneId, Namespace, check_label};
use crate::partition::PartitionMap;
use crate::policy::{ExecutionPolicy, between};
use base64::Engine as _;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::fmt;

/// How safely a submission is stored before it is acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Durability {
    /// As the store keeps it by itself. The only level that is confirmed so far; the others are
    /// refused rather than promised.
    #[default]
    Memory,
    /// On disk, in the append-only file.
    Aof,
    /// On this many replicas.
    Replicas(u8),
}

/// Lets a submission be made twice under different execution ids.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The caller's key, unique in the namespace: 1 to 256 bytes, no control characters.
    pub key: String,
    /// How long the key answers the first id, 1 ms to 90 days.
    pub window_ms: u64,
}

impl Idempotency {
    /// Takes a key with the default window of a day.
    pub fn key(key: impl Into<String>) -> Self {
        Self { key: key.into(), window_ms: IDEMPOTENCY_WINDOW_MS_DEFAULT }
    }
}

/// One execution to be submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitExecution {
    /// The id; its partition must be the home of the idempotency key if there is one.
    pub execution_id: ExecutionId,
    /// The namespace of the lane.
    pub namespace: Namespace,
    /// The lane to queue in.
    pub lane: LaneId,
    /// What it does.
    pub kind: ExecutionKind,
    /// What the worker gets: at most 1 MiB, any bytes.
    pub input: Bytes,
    /// How it is to be run.
    pub policy: ExecutionPolicy,
    /// Lets the submission be repeated under another execution id.
    pub idempotency: Option<Idempotency>,
    /// The tenant among those that share the lane.
    pub fairness_key: Option<FairnessKey>,
    /// How safely to store it.
    pub durability: Durability,
}

impl SubmitExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self, partitions: PartitionMap) -> EngineResult<()> {
        if self.input.len() > PAYLOAD_BYTES_MAX {
            return Err(EngineError::validation(
                ValidationKind::TooLarge,
                format!("input is {} bytes, the limit is {PAYLOAD_BYTES_MAX}", self.input.len()),
            ));
        }
        if self.durability != Durability::Memory {
            return Err(EngineError::validation(
                ValidationKind::Argument,
                format!("durability {:?} cannot be confirmed yet, use Memory", self.durability),
            ));
        }
        if self.execution_id.partition().number() >= partitions.count() {
            return Err(EngineError::validation(
                ValidationKind::Id,
                format!(
                    "{} lies outside the {} partitions of this store",
                    self.execution_id,
                    partitions.count()
                ),
            ));
        }
        if let Some(idempotency) = &self.idempotency {
            self.check_idempotency(idempotency, partitions)?;
        }
        self.policy.check()
    }

    fn check_idempotency(
        &self,
        idempotency: &Idempotency,
        partitions: PartitionMap,
    ) -> EngineResult<()> {
        let key = idempotency.key.as_str();
        between("idempotency key bytes", key.len() as u64, 1, IDEMPOTENCY_KEY_BYTES_MAX as u64)?;
        check_label("idempotency key", key, IDEMPOTENCY_KEY_BYTES_MAX)?;
        let window_ms = idempotency.window_ms;
        between("idempotency window_ms", window_ms, 1, IDEMPOTENCY_WINDOW_MS_MAX)?;
        let home = partitions.home(self.namespace.as_str(), key);
        if home == self.execution_id.partition() {
            return Ok(());
        }
        Err(EngineError::validation(
            ValidationKind::Id,
            format!("idempotency key {key:?} has its home in {home}: make the id there"),
        ))
    }

    /// Returns a digest of everything but the execution id: two requests with the same id are the
    /// same submission when their fingerprints are equal. 22 characters of base64url.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut part = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_be_bytes());
            hash.update(bytes);
        };
        part(self.namespace.as_str().as_bytes());
        part(self.lane.as_str().as_bytes());
        part(self.kind.as_str().as_bytes());
        part(&self.input);
        // The policy's debug form lists every field in a fixed order; sets and maps are sorted.
        part(format!("{:?}", self.policy).as_bytes());
        part(format!("{:?} {:?}", self.idempotency, self.fairness_key).as_bytes());
        let digest = hash.finalize();
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&digest[..16])
    }
}

/// Executions to be submitted together, each with an outcome of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmitExecutions {
    /// At most 10 000. Items of one partition travel together.
    pub items: Vec<SubmitExecution>,
}

impl SubmitExecutions {
    /// Refuses too many items; each item is checked by itself.
    pub fn check(&self) -> EngineResult<()> {
        between("submit items", self.items.len() as u64, 0, SUBMIT_ITEMS_MAX as u64)
    }
}

/// What became of a submission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExecutionSubmitted {
    /// It was taken in, now or by an earlier call with the same execution id and content.
    Created {
        /// The execution.
        execution_id: ExecutionId,
    },
    /// Its idempotency key is in use: this execution was submitted first.
    Duplicate {
        /// The first execution.
        execution_id: ExecutionId,
    },
}

impl ExecutionSubmitted {
    /// Returns the execution that stands for the submission.
    pub const fn execution_id(self) -> ExecutionId {
        match self {
            Self::Created { execution_id } | Self::Duplicate { execution_id } => execution_id,
        }
    }
}

/// Splits items into calls that keep the limits on their number and on their bytes, in order; one
/// item always fits.
pub fn split_calls<T>(
    items: impl IntoIterator<Item = T>,
    bytes_of: impl Fn(&T) -> usize,
) -> Vec<Vec<T>> {
    let mut calls: Vec<Vec<T>> = Vec::new();
    let mut bytes = 0;
    for item in items {
        let size = bytes_of(&item);
        match calls.last_mut() {
            Some(call)
                if call.len() < SUBMIT_CALL_ITEMS_MAX && bytes + size <= SUBMIT_CALL_BYTES_MAX =>
            {
                bytes += size;
                call.push(item);
            }
            _ => {
                bytes = size;
                calls.push(vec![item]);
            }
        }
    }
    calls
}

/// Takes executions in.
#[async_trait::async_trait]
pub trait SubmitBackend: Send + Sync + fmt::Debug {
    /// Returns how many partitions there are. Known from the moment the backend is connected.
    fn partitions(&self) -> PartitionMap;

    /// Submits executions. The outcome holds one result an item, in order: partitions, and items
    /// inside one, fail separately. A call is split so that no server call passes
    /// [`SUBMIT_CALL_ITEMS_MAX`] items or
    /// [`SUBMIT_CALL_BYTES_MAX`] bytes.
    ///
    /// A repeated execution id with equal content answers `Created` again; with other content it
    /// is `Conflict(ExecutionExists)`. A deadline that does not lie ahead is refused.
    async fn submit_executions(
        &self,
        request: SubmitExecutions,
    ) -> EngineResult<Vec<EngineResult<ExecutionSubmitted>>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(items: &[usize]) -> Vec<usize> {
        split_calls(items, |bytes| **bytes).iter().map(Vec::len).collect()
    }

    #[test]
    fn a_submission_is_split_by_items_and_by_bytes() {
        assert_eq!(sizes(&[1; 1_001]), [500, 500, 1]);
        assert_eq!(sizes(&[1024 * 1024; 5]), [4, 1]);
        assert_eq!(sizes(&[]), [] as [usize; 0]);
    }
}

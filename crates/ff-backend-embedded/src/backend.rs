//! The backend: the rules over a store.

use crate::store::{Room, Store};
use ff_core::{EngineError, EngineResult, ExecutionId, TimestampMs};
use ff_lifecycle::{Decision, Execution, PartitionStore};
use std::sync::Arc;

/// A whole engine in this process, over memory or one file. Clones share the store.
#[derive(Debug)]
pub struct EmbeddedBackend<S> {
    pub(crate) store: Arc<S>,
}

impl<S> Clone for EmbeddedBackend<S> {
    fn clone(&self) -> Self {
        Self { store: Arc::clone(&self.store) }
    }
}

impl<S: Store> EmbeddedBackend<S> {
    pub(crate) fn over(store: S) -> Self {
        Self { store: Arc::new(store) }
    }

    /// Runs a rule over one record and writes what it decided.
    pub(crate) async fn change<T: Send + 'static>(
        &self,
        operation: &'static str,
        id: ExecutionId,
        rule: impl Fn(&Execution, TimestampMs) -> EngineResult<Decision<T>> + Send + 'static,
    ) -> EngineResult<T> {
        let change = move |room: &mut S::Room, now| {
            change_in(room.partition(id.partition())?, id, now, &rule)
        };
        self.store.write(operation, change).await
    }

    /// Reads one record through a rule.
    pub(crate) async fn look<T: Send + 'static>(
        &self,
        operation: &'static str,
        id: ExecutionId,
        rule: impl Fn(&Execution, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        let look = move |room: &mut S::Room, now| {
            let execution = room.partition(id.partition())?.get(id);
            rule(&*execution.ok_or_else(|| EngineError::execution_not_found(id))?, now)
        };
        self.store.read(operation, look).await
    }
}

/// Runs a rule over one record of a partition and writes what it decided.
pub(crate) fn change_in<T>(
    partition: &mut impl PartitionStore,
    id: ExecutionId,
    now: TimestampMs,
    rule: impl FnOnce(&Execution, TimestampMs) -> EngineResult<Decision<T>>,
) -> EngineResult<T> {
    let execution = partition.get(id).ok_or_else(|| EngineError::execution_not_found(id))?;
    match rule(&execution, now)? {
        Decision::Repeat(outcome) => Ok(outcome),
        Decision::Change(next, outcome) => {
            partition.put(*next);
            Ok(outcome)
        }
    }
}

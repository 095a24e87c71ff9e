//! Reads back what became of executions, through the client.

use flowfabric::ff_core::contracts::inspect::{ExecutionInfo, ExecutionResult};
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::turn::{EndedTurn, TurnOperation, TurnOutcome};
use flowfabric::{FlowFabricClient, SdkError};
use futures::{StreamExt, TryStreamExt, stream};

use super::worker::FileResult;

/// Executions that are read at a time.
const READS_MAX: usize = 32;

/// An execution, as the store tells it.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) info: ExecutionInfo,
    pub(super) turns: Vec<EndedTurn>,
    pub(super) result: ExecutionResult,
}

impl Told {
    /// Returns what the worker found.
    pub(super) fn file(&self) -> Option<FileResult> {
        let bytes = self.result.result.as_ref()?;
        serde_json::from_slice(bytes).ok()
    }

    /// Returns how often it was completed.
    pub(super) fn completions(&self) -> usize {
        let ended = |turn: &&EndedTurn| turn.operation == TurnOperation::Complete;
        self.turns.iter().filter(ended).count()
    }

    /// Returns how many attempts were begun.
    pub(super) fn attempts(&self) -> u32 {
        self.info.attempt.map_or(0, |(index, _)| index.0 + 1)
    }

    /// Returns how long it waited for its first worker.
    pub(super) fn waited_ms(&self) -> Option<u64> {
        Some(self.turns.first()?.started_at.since_ms(self.info.created_at))
    }

    /// Returns how long the turn ran that completed it.
    pub(super) fn ran_ms(&self) -> Option<u64> {
        let turn = self.turns.iter().find(|turn| turn.outcome == TurnOutcome::Success)?;
        Some(turn.ended_at.since_ms(turn.started_at))
    }

    /// Returns the worker that completed it.
    pub(super) fn completed_by(&self) -> Option<&str> {
        let turn = self.turns.iter().find(|turn| turn.outcome == TurnOutcome::Success)?;
        Some(turn.worker_id.as_str())
    }
}

/// Reads executions, in the order of their ids.
pub(super) async fn gather(
    client: &FlowFabricClient,
    ids: &[ExecutionId],
) -> Result<Vec<Told>, SdkError> {
    let reads = ids.iter().copied().map(|id| read(client, id));
    stream::iter(reads).buffered(READS_MAX).try_collect().await
}

/// Reads one execution.
pub(super) async fn read(client: &FlowFabricClient, id: ExecutionId) -> Result<Told, SdkError> {
    let backend = client.backend();
    let info = client.describe(&id).await?;
    let turns = backend.list_turns(id).await?;
    let result = backend.read_result(id).await?;
    Ok(Told { info, turns, result })
}

//! Reads every execution of a load back: did each end exactly once?

use flowfabric::SdkError;
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::turn::{TurnOperation, TurnOutcome};
use futures::{StreamExt, stream};

use super::tally::Tally;
use crate::context::Context;
use crate::error::CliError;

/// Executions that are read at a time.
const READS_MAX: usize = 64;

/// How the executions ended, as the store tells it.
#[derive(Debug, Default)]
pub(super) struct Verdict {
    pub(super) ended_once: u64,
    pub(super) ended_again: u64,
    pub(super) not_ended: u64,
    /// How long each ran, in milliseconds.
    pub(super) ran_ms: Vec<u64>,
}

/// Reads them all.
pub(super) async fn check(context: &Context, tally: &Tally) -> Result<Verdict, CliError> {
    let reads = tally.ids().into_iter().map(|id| read(context, id));
    let mut reads = stream::iter(reads).buffer_unordered(READS_MAX);
    let mut verdict = Verdict::default();
    while let Some(ended) = reads.next().await {
        match ended?.as_slice() {
            [] => verdict.not_ended += 1,
            [ran_ms] => {
                verdict.ended_once += 1;
                verdict.ran_ms.push(*ran_ms);
            }
            _ => verdict.ended_again += 1,
        }
    }
    Ok(verdict)
}

/// Returns how long each turn ran that ended the execution.
async fn read(context: &Context, id: ExecutionId) -> Result<Vec<u64>, SdkError> {
    let turns = context.client.turns(&id).await?;
    let ended = turns.iter().filter(|turn| {
        turn.operation == TurnOperation::Complete && turn.outcome == TurnOutcome::Success
    });
    Ok(ended.map(|turn| turn.ended_at.since_ms(turn.started_at)).collect())
}

impl Verdict {
    /// Says no unless each ended exactly once.
    pub(super) fn into_result(self) -> Result<(), CliError> {
        match (self.not_ended, self.ended_again) {
            (0, 0) => Ok(()),
            (lost, again) => Err(CliError::No(format!(
                "{lost} executions did not end, {again} ended more than once"
            ))),
        }
    }
}

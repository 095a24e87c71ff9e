//! Watches the output of every execution while it runs.

use std::sync::Arc;

use flowfabric::ff_core::contracts::stream::StreamCursor;
use flowfabric::ff_core::ids::{AttemptIndex, ExecutionId};
use flowfabric::{FlowFabricClient, SdkError};
use futures::{StreamExt, stream};

use super::show::Screen;

/// Streams that are watched at a time.
const TAILS_MAX: usize = 64;
/// How long one wait for frames lasts.
const TAIL_BLOCK_MS: u64 = 2_000;
/// Frames of one look.
const TAIL_FRAMES_MAX: usize = 1_000;

/// What the tail of an execution saw: the frames of its last attempt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    pub(super) execution_id: ExecutionId,
    pub(super) frames: u64,
}

/// Follows every execution to the end of its last attempt.
pub(super) async fn follow_all(
    client: Arc<FlowFabricClient>,
    screen: Arc<Screen>,
    ids: Vec<ExecutionId>,
) -> Vec<Result<Seen, SdkError>> {
    let tails = ids.into_iter().map(|id| follow(&client, &screen, id));
    stream::iter(tails).buffer_unordered(TAILS_MAX).collect().await
}

async fn follow(
    client: &FlowFabricClient,
    screen: &Screen,
    execution_id: ExecutionId,
) -> Result<Seen, SdkError> {
    let mut attempt = AttemptIndex(0);
    loop {
        let mut frames = 0;
        let mut after = StreamCursor::from_beginning();
        let closed = loop {
            let tail =
                client.tail_stream(&execution_id, attempt, after, TAIL_BLOCK_MS, TAIL_FRAMES_MAX);
            let seen = tail.await?;
            frames += seen.frames.len() as u64;
            screen.saw_frames(seen.frames.len() as u64);
            match seen.frames.last() {
                Some(last) => after = StreamCursor::At(last.id),
                None if seen.closed_at.is_some() => break true,
                // An attempt that ended without a frame has no stream that could close.
                None if is_over(client, execution_id, attempt).await? => break false,
                None => {}
            }
        };
        let info = client.describe(&execution_id).await?;
        let last = info.attempt.map_or(attempt, |(index, _)| index);
        if info.public_state.is_terminal() && last == attempt {
            return Ok(Seen { execution_id, frames });
        }
        if closed || last > attempt {
            attempt = AttemptIndex(attempt.0 + 1);
        }
    }
}

async fn is_over(
    client: &FlowFabricClient,
    execution_id: ExecutionId,
    attempt: AttemptIndex,
) -> Result<bool, SdkError> {
    let info = client.describe(&execution_id).await?;
    let later = info.attempt.is_some_and(|(index, _)| index > attempt);
    Ok(info.public_state.is_terminal() || later)
}

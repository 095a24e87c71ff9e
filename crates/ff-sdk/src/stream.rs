//! Stream: output frames of an attempt, appended in order and read by anybody.

use crate::error::SdkError;
use crate::resend::{is_in_doubt, may_resend, send};
use crate::task::ClaimedTask;
use bytes::Bytes;
use ff_core::contracts::StreamBackend;
use ff_core::contracts::stream::{
    AppendFrame, AppendFrameOutcome, Frame, ReadStream, StreamCursor, StreamFrames,
};
use ff_core::error::EngineResult;
use ff_core::ids::{AttemptIndex, ExecutionId};
use ff_core::limits::{MAX_TAIL_BLOCK_MS, STREAM_READ_HARD_CAP};

/// Where the frames of this claim stand. Its lock keeps one append in flight.
#[derive(Debug, Default)]
pub(crate) struct FrameState {
    /// The number of the next frame.
    next: u64,
    /// The last append while nobody knows whether it happened.
    in_doubt: Option<AppendFrame>,
}

impl ClaimedTask {
    /// Appends a frame to this attempt's stream; `metadata` is its correlation id. Frames keep the
    /// order in which the calls began.
    ///
    /// When no answer comes after some tries, the frame may have been appended. Calling again with
    /// the same frame then repeats that append; another frame is appended after it.
    pub async fn append_frame(
        &self,
        frame_type: &str,
        payload: &[u8],
        metadata: Option<&str>,
    ) -> Result<AppendFrameOutcome, SdkError> {
        let frame = Frame {
            frame_type: frame_type.to_owned(),
            payload: Bytes::copy_from_slice(payload),
            correlation_id: metadata.map(str::to_owned),
        };
        self.append_frames(vec![frame]).await
    }

    /// Appends frames in one call, 1 to 256 and at most 1 MiB together: all of them or none.
    /// Otherwise as [`append_frame`](Self::append_frame).
    pub async fn append_frames(&self, frames: Vec<Frame>) -> Result<AppendFrameOutcome, SdkError> {
        let mut state = self.frames.lock().await;
        if let Some(unsure) = state.in_doubt.clone() {
            let repeated = unsure.frames == frames;
            let settled = self.append(&mut state, unsure).await;
            if repeated {
                return Ok(settled?);
            }
            // A refusal settles it as well: that append did not happen.
            if let Err(error) = settled
                && (may_resend(&error) || error.is_lease_lost())
            {
                return Err(error.into());
            }
        }
        let request = AppendFrame { handle: self.handle().clone(), sequence: state.next, frames };
        Ok(self.append(&mut state, request).await?)
    }

    async fn append(
        &self,
        state: &mut FrameState,
        request: AppendFrame,
    ) -> EngineResult<AppendFrameOutcome> {
        let again = state.in_doubt.is_some();
        // Kept before the first send, so that a caller who drops the future leaves it in doubt.
        let request = &*state.in_doubt.insert(request);
        let count = request.frames.len() as u64;
        let append = || self.backend().append_frame(request.clone());
        let answer = send(&**self.clock(), append).await;
        let unsure = if again { may_resend } else { is_in_doubt };
        if !answer.as_ref().is_err_and(unsure) {
            state.in_doubt = None;
        }
        if answer.is_ok() {
            state.next += count;
        }
        answer
    }

    /// Reads frames of this attempt, oldest first: 1 to 10 000 of them.
    pub async fn read_stream(
        &self,
        from: StreamCursor,
        to: StreamCursor,
        count_limit: usize,
    ) -> Result<StreamFrames, SdkError> {
        let (id, attempt) = (self.execution_id(), self.attempt_index());
        read_stream(&**self.backend(), &id, attempt, from, to, count_limit).await
    }

    /// Waits up to `block_ms` for frames of this attempt after a concrete cursor; 0 looks once.
    pub async fn tail_stream(
        &self,
        after: StreamCursor,
        block_ms: u64,
        count_limit: usize,
    ) -> Result<StreamFrames, SdkError> {
        let (id, attempt) = (self.execution_id(), self.attempt_index());
        tail_stream(&**self.backend(), &id, attempt, after, block_ms, count_limit).await
    }
}

/// Reads frames of an attempt, oldest first, from `from` up to and with `to`. Needs no lease.
/// `count_limit` is 1 to 10 000; anything else is refused before any I/O.
pub async fn read_stream(
    backend: &dyn StreamBackend,
    execution_id: &ExecutionId,
    attempt_index: AttemptIndex,
    from: StreamCursor,
    to: StreamCursor,
    count_limit: usize,
) -> Result<StreamFrames, SdkError> {
    check_count("read_stream", count_limit)?;
    let request = ReadStream {
        execution_id: *execution_id,
        attempt_index,
        from,
        after: false,
        to,
        count_limit,
    };
    Ok(backend.read_stream(request).await?)
}

/// Waits for frames of an attempt that lie after a concrete cursor, such as
/// [`StreamCursor::from_beginning`] or the id of the last frame seen. Needs no lease. Returns as
/// soon as there is one, once the stream is closed, or empty after `block_ms` (at most 30 000; 0
/// looks once). Waits on notices, so any number of tails delays nothing else.
pub async fn tail_stream(
    backend: &dyn StreamBackend,
    execution_id: &ExecutionId,
    attempt_index: AttemptIndex,
    after: StreamCursor,
    block_ms: u64,
    count_limit: usize,
) -> Result<StreamFrames, SdkError> {
    const CONTEXT: &str = "tail_stream";
    check_count(CONTEXT, count_limit)?;
    if block_ms > MAX_TAIL_BLOCK_MS {
        let message = format!("is {block_ms}, it must be between 0 and {MAX_TAIL_BLOCK_MS}");
        return Err(SdkError::config(CONTEXT, "block_ms", message));
    }
    if let Err(error) = after.concrete() {
        return Err(SdkError::config(CONTEXT, "after", error.to_string()));
    }
    let tail = ff_core::contracts::tail_stream(
        backend,
        *execution_id,
        attempt_index,
        after,
        block_ms,
        count_limit,
    );
    Ok(tail.await?)
}

fn check_count(context: &'static str, count_limit: usize) -> Result<(), SdkError> {
    if (1..=STREAM_READ_HARD_CAP).contains(&count_limit) {
        return Ok(());
    }
    let message = format!("is {count_limit}, it must be between 1 and {STREAM_READ_HARD_CAP}");
    Err(SdkError::config(context, "count_limit", message))
}

//! Stream: the output frames of an attempt.

use crate::MemoryBackend;
use ff_core::contracts::StreamBackend;
use ff_core::contracts::stream::*;
use ff_core::limits::READ_REPLY_BYTES_MAX;
use ff_core::{EngineError, EngineResult};
use ff_lifecycle::{PartitionStore, settle};

fn within(request: &ReadStream, id: FrameId) -> bool {
    let from = match request.from {
        StreamCursor::Start | StreamCursor::End => true,
        StreamCursor::At(from) if request.after => id > from,
        StreamCursor::At(from) => id >= from,
    };
    let to = match request.to {
        StreamCursor::Start | StreamCursor::End => true,
        StreamCursor::At(to) => id <= to,
    };
    from && to
}

#[async_trait::async_trait]
impl StreamBackend for MemoryBackend {
    async fn append_frame(&self, request: AppendFrame) -> EngineResult<AppendFrameOutcome> {
        request.check()?;
        self.within(request.handle.execution_id().partition(), |store, now| {
            ff_lifecycle::stream::append(store, &request, now)
        })
    }

    async fn read_stream(&self, request: ReadStream) -> EngineResult<StreamFrames> {
        request.check()?;
        let id = request.execution_id;
        self.within(id.partition(), |store, now| {
            let execution = store
                .get(id)
                .and_then(|execution| settle(&execution, now.max(execution.updated_at)))
                .ok_or(EngineError::execution_not_found(id))?;
            let mut page = StreamFrames::default();
            let mut bytes = 0;
            let kept = store.frames_of(id, request.attempt_index).into_iter().flatten();
            for frame in kept.filter(|frame| within(&request, frame.id)) {
                if page.frames.len() == request.count_limit || bytes >= READ_REPLY_BYTES_MAX {
                    break;
                }
                bytes += frame.payload.len();
                page.frames.push(frame.clone());
            }
            if let Some((at, reason)) = execution.stream_closed(request.attempt_index) {
                page.closed_at = Some(at);
                page.closed_reason = Some(reason);
            }
            Ok(page)
        })
    }
}

//! Stream: the output frames of an attempt.

use crate::EmbeddedBackend;
use crate::store::{PartitionRoom, Room, Store};
use ff_core::contracts::StreamBackend;
use ff_core::contracts::stream::*;
use ff_core::{EngineError, EngineResult};
use ff_lifecycle::{PartitionStore, settle};

#[async_trait::async_trait]
impl<S: Store> StreamBackend for EmbeddedBackend<S> {
    async fn append_frame(&self, request: AppendFrame) -> EngineResult<AppendFrameOutcome> {
        request.check()?;
        self.store.works("append_frame")?;
        let append = move |room: &mut S::Room, now| {
            let partition = room.partition(request.handle.execution_id().partition())?;
            ff_lifecycle::stream::append(partition, &request, now)
        };
        self.store.write("append_frame", append).await
    }

    async fn read_stream(&self, request: ReadStream) -> EngineResult<StreamFrames> {
        request.check()?;
        let read = move |room: &mut S::Room, now: ff_core::TimestampMs| {
            let id = request.execution_id;
            let partition = room.partition(id.partition())?;
            let execution = partition
                .get(id)
                .and_then(|execution| settle(&execution, now.max(execution.updated_at)))
                .ok_or(EngineError::execution_not_found(id))?;
            let frames = partition.frames(request.attempt_index, &request);
            let mut page = StreamFrames { frames, ..StreamFrames::default() };
            if let Some((at, reason)) = execution.stream_closed(request.attempt_index) {
                page.closed_at = Some(at);
                page.closed_reason = Some(reason);
            }
            Ok(page)
        };
        self.store.read("read_stream", read).await
    }
}

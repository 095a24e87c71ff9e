//! Stream: append frames, read them. No call waits in the server.

use crate::args::{execution, flag, maybe, text, with_handle};
use crate::backend::ValkeyBackend;
use bytes::Bytes;
use ff_core::contracts::StreamBackend;
use ff_core::contracts::stream::*;
use ff_core::error::EngineResult;
use ff_core::keys::partition_base;
use ff_script::functions::{APPEND_FRAME, READ_STREAM};
use ff_script::{Fields, Subject};

#[async_trait::async_trait]
impl StreamBackend for ValkeyBackend {
    async fn append_frame(&self, request: AppendFrame) -> EngineResult<AppendFrameOutcome> {
        request.check()?;
        let execution_id = request.handle.execution_id();
        let arguments = with_handle(&request.handle, [text(request.sequence)]);
        let frames: Vec<Bytes> = request.frames.iter().flat_map(group).collect();
        let base = partition_base(execution_id.partition());
        let subject = Subject::execution(execution_id);
        let mut fields = self.caller.ok(&APPEND_FRAME, &base, arguments, &frames, &subject).await?;
        Ok(AppendFrameOutcome {
            stream_id: fields.parsed("stream_id", "a frame id")?,
            frame_count: fields.u64("frame_count")?,
        })
    }

    async fn read_stream(&self, request: ReadStream) -> EngineResult<StreamFrames> {
        request.check()?;
        let arguments = [
            execution(request.execution_id),
            text(request.attempt_index),
            cursor(request.from),
            flag(request.after),
            cursor(request.to),
            text(request.count_limit),
        ];
        let mut fields = self.on_execution(&READ_STREAM, request.execution_id, arguments).await?;
        Ok(StreamFrames {
            closed_at: fields.optional_time("closed_at")?,
            closed_reason: fields.optional_text("closed_reason")?,
            frames: fields.list("frames", frame)?,
        })
    }
}

fn group(frame: &Frame) -> [Bytes; 3] {
    [
        text(&frame.frame_type),
        frame.payload.clone(),
        maybe(frame.correlation_id.as_deref().map(str::as_bytes)),
    ]
}

fn cursor(cursor: StreamCursor) -> Bytes {
    match cursor {
        StreamCursor::Start => Bytes::from_static(b"-"),
        StreamCursor::End => Bytes::from_static(b"+"),
        StreamCursor::At(id) => text(id),
    }
}

fn frame(row: &mut Fields) -> EngineResult<StreamFrame> {
    Ok(StreamFrame {
        id: row.parsed("id", "a frame id")?,
        frame_type: row.text("frame_type")?,
        payload: row.bytes("payload")?,
        correlation_id: row.maybe_text("correlation_id")?,
    })
}

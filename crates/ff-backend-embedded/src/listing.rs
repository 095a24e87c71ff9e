//! Places in listings and streams: cursors, and which frames a read asks for.

use ff_core::contracts::inspect::ListCursor;
use ff_core::contracts::stream::{FrameId, ReadStream, StreamCursor};
use ff_core::error::ValidationKind;
use ff_core::{EngineError, EngineResult, ExecutionId, LaneId, Namespace};

/// A lane of a namespace.
pub type LaneKey = (Namespace, LaneId);

/// A place in a listing: partition, and score and id of the row before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) partition: u16,
    pub(crate) after: Option<(i64, ExecutionId)>,
}

impl Place {
    pub(crate) fn parse(cursor: Option<&ListCursor>) -> EngineResult<Self> {
        let Some(cursor) = cursor else { return Ok(Self { partition: 0, after: None }) };
        let mut parts = cursor.0.splitn(3, '|');
        let mut part = || parts.next();
        (|| {
            let partition = part()?.parse().ok()?;
            let score = part()?.parse().ok()?;
            let id = part()?.parse().ok()?;
            Some(Self { partition, after: Some((score, id)) })
        })()
        .ok_or_else(|| {
            EngineError::validation(
                ValidationKind::Cursor,
                format!("{:?} is not a cursor of this listing", cursor.0),
            )
        })
    }

    pub(crate) fn cursor(partition: u16, score: i64, id: ExecutionId) -> ListCursor {
        ListCursor(format!("{partition}|{score}|{id}"))
    }
}

/// Tells whether a read asks for the frame.
pub(crate) fn asks_for(request: &ReadStream, id: FrameId) -> bool {
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

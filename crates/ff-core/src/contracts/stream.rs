//! Stream: the output frames of an attempt.

use crate::contracts::NoticeBackend;
use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::handle::Handle;
use crate::ids::{AttemptIndex, ExecutionId};
use crate::limits::{
    APPEND_BYTES_MAX, FRAME_PAYLOAD_BYTES_MAX, FRAMES_PER_APPEND_MAX, LABEL_BYTES_MAX,
    NAME_BYTES_MAX, STREAM_READ_HARD_CAP,
};
use crate::name::check_label;
use crate::policy::between;
use crate::time::TimestampMs;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Where a frame stands in its stream: `<ms>-<seq>`, growing.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct FrameId {
    /// When it was appended, never below the frame before.
    pub at: TimestampMs,
    /// Its number within that millisecond.
    pub sequence: u64,
}

impl fmt::Display for FrameId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}", self.at, self.sequence)
    }
}

impl FromStr for FrameId {
    type Err = EngineError;

    fn from_str(text: &str) -> EngineResult<Self> {
        let digits = |part: &str| {
            part.parse::<u64>().ok().filter(|n| n.to_string() == part && *n <= (1 << 53))
        };
        text.split_once('-')
            .and_then(|(ms, sequence)| Some((digits(ms)?, digits(sequence)?)))
            .map(|(ms, sequence)| Self { at: TimestampMs::from_millis(ms), sequence })
            .ok_or_else(|| {
                EngineError::validation(
                    ValidationKind::Cursor,
                    format!("cursor {text:?} is not concrete, expected <ms>-<sequence>"),
                )
            })
    }
}

impl TryFrom<String> for FrameId {
    type Error = EngineError;
    fn try_from(text: String) -> EngineResult<Self> {
        text.parse()
    }
}

impl From<FrameId> for String {
    fn from(id: FrameId) -> String {
        id.to_string()
    }
}

/// Where a read begins or ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum StreamCursor {
    /// The first frame that is kept.
    Start,
    /// The last frame that is kept.
    End,
    /// This frame.
    At(FrameId),
}

impl StreamCursor {
    /// Returns the concrete cursor before every frame, `0-0`: where a tail begins.
    pub const fn from_beginning() -> Self {
        Self::At(FrameId { at: TimestampMs::from_millis(0), sequence: 0 })
    }

    /// Returns the frame it names; `Start` and `End` are no concrete places.
    pub fn concrete(self) -> EngineResult<FrameId> {
        match self {
            Self::At(id) => Ok(id),
            Self::Start | Self::End => Err(EngineError::validation(
                ValidationKind::Cursor,
                "a tail needs a concrete cursor: a frame's id, or 0-0 for the beginning",
            )),
        }
    }
}

/// One frame to be appended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it is, such as `token` or `log`; 1 to 64 bytes.
    pub frame_type: String,
    /// At most 64 KiB, any bytes.
    pub payload: Bytes,
    /// Ties it to something outside; at most 256 bytes.
    pub correlation_id: Option<String>,
}

/// Appends frames to the stream of the claimed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppendFrame {
    /// The claim.
    pub handle: Handle,
    /// The number of the first frame: 0 for the first of this claim, then one more each. One
    /// append is in flight at a time.
    pub sequence: u64,
    /// 1 to 256 frames, at most 1 MiB together.
    pub frames: Vec<Frame>,
}

/// Frames were appended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AppendFrameOutcome {
    /// The id of the last of them.
    pub stream_id: FrameId,
    /// How many frames the attempt has appended so far, trimmed ones included.
    pub frame_count: u64,
}

/// A frame as it was kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamFrame {
    /// Where it stands.
    pub id: FrameId,
    /// What it is.
    pub frame_type: String,
    /// What it carries.
    pub payload: Bytes,
    /// What it is tied to.
    pub correlation_id: Option<String>,
}

/// Reads frames of an attempt, oldest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadStream {
    /// The execution.
    pub execution_id: ExecutionId,
    /// Which attempt.
    pub attempt_index: AttemptIndex,
    /// From here: `Start` or a frame.
    pub from: StreamCursor,
    /// Whether the frame at `from` itself is left out.
    pub after: bool,
    /// Up to and with here: `End` or a frame.
    pub to: StreamCursor,
    /// At most this many: 1 to 10 000.
    pub count_limit: usize,
}

/// Frames that were read. Fewer than asked for do not mean the end: read on after the last id
/// until none come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StreamFrames {
    /// The frames, oldest first.
    pub frames: Vec<StreamFrame>,
    /// When the stream took its last frame: the attempt has ended.
    pub closed_at: Option<TimestampMs>,
    /// How the attempt ended: the word of the operation that ended its last turn, or the outcome
    /// of the execution that ended with it.
    pub closed_reason: Option<String>,
}

impl AppendFrame {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        let count = self.frames.len() as u64;
        between("frames", count, 1, FRAMES_PER_APPEND_MAX as u64)?;
        between("frame sequence", self.sequence, 0, 1 << 52)?;
        let mut total = 0;
        for frame in &self.frames {
            let name_bytes = frame.frame_type.len() as u64;
            between("frame type bytes", name_bytes, 1, NAME_BYTES_MAX as u64)?;
            check_label("frame type", &frame.frame_type, NAME_BYTES_MAX)?;
            let correlation_id = frame.correlation_id.as_deref().unwrap_or("");
            check_label("correlation id", correlation_id, LABEL_BYTES_MAX)?;
            let bytes = frame.payload.len();
            if bytes > FRAME_PAYLOAD_BYTES_MAX {
                return Err(EngineError::validation(
                    ValidationKind::TooLarge,
                    format!("frame is {bytes} bytes, the limit is {FRAME_PAYLOAD_BYTES_MAX}"),
                ));
            }
            total += bytes;
        }
        if total > APPEND_BYTES_MAX {
            return Err(EngineError::validation(
                ValidationKind::TooLarge,
                format!("frames are {total} bytes together, the limit is {APPEND_BYTES_MAX}"),
            ));
        }
        Ok(())
    }
}

impl ReadStream {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        if self.from == StreamCursor::End || self.to == StreamCursor::Start {
            return Err(EngineError::validation(
                ValidationKind::Cursor,
                "a read goes from Start or a frame to End or a frame",
            ));
        }
        between("count_limit", self.count_limit as u64, 1, STREAM_READ_HARD_CAP as u64)
    }
}

/// Takes and gives output. Tailing is [`EngineBackendExt`](crate::EngineBackendExt)'s: notices
/// and plain reads.
#[async_trait::async_trait]
pub trait StreamBackend: NoticeBackend {
    /// Appends frames in order, making the stream with the first. The oldest frames go once the
    /// attempt holds more than `FRAMES_PER_STREAM_MAX` or `STREAM_BYTES_MAX`. The same sequence
    /// and number of frames again answer the first outcome.
    async fn append_frame(&self, request: AppendFrame) -> EngineResult<AppendFrameOutcome>;

    /// Reads frames. An attempt without output reads as empty; an execution that is not there is
    /// `NotFound`.
    async fn read_stream(&self, request: ReadStream) -> EngineResult<StreamFrames>;
}

//! Stream: the output frames of an attempt.

use crate::execution::{Execution, Phase};
use crate::settle::open;
use crate::store::PartitionStore;
use ff_core::contracts::stream::*;
use ff_core::error::ConflictKind;
use ff_core::limits::{FRAMES_PER_STREAM_MAX, STREAM_BYTES_MAX};
use ff_core::{AttemptIndex, EngineError, EngineResult, TimestampMs};

/// Appends frames.
pub fn append(
    store: &mut impl PartitionStore,
    request: &AppendFrame,
    now: TimestampMs,
) -> EngineResult<AppendFrameOutcome> {
    let id = request.handle.execution_id();
    let execution = store.get(id).ok_or(EngineError::execution_not_found(id))?;
    let (mut next, now) = open(&execution, now)?;
    next.fence(&request.handle)?;
    let count = request.frames.len() as u64;
    let last = next
        .frames
        .last_append
        .filter(|(sequence, frames, _)| *sequence == request.sequence && *frames == count);
    if let Some((_, _, outcome)) = last {
        return Ok(outcome);
    }
    if request.sequence != next.frames.next_sequence {
        return Err(ConflictKind::FrameOutOfOrder {
            execution_id: id,
            expected: next.frames.next_sequence,
            got: request.sequence,
        }
        .into());
    }
    let (frames, outcome) = next.number_frames(request, now);
    let attempt = next.attempt_index();
    store.push_frames(id, attempt, frames);
    while next.frames.kept > 0
        && (next.frames.kept > FRAMES_PER_STREAM_MAX as u64
            || next.frames.kept_bytes > STREAM_BYTES_MAX)
    {
        next.frames.kept_bytes -= store.drop_oldest_frame(id, attempt) as u64;
        next.frames.kept -= 1;
    }
    next.updated_at = now;
    store.put(*next);
    Ok(outcome)
}

impl Execution {
    fn number_frames(
        &mut self,
        request: &AppendFrame,
        now: TimestampMs,
    ) -> (Vec<StreamFrame>, AppendFrameOutcome) {
        let state = &mut self.frames;
        let mut numbered = Vec::with_capacity(request.frames.len());
        for frame in &request.frames {
            state.last_id = if now > state.last_id.at {
                FrameId { at: now, sequence: 0 }
            } else {
                FrameId { sequence: state.last_id.sequence + 1, ..state.last_id }
            };
            state.kept_bytes += frame.payload.len() as u64;
            numbered.push(StreamFrame {
                id: state.last_id,
                frame_type: frame.frame_type.clone(),
                payload: frame.payload.clone(),
                correlation_id: frame.correlation_id.clone(),
            });
        }
        let count = request.frames.len() as u64;
        state.kept += count;
        state.count += count;
        state.next_sequence += count;
        let outcome = AppendFrameOutcome { stream_id: state.last_id, frame_count: state.count };
        state.last_append = Some((request.sequence, count, outcome));
        (numbered, outcome)
    }

    /// Returns when the stream of an attempt closed and by what, if it has.
    pub fn stream_closed(&self, attempt: AttemptIndex) -> Option<(TimestampMs, String)> {
        if attempt.0 >= self.attempts {
            return None;
        }
        if attempt == self.attempt_index() {
            if let Phase::Terminal { outcome, ended_at } = self.phase {
                return Some((ended_at, outcome.to_string()));
            }
            if !self.attempt_is_over() {
                return None;
            }
        }
        let last = self.turns.iter().rev().find(|turn| turn.attempt_index == attempt);
        Some(last.map_or_else(
            || (self.updated_at, "forgotten".to_owned()),
            |turn| (turn.ended_at, turn.operation.to_string()),
        ))
    }
}

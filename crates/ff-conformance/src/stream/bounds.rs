//! What an append may not hold, and what a stream keeps at most.

use crate::prelude::*;

fn frame(payload: Bytes) -> Frame {
    Frame { frame_type: "log".to_owned(), payload, correlation_id: None }
}

pub async fn append_frame_refuses_frames_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    let labelled = |frame_type: &str, correlation_id: &str| {
        let mut bad = frame("a".into());
        bad.frame_type = frame_type.to_owned();
        bad.correlation_id = Some(correlation_id.to_owned());
        vec![bad]
    };
    let full = frame(bytes_of(FRAME_PAYLOAD_BYTES_MAX));
    let past = [
        Vec::new(),
        vec![frame(Bytes::new()); FRAMES_PER_APPEND_MAX + 1],
        vec![frame(bytes_of(FRAME_PAYLOAD_BYTES_MAX + 1))],
        vec![frame(bytes_of(10 * 1024 * 1024))],
        vec![full; APPEND_BYTES_MAX / FRAME_PAYLOAD_BYTES_MAX + 1],
        labelled("", ""),
        labelled(&"x".repeat(NAME_BYTES_MAX + 1), ""),
        labelled("\u{7}", ""),
        labelled("log", &"x".repeat(LABEL_BYTES_MAX + 1)),
    ];
    for frames in past {
        let request = AppendFrame { handle: handle.clone(), sequence: 0, frames };
        let refusal = world.refuses(world.append_frame(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn a_stream_keeps_its_newest_frames(world: &World) {
    let handle = world.started().await.handle;
    let batches = FRAMES_PER_STREAM_MAX / FRAMES_PER_APPEND_MAX + 2;
    let mut sequence = 0;
    for _ in 0..batches {
        let frames = (0..FRAMES_PER_APPEND_MAX as u64)
            .map(|n| frame((sequence + n).to_string().into()))
            .collect();
        let request = AppendFrame { handle: handle.clone(), sequence, frames };
        let appended = world.append_frame(request).await.expect("frames");
        sequence += FRAMES_PER_APPEND_MAX as u64;
        assert_eq!(appended.frame_count, sequence);
    }
    let kept = kept(world, &handle).await;
    assert_eq!(kept.len(), FRAMES_PER_STREAM_MAX);
    let first = sequence - FRAMES_PER_STREAM_MAX as u64;
    assert_eq!(kept[0].payload, first.to_string());
    assert_eq!(kept[kept.len() - 1].payload, (sequence - 1).to_string());
    assert_eq!(world.info(handle.execution_id()).await.frame_count, sequence);
}

pub async fn a_stream_is_bounded_in_bytes(world: &World) {
    let handle = world.started().await.handle;
    let per_append = APPEND_BYTES_MAX / FRAME_PAYLOAD_BYTES_MAX;
    let appends = usize::try_from(STREAM_BYTES_MAX).expect("a size") / APPEND_BYTES_MAX + 1;
    for n in 0..appends {
        let request = AppendFrame {
            handle: handle.clone(),
            sequence: (n * per_append) as u64,
            frames: vec![frame(bytes_of(FRAME_PAYLOAD_BYTES_MAX)); per_append],
        };
        world.append_frame(request).await.expect("frames");
    }
    let kept = kept(world, &handle).await;
    let bytes: usize = kept.iter().map(|frame| frame.payload.len()).sum();
    assert_eq!(bytes as u64, STREAM_BYTES_MAX);
}

/// Reads on after the last id until no more frames come.
async fn kept(world: &World, handle: &Handle) -> Vec<StreamFrame> {
    let mut all: Vec<StreamFrame> = Vec::new();
    let mut request = read(handle.execution_id(), 0);
    loop {
        let page = world.read_stream(request.clone()).await.expect("a page").frames;
        let bytes: usize = page.iter().map(|frame| frame.payload.len()).sum();
        assert!(bytes < READ_REPLY_BYTES_MAX + FRAME_PAYLOAD_BYTES_MAX, "{bytes} in one reply");
        let Some(last) = page.last() else {
            return all;
        };
        (request.from, request.after) = (StreamCursor::At(last.id), true);
        all.extend(page);
    }
}

//! Reads, from any place to any place.

use crate::prelude::*;

async fn with_five_frames(world: &World) -> (ExecutionId, Vec<FrameId>) {
    let handle = world.started().await.handle;
    for sequence in 0..5 {
        world.append_frame(append(&handle, sequence, &["x"])).await.expect("a frame");
        world.advance(sequence % 2).await;
    }
    let execution_id = handle.execution_id();
    let stream = world.read_stream(read(execution_id, 0)).await.expect("a stream");
    (execution_id, stream.frames.iter().map(|frame| frame.id).collect())
}

async fn ids(world: &World, request: ReadStream) -> Vec<FrameId> {
    let stream = world.read_stream(request).await.expect("a stream");
    stream.frames.iter().map(|frame| frame.id).collect()
}

pub async fn read_stream_keeps_to_its_cursors(world: &World) {
    let (execution_id, all) = with_five_frames(world).await;
    let from = |from, after| ReadStream { from, after, ..read(execution_id, 0) };
    assert_eq!(ids(world, from(StreamCursor::At(all[1]), false)).await, all[1..]);
    assert_eq!(ids(world, from(StreamCursor::At(all[1]), true)).await, all[2..]);
    assert_eq!(ids(world, from(StreamCursor::from_beginning(), true)).await, all);
    assert!(ids(world, from(StreamCursor::At(all[4]), true)).await.is_empty());
    let request =
        ReadStream { to: StreamCursor::At(all[3]), ..from(StreamCursor::At(all[1]), false) };
    assert_eq!(ids(world, request).await, all[1..=3]);
}

pub async fn read_stream_refuses_a_range_that_runs_backwards(world: &World) {
    let (execution_id, _) = with_five_frames(world).await;
    let start = ReadStream { to: StreamCursor::Start, ..read(execution_id, 0) };
    let end = ReadStream { from: StreamCursor::End, ..read(execution_id, 0) };
    for request in [start, end] {
        let refused = world.read_stream(request).await;
        assert!(matches!(
            refused,
            Err(EngineError::Validation { kind: ValidationKind::Cursor, .. })
        ));
    }
}

pub async fn read_stream_gives_at_most_what_was_asked_for(world: &World) {
    let (execution_id, all) = with_five_frames(world).await;
    let mut request = ReadStream { count_limit: 2, ..read(execution_id, 0) };
    let mut walked = Vec::new();
    loop {
        let page = ids(world, request.clone()).await;
        assert!(page.len() <= 2);
        let Some(last) = page.last() else {
            break;
        };
        (request.from, request.after) = (StreamCursor::At(*last), true);
        walked.extend(page);
    }
    assert_eq!(walked, all);
}

pub async fn read_stream_from_elsewhere_sees_the_same(world: &World) {
    let (execution_id, all) = with_five_frames(world).await;
    assert_eq!(ids(&world.elsewhere().await, read(execution_id, 0)).await, all);
}

pub async fn read_stream_without_output_is_empty(world: &World) {
    let waiting = world.submit().await;
    for attempt in [0, 7] {
        let stream = world.read_stream(read(waiting, attempt)).await.expect("a stream");
        assert_eq!(stream, StreamFrames::default());
    }
}

pub async fn read_stream_refuses_a_count_of_none_and_one_above_the_cap(world: &World) {
    let execution_id = world.submit().await;
    for count_limit in [0, STREAM_READ_HARD_CAP + 1, usize::MAX] {
        let request = ReadStream { count_limit, ..read(execution_id, 0) };
        let refusal = world.refuses(world.read_stream(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

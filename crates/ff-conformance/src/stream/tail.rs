//! Tails: notices and plain reads.

use crate::prelude::*;

async fn tail(
    world: &World,
    handle: &Handle,
    after: StreamCursor,
    block_ms: u64,
) -> EngineResult<StreamFrames> {
    let backend: std::sync::Arc<dyn StreamBackend> = world.backend();
    let index = handle.attempt_index();
    tail_stream(&*backend, handle.execution_id(), index, after, block_ms, 10).await
}

pub async fn a_tail_without_waiting_looks_once(world: &World) {
    let handle = world.started().await.handle;
    let beginning = StreamCursor::from_beginning();
    let nothing = tail(world, &handle, beginning, 0).await.expect("a look");
    assert!(nothing.frames.is_empty());
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    let one = tail(world, &handle, beginning, 0).await.expect("a look");
    assert_eq!(one.frames.len(), 1);
}

pub async fn a_tail_gives_at_once_what_is_there(world: &World) {
    let handle = world.started().await.handle;
    world.append_frame(append(&handle, 0, &["a", "b"])).await.expect("frames");
    let all = tail(world, &handle, StreamCursor::from_beginning(), 30_000).await.expect("a tail");
    assert_eq!(all.frames.len(), 2);
    let after = StreamCursor::At(all.frames[0].id);
    let rest = tail(world, &handle, after, 30_000).await.expect("a tail");
    assert_eq!(rest.frames, all.frames[1..]);
}

pub async fn a_tail_wakes_with_the_next_frame(world: &World) {
    let handle = world.started().await.handle;
    let append_then = async {
        tokio::task::yield_now().await;
        world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    };
    let beginning = StreamCursor::from_beginning();
    let (tailed, ()) = futures::join!(tail(world, &handle, beginning, 30_000), append_then);
    assert_eq!(tailed.expect("a tail").frames.len(), 1);
}

pub async fn a_tail_wakes_when_the_attempt_ends(world: &World) {
    let handle = world.started().await.handle;
    let complete_then = async {
        tokio::task::yield_now().await;
        world.complete_execution(complete(&handle)).await.expect("an end");
    };
    let beginning = StreamCursor::from_beginning();
    let (tailed, ()) = futures::join!(tail(world, &handle, beginning, 30_000), complete_then);
    assert_eq!(tailed.expect("a tail").closed_at, Some(world.now()));
}

pub async fn a_tail_gives_up_when_its_time_is_over(world: &World) {
    let handle = world.started().await.handle;
    let advance_then = async {
        tokio::task::yield_now().await;
        world.advance(30_000 - 1).await;
        world.renew_one(renew(&[&handle])).await.expect("a renewal");
        world.advance(1).await;
    };
    let beginning = StreamCursor::from_beginning();
    let (tailed, ()) = futures::join!(tail(world, &handle, beginning, 29_000), advance_then);
    assert_eq!(tailed.expect("a tail"), StreamFrames::default());
}

pub async fn a_tail_refuses_what_is_past_its_bounds(world: &World) {
    let handle = world.started().await.handle;
    for cursor in [StreamCursor::Start, StreamCursor::End] {
        let refusal = world.refuses(tail(world, &handle, cursor, 10)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Cursor, .. });
    }
    let beginning = StreamCursor::from_beginning();
    let refusal = world.refuses(tail(world, &handle, beginning, MAX_TAIL_BLOCK_MS + 1)).await;
    assert_matches!(refusal, EngineError::Validation { .. });
}

//! Stream: the output frames of an attempt.

mod bounds;
mod read;
mod tail;

pub use bounds::*;
pub use read::*;
pub use tail::*;

use crate::prelude::*;

pub async fn append_frame_adds_frames_in_order(world: &World) {
    let handle = world.started().await.handle;
    let one = world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    assert_eq!(one.frame_count, 1);
    let two = world.append_frame(append(&handle, 1, &["b", "c"])).await.expect("frames");
    assert_eq!(two.frame_count, 3);
    assert!(one.stream_id < two.stream_id);
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    let payloads: Vec<&[u8]> = stream.frames.iter().map(|frame| &frame.payload[..]).collect();
    assert_eq!(payloads, [b"a", b"b", b"c"]);
    assert!(stream.frames.windows(2).all(|pair| pair[0].id < pair[1].id));
    assert_eq!((stream.frames[0].id, stream.frames[2].id), (one.stream_id, two.stream_id));
    assert_eq!((stream.closed_at, stream.closed_reason), (None, None));
    assert_eq!(world.info(handle.execution_id()).await.frame_count, 3);
}

pub async fn frame_bytes_arrive_as_they_were_sent(world: &World) {
    let handle = world.started().await.handle;
    let frames =
        [every_byte(), Bytes::new(), bytes_of(FRAME_PAYLOAD_BYTES_MAX)].map(|payload| Frame {
            frame_type: "été 1".to_owned(),
            payload,
            correlation_id: Some("a,b \"c\"\n".to_owned()),
        });
    let request = AppendFrame { handle: handle.clone(), sequence: 0, frames: frames.to_vec() };
    world.append_frame(request).await.expect("frames");
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!(stream.frames.len(), 3);
    for (got, sent) in stream.frames.iter().zip(&frames) {
        assert!(got.payload == sent.payload, "{} bytes differ", sent.payload.len());
        assert_eq!(
            (&got.frame_type, &got.correlation_id),
            (&sent.frame_type, &sent.correlation_id)
        );
    }
}

pub async fn append_frame_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = append(&handle, 0, &["a", "b"]);
    let first = world.append_frame(request.clone()).await.expect("frames");
    world.advance(10).await;
    assert_eq!(world.unchanged(world.append_frame(request)).await, first);
    let request = append(&handle, 2, &["c"]);
    let second = world.append_frame(request.clone()).await.expect("a frame");
    assert_eq!(second.frame_count, 3);
    assert_eq!(world.unchanged(world.append_frame(request)).await, second);
}

pub async fn append_frame_refuses_a_frame_out_of_order(world: &World) {
    let handle = world.started().await.handle;
    let out_of_order = async |sequence, payloads: &[&str], next| {
        let request = append(&handle, sequence, payloads);
        let refusal = world.refuses(world.append_frame(request)).await;
        assert_matches!(
            refusal,
            EngineError::Conflict(ConflictKind::FrameOutOfOrder { expected, got, .. })
                if expected == next && got == sequence
        );
    };
    out_of_order(1, &["b"], 0).await;
    world.append_frame(append(&handle, 0, &["a", "b"])).await.expect("frames");
    out_of_order(3, &["d"], 2).await;
    out_of_order(1, &["b"], 2).await;
    out_of_order(0, &["a"], 2).await;
    world.append_frame(append(&handle, 2, &["c"])).await.expect("a frame");
    out_of_order(0, &["a", "b"], 3).await;
}

pub async fn frames_are_numbered_anew_in_each_claim_and_counted_on(world: &World) {
    let first = world.started().await.handle;
    world.append_frame(append(&first, 0, &["a", "b"])).await.expect("frames");
    world.release_execution(release(&first)).await.expect("a release");
    let second = world.claim_one().await.handle;
    let appended = world.append_frame(append(&second, 0, &["c"])).await.expect("a frame");
    assert_eq!(appended.frame_count, 3);
    let stream = world.read_stream(read(first.execution_id(), 0)).await.expect("a stream");
    assert_eq!((stream.frames.len(), stream.closed_at), (3, None));
}

pub async fn each_attempt_has_a_stream_of_its_own(world: &World) {
    let first = world.started().await.handle;
    world.append_frame(append(&first, 0, &["a", "b"])).await.expect("frames");
    let second = world.reclaimed().await.handle;
    let appended = world.append_frame(append(&second, 0, &["c"])).await.expect("a frame");
    assert_eq!(appended.frame_count, 1);
    assert_eq!(world.info(first.execution_id()).await.frame_count, 1);
    let execution_id = first.execution_id();
    let of_attempt = async |attempt| {
        world.read_stream(read(execution_id, attempt)).await.expect("a stream").frames.len()
    };
    assert_eq!((of_attempt(0).await, of_attempt(1).await, of_attempt(2).await), (2, 1, 0));
}

pub async fn a_stream_closes_when_its_attempt_ends(world: &World) {
    let read_of = async |handle: &Handle| {
        world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream")
    };
    let completed = world.started().await.handle;
    world.append_frame(append(&completed, 0, &["a"])).await.expect("a frame");
    world.advance(10).await;
    world.complete_execution(complete(&completed)).await.expect("an end");
    let failed = world.started().await.handle;
    world.append_frame(append(&failed, 0, &["a"])).await.expect("a frame");
    world.fail_execution(fail(&failed, "io")).await.expect("a failure");
    for (handle, reason) in [(completed, "success"), (failed, "fail")] {
        let stream = read_of(&handle).await;
        assert_eq!((stream.frames.len(), stream.closed_at), (1, Some(world.now())));
        assert_eq!(stream.closed_reason.as_deref(), Some(reason));
    }
}

pub async fn a_stream_stays_open_while_the_attempt_goes_on(world: &World) {
    let handle = world.started().await.handle;
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    let address = world.suspend(suspend(&handle)).await;
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!((stream.frames.len(), stream.closed_at), (1, None));
    let handle = world.resumed(&address, "go").await.handle;
    world.delay_execution(delay(&handle, world.after(10))).await.expect("a delay");
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!(stream.closed_at, None);
}

pub async fn a_stream_without_frames_closes_too(world: &World) {
    let handle = world.finished().await;
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!((stream.frames.len(), stream.closed_at), (0, Some(world.now())));
}

pub async fn a_stream_of_an_execution_that_ended_suspended_closes_with_it(world: &World) {
    let handle = world.started().await.handle;
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    world.suspend(suspend_until(&handle, 5_000, TimeoutBehavior::Cancel)).await;
    let ended_at = world.after(5_000);
    world.advance(5_001).await;
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!((stream.frames.len(), stream.closed_at), (1, Some(ended_at)));
    assert_eq!(stream.closed_reason.as_deref(), Some("cancelled"));
}

pub async fn streams_of_the_newest_attempts_are_kept(world: &World) {
    let execution_id = world.submit_with(|policy| policy.retry = Some(retries(100, 0))).await;
    for attempt in 0..=STREAMS_KEPT_MAX {
        let handle = world.claim_one().await.handle;
        assert_eq!(handle.attempt_index(), AttemptIndex(attempt));
        world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
        world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    }
    for attempt in 0..=STREAMS_KEPT_MAX {
        let stream = world.read_stream(read(execution_id, attempt)).await.expect("a stream");
        assert_eq!(stream.frames.len(), usize::from(attempt > 0), "attempt {attempt}");
    }
}

pub async fn a_replay_leaves_the_output_of_attempts_before_readable(world: &World) {
    let handle = world.started().await.handle;
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    world.claim_one().await;
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!(stream.frames.len(), 1);
    assert_eq!(stream.closed_reason.as_deref(), Some("complete"));
    assert_eq!(world.info(handle.execution_id()).await.frame_count, 0);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __stream_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            stream {
                append_frame_adds_frames_in_order
                frame_bytes_arrive_as_they_were_sent
                append_frame_repeated_answers_the_same
                append_frame_refuses_a_frame_out_of_order
                frames_are_numbered_anew_in_each_claim_and_counted_on
                each_attempt_has_a_stream_of_its_own
                a_stream_closes_when_its_attempt_ends
                a_stream_stays_open_while_the_attempt_goes_on
                a_stream_without_frames_closes_too
                a_stream_of_an_execution_that_ended_suspended_closes_with_it
                streams_of_the_newest_attempts_are_kept
                a_replay_leaves_the_output_of_attempts_before_readable
                append_frame_refuses_frames_past_their_bounds
                a_stream_keeps_its_newest_frames
                a_stream_is_bounded_in_bytes
                read_stream_keeps_to_its_cursors
        read_stream_refuses_a_range_that_runs_backwards
                read_stream_gives_at_most_what_was_asked_for
                read_stream_from_elsewhere_sees_the_same
                read_stream_without_output_is_empty
                read_stream_refuses_a_count_of_none_and_one_above_the_cap
                a_tail_without_waiting_looks_once
                a_tail_gives_at_once_what_is_there
                a_tail_wakes_with_the_next_frame
                a_tail_wakes_when_the_attempt_ends
                a_tail_gives_up_when_its_time_is_over
                a_tail_refuses_what_is_past_its_bounds
            }
        }
    };
}

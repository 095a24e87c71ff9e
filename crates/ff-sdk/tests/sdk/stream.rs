//! Frames: numbers, repeats and limits.

use crate::fake::{Fake, Step, settle, soon};
use ff_core::contracts::notice::WatchExecution;
use ff_core::contracts::stream::{AppendFrame, Frame, ReadStream, StreamCursor};
use ff_core::error::{EngineError, ValidationKind};
use ff_core::limits::{MAX_TAIL_BLOCK_MS, STREAM_READ_HARD_CAP};
use ff_sdk::SdkError;
use std::sync::Arc;

fn frame(payload: &'static [u8]) -> Frame {
    Frame {
        frame_type: "token".to_owned(),
        payload: bytes::Bytes::from_static(payload),
        correlation_id: None,
    }
}

fn numbers(fake: &Fake) -> Vec<u64> {
    fake.sent::<AppendFrame>("append_frame").iter().map(|append| append.sequence).collect()
}

#[tokio::test]
async fn frames_are_numbered_from_zero_in_each_claim() {
    let fake = Fake::new();
    let (worker, task) = fake.task().await;
    task.append_frame("token", b"\xff", Some("c1")).await.expect("appended");
    let batch = task.append_frames(vec![frame(b"b"), frame(b"c")]).await.expect("appended");
    assert_eq!(batch.frame_count, 3);
    task.append_frame("token", b"d", None).await.expect("appended");
    assert_eq!(numbers(&fake), [0, 1, 3]);
    let first = fake.sent::<AppendFrame>("append_frame").remove(0);
    assert_eq!(first.frames[0].payload.as_ref(), b"\xff");
    assert_eq!(first.frames[0].correlation_id.as_deref(), Some("c1"));
    task.complete(None).await.expect("it lands");

    fake.offer(0, b"");
    settle().await;
    let task = soon(worker.claim_next()).await.expect("answers").expect("work was offered");
    task.append_frame("token", b"e", None).await.expect("appended");
    assert_eq!(numbers(&fake), [0, 1, 3, 0]);
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn one_append_is_in_flight_at_a_time() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("append_frame", Step::Lost);
    let task = Arc::new(task);
    let appends: Vec<_> = (0..3)
        .map(|_| {
            let task = task.clone();
            tokio::spawn(async move { task.append_frame("token", b"x", None).await })
        })
        .collect();
    settle().await;
    assert_eq!(numbers(&fake), [0], "the others wait for the first to be answered");
    fake.advance(1_000).await;
    for append in appends {
        append.await.expect("no panic").expect("appended");
    }
    assert_eq!(numbers(&fake), [0, 0, 1, 2]);
}

#[tokio::test]
async fn an_append_without_an_answer_is_given_up_after_some_tries_and_recognised_later() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let task = Arc::new(task);
    fake.down("append_frame");
    let append = |payload: &'static [u8]| {
        let task = task.clone();
        async move { task.append_frames(vec![frame(payload)]).await }
    };
    fake.finish(10_000, append(b"a")).await.expect_err("down");
    assert_eq!(numbers(&fake), [0; 5]);
    fake.up("append_frame");
    fake.finish(1_000, append(b"a")).await.expect("the same frame is the same append");
    assert_eq!(numbers(&fake), [0; 6]);
    fake.finish(1_000, append(b"b")).await.expect("appended");
    assert_eq!(numbers(&fake)[6..], [1]);
}

#[tokio::test]
async fn an_append_in_doubt_is_settled_before_another_frame_takes_its_number() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let task = Arc::new(task);
    fake.script("append_frame", Step::Hang);
    let dropped = tokio::spawn({
        let task = task.clone();
        async move { task.append_frames(vec![frame(b"a")]).await }
    });
    settle().await;
    dropped.abort();
    settle().await;
    task.append_frames(vec![frame(b"b")]).await.expect("appended");
    let sent: Vec<AppendFrame> = fake.sent("append_frame");
    assert_eq!(sent[0], sent[1], "the dropped append is made sure of first");
    assert_eq!((sent[2].sequence, &sent[2].frames[0]), (1, &frame(b"b")));
}

#[tokio::test]
async fn an_append_that_was_given_up_is_settled_as_well() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let task = Arc::new(task);
    let append = |payload: &'static [u8]| {
        let task = task.clone();
        async move { task.append_frames(vec![frame(payload)]).await }
    };
    fake.down("append_frame");
    fake.finish(10_000, append(b"a")).await.expect_err("down");
    fake.finish(10_000, append(b"b")).await.expect_err("still down");
    assert_eq!(numbers(&fake), [0; 10], "the second frame does not overtake");
    fake.up("append_frame");
    fake.finish(1_000, append(b"c")).await.expect("appended");
    let sent: Vec<AppendFrame> = fake.sent("append_frame");
    assert!(sent[..11].iter().all(|append| append.frames == [frame(b"a")]));
    assert_eq!((sent[11].sequence, &sent[11].frames[0]), (1, &frame(b"c")));
}

#[tokio::test]
async fn a_lost_append_stays_in_doubt_when_the_store_is_full_by_then() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("append_frame", Step::Lost);
    for _ in 0..4 {
        let reason = "no memory".to_owned();
        let full = EngineError::Unavailable { op: "append_frame", reason };
        fake.script("append_frame", Step::Refuse(full));
    }
    let (first, task) = fake
        .finish(60_000, async move { (task.append_frame("log", b"one", None).await, task) })
        .await;
    let error = first.expect_err("nobody knows");
    assert!(matches!(error.engine_error(), Some(EngineError::Transport { .. })), "{error:?}");
    let second =
        fake.finish(60_000, async move { task.append_frame("log", b"two", None).await }).await;
    assert_eq!(second.expect("both are appended").frame_count, 2);
}

#[tokio::test]
async fn a_refused_append_takes_no_number() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let refusal = EngineError::validation(ValidationKind::TooLarge, "too large");
    fake.script("append_frame", Step::Refuse(refusal));
    task.append_frame("token", b"a", None).await.expect_err("refused");
    task.append_frame("token", b"b", None).await.expect("appended");
    assert_eq!(numbers(&fake), [0, 0]);
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn limits_of_reads_are_checked_before_any_call() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let field = |error: SdkError| match error {
        SdkError::Config { field, .. } => field,
        other => panic!("expected a refusal, got {other}"),
    };
    let (start, end) = (StreamCursor::Start, StreamCursor::End);
    let begin = StreamCursor::from_beginning();
    for count in [0, STREAM_READ_HARD_CAP + 1] {
        let error = task.read_stream(start, end, count).await.expect_err("out of bounds");
        assert_eq!(field(error), "count_limit");
        let error = task.tail_stream(begin, 0, count).await.expect_err("out of bounds");
        assert_eq!(field(error), "count_limit");
    }
    let error = task.tail_stream(begin, MAX_TAIL_BLOCK_MS + 1, 1).await.expect_err("too long");
    assert_eq!(field(error), "block_ms");
    let error = task.tail_stream(end, 0, 1).await.expect_err("not concrete");
    assert_eq!(field(error), "after");
    assert_eq!(fake.count("read_stream"), 0);
    task.read_stream(start, end, STREAM_READ_HARD_CAP).await.expect("the edge");
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_tail_looks_once_or_waits_its_time_on_notices() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let task = Arc::new(task);
    let begin = StreamCursor::from_beginning();
    task.tail_stream(begin, 0, 10).await.expect("a peek");
    assert_eq!(fake.count("read_stream"), 1);
    assert_eq!(fake.count("watch_execution"), 0);
    let tail = tokio::spawn({
        let task = task.clone();
        async move { task.tail_stream(begin, 5_000, 10).await }
    });
    fake.advance(4_999).await;
    assert!(!tail.is_finished());
    fake.advance(1).await;
    assert!(tail.await.expect("no panic").expect("it answers").frames.is_empty());
    let watched: Vec<WatchExecution> = fake.sent("watch_execution");
    assert_eq!(watched[0].execution_id, task.execution_id());
    let reads: Vec<ReadStream> = fake.sent("read_stream");
    assert!(reads.iter().all(|read| read.after && read.attempt_index == task.attempt_index()));
}

#[tokio::test]
async fn readers_need_no_lease() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let (id, attempt) = (task.execution_id(), task.attempt_index());
    task.complete(None).await.expect("it lands");
    let (start, end) = (StreamCursor::Start, StreamCursor::End);
    ff_sdk::read_stream(&*fake, &id, attempt, start, end, 5).await.expect("it answers");
    let begin = StreamCursor::from_beginning();
    ff_sdk::tail_stream(&*fake, &id, attempt, begin, 0, 5).await.expect("it answers");
    let error = ff_sdk::read_stream(&*fake, &id, attempt, start, end, 0).await;
    assert!(matches!(error, Err(SdkError::Config { field: "count_limit", .. })));
}

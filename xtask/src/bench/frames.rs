//! Frames: how many are appended on one connection, and how soon a tail delivers them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowfabric::ff_core::contracts::stream::{Frame, StreamCursor};
use flowfabric::ff_core::ids::{AttemptIndex, ExecutionId};
use flowfabric::ff_core::limits::{FRAMES_PER_STREAM_MAX, STREAM_READ_HARD_CAP};
use flowfabric::{FlowFabricClient, TaskContext, TaskEnd};
use tokio::sync::{Barrier, mpsc};

use super::figures::Row;
use super::load::{Load, client, number};
use super::pace::{Pace, Sent};
use super::setting::Bench;
use super::store::Store;
use super::wait::{Running, within};
use super::work::{Backend, submit_bulk, worker};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "frames";
/// Bytes of a frame.
const FRAME_BYTES: usize = 64;
/// What a frame is.
const FRAME_TYPE: &str = "token";
/// Tasks that append at the same time.
const WRITERS: u64 = 64;
/// Frames of one call, where there are many.
const FRAMES_A_CALL: u64 = 64;
/// How long one look for frames waits.
const BLOCK_MS: u64 = 10_000;
/// Frames a second of a stream that somebody follows at leisure.
const TAIL_RATE: f64 = 500.0;

/// How a number of frames is appended.
#[derive(Clone, Copy)]
struct Shape {
    id: &'static str,
    what: &'static str,
    writers: u64,
    frames_a_call: u64,
}

const SHAPES: [Shape; 3] = [
    Shape { id: "R14", what: "append 64 B, 64 tasks", writers: WRITERS, frames_a_call: 1 },
    Shape { id: "", what: "append 64 B, 1 task", writers: 1, frames_a_call: 1 },
    Shape {
        id: "",
        what: "append 64 B, 1 task, 64 a call",
        writers: 1,
        frames_a_call: FRAMES_A_CALL,
    },
];

/// Measures rates, then the delivery.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let mut store = Store::start()?;
    for _ in bench.rounds(SECTION) {
        for shape in SHAPES {
            let backend = store.fresh_with("connections=1").await?;
            append(bench, &mut store, &backend, shape).await?;
        }
        let backend = store.fresh().await?;
        let count = bench.pick(50, 1_000);
        let (_, mut spans) = tail(&backend, 1, count, Pace::of(TAIL_RATE)).await?;
        let row = Row::new(SECTION, "R14", "append to delivery at a tail");
        bench.figures.note_spans(&row, &mut spans);
    }
    Ok(())
}

/// Has tasks append as fast as they can, and reads back what they appended.
async fn append(
    bench: &mut Bench,
    store: &mut Store,
    backend: &Backend,
    shape: Shape,
) -> Result<(), XtaskError> {
    let load = Load { tasks: shape.writers, ..bench.load() };
    let frames = bench.load().tasks.min(FRAMES_PER_STREAM_MAX as u64 * shape.writers);
    let calls = frames / shape.writers / shape.frames_a_call;
    let client = client(backend)?;
    submit_bulk(&client, &load, 0..load.tasks).await?;
    let start = Arc::new(Barrier::new(shape.writers as usize + 1));
    let (ended, mut ends) = mpsc::unbounded_channel();
    let barrier = start.clone();
    let handler = move |task: TaskContext| {
        let (start, ended) = (barrier.clone(), ended.clone());
        async move {
            start.wait().await;
            for call in 0..calls {
                let first = call * shape.frames_a_call;
                let frames = (first..first + shape.frames_a_call).map(frame).collect();
                task.append_frames(frames).await?;
            }
            ended.send((task.execution_id(), task.attempt_index())).ok();
            Ok(TaskEnd::done())
        }
    };
    let places = u16::try_from(shape.writers).unwrap_or(u16::MAX);
    let running = Running::start(worker(&client, places).await?, handler);
    within(async {
        start.wait().await;
        Some(())
    })
    .await?;
    let begun = store.meter.begin()?;
    let mut written = Vec::new();
    for _ in 0..shape.writers {
        written.push(within(ends.recv()).await?);
    }
    let spent = store.meter.end(&begun)?;
    running.stop().await?;
    let each = calls * shape.frames_a_call;
    bench.figures.note(&Row::new(SECTION, shape.id, shape.what), each * shape.writers, &spent);
    for (id, attempt) in written {
        check(&client, id, attempt, each).await?;
    }
    Ok(())
}

/// Fails unless a stream holds these frames in order.
async fn check(
    client: &FlowFabricClient,
    id: ExecutionId,
    attempt: AttemptIndex,
    frames: u64,
) -> Result<(), XtaskError> {
    let (from, to) = (StreamCursor::Start, StreamCursor::End);
    let read = client.read_stream(&id, attempt, from, to, STREAM_READ_HARD_CAP).await?;
    let numbers = read.frames.iter().map(|frame| number(&frame.payload));
    if numbers.eq((0..frames).map(Some)) {
        return Ok(());
    }
    Err(XtaskError::Told(format!("{id} holds other frames than the {frames} appended")))
}

/// Has tasks append by turns at a pace, `each` frames a stream, and follows the first one's stream.
/// Returns how long all took, and how long each frame of that stream took to arrive, in
/// microseconds.
pub(super) async fn tail(
    backend: &Backend,
    streams: u64,
    each: u64,
    pace: Pace,
) -> Result<(Duration, Vec<f64>), XtaskError> {
    let client = client(backend)?;
    let load = Load { tasks: streams, payload: FRAME_BYTES, ..Load::default() };
    let sent = Arc::new(Sent::new(each));
    let start = Arc::new(Barrier::new(streams as usize));
    let (opened, mut opens) = mpsc::unbounded_channel();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let sends = sent.clone();
    let handler = move |task: TaskContext| {
        let (sent, start) = (sends.clone(), start.clone());
        let (opened, ended) = (opened.clone(), ended.clone());
        async move {
            let place = number(task.input_payload()).unwrap_or_default();
            if place == 0 {
                opened.send((task.execution_id(), task.attempt_index())).ok();
            }
            start.wait().await;
            let first = Instant::now();
            for number in 0..each {
                let due = pace.due(first, number * streams + place).await;
                if place == 0 {
                    sent.note(number, due);
                }
                task.append_frames(vec![frame(number)]).await?;
            }
            ended.send(first.elapsed()).ok();
            Ok(TaskEnd::done())
        }
    };
    let places = u16::try_from(streams).unwrap_or(u16::MAX);
    let running = Running::start(worker(&client, places).await?, handler);
    submit_bulk(&client, &load, 0..streams).await?;
    let followed = within(opens.recv()).await?;
    let spans = follow(&client, followed, &sent, each).await?;
    let mut took = Duration::ZERO;
    for _ in 0..streams {
        took = took.max(within(ends.recv()).await?);
    }
    running.stop().await?;
    Ok((took, spans))
}

/// Reads a stream as it grows.
async fn follow(
    client: &FlowFabricClient,
    (id, attempt): (ExecutionId, AttemptIndex),
    sent: &Sent,
    count: u64,
) -> Result<Vec<f64>, XtaskError> {
    let mut spans = Vec::new();
    let mut after = StreamCursor::from_beginning();
    while (spans.len() as u64) < count {
        let got = client.tail_stream(&id, attempt, after, BLOCK_MS, STREAM_READ_HARD_CAP).await?;
        let now = Instant::now();
        for frame in &got.frames {
            let expected = spans.len() as u64;
            if number(&frame.payload) != Some(expected) {
                return Err(XtaskError::Told(format!("a tail lacks frame {expected} of {id}")));
            }
            spans.push(sent.until(expected, now));
            after = StreamCursor::At(frame.id);
        }
        if got.frames.is_empty() {
            return Err(XtaskError::Told(format!("a tail of {id} waited in vain")));
        }
    }
    Ok(spans)
}

fn frame(number: u64) -> Frame {
    let load = Load { tasks: 0, payload: FRAME_BYTES, ..Load::default() };
    let payload = Bytes::from(load.input(number));
    Frame { frame_type: FRAME_TYPE.to_owned(), payload, correlation_id: None }
}

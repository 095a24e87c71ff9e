//! How soon things happen while much else does: at shares of the most that the engine does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowfabric::FlowFabricClient;
use flowfabric::ff_core::limits::FRAMES_PER_STREAM_MAX;
use tokio::sync::mpsc;

use super::figures::{Row, Unit};
use super::frames;
use super::load::{Load, Tally, client};
use super::pace::{Pace, Sent};
use super::setting::Bench;
use super::store::Store;
use super::throughput::MANY_TASKS;
use super::wait::{Began, Open, Running, suspend_once, tell_begin, within};
use super::work::{Backend, OUTSTANDING, submit_alone, submit_bulk, worker};
use crate::error::XtaskError;

/// The section of the figures.
pub(super) const SECTION: &str = "strain";
/// Percent of the peak.
const SHARES_PCT: [u32; 3] = [10, 50, 90];
/// How long each share is kept up.
const SPAN: Duration = Duration::from_secs(3);
const SPAN_QUICK: Duration = Duration::from_millis(200);
/// Streams that grow at the same time: a frame of one waits for the one before it, so that a stream
/// alone has no rate that it could be asked for.
const STREAMS: u64 = 8;
/// Rounds at most: the spans are many in each.
const ROUNDS_MAX: u16 = 3;

/// Measures the peak of each round, then shares of it.
pub(super) async fn run(bench: &mut Bench) -> Result<(), XtaskError> {
    let store = Store::start()?;
    let load = bench.load();
    let span = bench.pick(SPAN_QUICK, SPAN);
    for _ in bench.rounds_as(SECTION, |rounds| rounds.min(ROUNDS_MAX)) {
        let peak = starts(&store.fresh().await?, &load, Pace::full()).await?;
        for (share, count, pace) in shares(peak.rate, span) {
            let load = Load { tasks: count, ..load };
            let run = starts(&store.fresh().await?, &load, pace).await?;
            run.note(bench, &format!("submit to handler start, {share}"));
        }
        let few = Load { tasks: load.tasks / 2, ..load };
        let peak = resumes(&store.fresh().await?, &few, Pace::full()).await?;
        for (share, count, pace) in shares(peak.rate, span) {
            let load = Load { tasks: count, ..load };
            let run = resumes(&store.fresh().await?, &load, pace).await?;
            run.note(bench, &format!("signal to resumed handler, {share}"));
        }
        let peak = tail(&store.fresh().await?, load.tasks, Pace::full()).await?;
        for (share, count, pace) in shares(peak.rate, span) {
            let run = tail(&store.fresh().await?, count, pace).await?;
            run.note(bench, &format!("append to delivery at a tail, {share}"));
        }
    }
    Ok(())
}

/// Returns the shares of a peak: what they are called, how many, and how fast.
fn shares(peak: f64, span: Duration) -> impl Iterator<Item = (String, u64, Pace)> {
    SHARES_PCT.into_iter().map(move |pct| {
        let rate = peak * f64::from(pct) / 100.0;
        let count = (rate * span.as_secs_f64()).max(1.0) as u64;
        (format!("{pct} % of the peak"), count, Pace::of(rate))
    })
}

/// How fast it went, and how long each took, in microseconds.
struct Run {
    rate: f64,
    spans: Vec<f64>,
}

impl Run {
    fn of(begun: Instant, spans: Vec<f64>) -> Self {
        Self { rate: spans.len() as f64 / begun.elapsed().as_secs_f64(), spans }
    }

    fn note(mut self, bench: &mut Bench, what: &str) {
        let row = Row::new(SECTION, "", what);
        bench.figures.put(&row, Unit::PerSecond, self.rate);
        bench.figures.note_spans(&row, &mut self.spans);
    }
}

/// Submits at a pace while a worker works.
async fn starts(backend: &Backend, load: &Load, pace: Pace) -> Result<Run, XtaskError> {
    let client = Arc::new(client(backend)?);
    let sent = Arc::new(Sent::new(load.tasks));
    let tally = Arc::new(Tally::new(load.tasks));
    let (began, begins) = mpsc::unbounded_channel();
    let handler = tell_begin(tally.clone(), began);
    let running = Running::start(worker(&client, MANY_TASKS).await?, handler);
    let begun = Instant::now();
    if pace.is_full() {
        // Callers that wait for their answers; with all at once the queue alone would be measured.
        submit_alone(&client, load).await?;
    } else {
        let (load, sends) = (*load, sent.clone());
        let submit = |number, due| {
            let (client, sent) = (client.clone(), sends.clone());
            async move {
                sent.note(number, due);
                client.submit(load.request(number)).await?;
                Ok(())
            }
        };
        pace.keep(load.tasks, submit).await?;
    }
    let spans = collect(begins, &sent, load.tasks).await?;
    let run = Run::of(begun, spans);
    running.stop().await?;
    tally.check("submit to handler start")?;
    Ok(run)
}

/// Signals suspended executions at a pace while a worker goes on with them.
async fn resumes(backend: &Backend, load: &Load, pace: Pace) -> Result<Run, XtaskError> {
    let client = Arc::new(client(backend)?);
    let sent = Arc::new(Sent::new(load.tasks));
    let (began, begins) = mpsc::unbounded_channel();
    let (opened, mut opens) = mpsc::unbounded_channel();
    let handler = move |task| suspend_once(task, opened.clone(), began.clone());
    let running = Running::start(worker(&client, MANY_TASKS).await?, handler);
    submit_bulk(&client, load, 0..load.tasks).await?;
    let mut waiting = Vec::new();
    for _ in 0..load.tasks {
        waiting.push(within(opens.recv()).await?);
    }
    for open in &waiting {
        open.await_suspension(&client).await?;
    }
    let begun = Instant::now();
    if pace.is_full() {
        signal_all(&client, waiting, &sent).await?;
    } else {
        let mut waiting = waiting.into_iter();
        let signal = |_, due| {
            let (client, sent, open) = (client.clone(), sent.clone(), waiting.next());
            async move {
                let Some(open) = open else { return Ok(()) };
                sent.note(open.number, due);
                open.signal(&client).await
            }
        };
        pace.keep(load.tasks, signal).await?;
    }
    let spans = collect(begins, &sent, load.tasks).await?;
    let run = Run::of(begun, spans);
    running.stop().await?;
    Ok(run)
}

/// Signals all, many callers at a time.
async fn signal_all(
    client: &Arc<FlowFabricClient>,
    waiting: Vec<Open>,
    sent: &Arc<Sent>,
) -> Result<(), XtaskError> {
    let waiting = Arc::new(waiting);
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..OUTSTANDING).map(|_| {
        let (client, waiting) = (client.clone(), waiting.clone());
        let (sent, next) = (sent.clone(), next.clone());
        async move {
            while let Some(open) = waiting.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                sent.note(open.number, Instant::now());
                open.signal(&client).await?;
            }
            Ok::<(), XtaskError>(())
        }
    });
    futures::future::try_join_all(callers).await?;
    Ok(())
}

/// Appends at a pace to streams, one of which somebody follows.
async fn tail(backend: &Backend, count: u64, pace: Pace) -> Result<Run, XtaskError> {
    let each = (count / STREAMS).clamp(1, FRAMES_PER_STREAM_MAX as u64);
    let (took, spans) = frames::tail(backend, STREAMS, each, pace).await?;
    Ok(Run { rate: (each * STREAMS) as f64 / took.as_secs_f64(), spans })
}

/// Waits until each has begun once, and returns how long that took.
async fn collect(
    mut begins: mpsc::UnboundedReceiver<Began>,
    sent: &Sent,
    count: u64,
) -> Result<Vec<f64>, XtaskError> {
    let mut seen = vec![false; count as usize];
    let mut spans = Vec::new();
    while (spans.len() as u64) < count {
        let (at, number) = within(begins.recv()).await?;
        let Some(seen) = seen.get_mut(number as usize).filter(|seen| !**seen) else {
            return Err(XtaskError::Told(format!("task {number} began twice, or is unknown")));
        };
        *seen = true;
        spans.push(sent.until(number, at));
    }
    Ok(spans)
}

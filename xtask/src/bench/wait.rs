//! How long something takes to happen at a worker that has nothing else to do.

use std::future::{Ready, ready};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use flowfabric::ff_core::contracts::signal::{Signal, SignalOutcome};
use flowfabric::ff_core::ids::{ExecutionId, WaitpointId};
use flowfabric::ff_core::name::WaitpointKey;
use flowfabric::ff_core::state::PublicState;
use flowfabric::ff_core::token::WaitpointToken;
use flowfabric::{FlowFabricClient, FlowFabricWorker, SdkError, TaskContext, TaskEnd, TaskResult};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use super::load::{Load, Tally, client, number};
use super::work::{Backend, worker};
use crate::error::XtaskError;

/// How long one may take.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// How long the worker is left alone before the next, so that it ends the task and falls idle.
const PAUSE: Duration = Duration::from_millis(2);
/// The waitpoint and the signal of a suspension.
const WAITPOINT: &str = "bench";
const SIGNAL: &str = "go";
/// How long a waitpoint takes signals.
const WAITPOINT_MS: u64 = 600_000;

/// A worker that runs in the background until it is told to stop.
pub(super) struct Running {
    run: JoinHandle<Result<(), SdkError>>,
    stop: oneshot::Sender<()>,
}

impl Running {
    /// Starts to run a worker.
    pub(super) fn start<H, F>(worker: FlowFabricWorker, handler: H) -> Self
    where
        H: Fn(TaskContext) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let (stop, stopped) = oneshot::channel::<()>();
        let run = tokio::spawn(async move {
            let stopped = async {
                stopped.await.ok();
            };
            worker.run(handler, stopped).await
        });
        Self { run, stop }
    }

    /// Stops it, and waits until what still runs has ended.
    pub(super) async fn stop(self) -> Result<(), XtaskError> {
        self.stop.send(()).ok();
        Ok(self.run.await.map_err(|error| XtaskError::Told(error.to_string()))??)
    }
}

/// What a handler tells when it begins.
pub(super) type Began = (Instant, u64);

/// Returns a handler that tells when it begins, and completes.
pub(super) fn tell_begin(
    tally: Arc<Tally>,
    began: mpsc::UnboundedSender<Began>,
) -> impl Fn(TaskContext) -> Ready<TaskResult> + Send + Sync + 'static {
    move |task| {
        let now = Instant::now();
        let number = tally.ran(task.input_payload());
        began.send((now, number.unwrap_or(u64::MAX))).ok();
        ready(Ok(TaskEnd::done()))
    }
}

/// Measures from the call that submits to the first line of the handler, in microseconds.
pub(super) async fn submit_to_start(
    backend: &Backend,
    load: &Load,
    count: u64,
) -> Result<Vec<f64>, XtaskError> {
    let client = client(backend)?;
    let tally = Arc::new(Tally::new(count));
    let (began, mut begins) = mpsc::unbounded_channel();
    let handler = tell_begin(tally.clone(), began);
    let running = Running::start(worker(&client, 1).await?, handler);
    let mut spans = Vec::new();
    for number in 0..count {
        tokio::time::sleep(PAUSE).await;
        let submitted = Instant::now();
        client.submit(load.request(number)).await?;
        spans.push(span_us(submitted, next(&mut begins, number).await?));
    }
    running.stop().await?;
    tally.check("submit to handler start")?;
    Ok(spans)
}

/// Measures from the call that signals to the first line of the resumed handler, in microseconds.
pub(super) async fn signal_to_resume(
    backend: &Backend,
    load: &Load,
    count: u64,
) -> Result<Vec<f64>, XtaskError> {
    let client = client(backend)?;
    let (began, mut begins) = mpsc::unbounded_channel();
    let (opened, mut opens) = mpsc::unbounded_channel();
    let handler = move |task: TaskContext| suspend_once(task, opened.clone(), began.clone());
    let running = Running::start(worker(&client, 1).await?, handler);
    let mut spans = Vec::new();
    for number in 0..count {
        client.submit(load.request(number)).await?;
        let open: Open = within(opens.recv()).await?;
        open.await_suspension(&client).await?;
        tokio::time::sleep(PAUSE).await;
        let signalled = Instant::now();
        open.signal(&client).await?;
        spans.push(span_us(signalled, next(&mut begins, number).await?));
    }
    running.stop().await?;
    Ok(spans)
}

/// An open waitpoint.
#[derive(Debug)]
pub(super) struct Open {
    /// The number of the task.
    pub(super) number: u64,
    execution_id: ExecutionId,
    waitpoint_id: WaitpointId,
    token: WaitpointToken,
}

/// Suspends at first; tells when it begins again, by the signal, and completes.
pub(super) async fn suspend_once(
    task: TaskContext,
    opened: mpsc::UnboundedSender<Open>,
    began: mpsc::UnboundedSender<Began>,
) -> TaskResult {
    let now = Instant::now();
    let number = number(task.input_payload()).unwrap_or(u64::MAX);
    if !task.resume_signals().is_empty() {
        began.send((now, number)).ok();
        return Ok(TaskEnd::done());
    }
    let (waitpoint_id, token) = task.create_pending_waitpoint(WAITPOINT, WAITPOINT_MS).await?;
    let execution_id = task.execution_id();
    opened.send(Open { number, execution_id, waitpoint_id, token }).ok();
    Ok(TaskEnd::wait_for_signal("bench", WaitpointKey::new(WAITPOINT)?, SIGNAL))
}

impl Open {
    /// Waits until the execution has suspended.
    pub(super) async fn await_suspension(
        &self,
        client: &FlowFabricClient,
    ) -> Result<(), XtaskError> {
        let deadline = Instant::now() + WAIT_MAX;
        while client.describe(&self.execution_id).await?.public_state != PublicState::Suspended {
            if Instant::now() > deadline {
                return Err(XtaskError::Told(format!("{} did not suspend", self.execution_id)));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Signals; fails unless the execution resumes by it.
    pub(super) async fn signal(&self, client: &FlowFabricClient) -> Result<(), XtaskError> {
        let signal = Signal {
            signal_name: SIGNAL.to_owned(),
            signal_category: "bench".to_owned(),
            payload: Some(Bytes::from_static(b"go on")),
            source_type: "bench".to_owned(),
            source_identity: "bench".to_owned(),
            correlation_id: None,
            idempotency_key: None,
            waitpoint_token: self.token.clone(),
        };
        match client.signal(&self.execution_id, &self.waitpoint_id, signal).await? {
            SignalOutcome::TriggeredResume { .. } => Ok(()),
            other => Err(XtaskError::Told(format!("a signal did {other:?} instead of resuming"))),
        }
    }
}

/// Waits until the handler of a task begins.
async fn next(
    begins: &mut mpsc::UnboundedReceiver<Began>,
    number: u64,
) -> Result<Instant, XtaskError> {
    let (at, which) = within(begins.recv()).await?;
    if which == number {
        return Ok(at);
    }
    Err(XtaskError::Told(format!("task {which} began instead of {number}")))
}

/// Waits for something, but not for ever.
pub(super) async fn within<T>(what: impl Future<Output = Option<T>>) -> Result<T, XtaskError> {
    let got = tokio::time::timeout(WAIT_MAX, what).await.ok().flatten();
    got.ok_or_else(|| XtaskError::Told(format!("nothing happened within {WAIT_MAX:?}")))
}

/// Returns the span in microseconds.
pub(super) fn span_us(from: Instant, to: Instant) -> f64 {
    to.duration_since(from).as_secs_f64() * 1e6
}

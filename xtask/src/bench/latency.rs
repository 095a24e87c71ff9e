//! How long an idle worker takes to begin: from the call that submits to the first line of the
//! handler.

use std::sync::Arc;
use std::time::{Duration, Instant};

use flowfabric::{EngineBackend, FlowFabricWorker, TaskContext, TaskEnd, WorkerConfig};
use tokio::sync::{mpsc, oneshot};

use super::figures::{Figures, Unit};
use super::load::{Load, client};
use crate::error::XtaskError;

/// Submissions, each after the one before has begun.
const SUBMISSIONS_MAX: u64 = 500;
/// How long one may take.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The figure.
const IDLE: &str = "idle: submit to handler start";

/// Measures the median and the 99th percentile.
pub(super) async fn measure(
    backend: &Arc<dyn EngineBackend>,
    load: &Load,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let client = client(backend)?;
    let config = WorkerConfig::builder("bench").namespace(client.namespace().as_str()).build()?;
    let worker = FlowFabricWorker::connect_with(config, backend.clone()).await?;
    let (began, mut begins) = mpsc::unbounded_channel();
    let handler = move |_: TaskContext| {
        let told = began.send(Instant::now());
        async move {
            told.ok();
            Ok(TaskEnd::done())
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        let stopped = async {
            stopped.await.ok();
        };
        worker.run(handler, stopped).await
    });
    let mut spans = Vec::new();
    for number in 0..load.tasks.min(SUBMISSIONS_MAX) {
        let submitted = Instant::now();
        client.submit(load.request(number)).await?;
        let begun = tokio::time::timeout(WAIT_MAX, begins.recv()).await.ok().flatten();
        let begun = begun.ok_or_else(|| {
            XtaskError::Told(format!("{IDLE}: nothing began within {WAIT_MAX:?}"))
        })?;
        spans.push(begun.duration_since(submitted));
        // Let the worker end the task and fall idle.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    stop.send(()).ok();
    run.await.map_err(|error| XtaskError::Told(error.to_string()))??;
    spans.sort_unstable();
    let at = |percent: usize| {
        let place = spans.len().saturating_sub(1) * percent / 100;
        spans.get(place).map_or(0.0, |span| span.as_secs_f64() * 1e6)
    };
    figures.put(IDLE, Unit::LatencyP50, at(50));
    figures.put(IDLE, Unit::LatencyP99, at(99));
    Ok(())
}

//! What the scenarios have the engine do: submit alone or in bulk, and work.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::state::TerminalOutcome;
use flowfabric::{
    EngineBackend, FlowFabricClient, FlowFabricWorker, SdkError, TaskContext, TaskEnd, WorkerConfig,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use super::load::{Load, Tally};
use super::meter::{Meter, Spent};
use crate::error::XtaskError;

/// Submissions in flight, one execution each.
pub(super) const OUTSTANDING: usize = 32;
/// Executions of a call that submits in bulk.
pub(super) const BULK: u64 = 100;
/// Such calls in flight.
pub(super) const BULKS_OUTSTANDING: usize = 4;
/// Tasks that a worker runs at a time.
pub(super) const CONCURRENT_TASKS: u16 = 16;
/// Results that are read and checked after a round.
const RESULTS_CHECKED: usize = 32;
/// How long a scenario may take.
const WORK_MAX: Duration = Duration::from_secs(300);

pub(super) type Backend = Arc<dyn EngineBackend>;

/// Submits every number in a call of its own, many callers at a time.
pub(super) async fn submit_alone(
    client: &Arc<FlowFabricClient>,
    load: &Load,
) -> Result<(), XtaskError> {
    let next = Arc::new(AtomicU64::new(0));
    let mut callers = JoinSet::new();
    for _ in 0..OUTSTANDING {
        let (client, next, load) = (client.clone(), next.clone(), *load);
        callers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= load.tasks {
                    return Ok::<(), SdkError>(());
                }
                client.submit(load.request(number)).await?;
            }
        });
    }
    join(callers).await
}

/// Submits numbers in bulk and returns some of the ids, with their numbers.
pub(super) async fn submit_bulk(
    client: &FlowFabricClient,
    load: &Load,
    numbers: std::ops::Range<u64>,
) -> Result<Vec<(ExecutionId, u64)>, XtaskError> {
    let bulks = numbers.clone().step_by(BULK as usize).map(|first| {
        let end = numbers.end.min(first + BULK);
        async move {
            let outcomes = client.submit_many(load.requests(first..end)).await?;
            let mut last = None;
            for outcome in outcomes {
                last = Some(outcome?.execution_id());
            }
            Ok::<_, SdkError>(last.map(|id| (id, end - 1)))
        }
    });
    let bulks = stream::iter(bulks).buffer_unordered(BULKS_OUTSTANDING);
    let lasts: Vec<Option<(ExecutionId, u64)>> = bulks.try_collect().await?;
    Ok(lasts.into_iter().flatten().collect())
}

/// Has a worker run all that is ready, checks it, and returns what that took.
pub(super) async fn work(
    client: &FlowFabricClient,
    load: &Load,
    concurrent_tasks: u16,
    meter: &mut Meter,
) -> Result<Spent, XtaskError> {
    let tally = Arc::new(Tally::new(load.tasks));
    let spent = work_on(client, &tally, concurrent_tasks, meter).await?;
    tally.check("work")?;
    Ok(spent)
}

/// Has a worker run until the tally has enough. What runs by then is completed, too.
pub(super) async fn work_on(
    client: &FlowFabricClient,
    tally: &Arc<Tally>,
    concurrent_tasks: u16,
    meter: &mut Meter,
) -> Result<Spent, XtaskError> {
    let worker = worker(client, concurrent_tasks).await?;
    let begun = meter.begin()?;
    run(&worker, tally).await?;
    meter.end(&begun)
}

/// Makes a worker of the client's namespace.
pub(super) async fn worker(
    client: &FlowFabricClient,
    concurrent_tasks: u16,
) -> Result<FlowFabricWorker, XtaskError> {
    let config = WorkerConfig::builder("bench")
        .namespace(client.namespace().as_str())
        .max_concurrent_tasks(concurrent_tasks)
        .build()?;
    Ok(FlowFabricWorker::connect_with(config, client.backend().clone()).await?)
}

/// Runs a worker that answers each task its number, until the tally has enough.
pub(super) async fn run(worker: &FlowFabricWorker, tally: &Arc<Tally>) -> Result<(), XtaskError> {
    let runs = tally.clone();
    let handler = move |task: TaskContext| {
        let number = runs.ran(task.input_payload());
        let result = number.unwrap_or(u64::MAX).to_be_bytes();
        async move { Ok(TaskEnd::result(result)) }
    };
    // The worker ends when what still runs has been completed.
    let run = tokio::time::timeout(WORK_MAX, worker.run(handler, tally.enough_ran())).await;
    run.map_err(|_| {
        let seconds = WORK_MAX.as_secs();
        XtaskError::Told(format!("the worker did not get through its tasks within {seconds} s"))
    })??;
    Ok(())
}

/// Fails unless these executions hold the results that their numbers stand for.
pub(super) async fn check_results(
    backend: &Backend,
    ids: &[(ExecutionId, u64)],
) -> Result<(), XtaskError> {
    for (id, number) in ids.iter().take(RESULTS_CHECKED) {
        let ended = backend.read_result(*id).await?;
        let right = ended.result.is_some_and(|result| result[..] == number.to_be_bytes());
        if ended.terminal_outcome != TerminalOutcome::Success || !right {
            return Err(XtaskError::Told(format!("{id} has not the result of task {number}")));
        }
    }
    Ok(())
}

/// Waits for all; the first failure ends it.
pub(super) async fn join<E>(mut tasks: JoinSet<Result<(), E>>) -> Result<(), XtaskError>
where
    E: 'static,
    XtaskError: From<E>,
{
    while let Some(ended) = tasks.join_next().await {
        ended
            .map_err(|error| XtaskError::Told(format!("a task of the bench ended: {error}")))??;
    }
    Ok(())
}

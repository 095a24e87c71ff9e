//! What is measured: each scenario on a namespace of its own, and checked when it is over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use flowfabric::ff_core::contracts::claim::{ClaimExecution, ClaimSource, WorkerIdentity};
use flowfabric::ff_core::contracts::terminal::CompleteExecution;
use flowfabric::ff_core::ids::ClaimId;
use flowfabric::ff_core::limits::LEASE_TTL_MS_DEFAULT;
use flowfabric::ff_core::name::{LaneId, WorkerId, WorkerInstanceId};
use flowfabric::ff_core::partition::Partition;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{
    EngineBackend, FlowFabricClient, FlowFabricWorker, SdkError, TaskContext, TaskEnd, WorkerConfig,
};
use futures::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinSet;

use super::figures::{Figures, Unit};
use super::load::{Load, Tally, check_all_in, client};
use super::meter::{Counters, Meter};
use crate::error::XtaskError;

/// Submissions in flight, one execution each.
const OUTSTANDING: usize = 32;
/// Executions of a batch.
const BATCH: u64 = 100;
/// Batches in flight.
const BATCHES_OUTSTANDING: usize = 4;
/// Tasks that the worker runs at a time.
const CONCURRENT_TASKS: u16 = 16;
/// Executions of a raw claim, completed together before the next.
const CLAIM_COUNT: u32 = 64;
/// Raw claim loops.
const CLAIM_LOOPS: u16 = 4;
/// Executions whose memory is measured, at most.
const MEMORY_TASKS_MAX: u64 = 10_000;
/// How long a scenario may take.
const SCENARIO_MAX: Duration = Duration::from_secs(300);

type Backend = Arc<dyn EngineBackend>;

/// Names of figures.
const SINGLE: &str = "submit one at a time, 32 outstanding";
const BATCHED: &str = "submit in batches of 100, 4 outstanding";
const FUSED: &str = "claim + complete, worker API, 16 at a time";
const RAW: &str = "claim 64 + complete, 4 raw loops";
const PIPELINE: &str = "submit one at a time + worker API, 16 at a time, at once";
const WHOLE: &str = "batched submit + worker API, in all";

/// Measures what executions that nobody has claimed take, and what is left of them when they ended.
pub(super) async fn memory(
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let load = Load { tasks: load.tasks.min(MEMORY_TASKS_MAX), ..*load };
    // The first of a lane pays for what all share.
    let client = client(backend)?;
    client.submit_many(load.requests(0..1)).await?;
    let (Some(used), Some(keys)) = (meter.used_memory()?, meter.keys_memory()?) else {
        return Ok(());
    };
    submit_all(&client, &load, 1).await?;
    let tasks = (load.tasks - 1) as f64;
    let grown = |after: Option<u64>, before: u64| {
        after.map_or(0.0, |after| after.saturating_sub(before) as f64 / tasks)
    };
    figures.put("pending, its keys", Unit::Bytes, grown(meter.keys_memory()?, keys));
    figures.put("pending, growth of the server", Unit::Bytes, grown(meter.used_memory()?, used));
    drain(&client, &load).await?;
    figures.put("finished, its keys", Unit::Bytes, grown(meter.keys_memory()?, keys));
    figures.put("finished, growth of the server", Unit::Bytes, grown(meter.used_memory()?, used));
    Ok(())
}

/// Submits alone, many callers at a time.
pub(super) async fn submit_single(
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let client = Arc::new(client(backend)?);
    let before = meter.counters()?;
    let begun = Instant::now();
    submit_alone(&client, load).await?;
    note(figures, SINGLE, load.tasks, begun.elapsed(), spent(before, meter.counters()?));
    check_all_in(&client, OwnerIndex::Ready, load.tasks, SINGLE).await
}

/// Submits every number in a call of its own, many callers at a time.
async fn submit_alone(client: &Arc<FlowFabricClient>, load: &Load) -> Result<(), XtaskError> {
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

/// Submits in batches, leaves the executions for the worker, and measures both.
pub(super) async fn submit_then_work(
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let client = client(backend)?;
    let before = meter.counters()?;
    let begun = Instant::now();
    submit_all(&client, load, 0).await?;
    let submitted = spent(before, meter.counters()?);
    note(figures, BATCHED, load.tasks, begun.elapsed(), submitted);
    check_all_in(&client, OwnerIndex::Ready, load.tasks, BATCHED).await?;
    let before = meter.counters()?;
    let took = drain(&client, load).await?;
    let worked = spent(before, meter.counters()?);
    note(figures, FUSED, load.tasks, took, worked);
    if let (Some(submitted), Some(worked)) = (submitted, worked) {
        let whole = Counters {
            fcalls: submitted.fcalls + worked.fcalls,
            commands: submitted.commands + worked.commands,
            cpu_us: submitted.cpu_us + worked.cpu_us,
        };
        note_cost(figures, WHOLE, load.tasks, whole);
    }
    check_all_in(&client, OwnerIndex::Done, load.tasks, FUSED).await
}

/// Submits alone while a worker works: the whole way of an execution, everything at once.
pub(super) async fn submit_while_working(
    backend: &Backend,
    load: &Load,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let client = Arc::new(client(backend)?);
    let begun = Instant::now();
    tokio::try_join!(submit_alone(&client, load), drain(&client, load))?;
    note(figures, PIPELINE, load.tasks, begun.elapsed(), None);
    check_all_in(&client, OwnerIndex::Done, load.tasks, PIPELINE).await
}

/// Claims many at a time and completes them together, without the worker's conveniences.
pub(super) async fn work_raw(
    backend: &Backend,
    load: &Load,
    meter: &mut Meter,
    figures: &mut Figures,
) -> Result<(), XtaskError> {
    let client = client(backend)?;
    submit_all(&client, load, 0).await?;
    let tally = Arc::new(Tally::new(load.tasks));
    let worker = WorkerIdentity {
        namespace: client.namespace().clone(),
        worker_id: WorkerId::new("raw")?,
        worker_instance_id: WorkerInstanceId::new(client.namespace())?,
        capabilities: Default::default(),
    };
    let before = meter.counters()?;
    let begun = Instant::now();
    let mut loops = JoinSet::new();
    for slot in 0..CLAIM_LOOPS {
        let raw =
            Raw { backend: backend.clone(), worker: worker.clone(), tally: tally.clone(), slot };
        loops.spawn(async move { raw.work().await });
    }
    join(loops).await?;
    note(figures, RAW, load.tasks, begun.elapsed(), spent(before, meter.counters()?));
    tally.check(RAW)?;
    check_all_in(&client, OwnerIndex::Done, load.tasks, RAW).await
}

/// A loop of raw claims.
struct Raw {
    backend: Backend,
    worker: WorkerIdentity,
    tally: Arc<Tally>,
    slot: u16,
}

impl Raw {
    /// Takes from each partition in turn until all are empty.
    async fn work(self) -> Result<(), SdkError> {
        let mut partitions: Vec<Partition> = self.backend.partitions().iter().collect();
        let mut turn = usize::from(self.slot);
        while !partitions.is_empty() {
            let at = turn % partitions.len();
            turn += 1;
            let taken = self.backend.claim_execution(self.claim(partitions[at])).await?;
            if taken.executions.is_empty() && !taken.ready_left {
                partitions.remove(at);
                continue;
            }
            let ends = taken.executions.into_iter().map(|claimed| {
                self.tally.ran(&claimed.input);
                let (handle, result) = (claimed.handle, Some(claimed.input));
                self.backend.complete_execution(CompleteExecution { handle, result, next: None })
            });
            let ends = stream::iter(ends).buffer_unordered(CLAIM_COUNT as usize);
            ends.try_for_each(|_| async { Ok(()) }).await?;
        }
        Ok(())
    }

    fn claim(&self, partition: Partition) -> ClaimExecution {
        ClaimExecution {
            claim_id: ClaimId::generate(),
            slot: self.slot,
            worker: self.worker.clone(),
            partition,
            source: ClaimSource::Ready { lanes: vec![LaneId::default()], count_max: CLAIM_COUNT },
            lease_ttl_ms: LEASE_TTL_MS_DEFAULT,
        }
    }
}

/// Submits the numbers from `first` on, in batches.
async fn submit_all(client: &FlowFabricClient, load: &Load, first: u64) -> Result<(), XtaskError> {
    let starts = (first..load.tasks).step_by(usize::try_from(BATCH).unwrap_or(1));
    let batches = starts.map(|start| async move {
        let requests = load.requests(start..load.tasks.min(start + BATCH));
        for outcome in client.submit_many(requests).await? {
            outcome?;
        }
        Ok::<(), SdkError>(())
    });
    let batches = stream::iter(batches).buffer_unordered(BATCHES_OUTSTANDING);
    Ok(batches.try_for_each(|()| async { Ok(()) }).await?)
}

/// Has a worker run everything that is ready, checks it, and returns how long that took.
async fn drain(client: &FlowFabricClient, load: &Load) -> Result<Duration, XtaskError> {
    let config = WorkerConfig::builder("bench")
        .namespace(client.namespace().as_str())
        .max_concurrent_tasks(CONCURRENT_TASKS)
        .build()?;
    let worker = FlowFabricWorker::connect_with(config, client.backend().clone()).await?;
    let tally = Arc::new(Tally::new(load.tasks));
    let runs = tally.clone();
    let handler = move |task: TaskContext| {
        runs.ran(task.input_payload());
        let result = task.input_payload().to_vec();
        async move { Ok(TaskEnd::result(result)) }
    };
    let begun = Instant::now();
    // The worker ends when what still runs has been completed.
    let run = worker.run(handler, tally.all_ran());
    let run = tokio::time::timeout(SCENARIO_MAX, run).await;
    run.map_err(|_| {
        let seconds = SCENARIO_MAX.as_secs();
        XtaskError::Told(format!("the worker did not get through its tasks within {seconds} s"))
    })??;
    let took = begun.elapsed();
    tally.check(FUSED)?;
    Ok(took)
}

async fn join(mut tasks: JoinSet<Result<(), SdkError>>) -> Result<(), XtaskError> {
    while let Some(ended) = tasks.join_next().await {
        ended
            .map_err(|error| XtaskError::Told(format!("a task of the bench ended: {error}")))??;
    }
    Ok(())
}

fn spent(before: Option<Counters>, after: Option<Counters>) -> Option<Counters> {
    let (before, after) = (before?, after?);
    Some(Counters {
        fcalls: after.fcalls - before.fcalls,
        commands: after.commands - before.commands,
        cpu_us: after.cpu_us.saturating_sub(before.cpu_us),
    })
}

fn note(
    figures: &mut Figures,
    name: &'static str,
    tasks: u64,
    took: Duration,
    spent: Option<Counters>,
) {
    figures.put(name, Unit::PerSecond, tasks as f64 / took.as_secs_f64());
    if let Some(spent) = spent {
        note_cost(figures, name, tasks, spent);
    }
}

fn note_cost(figures: &mut Figures, name: &'static str, tasks: u64, spent: Counters) {
    figures.put(name, Unit::Calls, spent.fcalls as f64 / tasks as f64);
    figures.put(name, Unit::Commands, spent.commands as f64 / tasks as f64);
    figures.put(name, Unit::Microseconds, spent.cpu_us as f64 / tasks as f64);
}

//! apalis-redis for `cargo xtask bench --peers`: reads a request a line, answers in lines of JSON.
//!
//! Settings, as the documentation and the tests of apalis-redis use them:
//! - `batch_size` 100 and `parallelize(tokio::spawn)`, with a `concurrency`, for throughput;
//! - `push_bulk` for batches, a clone of the storage for each caller that pushes;
//! - locks and kept results stay as by default: finished tasks stay, as they do in FlowFabric.
//!
//! It is given 5 000 tasks at a time: where some 8 000 wait, a worker of this version ends, because
//! the script that fetches puts all of them into the arguments of one command.
//!
//! How soon an idle worker begins is not measured. In this version a task always goes through the
//! set of scheduled ones, which wakes nobody, so a worker that found nothing looks again at its
//! heartbeat, after 30 s, or at whatever interval one gives it.

use std::io::{self, BufRead, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use apalis::prelude::*;
use apalis_redis::{Client, Config, RedisStorage};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::sync::Notify;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Tasks that a worker fetches at once.
const BATCH_SIZE: usize = 100;
/// Callers that submit in bulk.
const BULK_CALLERS: u64 = 4;
/// How long the last tasks may take to be done, and how often that is looked at.
const DONE_MAX: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// What is asked for; see the bench's `peer.rs`.
#[derive(Clone, Debug, Deserialize)]
struct Ask {
    run: String,
    queue: String,
    port: u16,
    tasks: u64,
    payload: usize,
    concurrency: usize,
    outstanding: u64,
    bulk: u64,
}

/// A task: its number and bytes that depend on it.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Job {
    number: u64,
    payload: String,
}

impl Job {
    fn new(number: u64, bytes: usize) -> Self {
        Self { number, payload: filling(number).to_string().repeat(bytes) }
    }

    fn is_whole(&self, bytes: usize) -> bool {
        let filling = filling(self.number) as u8;
        self.payload.len() == bytes && self.payload.bytes().all(|byte| byte == filling)
    }
}

fn filling(number: u64) -> char {
    char::from(b'a' + (number % 26) as u8)
}

fn say(answer: &serde_json::Value) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

fn next_line() -> Option<String> {
    io::stdin().lock().lines().next()?.ok()
}

fn process_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

/// Waits for the word to go, awaits `work`, and says what it took.
async fn measured(work: impl Future<Output = Result<Vec<f64>, Failure>>) -> Result<(), Failure> {
    say(&json!({"ready": true}))?;
    if next_line().as_deref() != Some("go") {
        return Err("expected the word go".into());
    }
    let (begun, cpu) = (Instant::now(), process_us());
    let spans_us = work.await?;
    let seconds = begun.elapsed().as_secs_f64();
    say(&json!({"seconds": seconds, "client_cpu_us": process_us() - cpu, "spans_us": spans_us}))
}

async fn submit_single(storage: &RedisStorage<Job>, ask: &Ask) -> Result<(), Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..ask.outstanding).map(|_| {
        let (mut storage, next, ask) = (storage.clone(), next.clone(), ask.clone());
        tokio::spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ask.tasks {
                    return Ok::<(), Failure>(());
                }
                storage.push(Job::new(number, ask.payload)).await?;
            }
        })
    });
    for caller in futures::future::try_join_all(callers).await? {
        caller?;
    }
    Ok(())
}

async fn submit_bulk(storage: &RedisStorage<Job>, ask: &Ask) -> Result<(), Failure> {
    let next = Arc::new(AtomicU64::new(0));
    let callers = (0..BULK_CALLERS).map(|_| {
        let (mut storage, next, ask) = (storage.clone(), next.clone(), ask.clone());
        tokio::spawn(async move {
            loop {
                let first = next.fetch_add(ask.bulk, Ordering::Relaxed);
                if first >= ask.tasks {
                    return Ok::<(), Failure>(());
                }
                let end = ask.tasks.min(first + ask.bulk);
                let jobs = (first..end).map(|number| Job::new(number, ask.payload)).collect();
                storage.push_bulk(jobs).await?;
            }
        })
    });
    for caller in futures::future::try_join_all(callers).await? {
        caller?;
    }
    Ok(())
}

/// Counts runs.
struct Tally {
    runs: Vec<AtomicU32>,
    damaged: AtomicU64,
    left: AtomicU64,
    all_ran: Notify,
}

impl Tally {
    fn ran(&self, job: &Job, bytes: usize) {
        if !job.is_whole(bytes) {
            self.damaged.fetch_add(1, Ordering::Relaxed);
        }
        self.runs[job.number as usize].fetch_add(1, Ordering::Relaxed);
        if self.left.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.all_ran.notify_one();
        }
    }

    fn right(&self) -> u64 {
        if self.damaged.load(Ordering::Relaxed) > 0 {
            return 0;
        }
        self.runs.iter().filter(|runs| runs.load(Ordering::Relaxed) == 1).count() as u64
    }
}

fn tally(ask: &Ask) -> Arc<Tally> {
    Arc::new(Tally {
        runs: (0..ask.tasks).map(|_| AtomicU32::new(0)).collect(),
        damaged: AtomicU64::new(0),
        left: AtomicU64::new(ask.tasks),
        all_ran: Notify::new(),
    })
}

/// Runs a worker until `over`; by then all that it took has been completed. A worker that is told
/// to stop would wait for its next heartbeat, so it is dropped.
async fn run_worker(
    ask: &Ask,
    tally: &Arc<Tally>,
    over: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let backend = storage(ask).await?;
    let (runs, bytes) = (tally.clone(), ask.payload);
    let handler = move |job: Job| {
        runs.ran(&job, bytes);
        let number = job.number;
        async move { Ok::<u64, BoxDynError>(number) }
    };
    let worker = WorkerBuilder::new(format!("worker-{}", ask.queue))
        .backend(backend)
        .concurrency(ask.concurrency)
        .parallelize(tokio::spawn)
        .build(handler);
    tokio::select! {
        ended = worker.run() => Err(format!("the worker ended: {ended:?}").into()),
        over = over => over,
    }
}

async fn storage(ask: &Ask) -> Result<RedisStorage<Job>, Failure> {
    let connection = apalis_redis::connect(format!("redis://127.0.0.1:{}", ask.port)).await?;
    let config = Config::default().queue(&ask.queue).batch_size(BATCH_SIZE);
    Ok(RedisStorage::new(connection).with_config(config))
}

async fn work(ask: &Ask) -> Result<u64, Failure> {
    let tally = tally(ask);
    measured(async {
        run_worker(ask, &tally, all_done(ask, &tally)).await?;
        Ok(Vec::new())
    })
    .await?;
    right(ask, &tally).await
}

/// Waits until all have run and the server holds all as done.
async fn all_done(ask: &Ask, tally: &Tally) -> Result<(), Failure> {
    tally.all_ran.notified().await;
    let mut connection = connection(ask).await?;
    let deadline = Instant::now() + DONE_MAX;
    while done(ask, &mut connection).await? < ask.tasks && Instant::now() < deadline {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    Ok(())
}

async fn done(
    ask: &Ask,
    connection: &mut redis::aio::MultiplexedConnection,
) -> Result<u64, Failure> {
    let mut command = redis::cmd("SCARD");
    command.arg(Config::default().queue(&ask.queue).done_jobs_set());
    Ok(command.query_async(connection).await?)
}

/// Counts the tasks that ran once, whole, unless the server holds another number as done.
async fn right(ask: &Ask, tally: &Tally) -> Result<u64, Failure> {
    let mut connection = connection(ask).await?;
    let done = done(ask, &mut connection).await?;
    Ok(if done == ask.tasks { tally.right() } else { done })
}

/// Counts the tasks that wait.
async fn waiting(ask: &Ask) -> Result<u64, Failure> {
    let mut connection = connection(ask).await?;
    let config = Config::default().queue(&ask.queue);
    let (active, scheduled): (u64, u64) = redis::pipe()
        .llen(config.active_jobs_list())
        .zcard(config.scheduled_jobs_set())
        .query_async(&mut connection)
        .await?;
    Ok(active + scheduled)
}

async fn connection(ask: &Ask) -> Result<redis::aio::MultiplexedConnection, Failure> {
    let client = Client::open(format!("redis://127.0.0.1:{}", ask.port))?;
    Ok(client.get_multiplexed_async_connection().await?)
}

async fn run(ask: &Ask) -> Result<u64, Failure> {
    let queue = storage(ask).await?;
    let none = |done: Result<(), Failure>| done.map(|()| Vec::new());
    match ask.run.as_str() {
        "submit_single" => {
            measured(async { none(submit_single(&queue, ask).await) }).await?;
            waiting(ask).await
        }
        "submit_bulk" => {
            measured(async { none(submit_bulk(&queue, ask).await) }).await?;
            waiting(ask).await
        }
        "work" => {
            submit_bulk(&queue, ask).await?;
            work(ask).await
        }
        "work_submitted" => work(ask).await,
        other => Err(format!("no such run: {other}").into()),
    }
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    while let Some(line) = next_line() {
        let ask: Ask = serde_json::from_str(&line)?;
        match run(&ask).await {
            Ok(checked) => say(&json!({"checked": checked}))?,
            Err(error) => say(&json!({"error": error.to_string()}))?,
        }
    }
    Ok(())
}

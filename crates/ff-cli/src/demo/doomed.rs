//! The worker that is killed in the middle of a task, and its killer.
//!
//! On Valkey it is a process of its own that dies by `kill -9`. A file and a store in memory have
//! all their workers in one process, so a worker inside this one drops its task: for the store both
//! look the same.

use std::env;
use std::process::Stdio;
use std::sync::Arc;

use flowfabric::ff_core::contracts::stream::StreamCursor;
use flowfabric::ff_core::ids::{AttemptIndex, ExecutionId};
use flowfabric::{
    ClaimedTask, EngineBackend, FlowFabricClient, FlowFabricWorker, SdkError, WorkerConfig,
};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};

use super::show::Screen;
use super::worker::{FileJob, LANE};
use crate::args::Global;
use crate::error::CliError;
use crate::out::raw;
use crate::store::{Access, Place};

/// The name of the worker that is killed.
pub(super) const NAME: &str = "doomed";
/// How long its lease outlives it, at most.
pub(super) const LEASE_TTL_MS: u64 = 2_000;
/// How long it may take to claim something.
const CLAIM_TRIES: u32 = 10;
/// How long the frame of the doomed worker may take to arrive.
const FRAME_WAIT_MS: u64 = 10_000;

/// Claims one task, streams a frame, and hangs: the worker that is to be killed. Started by the
/// demo.
pub(crate) async fn run(global: &Global, place: Option<Place>) -> Result<(), CliError> {
    let place = place.ok_or_else(|| CliError::Usage("a demo starts this worker".to_owned()))?;
    let backend = place.open(Access::Owner).await?;
    let worker = worker(backend, global.namespace.as_str()).await?;
    let task = begin(&worker).await?;
    raw(format!("{}\n", task.execution_id()).as_bytes())?;
    // Nobody may be left hanging: the pipe closes when the demo is gone, however it ended.
    let mut nothing = Vec::new();
    let _ = tokio::io::stdin().read_to_end(&mut nothing).await;
    Ok(task.release("the demo is gone").await?)
}

/// A worker with a task that it will never finish.
#[derive(Debug)]
pub(super) struct Doomed {
    pub(super) execution_id: ExecutionId,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Process(Child),
    Task(Box<(FlowFabricWorker, ClaimedTask)>),
}

impl Doomed {
    /// Starts the worker and waits until it has claimed a task.
    pub(super) async fn start(place: &Place, client: &FlowFabricClient) -> Result<Self, CliError> {
        let namespace = client.namespace().as_str();
        if place.is_embedded() {
            let worker = worker(client.backend().clone(), namespace).await?;
            let task = begin(&worker).await?;
            let execution_id = task.execution_id();
            return Ok(Self { execution_id, body: Body::Task(Box::new((worker, task))) });
        }
        let not_run = |source| CliError::NotRun { program: "this program".to_owned(), source };
        let mut child = Command::new(env::current_exe().map_err(not_run)?)
            .args(["demo-worker", "--url", place.as_url(), "--namespace", namespace])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(not_run)?;
        let mut line = String::new();
        if let Some(stdout) = child.stdout.take() {
            let read = BufReader::new(stdout).read_line(&mut line).await;
            read.map_err(not_run)?;
        }
        let execution_id = line.trim().parse().map_err(|_| {
            CliError::No("the worker to be killed claimed nothing, see above".to_owned())
        })?;
        Ok(Self { execution_id, body: Body::Process(child) })
    }

    /// Waits for the frame that says that the worker is at it, and kills it there and then.
    pub(super) async fn kill(
        self,
        client: &FlowFabricClient,
        screen: &Screen,
        path: &str,
    ) -> Result<(), CliError> {
        let first = StreamCursor::from_beginning();
        let attempt = AttemptIndex(0);
        let tail = client.tail_stream(&self.execution_id, attempt, first, FRAME_WAIT_MS, 1);
        if tail.await?.frames.is_empty() {
            let text = format!("no frame of {path} arrived within {FRAME_WAIT_MS} ms");
            return Err(CliError::No(text));
        }
        match self.body {
            Body::Process(mut child) => {
                let id = child.id().map_or_else(String::new, |id| format!(" {id}"));
                let failed = |source| CliError::NotRun { program: "kill".to_owned(), source };
                child.kill().await.map_err(failed)?;
                screen.say(&format!(
                    "kill -9: worker {NAME} (process{id}) is dead in the middle of {path}"
                ));
            }
            Body::Task(body) => {
                drop(body);
                screen.say(&format!("worker {NAME} drops {path} in the middle of it"));
            }
        }
        let seconds = LEASE_TTL_MS / 1_000;
        screen.say(&format!("its lease runs out in {seconds} s at most, then {path} goes on"));
        Ok(())
    }
}

async fn worker(
    backend: Arc<dyn EngineBackend>,
    namespace: &str,
) -> Result<FlowFabricWorker, SdkError> {
    let config = WorkerConfig::builder(NAME)
        .namespace(namespace)
        .lane(LANE)
        .lease_ttl_ms(LEASE_TTL_MS)
        .build()?;
    FlowFabricWorker::connect_with(config, backend).await
}

/// Claims a task and streams one frame of it.
async fn begin(worker: &FlowFabricWorker) -> Result<ClaimedTask, CliError> {
    for _ in 0..CLAIM_TRIES {
        let Some(task) = worker.claim_next().await? else { continue };
        let job = FileJob::read(task.input_payload())?;
        let text = format!("{NAME} begins with {}", job.path);
        task.append_frame("note", text.as_bytes(), None).await?;
        return Ok(task);
    }
    Err(CliError::No("there was nothing to claim for the worker to be killed".to_owned()))
}

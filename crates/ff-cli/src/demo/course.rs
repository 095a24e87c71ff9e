//! The course of a run, from the batch to the verdict.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use flowfabric::ff_core::contracts::inspect::ExecutionResult;
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricClient, FlowFabricWorker, SdkError, TaskContext, WorkerConfig};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::approve::Approval;
use super::doomed::Doomed;
use super::files::Folder;
use super::report::{Report, print_report};
use super::show::{Counts, Screen, count_of};
use super::submit::{Batch, submit_files, submit_summary};
use super::summary::{self, APPROVAL_MS_MAX, Publisher, SummaryJob, summarise};
use super::tails::{Seen, follow_all};
use super::worker::{self, Bench, analyse_file};
use crate::error::CliError;
use crate::out::Out;
use crate::store::Place;

/// The worker of the summary.
const PUBLISHER: &str = "publisher";
/// How long a run that approves itself leaves the summary suspended.
const APPROVE_AFTER: Duration = Duration::from_millis(600);
/// How often the counts are read.
const COUNT_EVERY: Duration = Duration::from_millis(150);
/// How long nothing may move before the run is given up.
const STALL: Duration = Duration::from_secs(60);
/// How long a drain waits for running tasks.
const DRAIN_GRACE_MS: u64 = 500;
/// How long the tails may lag behind the results.
const TAILS_MAX: Duration = Duration::from_secs(30);

/// A run and what it works on.
#[derive(Debug)]
pub(super) struct Course {
    pub(super) client: Arc<FlowFabricClient>,
    /// Whether the store ends with the run.
    pub(super) private: bool,
    pub(super) auto_approve: bool,
    pub(super) workers: u16,
    pub(super) folder: Folder,
    pub(super) output: PathBuf,
    pub(super) place: Place,
    pub(super) out: Out,
}

/// The workers that run, and how to stop them.
#[derive(Debug)]
struct Crew {
    stop: watch::Sender<bool>,
    running: JoinSet<Result<(), SdkError>>,
}

/// What the run came to before it was judged.
struct Outcome {
    batch: Batch,
    summary: ExecutionId,
    ended: ExecutionResult,
    seen: Vec<Result<Seen, SdkError>>,
    killed: ExecutionId,
    took: Duration,
}

impl Course {
    /// Runs to the end, to the first Ctrl-C, or to an error; then stops the workers and judges.
    pub(super) async fn run(self) -> Result<(), CliError> {
        let names: Vec<String> =
            (1..=self.workers).map(|number| format!("worker-{number}")).collect();
        let shown: Vec<String> = names.iter().cloned().chain([PUBLISHER.to_owned()]).collect();
        let screen = Arc::new(Screen::new(self.folder.files.len() as u64, &shown, self.out));
        let mut crew = Crew { stop: watch::Sender::new(false), running: JoinSet::new() };
        let mut submitted = Vec::new();
        let ended = tokio::select! {
            ended = self.perform(&mut crew, &screen, &names, &mut submitted) => ended,
            _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
        };
        if let Err(CliError::Interrupted) = &ended {
            screen.say("stopping: running tasks may end first; Ctrl-C again ends at once");
        }
        tokio::select! {
            () = self.wind_up(&mut crew, &submitted, ended.is_ok()) => {}
            _ = tokio::signal::ctrl_c() => std::process::exit(130),
        }
        screen.close();
        if ended.is_err() {
            self.tell_what_is_left().await;
        }
        let outcome = ended?;
        print_report(&self.client, self.report(&outcome, &screen), self.out).await
    }

    async fn perform(
        &self,
        crew: &mut Crew,
        screen: &Arc<Screen>,
        names: &[String],
        submitted: &mut Vec<ExecutionId>,
    ) -> Result<Outcome, CliError> {
        let begun = Instant::now();
        let batch = submit_files(&self.client, &self.folder).await?;
        let ids: Vec<_> = batch.files.iter().map(|file| file.execution_id).collect();
        submitted.clone_from(&ids);
        screen.say(&format!(
            "submitted {} files in one batch in {} ms; sent again: {} were known, none was added",
            ids.len(),
            batch.took.as_millis(),
            batch.known_again
        ));
        let doomed = Doomed::start(&self.place, &self.client).await?;
        let killed = doomed.execution_id;
        let victim = batch.files.iter().find(|file| file.execution_id == killed);
        let victim = victim.map_or("a file", |file| file.file.path.as_str());
        let tails = follow_all(self.client.clone(), screen.clone(), ids.clone());
        let tails = tokio::spawn(tails);
        for (number, name) in names.iter().enumerate() {
            self.hire(crew, screen, number, name).await?;
        }
        let (approvals, asked) = mpsc::unbounded_channel();
        self.hire_publisher(crew, screen, names.len(), approvals).await?;
        let job = SummaryJob {
            folder: self.folder.name.clone(),
            output: self.output.to_string_lossy().into_owned(),
            files: ids,
        };
        let summary = submit_summary(&self.client, &job).await?;
        submitted.push(summary);
        doomed.kill(&self.client, screen, victim).await?;
        let waits = AtomicBool::new(false);
        let ended = tokio::select! {
            ended = self.wait(summary) => ended?,
            error = self.approve(asked, screen, &waits) => return Err(error),
            error = self.watch(screen, summary, &waits) => return Err(error),
        };
        let took = begun.elapsed();
        let seen = tokio::time::timeout(TAILS_MAX, tails).await;
        let seen = seen.ok().and_then(Result::ok).unwrap_or_default();
        Ok(Outcome { batch, summary, ended, seen, killed, took })
    }

    /// Starts a worker that takes files.
    async fn hire(
        &self,
        crew: &mut Crew,
        screen: &Arc<Screen>,
        number: usize,
        name: &str,
    ) -> Result<(), CliError> {
        let worker = self.worker(name, worker::LANE).await?;
        let bench = Arc::new(Bench { name: name.to_owned(), number, screen: screen.clone() });
        let handler = move |task: TaskContext| analyse_file(task, bench.clone());
        let stop = stopped(crew.stop.subscribe());
        crew.running.spawn(async move { worker.run(handler, stop).await });
        Ok(())
    }

    /// Starts the worker that takes the summary.
    async fn hire_publisher(
        &self,
        crew: &mut Crew,
        screen: &Arc<Screen>,
        number: usize,
        approvals: mpsc::UnboundedSender<Approval>,
    ) -> Result<(), CliError> {
        let worker = self.worker(PUBLISHER, summary::LANE).await?;
        let bench = Bench { name: PUBLISHER.to_owned(), number, screen: screen.clone() };
        let publisher = Arc::new(Publisher { bench, client: self.client.clone(), approvals });
        let handler = move |task: TaskContext| summarise(task, publisher.clone());
        let stop = stopped(crew.stop.subscribe());
        crew.running.spawn(async move { worker.run(handler, stop).await });
        Ok(())
    }

    async fn worker(&self, name: &str, lane: &str) -> Result<FlowFabricWorker, SdkError> {
        let config = WorkerConfig::builder(name)
            .namespace(self.client.namespace().as_str())
            .lane(lane)
            .drain_grace_ms(DRAIN_GRACE_MS)
            .build()?;
        FlowFabricWorker::connect_with(config, self.client.backend().clone()).await
    }

    /// Waits for the end of the summary, however long a person takes to approve it.
    async fn wait(&self, summary: ExecutionId) -> Result<ExecutionResult, CliError> {
        let clock = self.client.backend().clock();
        loop {
            let deadline = clock.now().plus_ms(APPROVAL_MS_MAX);
            if let Some(ended) = self.client.wait_for_result(&summary, deadline).await? {
                return Ok(ended);
            }
        }
    }

    /// Tells how to approve, or does it. Ends only with an error.
    async fn approve(
        &self,
        mut asked: mpsc::UnboundedReceiver<Approval>,
        screen: &Screen,
        waits: &AtomicBool,
    ) -> CliError {
        while let Some(approval) = asked.recv().await {
            screen.say("every file is done; the summary is suspended until it is approved");
            let memory = self.place.is_memory();
            if !self.auto_approve && !memory {
                waits.store(true, Ordering::Relaxed);
                let command = approval.command(&self.place);
                screen.print(&format!("\nApprove it from another terminal:\n\n  {command}\n"));
                continue;
            }
            if memory {
                screen.say("no other process reaches a store in memory: it is approved from here");
            } else {
                screen.say(&format!("approved by itself, as: {}", approval.command(&self.place)));
            }
            tokio::time::sleep(APPROVE_AFTER).await;
            if let Err(error) = approval.deliver(&self.client, "auto-approve").await {
                return error.into();
            }
        }
        std::future::pending().await
    }

    /// Shows the counts. Ends only when nothing has moved for too long.
    async fn watch(&self, screen: &Screen, summary: ExecutionId, waits: &AtomicBool) -> CliError {
        let mut last: (Counts, u64) = Default::default();
        let mut moved_at = Instant::now();
        loop {
            // A store that does not answer moves nothing; the clock below decides.
            if let Ok(counts) = self.counts().await {
                screen.count(&counts);
                let now = (counts, screen.frames());
                if now != last || waits.load(Ordering::Relaxed) {
                    moved_at = Instant::now();
                    last = now;
                }
            }
            if moved_at.elapsed() > STALL {
                let why = self.client.explain(&summary).await;
                let why = why.map_or_else(|error| error.to_string(), |why| why.sentence);
                return CliError::No(format!(
                    "nothing has moved for {} s; about the summary the engine says: {why}",
                    STALL.as_secs()
                ));
            }
            tokio::time::sleep(COUNT_EVERY).await;
        }
    }

    async fn counts(&self) -> Result<Counts, SdkError> {
        let lanes = self.client.backend().list_lanes(self.client.namespace().clone()).await?;
        let files = lanes.into_iter().find(|lane| lane.lane.as_str() == worker::LANE);
        Ok(files.map(|lane| lane.counts).unwrap_or_default())
    }

    /// Stops the workers, and leaves nothing to do behind in a store that goes on.
    async fn wind_up(&self, crew: &mut Crew, submitted: &[ExecutionId], done: bool) {
        crew.stop.send_replace(true);
        while crew.running.join_next().await.is_some() {}
        if done || self.private {
            return;
        }
        for id in submitted {
            // What has ended refuses, and that is well.
            let _ = self.client.cancel(id, "the demo was stopped", 0).await;
        }
    }

    /// Says how far a run came that did not end well.
    async fn tell_what_is_left(&self) {
        // The error that ended the run says more than this one would.
        if let Ok(counts) = self.counts().await {
            let done = count_of(&counts, OwnerIndex::Done);
            let rest = if self.private { "gone with its store" } else { "cancelled" };
            let all = self.folder.files.len();
            self.out.say(format!("{done} of {all} executions had ended; the run is {rest}"));
        }
    }

    fn report<'a>(&'a self, outcome: &'a Outcome, screen: &Screen) -> Report<'a> {
        let seen = outcome.seen.iter().filter_map(|seen| seen.as_ref().ok());
        Report {
            folder: &self.folder,
            batch: &outcome.batch,
            summary: outcome.summary,
            summary_end: &outcome.ended,
            killed: outcome.killed,
            seen: seen.map(|seen| (seen.execution_id, seen.frames)).collect(),
            frames: screen.frames(),
            took: outcome.took,
        }
    }
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    // A sender that is gone stops, too.
    let _ = stop.wait_for(|stop| *stop).await;
}

//! The worker loop: claims up to its free permits, runs a handler on each task, drains at the end.

mod chain;
mod ends;
mod outcome;

pub use outcome::{
    ENGINE_UNAVAILABLE_CATEGORY, HANDLER_ERROR_CATEGORY, INVALID_END_CATEGORY, PANIC_CATEGORY,
    TaskContext, TaskEnd, TaskError, TaskResult,
};

use crate::claim::Pull;
use crate::error::SdkError;
use crate::task::ClaimedTask;
use crate::worker::{Core, FlowFabricWorker};
use chain::{Crew, Phase};
use ends::Ends;
use ff_core::time::TimestampMs;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::task::JoinSet;

/// First wait after a claim failed; it doubles.
const CLAIM_RETRY_MS_MIN: u64 = 100;
/// Longest wait after a claim failed.
const CLAIM_RETRY_MS_MAX: u64 = 5_000;

/// Resolves on SIGTERM (on Unix) or Ctrl-C: the usual shutdown of a worker.
pub async fn shutdown_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = interrupt => {}
        () = terminate() => {}
    }
}

#[cfg(unix)]
async fn terminate() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            terminate.recv().await;
        }
        Err(error) => {
            tracing::error!(%error, "SIGTERM cannot be listened to");
            std::future::pending().await
        }
    }
}

#[cfg(not(unix))]
async fn terminate() {
    std::future::pending().await
}

impl FlowFabricWorker {
    /// Runs tasks until `shutdown` resolves, such as [`shutdown_signal`].
    ///
    /// `handler` is an async function over a [`TaskContext`]. What it returns says how the turn of
    /// the task ends; an error or a panic (category `panic`) fails the attempt, or cancels it when
    /// a cancel was requested. Its future is dropped when the lease is lost. The end of a task
    /// travels with the claim of the next in one call, and tasks that complete at the same time
    /// travel together.
    ///
    /// A handler must not block its thread: renewals run on the same runtime, and one that never
    /// yields can neither be dropped in a drain nor lets the runtime end. Give blocking work to
    /// `tokio::task::spawn_blocking`.
    ///
    /// On shutdown it claims no more, waits for the drain grace, drops the handlers that still
    /// run, and releases their tasks: those go on elsewhere at once and nothing is counted. Errors
    /// of the store are logged, and claims are tried again until shutdown.
    pub async fn run<H, F>(
        &self,
        handler: H,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), SdkError>
    where
        H: Fn(TaskContext) -> F + Send + Sync + 'static,
        F: Future<Output = TaskResult> + Send + 'static,
    {
        self.core.registration.begin();
        let (phase, seen) = watch::channel(Phase::Running);
        let ends = Arc::new(Ends::new(self.core.clone(), seen));
        let crew = Arc::new(Crew { core: self.core.clone(), handler, phase, ends });
        let mut running = JoinSet::new();
        {
            let mut shutdown = std::pin::pin!(shutdown);
            take_work(&crew, &mut running, shutdown.as_mut()).await;
        }
        crew.phase.send_replace(Phase::Draining);
        drain(&crew, &mut running).await;
        self.core.registration.end().await;
        Ok(())
    }
}

/// Claims and starts tasks until the shutdown.
async fn take_work<H, F>(
    crew: &Arc<Crew<H>>,
    running: &mut JoinSet<()>,
    mut shutdown: Pin<&mut impl Future<Output = ()>>,
) where
    H: Fn(TaskContext) -> F + Send + Sync + 'static,
    F: Future<Output = TaskResult> + Send + 'static,
{
    let mut retry = Retry::default();
    let mut permits = None;
    loop {
        let pulled = tokio::select! {
            biased;
            () = shutdown.as_mut() => return,
            pulled = pull(&crew.core, &mut permits) => pulled,
        };
        match pulled {
            Ok(tasks) => {
                retry = Retry::default();
                for task in tasks {
                    running.spawn(crew.clone().work(task));
                }
            }
            Err(error) => {
                retry.log(&error);
                let at = retry.next_at(crew.core.clock.now());
                tokio::select! {
                    () = shutdown.as_mut() => return,
                    () = crew.core.clock.sleep_until(at) => {}
                }
            }
        }
        while let Some(ended) = running.try_join_next() {
            log_join(ended);
        }
    }
}

/// Waits for a permit and then for work. Permits that found no task are kept for the next time.
async fn pull(
    core: &Arc<Core>,
    kept: &mut Option<OwnedSemaphorePermit>,
) -> Result<Vec<ClaimedTask>, SdkError> {
    let mut permits = match kept.take() {
        Some(permits) => permits,
        None => core.permit().await?,
    };
    let tasks = core.pull(&mut permits, Pull::Places, None).await?;
    *kept = Some(permits).filter(|permits| permits.num_permits() > 0);
    Ok(tasks)
}

/// Waits for the running tasks, then has what is left released.
async fn drain<H, F>(crew: &Arc<Crew<H>>, running: &mut JoinSet<()>)
where
    H: Fn(TaskContext) -> F + Send + Sync + 'static,
    F: Future<Output = TaskResult> + Send + 'static,
{
    let core = &crew.core;
    let grace_over_at = core.clock.now().plus_ms(core.config.drain_grace_ms());
    tokio::select! {
        () = join_all(running) => {}
        () = core.clock.sleep_until(grace_over_at) => {}
    }
    crew.phase.send_replace(Phase::Releasing);
    // A release is sent until its lease has run out; a handler that never yields cannot be
    // dropped, and is left behind then.
    let give_up_at = core.clock.now().plus_ms(2 * core.config.lease_ttl_ms());
    tokio::select! {
        () = join_all(running) => {}
        () = core.clock.sleep_until(give_up_at) => {
            tracing::error!(tasks = running.len(), "handlers did not stop; leaving them behind");
            running.abort_all();
        }
    }
    // A claim that was in flight at the shutdown gives back what it took.
    let claims = async {
        crew.ends.settled().await;
        let _slot = core.waiting_slot.lock().await;
    };
    tokio::select! {
        () = claims => {}
        () = core.clock.sleep_until(give_up_at) => {}
    }
}

async fn join_all(running: &mut JoinSet<()>) {
    while let Some(ended) = running.join_next().await {
        log_join(ended);
    }
}

fn log_join(ended: Result<(), tokio::task::JoinError>) {
    if let Err(error) = ended
        && !error.is_cancelled()
    {
        tracing::error!(%error, "a task of the worker loop ended badly");
    }
}

/// The growing wait between failed claims; the first failure of a row is logged.
#[derive(Debug, Default)]
struct Retry {
    failures: u32,
}

impl Retry {
    fn log(&self, error: &SdkError) {
        if self.failures == 0 {
            tracing::warn!(%error, "a claim failed; trying again until it works");
        } else {
            tracing::debug!(%error, failures = self.failures, "a claim failed again");
        }
    }

    fn next_at(&mut self, now: TimestampMs) -> TimestampMs {
        let wait_ms = CLAIM_RETRY_MS_MIN << self.failures.min(16);
        self.failures = self.failures.saturating_add(1);
        now.plus_ms(wait_ms.min(CLAIM_RETRY_MS_MAX))
    }
}

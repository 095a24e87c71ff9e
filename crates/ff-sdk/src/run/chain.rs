//! One permit's work: run a task, end it together with the claim of the next, and so on.

use super::ends::Ends;
use super::outcome::{INVALID_END_CATEGORY, TaskContext, TaskEnd, TaskError, TaskResult};
use crate::task::ClaimedTask;
use crate::terminal::{EndRequest, NotEnded};
use crate::worker::{Core, Slot};
use ff_core::contracts::claim::ClaimedExecution;
use ff_core::contracts::suspend::{ExecutionSuspended, SuspendExecution};
use ff_core::contracts::terminal::FailExecution;
use ff_core::time::TimestampMs;
use futures::FutureExt;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use tokio::sync::watch;
use tracing::Instrument;

/// Reason of a task that is released because the worker drains.
const DRAIN_REASON: &str = "the worker is shutting down";

/// How far the worker loop has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    /// It claims and runs.
    Running,
    /// It claims no more; what runs may end.
    Draining,
    /// What still runs is dropped and released.
    Releasing,
}

/// What the running tasks share.
#[derive(Debug)]
pub(super) struct Crew<H> {
    pub(super) core: Arc<Core>,
    pub(super) handler: H,
    pub(super) phase: watch::Sender<Phase>,
    pub(super) ends: Arc<Ends>,
}

/// How the run of a handler came out.
enum Ran {
    Answered(TaskResult),
    LeaseLost,
    Released,
}

/// How an attempt to end a turn came out.
enum Ending {
    /// The turn is over. What a fused claim took comes with it.
    Over(Option<TaskContext>),
    /// A suspension was met already: the handler runs again.
    Again,
    /// The engine refused and the lease is still held.
    Refused(String),
}

impl<H, F> Crew<H>
where
    H: Fn(TaskContext) -> F + Send + Sync + 'static,
    F: Future<Output = TaskResult> + Send + 'static,
{
    /// Runs a task, and those that its end brings.
    pub(super) async fn work(self: Arc<Self>, task: ClaimedTask) {
        let slot = self.core.slot();
        let mut next = Some(TaskContext::new(task));
        while let Some(task) = next {
            next = self.work_on(task, slot.as_ref()).await;
        }
    }

    /// Runs one task to the end of its turn and returns the task that came with it.
    async fn work_on(&self, task: TaskContext, slot: Option<&Slot>) -> Option<TaskContext> {
        loop {
            let ending = match self.run_handler(&task).await {
                Ran::Answered(answer) => {
                    let said = answer.as_ref().err().map(|error| error.reason().to_owned());
                    let slot = slot.map(|slot| slot.number);
                    match self.end(&task, answer, slot).await {
                        Ending::Refused(why) => {
                            let reason = said.map_or(why.clone(), |said| format!("{said} ({why})"));
                            let failure = task.failure(&reason, INVALID_END_CATEGORY);
                            self.fail(&task, failure, slot).await
                        }
                        ending => ending,
                    }
                }
                Ran::Released => self.plainly(&task, task.hand_back(DRAIN_REASON)).await,
                Ran::LeaseLost => {
                    let execution_id = task.execution_id();
                    tracing::warn!(%execution_id, "the lease was lost; its handler was dropped");
                    Ending::Over(None)
                }
            };
            let next = match ending {
                Ending::Again => continue,
                Ending::Over(next) => next,
                Ending::Refused(why) => {
                    let execution_id = task.execution_id();
                    tracing::error!(%execution_id, why, "no end was accepted; the lease runs out");
                    None
                }
            };
            // The handler may have kept a clone of the context: nothing of the task outlives it.
            task.set_ended();
            drop(task.take_permit());
            return next;
        }
    }

    async fn run_handler(&self, task: &TaskContext) -> Ran {
        let mut phase = self.phase.subscribe();
        let releasing = async {
            // The sender lives as long as the crew, so this cannot fail.
            let _ = phase.wait_for(|phase| *phase == Phase::Releasing).await;
        };
        let span = tracing::info_span!(
            "run_task",
            execution_id = %task.execution_id(),
            attempt_index = %task.attempt_index(),
        );
        let context = task.clone();
        let handler = async { (self.handler)(context).await }.instrument(span);
        tokio::select! {
            biased;
            answer = AssertUnwindSafe(handler).catch_unwind() => {
                Ran::Answered(answer.unwrap_or_else(|panic| Err(TaskError::panic(&*panic))))
            }
            () = task.lease().lost() => Ran::LeaseLost,
            () = releasing => Ran::Released,
        }
    }

    /// Ends the turn as the handler said.
    async fn end(&self, task: &TaskContext, answer: TaskResult, slot: Option<u16>) -> Ending {
        match answer {
            Ok(TaskEnd::Complete(result)) => {
                let verdict = self.ends.complete(task, result, slot).await;
                self.after(task, verdict.ended, verdict.next)
            }
            Err(error) if task.lease().is_cancel_requested() => {
                self.plainly(task, task.cancellation(error.reason())).await
            }
            Err(error) => {
                let failure = task.failure(error.reason(), error.category());
                self.fail(task, failure, slot).await
            }
            Ok(TaskEnd::Cancel(reason)) => self.plainly(task, task.cancellation(&reason)).await,
            Ok(TaskEnd::Delay(until)) => self.plainly(task, task.delay(until)).await,
            Ok(TaskEnd::Release(reason)) => self.plainly(task, task.hand_back(&reason)).await,
            Ok(TaskEnd::WaitChildren) => self.plainly(task, task.wait_for_children()).await,
            Ok(TaskEnd::Suspend { reason_code, matchers, timeout_ms, timeout_behavior }) => {
                let request =
                    task.suspension(&reason_code, &matchers, timeout_ms, timeout_behavior);
                self.suspend(task, &request).await
            }
        }
    }

    async fn fail(
        &self,
        task: &TaskContext,
        mut request: FailExecution,
        slot: Option<u16>,
    ) -> Ending {
        let partition = task.execution_id().partition();
        let fused = slot.and_then(|slot| self.ends.fuse(partition, slot, 1));
        request.next = fused.as_ref().map(|fused| fused.claim.clone());
        let (ended, claimed) = match task.land(&request).await {
            Ok(ended) => (Ok(()), ended.next),
            Err(NotEnded::NotLanded(error)) => {
                let claimed = match &fused {
                    Some(fused) => self.ends.repeat_claim(fused).await,
                    None => None,
                };
                (Err(NotEnded::NotLanded(error)), claimed)
            }
            Err(not_ended) => (Err(not_ended), None),
        };
        let next = match (claimed, &fused) {
            (Some(claimed), Some(fused)) => {
                let next = self.ends.unpack(claimed, fused).await;
                next.into_iter().next().map(|next| (next, fused.sent_at))
            }
            _ => None,
        };
        self.after(task, ended, next)
    }

    /// Ends a turn by a request that carries no claim.
    async fn plainly<R: EndRequest>(&self, task: &TaskContext, request: R) -> Ending {
        let ended = task.land(&request).await.map(drop);
        self.after(task, ended, None)
    }

    async fn suspend(&self, task: &TaskContext, request: &SuspendExecution) -> Ending {
        match task.land(request).await {
            Ok(outcome) => {
                task.note_suspension(&outcome);
                match outcome {
                    ExecutionSuspended::Suspended(_) => Ending::Over(None),
                    ExecutionSuspended::AlreadySatisfied { .. } => Ending::Again,
                }
            }
            Err(not_ended) => self.after(task, Err(not_ended), None),
        }
    }

    /// Takes the answer to an end: what was claimed with it becomes the next task.
    fn after(
        &self,
        task: &TaskContext,
        ended: Result<(), NotEnded>,
        next: Option<(ClaimedExecution, TimestampMs)>,
    ) -> Ending {
        let execution_id = task.execution_id();
        match ended {
            Ok(()) => {}
            Err(NotEnded::Refused(error)) => return Ending::Refused(error.to_string()),
            Err(NotEnded::LeaseLost(error)) => {
                tracing::warn!(%execution_id, %error, "the lease was lost before the end");
            }
            Err(NotEnded::NotLanded(error)) => {
                tracing::error!(%execution_id, %error, "the end did not land in its lease's time");
            }
        }
        let next = next.map(|(next, sent_at)| self.core.task(next, sent_at, task.take_permit()));
        Ending::Over(next.map(TaskContext::new))
    }
}

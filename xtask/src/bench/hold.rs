//! Tasks that do nothing but run, until they are told to go on.

use std::sync::Arc;

use flowfabric::ff_core::state::OwnerIndex;
use flowfabric::{FlowFabricClient, FlowFabricWorker, TaskContext, TaskEnd};
use tokio::sync::watch;

use super::load::{Tally, await_all_in};
use super::wait::Running;
use crate::error::XtaskError;

/// Workers that hold a number of tasks active.
pub(super) struct Held {
    tally: Arc<Tally>,
    go_on: watch::Sender<bool>,
    running: Vec<Running>,
}

impl Held {
    /// Has these workers run all the tasks of a namespace, and returns once all are active.
    pub(super) async fn by(
        workers: Vec<FlowFabricWorker>,
        client: &FlowFabricClient,
        tasks: u64,
    ) -> Result<Self, XtaskError> {
        let tally = Arc::new(Tally::new(tasks));
        let (go_on, held) = watch::channel(false);
        let runs = tally.clone();
        let handler = move |task: TaskContext| {
            runs.ran(task.input_payload());
            let mut held = held.clone();
            async move {
                held.wait_for(|go_on| *go_on).await.ok();
                Ok(TaskEnd::done())
            }
        };
        let start = |worker| Running::start(worker, handler.clone());
        let running = workers.into_iter().map(start).collect();
        await_all_in(client, OwnerIndex::Active, tasks).await?;
        // A worker that is stopped before it has the answer of its claim gives back what it took.
        tally.enough_ran().await;
        Ok(Self { tally, go_on, running })
    }

    /// Has all tasks go on, and fails unless each ran exactly once.
    pub(super) async fn release(self, what: &str) -> Result<(), XtaskError> {
        self.go_on.send_replace(true);
        for running in self.running {
            running.stop().await?;
        }
        self.tally.check(what)
    }
}

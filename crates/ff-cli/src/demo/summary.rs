//! The summary: waits for every file, asks for an approval, and writes the index.

use std::path::Path;
use std::sync::Arc;

use flowfabric::ff_core::contracts::suspend::ConditionMatcher;
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::state::TimeoutBehavior;
use flowfabric::ff_core::time::TimestampMs;
use flowfabric::{FlowFabricClient, TaskContext, TaskEnd, TaskError, TaskResult};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::approve::Approval;
use super::gather::{Told, gather};
use super::page::{Index, write_index};
use super::worker::Bench;
use crate::signal::APPROVE as SIGNAL;

/// What this execution does.
pub(super) const KIND: &str = "summarise";
/// The lane it queues in.
pub(super) const LANE: &str = "summary";
/// How long the approval may take: half an hour.
pub(super) const APPROVAL_MS_MAX: u64 = 30 * 60 * 1_000;
/// How long all files together may take: ten minutes.
const FILES_MS_MAX: u64 = 10 * 60 * 1_000;
/// Files between two reports of progress.
const FILES_PER_REPORT: usize = 25;

/// The input of the summary.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SummaryJob {
    /// The name of the folder.
    pub(super) folder: String,
    /// Where the index goes.
    pub(super) output: String,
    /// The executions whose results it reads.
    pub(super) files: Vec<ExecutionId>,
}

/// The result of the summary.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct SummaryResult {
    /// Where the page is.
    pub(super) page: String,
    /// Who approved it.
    pub(super) approved_by: String,
}

/// What the worker of the summary has at hand.
#[derive(Debug)]
pub(super) struct Publisher {
    pub(super) bench: Bench,
    pub(super) client: Arc<FlowFabricClient>,
    pub(super) approvals: mpsc::UnboundedSender<Approval>,
}

/// Works on the summary: the first time up to the approval, then from there.
pub(super) async fn summarise(task: TaskContext, publisher: Arc<Publisher>) -> TaskResult {
    let job: SummaryJob = serde_json::from_slice(task.input_payload())?;
    match task.resume_signals().first() {
        None => publisher.ask(&task, &job).await,
        Some(signal) => publisher.publish(&task, &job, &signal.source_identity).await,
    }
}

impl Publisher {
    fn doing(&self, text: impl Into<String>) {
        self.bench.screen.doing(self.bench.number, text);
    }

    /// Waits for every file, then suspends.
    async fn ask(&self, task: &TaskContext, job: &SummaryJob) -> TaskResult {
        let deadline = self.client.backend().clock().now().plus_ms(FILES_MS_MAX);
        let all = job.files.len();
        for (index, id) in job.files.iter().enumerate() {
            self.doing(format!("has the results of {index} of {all} files"));
            if index % FILES_PER_REPORT == 0 {
                let percent = u8::try_from(index * 100 / all).unwrap_or(100);
                task.update_progress(percent, Some("collects results")).await?;
            }
            self.wait_for(id, deadline).await?;
        }
        // Opened ahead of the suspension: an approval that is faster than it is kept.
        let (waitpoint_id, token) = task.create_pending_waitpoint(SIGNAL, APPROVAL_MS_MAX).await?;
        self.doing("waits for the approval, without holding a lease");
        let execution_id = task.execution_id();
        // Nobody listens any more once the demo is stopping.
        let _ = self.approvals.send(Approval { execution_id, waitpoint_id, token });
        Ok(TaskEnd::Suspend {
            reason_code: "waits_for_approval".to_owned(),
            matchers: vec![ConditionMatcher {
                signal_name: SIGNAL.to_owned(),
                waitpoint_key: Some(SIGNAL.parse()?),
            }],
            timeout_ms: Some(APPROVAL_MS_MAX),
            timeout_behavior: TimeoutBehavior::Fail,
        })
    }

    async fn wait_for(&self, id: &ExecutionId, deadline: TimestampMs) -> Result<(), TaskError> {
        match self.client.wait_for_result(id, deadline).await? {
            Some(_) => Ok(()),
            None => {
                let why = self.client.explain(id).await?.sentence;
                Err(TaskError::new("files_late", format!("{id} is not done: {why}")))
            }
        }
    }

    /// Reads what the files came to and writes the index.
    async fn publish(&self, task: &TaskContext, job: &SummaryJob, by: &str) -> TaskResult {
        self.doing(format!("approved by {by}, reads the results"));
        let attempt = task.attempt_index();
        let name = &self.bench.name;
        let text =
            format!("{name} goes on with attempt {attempt} of the summary, approved by {by}");
        self.bench.screen.say(&text);
        let told: Vec<Told> = gather(&self.client, &job.files).await?;
        let index = Index::new(&job.folder, by, &told);
        let page = write_index(Path::new(&job.output), &index).await.map_err(|error| {
            TaskError::new("index_unwritable", format!("{} cannot be written: {error}", job.output))
        })?;
        task.append_frame("page", page.as_bytes(), None).await?;
        self.bench.screen.say(&format!("{name} wrote {page}"));
        self.doing("is done");
        let result = SummaryResult { page, approved_by: by.to_owned() };
        Ok(TaskEnd::result(serde_json::to_vec(&result)?))
    }
}

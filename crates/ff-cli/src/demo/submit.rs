//! Hands every file to the engine, all in one batch.

use std::time::{Duration, Instant};

use flowfabric::ff_core::contracts::submit::ExecutionSubmitted;
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::limits::IDEMPOTENCY_KEY_BYTES_MAX;
use flowfabric::ff_core::policy::{Backoff, RetryPolicy};
use flowfabric::{FlowFabricClient, SubmitRequest};

use super::files::{Folder, SourceFile, sha256};
use super::summary::{self, SummaryJob};
use super::worker::{self, FAILING_TAG, FileJob};
use crate::error::CliError;

/// The first wait before a failed attempt is made again.
const BACKOFF_MS: u64 = 400;
/// How much earlier the first file goes than the others: its worker is killed.
const FIRST_PRIORITY: i32 = 10;

/// A file that was submitted.
#[derive(Clone, Debug)]
pub(super) struct Submitted {
    pub(super) file: SourceFile,
    pub(super) execution_id: ExecutionId,
}

/// All files, submitted.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) files: Vec<Submitted>,
    /// How long the batch took.
    pub(super) took: Duration,
    /// How many of the same requests, sent a second time, were known.
    pub(super) known_again: usize,
}

/// Submits an execution a file. The whole batch is then sent again: its keys are known, so it adds
/// nothing.
pub(super) async fn submit_files(
    client: &FlowFabricClient,
    folder: &Folder,
) -> Result<Batch, CliError> {
    let requests = folder.files.iter().enumerate();
    let requests: Vec<SubmitRequest> =
        requests.map(|(index, file)| request(folder, index, file)).collect::<Result<_, _>>()?;
    let begun = Instant::now();
    let outcomes = client.submit_many(requests.clone()).await?;
    let took = begun.elapsed();
    let mut files = Vec::with_capacity(outcomes.len());
    for (file, outcome) in folder.files.iter().zip(outcomes) {
        let execution_id = outcome?.execution_id();
        files.push(Submitted { file: file.clone(), execution_id });
    }
    let again = client.submit_many(requests).await?;
    let known = |(first, again): &(&Submitted, Result<ExecutionSubmitted, _>)| {
        let id = first.execution_id;
        matches!(again, Ok(ExecutionSubmitted::Duplicate { execution_id }) if *execution_id == id)
    };
    let known_again = files.iter().zip(again).filter(known).count();
    Ok(Batch { files, took, known_again })
}

/// Submits the summary of these files.
pub(super) async fn submit_summary(
    client: &FlowFabricClient,
    job: &SummaryJob,
) -> Result<ExecutionId, CliError> {
    let request = SubmitRequest::new(summary::KIND, serde_json::to_vec(job)?)
        .lane(summary::LANE)
        .retry(retry())
        .idempotency_key("summary");
    Ok(client.submit(request).await?.execution_id())
}

fn request(folder: &Folder, index: usize, file: &SourceFile) -> Result<SubmitRequest, CliError> {
    let root = folder.root.to_string_lossy().into_owned();
    let job = FileJob { root, path: file.path.clone() };
    // A key is bounded, a path is not.
    let key = match file.path.len() {
        0..=IDEMPOTENCY_KEY_BYTES_MAX if !file.path.chars().any(char::is_control) => {
            file.path.clone()
        }
        _ => sha256(file.path.as_bytes()),
    };
    let mut request = SubmitRequest::new(worker::KIND, serde_json::to_vec(&job)?)
        .lane(worker::LANE)
        .retry(retry())
        .idempotency_key(key);
    if index == 0 {
        request = request.priority(FIRST_PRIORITY);
    }
    let (flaky, attempt) = flaky(folder.files.len());
    if index == flaky {
        request = request.tag(FAILING_TAG, attempt);
    }
    Ok(request)
}

/// Returns which file fails on purpose, and at which attempt. The first attempt at the first file
/// is the one that loses its worker.
fn flaky(files: usize) -> (usize, &'static str) {
    if files == 1 { (0, "1") } else { (files / 2, "0") }
}

fn retry() -> RetryPolicy {
    RetryPolicy {
        backoff: Backoff::Exponential {
            initial_ms: BACKOFF_MS,
            ceiling_ms: 10 * BACKOFF_MS,
            growth_pct: 200,
        },
        ..RetryPolicy::default()
    }
}

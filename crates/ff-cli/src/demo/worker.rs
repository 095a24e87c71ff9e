//! The work on one file: read it, stream what is found, return the whole.

use std::path::Path;
use std::sync::Arc;

use flowfabric::ff_core::contracts::stream::Frame;
use flowfabric::{TaskContext, TaskEnd, TaskError, TaskResult};
use serde::{Deserialize, Serialize};

use super::analyse::{Analysis, Analyst};
use super::show::Screen;
use crate::error::CliError;

/// What these executions do.
pub(super) const KIND: &str = "analyse_file";
/// The lane they queue in.
pub(super) const LANE: &str = "files";
/// The tag that names the attempt that fails on purpose.
pub(super) const FAILING_TAG: &str = "failing_attempt";
/// The category of the failure on purpose.
pub(super) const FLAKY_CATEGORY: &str = "demo_flaky";
/// Lines that are read between two frames.
const LINES_PER_FRAME: usize = 200;
/// Frames of one append: its headings, and one that counts.
const HEADINGS_PER_APPEND_MAX: usize = 200;

/// The input of an execution.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct FileJob {
    /// The folder.
    pub(super) root: String,
    /// The file in it.
    pub(super) path: String,
}

/// The result of an execution.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FileResult {
    pub(super) path: String,
    /// The frames that the attempt streamed.
    pub(super) frames: u64,
    pub(super) analysis: Analysis,
}

/// Who works, and where that is shown.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) name: String,
    pub(super) number: usize,
    pub(super) screen: Arc<Screen>,
}

impl FileJob {
    /// Reads an input.
    pub(super) fn read(input: &[u8]) -> Result<Self, CliError> {
        Ok(serde_json::from_slice(input)?)
    }
}

/// Works on the file that a task names.
pub(super) async fn analyse_file(task: TaskContext, bench: Arc<Bench>) -> TaskResult {
    let job = FileJob::read(task.input_payload())?;
    let attempt = task.attempt_index();
    if attempt.0 > 0 {
        bench.screen.say(&format!("{} begins attempt {attempt} at {}", bench.name, job.path));
    }
    let content = tokio::fs::read(Path::new(&job.root).join(&job.path)).await;
    let content = content.map_err(|error| {
        TaskError::new("file_unreadable", format!("{} cannot be read: {error}", job.path))
    })?;
    let mut run = Run { task: &task, bench: &bench, path: &job.path, frames: 0 };
    let analysis = run.stream(&content).await?;
    bench.screen.doing(bench.number, "waits for work");
    let result = FileResult { path: job.path.clone(), frames: run.frames, analysis };
    Ok(TaskEnd::result(serde_json::to_vec(&result)?))
}

struct Run<'a> {
    task: &'a TaskContext,
    bench: &'a Bench,
    path: &'a str,
    frames: u64,
}

impl Run<'_> {
    async fn stream(&mut self, content: &[u8]) -> Result<Analysis, TaskError> {
        let mut analyst = Analyst::new(self.path, content);
        let text =
            if analyst.found().binary { "".into() } else { String::from_utf8_lossy(content) };
        let lines: Vec<&str> = text.lines().collect();
        let mut read = 0;
        loop {
            let end = lines.len().min(read + LINES_PER_FRAME);
            let mut frames = Vec::new();
            for line in &lines[read..end] {
                if let Some(heading) = analyst.read(line)
                    && frames.len() < HEADINGS_PER_APPEND_MAX
                {
                    frames.push(frame("heading", heading.text.into_bytes()));
                }
            }
            read = end;
            self.tell(&analyst, frames, read, lines.len()).await?;
            self.fail_on_purpose()?;
            if read == lines.len() {
                return Ok(analyst.found().clone());
            }
        }
    }

    /// Streams what was found in these lines and says how far it has come.
    async fn tell(
        &mut self,
        analyst: &Analyst,
        mut frames: Vec<Frame>,
        read: usize,
        all: usize,
    ) -> Result<(), TaskError> {
        let found = analyst.found();
        let percent = (read * 100).checked_div(all).unwrap_or(100);
        let percent = u8::try_from(percent).unwrap_or(100);
        let message = format!("line {read} of {all}, {} words", found.words);
        self.bench
            .screen
            .doing(self.bench.number, format!("{percent:>3} %  {}: {message}", self.path));
        let counts = serde_json::json!({
            "lines": found.lines, "words": found.words, "links": found.links_total,
        });
        frames.push(frame("counts", serde_json::to_vec(&counts)?));
        self.frames = self.task.append_frames(frames).await?.frame_count;
        self.task.update_progress(percent, Some(&message)).await?;
        Ok(())
    }

    /// Fails the attempt that was chosen for it.
    fn fail_on_purpose(&self) -> Result<(), TaskError> {
        let attempt = self.task.attempt_index().to_string();
        if self.task.tags().get(FAILING_TAG) != Some(&attempt) {
            return Ok(());
        }
        let (name, path) = (&self.bench.name, self.path);
        self.bench
            .screen
            .say(&format!("{name} fails on purpose at {path}; it is tried again after a backoff"));
        self.bench.screen.doing(self.bench.number, "waits for work");
        Err(TaskError::new(FLAKY_CATEGORY, "this attempt fails on purpose"))
    }
}

fn frame(frame_type: &str, payload: Vec<u8>) -> Frame {
    Frame { frame_type: frame_type.to_owned(), payload: payload.into(), correlation_id: None }
}

//! The peers: programs beside this one that are asked, line by line, to do the same work.
//!
//! A peer reads requests as lines of JSON and answers each in three lines: `ready` once all is set
//! up, then, after the word `go`, what the work took, then how much of it was found right. What the
//! server spends meanwhile is read from the server itself, so all are measured alike.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::load::Load;
use super::meter::{Meter, Spent};
use super::work::{BULK, CONCURRENT_TASKS, OUTSTANDING};
use crate::error::XtaskError;

pub(super) use bullmq::NAME as BULLMQ;

mod apalis;
mod bullmq;

/// How long a peer may take over one answer.
const ANSWER_MAX: Duration = Duration::from_secs(120);

/// What a peer is asked to do.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Ask {
    /// `submit_single`, `submit_bulk`, `work` (submits first, unmeasured), `work_submitted` or
    /// `idle`.
    pub(super) run: &'static str,
    /// A name that tells the work of one request from that of another.
    pub(super) queue: String,
    pub(super) tasks: u64,
    /// Bytes of payload.
    pub(super) payload: usize,
    /// Tasks that a worker runs at a time.
    pub(super) concurrency: u16,
    /// Callers at once that submit one at a time.
    pub(super) outstanding: usize,
    /// Tasks of a call in bulk.
    pub(super) bulk: u64,
}

impl Ask {
    /// Asks for the load of a round.
    pub(super) fn of(run: &'static str, queue: &str, load: &Load) -> Self {
        Self {
            run,
            queue: queue.to_owned(),
            tasks: load.tasks,
            payload: load.payload,
            concurrency: CONCURRENT_TASKS,
            outstanding: OUTSTANDING,
            bulk: BULK,
        }
    }
}

/// A peer that runs.
#[derive(Debug)]
pub(super) struct Peer {
    name: &'static str,
    version: String,
    can: Can,
    child: Child,
    requests: ChildStdin,
    answers: Receiver<String>,
}

/// What a peer can be asked for.
#[derive(Clone, Copy, Debug)]
struct Can {
    /// Whether it wakes an idle worker, so that it can be measured how soon that begins.
    wake: bool,
    /// Tasks that it copes with at once.
    tasks_max: u64,
}

#[derive(Debug, Deserialize)]
struct Ready {
    ready: bool,
}

#[derive(Debug, Deserialize)]
struct Took {
    seconds: f64,
    client_cpu_us: f64,
    /// One span a task, where that was asked for.
    #[serde(default)]
    spans_us: Vec<f64>,
}

#[derive(Debug, Deserialize)]
struct Checked {
    checked: u64,
}

/// Builds and starts all peers.
pub(super) fn start() -> Result<Vec<Peer>, XtaskError> {
    Ok(vec![bullmq::start()?, apalis::start()?])
}

impl Peer {
    fn spawn(
        name: &'static str,
        version: String,
        can: Can,
        mut command: Command,
    ) -> Result<Self, XtaskError> {
        let not_run = |source| XtaskError::NotRun { program: name.to_owned(), source };
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(not_run)?;
        let (Some(requests), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(XtaskError::Told(format!("{name} has no pipes")));
        };
        let (sender, answers) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { name, version, can, child, requests, answers })
    }

    /// Returns its name.
    pub(super) fn name(&self) -> &'static str {
        self.name
    }

    /// Returns its version and what it runs on.
    pub(super) fn version(&self) -> &str {
        &self.version
    }

    /// Returns whether it can be asked how soon an idle worker begins.
    pub(super) fn wakes(&self) -> bool {
        self.can.wake
    }

    /// Returns how many tasks it is given where the engine is given so many.
    pub(super) fn tasks(&self, tasks: u64) -> u64 {
        tasks.min(self.can.tasks_max)
    }

    /// Has it work on the server at a port. Returns what that took, and a span a task where those
    /// were asked for.
    pub(super) fn measure(
        &mut self,
        port: u16,
        ask: &Ask,
        meter: &mut Meter,
    ) -> Result<(Spent, Vec<f64>), XtaskError> {
        let mut request = serde_json::to_value(ask)?;
        request["port"] = port.into();
        self.tell(&request.to_string())?;
        if !self.answer::<Ready>()?.ready {
            return Err(self.told("is not ready"));
        }
        let begun = meter.begin()?;
        self.tell("go")?;
        let took: Took = self.answer()?;
        let mut spent = meter.end(&begun)?;
        spent.took = Duration::from_secs_f64(took.seconds);
        spent.client_us = took.client_cpu_us;
        let checked = self.answer::<Checked>()?.checked;
        if checked != ask.tasks {
            return Err(self.told(&format!("did {checked} of {} tasks right", ask.tasks)));
        }
        Ok((spent, took.spans_us))
    }

    fn tell(&mut self, line: &str) -> Result<(), XtaskError> {
        let told = writeln!(self.requests, "{line}").and_then(|()| self.requests.flush());
        told.map_err(|error| self.told(&format!("takes no requests: {error}")))
    }

    fn answer<T: DeserializeOwned>(&mut self) -> Result<T, XtaskError> {
        let line = self.answers.recv_timeout(ANSWER_MAX).map_err(|error| match error {
            RecvTimeoutError::Timeout => self.told(&format!("did not answer in {ANSWER_MAX:?}")),
            RecvTimeoutError::Disconnected => self.told("ended"),
        })?;
        serde_json::from_str(&line).map_err(|_| self.told(&format!("answered {line}")))
    }

    fn told(&self, what: &str) -> XtaskError {
        XtaskError::Told(format!("the peer {} {what}", self.name))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It fails only if the child is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

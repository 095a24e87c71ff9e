//! A process that is killed in the middle of everything: what it was told had happened, has.
//!
//! A child runs a random load on a file and writes a line for each answer that it got. The parent
//! kills it at a random moment, opens the file, and holds every line against what is there.

mod support;

use ff_backend_embedded::{Durability, FileBackend, FileConfig};
use ff_conformance::given::{self, complete_with};
use ff_core::contracts::budget::CreateBudget;
use ff_core::contracts::stream::ReadStream;
use ff_core::contracts::*;
use ff_core::limits::TURNS_KEPT_MAX;
use ff_core::state::TerminalOutcome;
use ff_core::{AttemptIndex, BudgetId, ExecutionId, Handle};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use support::Folder;
use support::work::{claim_as, submit};

/// Tells a child process which file to work on.
const VARIABLE: &str = "FF_TEST_CRASH";
/// How often a child is killed; `FF_CRASHES` asks for more.
const CRASHES: u32 = 200;
/// Tasks of a child that work at a time.
const TASKS: u16 = 6;
/// Most lines that a parent reads before it kills.
const LINES_MAX: u64 = 120;

fn say(line: std::fmt::Arguments<'_>) {
    // One write a line, so that no line is torn by the kill.
    let text = format!("{line}\n");
    std::io::stdout().write_all(text.as_bytes()).expect("the parent listens");
}

/// The child: works until it is killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn working_process() {
    let Ok(order) = std::env::var(VARIABLE) else { return };
    let (path, budget) = order.split_once(' ').expect("a path and a budget");
    let config = FileConfig::new(path).durability(Durability::Fast);
    let backend = Arc::new(FileBackend::open(config).await.expect("the file opens"));
    let budget: BudgetId = budget.parse().expect("a budget id");
    backend
        .create_budget(CreateBudget { budget_id: budget, ..given::budget(None, None) })
        .await
        .expect("a budget");
    let counter = Arc::new(AtomicU64::new(0));
    let tasks = (0..TASKS).map(|slot| {
        let (backend, counter) = (Arc::clone(&backend), Arc::clone(&counter));
        tokio::spawn(async move {
            loop {
                turn(&backend, slot, budget, &counter).await;
            }
        })
    });
    futures::future::join_all(tasks).await;
}

/// Hands in one execution, takes one, and ends it in one way or another.
async fn turn(backend: &FileBackend, slot: u16, budget: BudgetId, counter: &AtomicU64) {
    let number = counter.fetch_add(1, Ordering::Relaxed);
    let id = submit(backend, number.to_string()).await.expect("a submission");
    say(format_args!("submitted {id}"));
    let Some(claimed) = claim_as(backend, slot).await.expect("a claim").pop() else { return };
    let handle = claimed.handle;
    let (id, attempt) = (handle.execution_id(), handle.attempt_index().0);
    say(format_args!("claimed {id} {}", handle.lease_epoch()));
    backend.append_frame(given::append(&handle, 0, &["a", "b"])).await.expect("frames");
    say(format_args!("framed {id} {attempt} 2"));
    let usage = given::usage(budget, &handle, &[("tokens", 1)]);
    backend.report_usage_and_check(usage).await.expect("a report");
    say(format_args!("spent 1"));
    end(backend, &handle, number).await;
}

async fn end(backend: &FileBackend, handle: &Handle, number: u64) {
    let id = handle.execution_id();
    match number % 5 {
        0 => {
            backend.fail_execution(given::fail(handle, "broken")).await.expect("a failure");
            say(format_args!("failed {id}"));
        }
        1 => {
            backend.suspend_execution(given::suspend(handle)).await.expect("a suspension");
            say(format_args!("suspended {id}"));
        }
        2 => {
            backend.release_execution(given::release(handle)).await.expect("a release");
            say(format_args!("released {id}"));
        }
        _ => {
            let result = format!("result of {id}");
            backend.complete_execution(complete_with(handle, result)).await.expect("an end");
            say(format_args!("completed {id}"));
        }
    }
}

struct Working {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Working {
    fn start(path: &Path, budget: BudgetId) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this test"))
            .args(["--exact", "working_process", "--nocapture", "--test-threads=1"])
            .env(VARIABLE, format!("{} {budget}", path.display()))
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("a child");
        let lines = BufReader::new(child.stdout.take().expect("a pipe"));
        Self { child, lines }
    }

    /// Reads a number of lines, kills the child, and reads what it had still said.
    fn kill_after(mut self, lines: u64) -> Vec<String> {
        let mut said = Vec::new();
        for _ in 0..lines {
            let mut line = String::new();
            assert!(self.lines.read_line(&mut line).expect("a line") > 0, "the child ended");
            said.push(line.trim().to_owned());
        }
        self.child.kill().expect("killed");
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("the rest");
        self.child.wait().expect("it is gone");
        said.extend(rest.lines().map(str::to_owned));
        said
    }
}

/// What the children were told.
#[derive(Default)]
struct Told {
    submitted: Vec<ExecutionId>,
    completed: Vec<ExecutionId>,
    epochs: BTreeMap<ExecutionId, u64>,
    frames: BTreeMap<(ExecutionId, u32), usize>,
    ended: BTreeMap<ExecutionId, u32>,
    spent: u64,
}

impl Told {
    fn take_in(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let id = || words[1].parse::<ExecutionId>().expect("an id");
        match words[0] {
            "submitted" => self.submitted.push(id()),
            "claimed" => {
                self.epochs.insert(id(), words[2].parse().expect("an epoch"));
            }
            "framed" => {
                let attempt = words[2].parse().expect("an attempt");
                *self.frames.entry((id(), attempt)).or_default() += 2;
            }
            "spent" => self.spent += 1,
            "completed" => {
                self.completed.push(id());
                *self.ended.entry(id()).or_default() += 1;
            }
            "failed" | "suspended" | "released" => *self.ended.entry(id()).or_default() += 1,
            // What the test harness says.
            _ => {}
        }
    }

    async fn hold_against(&self, backend: &FileBackend, budget: BudgetId, since: usize) {
        let found = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!(found.findings_total, 0, "{found:?}");
        for id in &self.submitted[since..] {
            backend.describe_execution(*id).await.expect("a submission is there");
        }
        for id in &self.completed {
            let result = backend.read_result(*id).await.expect("a result");
            assert_eq!(result.terminal_outcome, TerminalOutcome::Success);
            assert_eq!(result.result, Some(format!("result of {id}").into()));
        }
        for (id, epoch) in &self.epochs {
            let info = backend.describe_execution(*id).await.expect("it is there");
            assert!(info.lease_epoch.0 >= *epoch, "the claim of {id} is lost");
        }
        for (id, ends) in &self.ended {
            let turns = backend.list_turns(*id).await.expect("turns");
            assert!(
                turns.len() >= (*ends as usize).min(TURNS_KEPT_MAX),
                "{id} ended {ends} turns, kept {turns:?}"
            );
        }
        for ((id, attempt), count) in &self.frames {
            let request =
                ReadStream { attempt_index: AttemptIndex(*attempt), ..given::read(*id, *attempt) };
            let frames = backend.read_stream(request).await.expect("frames").frames;
            assert!(frames.len() >= *count, "{id} has {} of {count} frames", frames.len());
        }
        if self.spent > 0 {
            let usage = backend.describe_budget(budget).await.expect("a budget").usage;
            let spent = usage.values().copied().next().unwrap_or(0);
            assert!(spent >= self.spent, "{} spent, {spent} counted", self.spent);
        }
    }
}

#[tokio::test]
async fn everything_acknowledged_survives_a_kill_at_any_moment() {
    let asked = std::env::var("FF_CRASHES").ok().and_then(|count| count.parse().ok());
    let crashes: u32 = asked.unwrap_or(CRASHES);
    let mut folder = Folder::fresh();
    let mut budget = given::budget(None, None).budget_id;
    let mut told = Told::default();
    let mut seed = uuid_bits();
    for crash in 0..crashes {
        if crash % 20 == 0 {
            // A young file now and then: it too is killed while it is made.
            folder = Folder::fresh();
            budget = given::budget(None, None).budget_id;
            told = Told::default();
        }
        // An xorshift is random enough to pick a moment.
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        let working = Working::start(&folder.file(), budget);
        let since = told.submitted.len();
        for line in working.kill_after(seed % LINES_MAX) {
            told.take_in(&line);
        }
        let config = FileConfig::new(folder.file()).durability(Durability::Fast);
        let backend = FileBackend::open(config).await.expect("the file opens after a kill");
        told.hold_against(&backend, budget, since).await;
    }
}

fn uuid_bits() -> u64 {
    let bits = ff_core::MutationId::generate().as_uuid().as_u128();
    u64::try_from(bits & u128::from(u64::MAX)).unwrap_or(1) | 1
}

//! What a run shows while it goes: a display that moves on a terminal, plain lines elsewhere.

use std::env;
use std::io::IsTerminal;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use flowfabric::ff_core::state::OwnerIndex;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::out::Out;

/// How often plain output repeats the counts while they change.
const PLAIN_EVERY: Duration = Duration::from_secs(1);
/// How often a display that moves is drawn, at most.
const DRAWS_PER_SECOND: u8 = 20;
/// Columns of the name of a worker.
const NAME_COLUMNS: usize = 10;

/// How many executions are where, in the order of [`OwnerIndex::ALL`].
pub(super) type Counts = Vec<(OwnerIndex, u64)>;

/// Shows a run to a person or to a log.
#[derive(Debug)]
pub(super) struct Screen {
    started: Instant,
    files: u64,
    frames: AtomicU64,
    closed: AtomicBool,
    display: Display,
    out: Out,
}

#[derive(Debug)]
enum Display {
    Live { all: MultiProgress, total: ProgressBar, workers: Vec<ProgressBar> },
    Plain(Mutex<Plain>),
}

#[derive(Debug, Default)]
struct Plain {
    last: String,
    printed_at: Option<Instant>,
}

impl Screen {
    /// Begins to show a run over this many files by these workers.
    pub(super) fn new(files: u64, workers: &[String], out: Out) -> Self {
        let display =
            if is_live(out) { live(files, workers) } else { Display::Plain(Mutex::default()) };
        Self {
            started: Instant::now(),
            files,
            frames: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            display,
            out,
        }
    }

    /// Tells what has just happened.
    pub(super) fn say(&self, text: &str) {
        self.print(&format!("{:>7.2} s  {text}", self.started.elapsed().as_secs_f32()));
    }

    /// Prints a text as it is.
    pub(super) fn print(&self, text: &str) {
        match &self.display {
            // Printed as it is, so that a command which wraps can be copied.
            Display::Live { all, .. } if !self.closed.load(Ordering::Relaxed) => {
                all.suspend(|| self.out.say(text));
            }
            _ => self.out.say(text),
        }
    }

    /// Tells what a worker does now; a display that does not move leaves it out.
    pub(super) fn doing(&self, worker: usize, text: impl Into<String>) {
        if let Display::Live { workers, .. } = &self.display
            && let Some(bar) = workers.get(worker)
        {
            bar.set_message(text.into());
        }
    }

    /// Counts frames that came through a tail.
    pub(super) fn saw_frames(&self, count: u64) {
        self.frames.fetch_add(count, Ordering::Relaxed);
    }

    /// Returns how many frames came through tails.
    pub(super) fn frames(&self) -> u64 {
        self.frames.load(Ordering::Relaxed)
    }

    /// Shows how many executions are where.
    pub(super) fn count(&self, counts: &Counts) {
        let done = count_of(counts, OwnerIndex::Done);
        let text = self.line(counts);
        match &self.display {
            Display::Live { total, .. } => {
                total.set_position(done);
                total.set_message(text);
            }
            Display::Plain(plain) => {
                let mut plain = plain.lock().unwrap_or_else(PoisonError::into_inner);
                let rests = plain.printed_at.is_some_and(|at| at.elapsed() < PLAIN_EVERY);
                if plain.last == text || rests {
                    return;
                }
                plain.printed_at = Some(Instant::now());
                plain.last.clone_from(&text);
                drop(plain);
                self.say(&format!("{done}/{} files done: {text}", self.files));
            }
        }
    }

    /// Ends the display; what is printed later is printed plainly.
    pub(super) fn close(&self) {
        if self.closed.swap(true, Ordering::Relaxed) {
            return;
        }
        if let Display::Live { all, total, workers } = &self.display {
            workers.iter().for_each(ProgressBar::finish_and_clear);
            total.finish_and_clear();
            // As above: a terminal that is gone needs no clearing.
            let _ = all.clear();
        }
    }

    fn line(&self, counts: &Counts) -> String {
        let shown = [
            (OwnerIndex::Ready, "waiting"),
            (OwnerIndex::Delayed, "delayed"),
            (OwnerIndex::Active, "active"),
            (OwnerIndex::Suspended, "suspended"),
            (OwnerIndex::Done, "ended"),
        ];
        let mut parts: Vec<String> = shown
            .iter()
            .map(|(index, word)| (count_of(counts, *index), word))
            .filter(|(count, word)| *count > 0 || **word == "active")
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        parts.push(format!("{} frames", self.frames()));
        parts.join(", ")
    }
}

/// Returns how many executions an index holds.
pub(super) fn count_of(counts: &Counts, index: OwnerIndex) -> u64 {
    counts.iter().filter(|(at, _)| *at == index).map(|(_, count)| count).sum()
}

/// A log wants lines, and so does whoever says that nobody watches.
fn is_live(out: Out) -> bool {
    let unwatched = env::var("CI").is_ok_and(|value| value != "false" && !value.is_empty());
    std::io::stdout().is_terminal() && !unwatched && !out.is_json()
}

fn live(files: u64, workers: &[String]) -> Display {
    let target = ProgressDrawTarget::stdout_with_hz(DRAWS_PER_SECOND);
    let all = MultiProgress::with_draw_target(target);
    let style = |template: &str| {
        ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
    };
    let total = all.add(ProgressBar::new(files));
    total.set_style(style("{elapsed:>8} [{bar:30}] {pos}/{len}  {wide_msg}").progress_chars("=> "));
    let bars = workers.iter().map(|name| {
        let bar = all.add(ProgressBar::new_spinner());
        bar.set_style(style("{spinner:>8} {prefix}  {wide_msg}"));
        bar.set_prefix(format!("{name:<NAME_COLUMNS$}"));
        bar.set_message("waits for work");
        bar.enable_steady_tick(Duration::from_millis(120));
        bar
    });
    let workers = bars.collect();
    Display::Live { all, total, workers }
}

//! `ff load`: generates load, works it off in this process, and measures.

use std::fmt;
use std::io::IsTerminal;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flowfabric::ff_core::limits::{PAYLOAD_BYTES_MAX, RETENTION_MS_MIN};
use flowfabric::ff_core::name::LaneId;
use flowfabric::{FlowFabricWorker, SubmitRequest, TaskContext, TaskEnd, WorkerConfig};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use tokio::sync::watch;

use crate::context::Context;
use crate::error::CliError;
use crate::out::note;
use crate::text::grouped;
use crate::when::parse_span;
use check::check;
use figures::Figures;
use tally::Tally;

mod check;
mod figures;
mod tally;

/// Executions unless told.
const EXECUTIONS_DEFAULT: u32 = 1_000;
/// Most executions.
const EXECUTIONS_MAX: i64 = 10_000_000;
/// Tasks at a time unless told.
const CONCURRENCY_DEFAULT: u16 = 32;
/// Most tasks at a time.
const CONCURRENCY_MAX: i64 = flowfabric::config::CONCURRENT_TASKS_MAX as i64;
/// Bytes of input unless told.
const PAYLOAD_DEFAULT: usize = 64;
/// Executions that are submitted in one call.
const BATCH_MAX: usize = 100;
/// How many executions may be open for each task at a time, unless told.
const OPEN_PER_TASK: u32 = 2;
/// How long what has ended is kept, so that it can be checked: an hour.
const RETENTION_MS: u64 = 60 * RETENTION_MS_MIN;
/// How long running work may go on after Ctrl-C before it is given back.
const DRAIN_GRACE_MS: u64 = 500;
/// What the executions do.
const KIND: &str = "load";

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff load                                          1 000 executions, 32 at a time
  ff load --executions 100000 --concurrency 256
  ff load --rate 200 --work 50ms                   a steady rate; each takes a while
  ff load --url valkey://127.0.0.1:6379 -o json

Submits and works in this process. With a file, this must be the only process that runs workers.
What has ended is removed after an hour. Exits with 1 unless each execution ended exactly once.";

/// What to generate.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// How many executions.
    #[arg(long, short = 'n', value_name = "N", default_value_t = EXECUTIONS_DEFAULT,
          value_parser = clap::value_parser!(u32).range(1..=EXECUTIONS_MAX))]
    executions: u32,
    /// How many are worked on at a time.
    #[arg(long, short, value_name = "N", default_value_t = CONCURRENCY_DEFAULT,
          value_parser = clap::value_parser!(u16).range(1..=CONCURRENCY_MAX))]
    concurrency: u16,
    /// How many are submitted a second. By default as many as keep the workers busy.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// How many may be submitted and not have ended. By default twice the concurrency; without a
    /// limit when there is a rate.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    open: Option<u32>,
    /// How long each takes.
    #[arg(long, value_name = "SPAN", default_value = "0", value_parser = parse_span)]
    work: u64,
    /// Bytes of input.
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD_DEFAULT)]
    payload: usize,
    /// The lane to use.
    #[arg(long, value_name = "NAME", default_value = "load")]
    lane: LaneId,
}

impl Arguments {
    fn open(&self) -> usize {
        let open = self.open.unwrap_or(match self.rate {
            Some(_) => self.executions,
            None => OPEN_PER_TASK * u32::from(self.concurrency),
        });
        open as usize
    }
}

/// Generates load until all has ended, or somebody presses Ctrl-C.
pub(crate) async fn run(arguments: &Arguments, context: Context) -> Result<(), CliError> {
    if arguments.payload > PAYLOAD_BYTES_MAX {
        return Err(CliError::Usage(format!("--payload is at most {PAYLOAD_BYTES_MAX}")));
    }
    let tally = Arc::new(Tally::new(arguments.executions, arguments.open()));
    let bar = bar(arguments);
    let worker = worker(arguments, &context).await?;
    let (stop, stopped) = watch::channel(false);
    let handler = handler(tally.clone(), bar.clone(), arguments.work);
    let stopped_working = until(stopped.clone());
    let working = tokio::spawn(async move { worker.run(handler, stopped_working).await });
    let begun = Instant::now();
    let mut generating = pin!(generate(arguments, &context, &tally, stopped));
    let generated = tokio::select! {
        generated = &mut generating => Some(generated),
        _ = tokio::signal::ctrl_c() => None,
    };
    stop.send_replace(true);
    let landing = async {
        let generated = match generated {
            Some(generated) => generated,
            None => generating.await.and(Err(CliError::Interrupted)),
        };
        (generated, working.await)
    };
    // Submissions and ends that are on their way land; Ctrl-C again does not wait for them.
    let (generated, landed) = tokio::select! {
        landed = landing => landed,
        _ = tokio::signal::ctrl_c() => return Err(CliError::Interrupted),
    };
    let took = begun.elapsed();
    bar.finish_and_clear();
    if let Err(error) = generated {
        let (ended, submitted) = (tally.ran_count(), tally.ids().len() as u64);
        note(format!("{} of {} submitted had ended", grouped(ended), grouped(submitted)));
        if submitted > ended && !context.place.is_memory() {
            note(format!("the rest waits in lane {}; the next load takes it", arguments.lane));
        }
        return Err(error);
    }
    if let Ok(ended) = landed {
        ended?;
    }
    let verdict = check(&context, &tally).await?;
    let figures = Figures::new(&tally, &verdict, arguments.concurrency, took);
    if context.out.is_json() {
        context.out.document(&figures)?;
    } else {
        figures.print(context.out)?;
    }
    if tally.strangers() > 0 {
        note(format!("and {} that an earlier load had left", grouped(tally.strangers())));
    }
    verdict.into_result()
}

async fn worker(arguments: &Arguments, context: &Context) -> Result<FlowFabricWorker, CliError> {
    let config = WorkerConfig::builder("ff-load")
        .namespace(context.client.namespace().as_str())
        .lane(arguments.lane.as_str())
        .max_concurrent_tasks(arguments.concurrency)
        .drain_grace_ms(DRAIN_GRACE_MS)
        .build()?;
    let backend = context.client.backend().clone();
    Ok(FlowFabricWorker::connect_with(config, backend).await?)
}

type Handled = std::pin::Pin<Box<dyn Future<Output = flowfabric::TaskResult> + Send>>;

fn handler(
    tally: Arc<Tally>,
    bar: ProgressBar,
    work_ms: u64,
) -> impl Fn(TaskContext) -> Handled + Send + Sync + 'static {
    move |task: TaskContext| {
        let (tally, bar) = (tally.clone(), bar.clone());
        Box::pin(async move {
            let number = tally.began(task.input_payload());
            if work_ms > 0 {
                tokio::time::sleep(Duration::from_millis(work_ms)).await;
            }
            if tally.ran(number) {
                bar.inc(1);
            }
            Ok(TaskEnd::done())
        })
    }
}

/// Submits every execution and waits until each has run, or until it is stopped.
async fn generate(
    arguments: &Arguments,
    context: &Context,
    tally: &Tally,
    stopped: watch::Receiver<bool>,
) -> Result<(), CliError> {
    submit_all(arguments, context, tally, &stopped).await?;
    tokio::select! {
        () = tally.all_ran() => {}
        () = until(stopped) => {}
    }
    Ok(())
}

/// Submits every execution, no faster than asked, and no more at a time than may be open. Once it
/// is stopped it begins no other call; the one that is on its way is waited for and counted.
async fn submit_all(
    arguments: &Arguments,
    context: &Context,
    tally: &Tally,
    stopped: &watch::Receiver<bool>,
) -> Result<(), CliError> {
    let begun = Instant::now();
    let mut next: u32 = 0;
    while next < arguments.executions {
        let count = tokio::select! {
            biased;
            () = until(stopped.clone()) => return Ok(()),
            count = ready(arguments, tally, begun, next) => count,
        };
        let requests: Vec<SubmitRequest> = (next..)
            .take(count)
            .map(|number| {
                SubmitRequest::new(KIND, tally.input(number, arguments.payload))
                    .lane(arguments.lane.as_str())
                    .retention_ms(RETENTION_MS)
            })
            .collect();
        tally.submitting(next, requests.len());
        let mut refused = None;
        for outcome in context.client.submit_many(requests).await? {
            match outcome {
                Ok(submitted) => tally.submitted(submitted.execution_id()),
                Err(error) => refused = refused.or(Some(error)),
            }
        }
        if let Some(error) = refused {
            return Err(error.into());
        }
        next += count as u32;
    }
    Ok(())
}

/// Waits until the next may be submitted; returns how many may go together.
async fn ready(arguments: &Arguments, tally: &Tally, begun: Instant, next: u32) -> usize {
    let left = (arguments.executions - next) as usize;
    let count = tally.wait_for_room(left.min(BATCH_MAX).min(arguments.open())).await;
    let Some(rate) = arguments.rate else { return count };
    let due = |number: u32| begun + Duration::from_secs_f64(f64::from(number) / f64::from(rate));
    tokio::time::sleep_until(due(next).into()).await;
    let now = Instant::now();
    let ready = (next..).take(count).take_while(|number| due(*number) <= now).count().max(1);
    tally.give_room_back(count - ready);
    ready
}

async fn until(mut stopped: watch::Receiver<bool>) {
    // A sender that is gone stops, too.
    let _ = stopped.wait_for(|stopped| *stopped).await;
}

fn bar(arguments: &Arguments) -> ProgressBar {
    let target = if std::io::stderr().is_terminal() {
        ProgressDrawTarget::stderr()
    } else {
        ProgressDrawTarget::hidden()
    };
    let bar = ProgressBar::with_draw_target(Some(arguments.executions.into()), target);
    let template = "{elapsed:>6} [{bar:40}] {ended} of {all}, {rate} a second, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        let number = |value: fn(&ProgressState) -> u64| {
            move |state: &ProgressState, out: &mut dyn fmt::Write| {
                // A bar that cannot be drawn shows nothing.
                let _ = out.write_str(&grouped(value(state)));
            }
        };
        let style = style
            .with_key("ended", number(ProgressState::pos))
            .with_key("all", number(|state| state.len().unwrap_or(0)))
            .with_key("rate", number(|state| state.per_sec() as u64));
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

//! `ff submit`: hands work in, and waits for its result if asked to.

use flowfabric::ff_core::contracts::inspect::ExecutionResult;
use flowfabric::ff_core::contracts::submit::{ExecutionSubmitted, Idempotency};
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::limits::{IDEMPOTENCY_WINDOW_MS_DEFAULT, PRIORITY_MAX};
use flowfabric::ff_core::name::{Capability, ExecutionKind, LaneId};
use flowfabric::ff_core::policy::{ExecutionPolicy, RetryPolicy, When};
use flowfabric::ff_core::state::TerminalOutcome;
use flowfabric::{SdkError, SubmitRequest};
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::out::note;
use crate::payload::{self, Told};
use crate::text::{grouped, span};
use crate::when::{parse_span, parse_when};

/// How long a store may be away while a result is waited for.
const PATIENCE_MS: u64 = 60_000;
/// Most executions of one command.
const COUNT_MAX: i64 = 1_000_000;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff submit shout hello --lane words
  ff submit resize @job.json --priority 10 --capability gpu --tag customer=7
  echo hello | ff submit shout - --wait            prints the result, exits with 1 if it failed
  ff submit report --delay 2h --deadline 1d
  ff submit charge @order.json --key order-4711    a second one answers the first

Prints the id of each execution. It runs once a worker of yours serves its lane.";

/// What to submit.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What it does; picks the handler.
    kind: ExecutionKind,
    /// What the worker gets: text, @file, or - for the standard input. At most 1 MiB.
    #[arg(default_value = "", hide_default_value = true)]
    payload: String,
    /// The lane to queue in.
    #[arg(long, value_name = "NAME", default_value = "default")]
    lane: LaneId,
    /// Higher goes first, -1000 to 1000.
    #[arg(long, value_name = "N", default_value_t = 0, allow_negative_numbers = true,
          value_parser = clap::value_parser!(i32)
              .range(-(PRIORITY_MAX as i64)..=PRIORITY_MAX as i64))]
    priority: i32,
    /// Not to be claimed before this: a span from now, or a time.
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    delay: Option<When>,
    /// Ends expired if it is still live then: a span from now, or a time.
    #[arg(long, value_name = "WHEN", value_parser = parse_when)]
    deadline: Option<When>,
    /// An attempt that has run this long fails.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    attempt_timeout: Option<u64>,
    /// How often a failed attempt is made again; 3 times, unless the lane says otherwise.
    #[arg(long, value_name = "N")]
    retries: Option<u32>,
    /// How long it is kept once it has ended; a day, unless the lane says otherwise.
    #[arg(long, value_name = "SPAN", value_parser = parse_span)]
    retention: Option<u64>,
    /// A free label. May be given several times.
    #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = parse_tag)]
    tags: Vec<(String, String)>,
    /// Only a worker that offers this may take it. May be given several times.
    #[arg(long = "capability", value_name = "NAME")]
    capabilities: Vec<Capability>,
    /// A second submission with this key answers the first, for a day.
    #[arg(long)]
    key: Option<String>,
    /// How long the key is good for.
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "key")]
    key_window: Option<u64>,
    /// How many of them.
    #[arg(long, value_name = "N", default_value_t = 1, conflicts_with = "key",
          value_parser = clap::value_parser!(u32).range(1..=COUNT_MAX))]
    count: u32,
    /// Waits until it has ended and prints the result.
    #[arg(long)]
    wait: bool,
    /// Waits no longer than this.
    #[arg(long, value_name = "SPAN", value_parser = parse_span, requires = "wait")]
    timeout: Option<u64>,
}

/// What became of a submission, for programs.
#[derive(Debug, Serialize)]
struct Row {
    execution_id: ExecutionId,
    /// `created`, or `duplicate` of an earlier one with the same key.
    outcome: &'static str,
    #[serde(flatten)]
    ended: Option<Ended>,
}

#[derive(Debug, Serialize)]
struct Ended {
    terminal_outcome: TerminalOutcome,
    failure_category: Option<String>,
    end_reason: Option<String>,
    #[serde(flatten)]
    result: Option<Told>,
}

fn parse_tag(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(key, _)| !key.is_empty());
    let (key, value) = pair.ok_or_else(|| "a tag is KEY=VALUE".to_owned())?;
    Ok((key.to_owned(), value.to_owned()))
}

/// Submits.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let requests = vec![arguments.request()?; arguments.count as usize];
    let outcomes = context.client.submit_many(requests).await?;
    let failed = outcomes.iter().filter(|outcome| outcome.is_err()).count();
    let mut first_error = None;
    let mut submitted = Vec::with_capacity(outcomes.len());
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => submitted.push(outcome),
            Err(error) => first_error = first_error.or(Some(error)),
        }
    }
    if failed > 0 && arguments.count > 1 {
        note(format!("{failed} of {} were not submitted", arguments.count));
    }
    if arguments.wait {
        wait_for_all(&arguments, &submitted, context).await?;
    } else {
        tell(&arguments, &submitted, context)?;
    }
    first_error.map_or(Ok(()), |error| Err(error.into()))
}

impl Arguments {
    fn request(&self) -> Result<SubmitRequest, CliError> {
        let policy = ExecutionPolicy {
            start: self.delay,
            priority: self.priority,
            deadline: self.deadline,
            attempt_timeout_ms: self.attempt_timeout,
            retry: self
                .retries
                .map(|retries_max| RetryPolicy { retries_max, ..Default::default() }),
            retention_ms: self.retention,
            required_capabilities: self.capabilities.iter().cloned().collect(),
            tags: self.tags.iter().cloned().collect(),
            ..ExecutionPolicy::default()
        };
        let input = payload::read(&self.payload)?;
        let mut request =
            SubmitRequest::new(self.kind.as_str(), input).lane(self.lane.as_str()).policy(policy);
        if let Some(key) = &self.key {
            let window_ms = self.key_window.unwrap_or(IDEMPOTENCY_WINDOW_MS_DEFAULT);
            request = request.idempotency(Idempotency { key: key.clone(), window_ms });
        }
        Ok(request)
    }
}

fn word(outcome: ExecutionSubmitted) -> &'static str {
    match outcome {
        ExecutionSubmitted::Created { .. } => "created",
        ExecutionSubmitted::Duplicate { .. } => "duplicate",
    }
}

fn tell(
    arguments: &Arguments,
    submitted: &[ExecutionSubmitted],
    context: &Context,
) -> Result<(), CliError> {
    for outcome in submitted {
        let execution_id = outcome.execution_id();
        if context.out.is_json() {
            context.out.row(&Row { execution_id, outcome: word(*outcome), ended: None })?;
        } else {
            context.out.line(execution_id)?;
        }
    }
    if context.out.is_json() {
        return Ok(());
    }
    let lane = &arguments.lane;
    match submitted {
        [ExecutionSubmitted::Duplicate { .. }] => {
            note("known by its key already: this is the first one; nothing was added");
        }
        [ExecutionSubmitted::Created { execution_id }] => {
            let follow = context.command(&format!("tail '{execution_id}'"));
            note(format!("submitted to lane {lane}; follow it with: {follow}"));
        }
        [] => {}
        _ => note(format!("submitted {} to lane {lane}", grouped(submitted.len() as u64))),
    }
    Ok(())
}

/// Waits for each, prints how it ended, and says no unless all succeeded.
async fn wait_for_all(
    arguments: &Arguments,
    submitted: &[ExecutionSubmitted],
    context: &Context,
) -> Result<(), CliError> {
    let until = arguments.timeout.map(|ms| context.now().plus_ms(ms));
    let alone = submitted.len() == 1;
    let mut bad = 0;
    for outcome in submitted {
        let execution_id = outcome.execution_id();
        if alone && !context.out.is_json() {
            note(format!("submitted {execution_id}; waiting for its end"));
        }
        let result = wait(context, execution_id, until).await?;
        let success = result.terminal_outcome == TerminalOutcome::Success;
        bad += u64::from(!success);
        if context.out.is_json() {
            let ended = Some(Ended {
                terminal_outcome: result.terminal_outcome,
                failure_category: result.failure_category.clone(),
                end_reason: result.end_reason.clone(),
                result: result.result.as_deref().map(Told::new),
            });
            context.out.row(&Row { execution_id, outcome: word(*outcome), ended })?;
        } else if !alone {
            context.out.line(format!("{execution_id}  {}", result.terminal_outcome))?;
        } else if success {
            payload::print(result.result.as_deref().unwrap_or_default())?;
        }
        if alone && !success {
            return Err(CliError::No(why(context, execution_id, &result, arguments).await?));
        }
    }
    match bad {
        0 => Ok(()),
        _ => Err(CliError::No(format!("{bad} of {} did not succeed", submitted.len()))),
    }
}

/// Waits for an end; the outcome is `none` when it has not come by then.
async fn wait(
    context: &Context,
    execution_id: ExecutionId,
    until: Option<flowfabric::ff_core::time::TimestampMs>,
) -> Result<ExecutionResult, SdkError> {
    loop {
        // In steps, so that a store that is gone is told and not waited for.
        let step = context.now().plus_ms(PATIENCE_MS);
        let deadline = until.map_or(step, |until| until.min(step));
        if let Some(result) = context.client.wait_for_result(&execution_id, deadline).await? {
            return Ok(result);
        }
        if until.is_some_and(|until| context.now() >= until) {
            return Ok(ExecutionResult {
                terminal_outcome: TerminalOutcome::None,
                result: None,
                failure_category: None,
                end_reason: None,
            });
        }
    }
}

async fn why(
    context: &Context,
    execution_id: ExecutionId,
    result: &ExecutionResult,
    arguments: &Arguments,
) -> Result<String, CliError> {
    if result.terminal_outcome == TerminalOutcome::None {
        let why = context.client.explain(&execution_id).await?.sentence;
        let waited = span(arguments.timeout.unwrap_or(0));
        return Ok(format!("{execution_id} has not ended after {waited}: {why}"));
    }
    let detail = [result.failure_category.as_deref(), result.end_reason.as_deref()];
    let detail: Vec<&str> = detail.into_iter().flatten().collect();
    let detail =
        if detail.is_empty() { String::new() } else { format!(" ({})", detail.join(": ")) };
    Ok(format!("{execution_id} ended {}{detail}", result.terminal_outcome.public_state()))
}

//! `ff describe`: everything about an execution.

use flowfabric::ff_core::contracts::inspect::{ExecutionInfo, ExecutionResult, WaitpointInfo};
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::time::TimestampMs;
use flowfabric::ff_core::turn::EndedTurn;
use serde_json::{Map, Value, json};

use crate::context::Context;
use crate::error::CliError;
use crate::out::{self, bold, harmless};
use crate::payload::{self, Told};
use crate::text::{span, table};
use crate::when::{at, at_from};

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff describe '{fp:0}:0198c5...'
  ff describe '{fp:0}:0198c5...' -o json | jq '.turns[].worker_id'

With -o json times are milliseconds since 1970.";

/// What to describe.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The execution.
    execution_id: ExecutionId,
}

/// Describes.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let id = &arguments.execution_id;
    let info = context.client.describe(id).await?;
    let turns = context.client.turns(id).await?;
    let result = context.client.backend().read_result(*id).await?;
    if context.out.is_json() {
        return context.out.document(&document(&info, &turns, &result)?);
    }
    let out = context.out;
    let now = context.now();
    out.line(bold(id))?;
    for (name, value) in fields(&info, now) {
        out.line(format!("  {name:<14} {value}"))?;
    }
    if !turns.is_empty() {
        out.line(format!("\n{}", turns_table(&turns)))?;
    }
    if !info.waitpoints.is_empty() {
        out.line(format!("\n{}", waitpoints_table(&info.waitpoints)))?;
    }
    if let Some(result) = &result.result {
        out.line(format!("\n{}\n{}", bold("result"), payload::shown(result)))?;
    }
    Ok(())
}

/// Returns what there is to say, each with its name.
fn fields(info: &ExecutionInfo, now: TimestampMs) -> Vec<(&'static str, String)> {
    let mut fields = vec![
        ("kind", info.kind.to_string()),
        ("lane", format!("{} in namespace {}", info.lane, info.namespace)),
        ("state", state(info)),
        ("submitted", at_from(info.created_at, now)),
    ];
    let times = [
        ("delayed until", info.delay_until),
        ("timeout", info.attempt_timeout_at),
        ("deadline", info.deadline_at),
        ("ended", info.ended_at),
        ("kept until", info.retained_until),
    ];
    fields.extend(times.iter().filter_map(|(name, time)| Some((*name, at_from((*time)?, now)))));
    if info.ended_at.is_none() {
        fields.push(("changed", at_from(info.updated_at, now)));
    }
    if let Some((index, _)) = info.attempt {
        let counts =
            [(info.retries, "retries"), (info.reclaims, "reclaims"), (info.replays, "replays")];
        let told = counts.iter().filter(|(count, _)| *count > 0);
        let told: String = told.map(|(count, what)| format!(", {count} {what}")).collect();
        fields.push(("attempts", format!("{}{told}", index.0 + 1)));
    }
    if let Some(lease) = &info.lease {
        let until = at_from(lease.expires_at, now);
        fields.push(("worker", lease.worker_instance_id.to_string()));
        fields.push(("lease until", until));
    }
    if let Some((percent, message)) = &info.progress {
        let message = message.as_deref().map_or("", |message| message);
        fields.push(("progress", format!("{percent} %  {}", harmless(message))));
    }
    if let Some(cancel) = &info.cancel_requested {
        fields.push(("cancel", format!("requested, takes effect {}", at(cancel.revoke_at))));
    }
    if info.frame_count > 0 {
        fields.push(("frames", info.frame_count.to_string()));
    }
    fields.extend(waits(info, now));
    fields.extend(policy(info));
    fields
}

fn state(info: &ExecutionInfo) -> String {
    let state = out::state(info.public_state);
    let detail = [info.failure_category.as_deref(), info.end_reason.as_deref()];
    let detail: Vec<&str> = detail.into_iter().flatten().collect();
    match detail.is_empty() {
        true => state,
        false => format!("{state} ({})", harmless(&detail.join(": "))),
    }
}

fn waits(info: &ExecutionInfo, now: TimestampMs) -> Vec<(&'static str, String)> {
    let Some(suspension) = &info.suspension else { return Vec::new() };
    let open = suspension.matchers.iter().filter(|(_, met)| met.is_none());
    let names: Vec<&str> = open
        .map(|(m, _)| if m.signal_name.is_empty() { "any signal" } else { &m.signal_name })
        .collect();
    let mut fields = vec![
        ("waits for", format!("{} ({})", names.join(", "), suspension.reason_code)),
        ("waitpoint", suspension.waitpoint_id.to_string()),
    ];
    if let Some(timeout_at) = suspension.timeout_at {
        let then = suspension.timeout_behavior;
        fields.push(("otherwise", format!("{then} at {}", at_from(timeout_at, now))));
    }
    fields
}

fn policy(info: &ExecutionInfo) -> Vec<(&'static str, String)> {
    let policy = &info.policy;
    let mut fields = Vec::new();
    if policy.priority != 0 {
        fields.push(("priority", policy.priority.to_string()));
    }
    if !policy.required_capabilities.is_empty() {
        fields.push(("requires", policy.route()));
    }
    if let Some(key) = &info.fairness_key {
        fields.push(("fairness key", key.to_string()));
    }
    let tags: Vec<String> =
        policy.tags.iter().map(|(key, value)| format!("{key}={}", harmless(value))).collect();
    if !tags.is_empty() {
        fields.push(("tags", tags.join(", ")));
    }
    fields.push(("retries", format!("up to {}", policy.retry.retries_max)));
    fields.push(("retention", span(policy.retention_ms)));
    fields
}

fn turns_table(turns: &[EndedTurn]) -> String {
    let row = |turn: &EndedTurn| {
        let why = [turn.category.as_deref(), turn.reason.as_deref()];
        let why: Vec<&str> = why.into_iter().flatten().collect();
        vec![
            turn.attempt_index.to_string(),
            at(turn.started_at),
            span(turn.ended_at.since_ms(turn.started_at)),
            turn.operation.to_string(),
            turn.outcome.to_string(),
            turn.worker_id.to_string(),
            harmless(&why.join(": ")).replace('\n', " "),
        ]
    };
    let rows: Vec<Vec<String>> = turns.iter().map(row).collect();
    let head = ["attempt", "began", "ran", "ended by", "so it is", "worker", "why"];
    table(&head, &[true, false, true], &rows)
}

fn waitpoints_table(waitpoints: &[WaitpointInfo]) -> String {
    let row = |waitpoint: &WaitpointInfo| {
        vec![
            waitpoint.waitpoint_id.to_string(),
            waitpoint.waitpoint_key.to_string(),
            waitpoint.state.to_string(),
            at(waitpoint.created_at),
            waitpoint.expires_at.map_or_else(String::new, at),
        ]
    };
    let rows: Vec<Vec<String>> = waitpoints.iter().map(row).collect();
    table(&["waitpoint", "key", "state", "opened", "expires"], &[], &rows)
}

/// Returns the answer for programs. Pairs become objects, so that every field has a name.
fn document(
    info: &ExecutionInfo,
    turns: &[EndedTurn],
    result: &ExecutionResult,
) -> Result<Value, CliError> {
    let mut document = match serde_json::to_value(info)? {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let attempt = info.attempt.map(|(index, id)| json!({"index": index, "id": id}));
    let progress = info.progress.as_ref();
    let progress = progress.map(|(percent, said)| json!({"percent": percent, "message": said}));
    let mut signals = Vec::new();
    for signal in &info.resume_signals {
        let mut value = serde_json::to_value(signal)?;
        let payload = signal.payload.as_deref().map(Told::new);
        value["payload_encoding"] = json!(payload.as_ref().map(|told| told.payload_encoding));
        value["payload"] = json!(payload.map(|told| told.payload));
        signals.push(value);
    }
    if let Some(suspension) = &info.suspension {
        let mut matchers = Vec::new();
        for (matcher, met_by) in &suspension.matchers {
            let mut value = serde_json::to_value(matcher)?;
            value["met_by"] = json!(met_by);
            matchers.push(value);
        }
        if let Some(told) = document.get_mut("suspension") {
            told["matchers"] = Value::Array(matchers);
        }
    }
    document.insert("attempt".to_owned(), json!(attempt));
    document.insert("progress".to_owned(), json!(progress));
    document.insert("resume_signals".to_owned(), Value::Array(signals));
    document.insert("turns".to_owned(), serde_json::to_value(turns)?);
    let result = result.result.as_deref().map(Told::new);
    document.insert("result".to_owned(), serde_json::to_value(result)?);
    Ok(Value::Object(document))
}

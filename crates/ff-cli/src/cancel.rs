//! `ff cancel`: ends executions, or asks their workers to.

use flowfabric::ff_core::contracts::terminal::ExecutionCancelled;
use flowfabric::ff_core::ids::ExecutionId;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::signal::user;
use crate::when::{self, parse_span};

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff cancel '{fp:0}:0198c5...' --reason 'wrong customer'
  ff cancel '{fp:0}:0198c5...' --grace 0        ends running work at once
  ff list --lane words --state waiting --all -o json | jq -r .execution_id | xargs ff cancel

Work that does not run ends at once. Running work is asked to stop; once the grace is over its lease
is revoked, whatever it does.";

/// What to cancel.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The executions.
    #[arg(required = true)]
    execution_ids: Vec<ExecutionId>,
    /// Why, for whoever asks later. By default who cancelled.
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// How long running work has to stop by itself; a day at most.
    #[arg(long, value_name = "SPAN", default_value = "10s", value_parser = parse_span)]
    grace: u64,
}

/// Cancels each.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let reason = arguments.reason.unwrap_or_else(|| format!("cancelled by {}", user()));
    let mut failed = None;
    for execution_id in &arguments.execution_ids {
        match context.client.cancel(execution_id, &reason, arguments.grace).await {
            Ok(outcome) => tell(*execution_id, &outcome, context)?,
            Err(error) => failed = Some(CliError::from(error).said(failed)),
        }
    }
    failed.map_or(Ok(()), Err)
}

fn tell(
    execution_id: ExecutionId,
    outcome: &ExecutionCancelled,
    context: &Context,
) -> Result<(), CliError> {
    let revoke_at = match outcome {
        ExecutionCancelled::Ended => None,
        ExecutionCancelled::Requested(requested) => Some(requested.revoke_at),
    };
    if context.out.is_json() {
        return context.out.row(&json!({
            "execution_id": execution_id,
            "outcome": if revoke_at.is_some() { "requested" } else { "ended" },
            "revoke_at": revoke_at,
        }));
    }
    match revoke_at {
        None => context.out.line(format!("cancelled: {execution_id}")),
        Some(at) => {
            let from = when::from(at, context.now());
            context.out.line(format!("asked to stop, revoked {from}: {execution_id}"))
        }
    }
}

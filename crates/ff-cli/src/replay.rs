//! `ff replay`: runs finished executions again.

use flowfabric::ff_core::ids::ExecutionId;
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff replay '{fp:0}:0198c5...'
  ff list --lane words --state failed --all -o json | jq -r .execution_id | xargs ff replay

A new attempt begins with the same input; the turns before stay readable.";

/// What to run again.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The executions; each must have ended.
    #[arg(required = true)]
    execution_ids: Vec<ExecutionId>,
}

/// Replays each.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let mut failed = None;
    for execution_id in &arguments.execution_ids {
        match context.client.replay(execution_id).await {
            Ok(replayed) if context.out.is_json() => context.out.row(&json!({
                "execution_id": execution_id,
                "attempt_index": replayed.attempt_index,
            }))?,
            Ok(replayed) => {
                let next = replayed.attempt_index;
                context.out.line(format!("ready for attempt {next}: {execution_id}"))?;
            }
            Err(error) => failed = Some(CliError::from(error).said(failed)),
        }
    }
    failed.map_or(Ok(()), Err)
}

//! `ff explain`: why an execution is not running, in a sentence.

use flowfabric::ff_core::explain::Explanation;
use flowfabric::ff_core::ids::ExecutionId;
use serde::Serialize;

use crate::context::Context;
use crate::error::CliError;
use crate::out::dim;
use crate::when;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff explain '{fp:0}:0198c5...'
  ff explain '{fp:0}:0198c5...' -o json | jq -r .next_mover";

/// What to explain.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The execution.
    execution_id: ExecutionId,
}

/// The answer for programs.
#[derive(Debug, Serialize)]
struct Answer {
    execution_id: ExecutionId,
    #[serde(flatten)]
    explanation: Explanation,
}

/// Explains.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let execution_id = arguments.execution_id;
    let explanation = context.client.explain(&execution_id).await?;
    if context.out.is_json() {
        return context.out.document(&Answer { execution_id, explanation });
    }
    context.out.line(&explanation.sentence)?;
    match explanation.next_at {
        Some(at) if explanation.public_state.is_terminal() => {
            context.out.line(dim(format!("It is kept until {}.", when::at(at))))
        }
        Some(at) => {
            let from = when::from(at, context.now());
            context.out.line(dim(format!("At the latest {} ({from}).", when::at(at))))
        }
        None => Ok(()),
    }
}

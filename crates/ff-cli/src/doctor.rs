//! `ff doctor`: proves that nothing is stranded, and mends what is.

use flowfabric::ff_core::contracts::admin::{Diagnosis, Finding};
use serde_json::json;

use crate::context::Context;
use crate::error::CliError;
use crate::text::{grouped, table};

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff doctor
  ff doctor --fix
  ff doctor -o json | jq .remaining

Looks at every record and every index entry of the store, of all namespaces. Exits with 1 if
something is wrong and was not mended.";

/// What to examine.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Mends what is wrong, then looks again.
    #[arg(long)]
    fix: bool,
}

/// Examines the store.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Result<(), CliError> {
    let backend = context.client.backend();
    let found = backend.doctor(arguments.fix).await?;
    let remaining = match arguments.fix && found.findings_total > 0 {
        true => backend.doctor(false).await?.findings_total,
        false => found.findings_total,
    };
    if context.out.is_json() {
        context.out.document(&json!({
            "executions": found.executions,
            "index_entries": found.index_entries,
            "findings": found.findings,
            "findings_total": found.findings_total,
            "remaining": remaining,
        }))?;
    } else {
        print(&found, context)?;
    }
    if remaining == 0 {
        return Ok(());
    }
    let total = grouped(remaining);
    Err(CliError::No(match arguments.fix {
        true => format!("{total} findings could not be mended; please report them"),
        false => format!("{total} findings; `{}` mends them", context.command("doctor --fix")),
    }))
}

fn print(found: &Diagnosis, context: &Context) -> Result<(), CliError> {
    if !found.findings.is_empty() {
        let row = |finding: &Finding| {
            let id = finding.execution_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
            let fixed = if finding.fixed { "mended" } else { "" };
            vec![id, finding.problem.clone(), fixed.to_owned()]
        };
        let rows: Vec<Vec<String>> = found.findings.iter().map(row).collect();
        context.out.line(table(&["execution", "problem", ""], &[], &rows))?;
        let more = found.findings_total.saturating_sub(rows.len() as u64);
        if more > 0 {
            context.out.line(format!("  and {} more", grouped(more)))?;
        }
        context.out.line("")?;
    }
    let verdict = match found.findings_total {
        0 => "nothing is stranded".to_owned(),
        total => format!("{} findings", grouped(total)),
    };
    let (records, entries) = (grouped(found.executions), grouped(found.index_entries));
    context.out.line(format!("{verdict}: {records} executions, {entries} index entries checked"))
}

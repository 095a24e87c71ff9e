//! `ff lanes`: how many executions are where.

use flowfabric::ff_core::state::OwnerIndex;
use serde_json::{Map, Value};

use crate::context::Context;
use crate::error::CliError;
use crate::out::note;
use crate::text::{grouped, table};

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff lanes
  ff lanes -o json | jq 'select(.lane == \"words\").ready'

ready is waiting for a worker, blocked is held back by a gate, done has ended and is kept for a
while.";

/// What to count.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {}

/// Counts.
pub(crate) async fn run(context: &Context) -> Result<(), CliError> {
    let lanes = context.client.lanes().await?;
    let count = |counts: &[(OwnerIndex, u64)], index| -> u64 {
        counts.iter().filter(|(at, _)| *at == index).map(|(_, count)| count).sum()
    };
    if context.out.is_json() {
        for lane in &lanes {
            let mut row = Map::new();
            row.insert("lane".to_owned(), lane.lane.as_str().into());
            for index in OwnerIndex::ALL {
                row.insert(index.to_string(), count(&lane.counts, *index).into());
            }
            context.out.row(&Value::Object(row))?;
        }
        return Ok(());
    }
    if lanes.is_empty() {
        let namespace = context.client.namespace();
        note(format!("no lanes yet in namespace {namespace} of {}", context.place.shown()));
        return Ok(());
    }
    let rows: Vec<Vec<String>> = lanes
        .iter()
        .map(|lane| {
            let counts = OwnerIndex::ALL.iter().map(|index| count(&lane.counts, *index));
            let total: u64 = counts.clone().sum();
            let mut row = vec![lane.lane.to_string()];
            row.extend(counts.chain([total]).map(grouped));
            row
        })
        .collect();
    let mut head = vec!["lane"];
    head.extend(OwnerIndex::ALL.iter().map(|index| index.as_str()));
    head.push("all");
    let numbers: Vec<bool> = (0..head.len()).map(|column| column > 0).collect();
    context.out.line(table(&head, &numbers, &rows))
}

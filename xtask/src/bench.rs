//! `cargo xtask bench`: what the engine does in a second, and what a task costs the server.

use std::path::PathBuf;

use crate::error::XtaskError;
use crate::run::{cargo, show};

mod core;
mod figures;
mod latency;
mod load;
mod meter;
mod scenario;

/// Executions of a round unless told.
const TASKS_DEFAULT: u64 = 20_000;
/// Executions of a round in a hurry.
const TASKS_QUICK: u64 = 2_000;
/// Most executions of a round.
const TASKS_MAX: u64 = 10_000_000;
/// Rounds unless told.
const ROUNDS_DEFAULT: u16 = 3;
/// Bytes of payload unless told.
const PAYLOAD_DEFAULT: usize = 64;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  cargo xtask bench core                     memory, then a private Valkey 8
  cargo xtask bench core --quick             one short round: figures of little worth
  cargo xtask bench core --url memory:       one store alone
  cargo xtask bench embedded                 memory and files
  cargo xtask bench core --payload 4096 --json bench.json

Rates depend on the machine; server calls a task and bytes do not. Do nothing else meanwhile.";

/// What to measure.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    suite: Suite,
}

#[derive(Debug, clap::Subcommand)]
enum Suite {
    /// Submit, claim and complete: rates, server calls and server CPU a task, bytes an execution.
    #[command(after_help = EXAMPLES)]
    Core(Options),
    /// The same and the latency of an idle worker on memory and on files, at both durabilities.
    Embedded(Options),
}

#[derive(Debug, Clone, clap::Args)]
struct Options {
    /// The store to measure, valkey://host:port, file:path or memory: ; what the server spends is
    /// measured on a private one alone. By default those of the suite, fresh ones each round.
    #[arg(long)]
    url: Option<String>,
    /// Executions of a round.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=TASKS_MAX))]
    tasks: Option<u64>,
    /// Rounds; medians are printed.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: Option<u16>,
    /// Bytes of input of an execution.
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD_DEFAULT)]
    payload: usize,
    /// One round of 2 000 executions.
    #[arg(long)]
    quick: bool,
    /// Writes every round's figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Options {
    fn tasks(&self) -> u64 {
        self.tasks.unwrap_or(if self.quick { TASKS_QUICK } else { TASKS_DEFAULT })
    }

    fn rounds(&self) -> u16 {
        self.rounds.unwrap_or(if self.quick { 1 } else { ROUNDS_DEFAULT })
    }
}

/// Measures, in a release build: a debug build runs the release build of itself.
pub(crate) async fn run(arguments: Arguments) -> Result<(), XtaskError> {
    if cfg!(debug_assertions) {
        return run_release();
    }
    match arguments.suite {
        Suite::Core(options) => core::run("core", &options).await,
        Suite::Embedded(options) => core::run("embedded", &options).await,
    }
}

fn run_release() -> Result<(), XtaskError> {
    println!("this is a debug build; building and running the release build");
    let mut command = cargo(["run", "--release", "--package", "xtask", "--"]);
    // The paths among the arguments are relative to where this program was started.
    if let Ok(here) = std::env::current_dir() {
        command.current_dir(here);
    }
    show(command.args(std::env::args_os().skip(1)))
}

//! `cargo xtask bench`: how fast the engine is, what work costs, and how it compares to its peers.

use std::ops::RangeInclusive;
use std::path::PathBuf;

use flowfabric::ff_core::limits::PAYLOAD_BYTES_MAX;

use crate::error::XtaskError;
use crate::run::{cargo, on_tokio, show};

mod chart;
mod doc;
mod durability;
mod embedded;
mod figures;
mod frames;
mod growth;
mod hold;
mod idle;
mod latency;
mod leases;
mod load;
mod machine;
mod memory;
mod meter;
mod pace;
mod peer;
mod raw;
mod report;
mod routing;
mod setting;
mod store;
mod strain;
mod table;
mod targets;
mod throughput;
mod wait;
mod work;

use load::WORD_BYTES;
use setting::Bench;

/// Executions of a round unless told.
const TASKS_DEFAULT: u64 = 20_000;
/// Executions of a round in a hurry.
const TASKS_QUICK: u64 = 500;
/// Most executions of a round.
const TASKS_MAX: u64 = 10_000_000;
/// Rounds unless told.
const ROUNDS_DEFAULT: u16 = 5;
/// Bytes of payload unless told.
const PAYLOAD_DEFAULT: u32 = 64;
/// Fewest and most bytes of payload: a number must find room, and every store must take it.
const PAYLOAD_BYTES: RangeInclusive<i64> = WORD_BYTES as i64..=PAYLOAD_BYTES_MAX as i64;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  cargo xtask bench                          everything
  cargo xtask bench --peers                  everything, and the peers in the same rounds
  cargo xtask bench throughput --peers       one scenario
  cargo xtask bench --quick                  everything in a minute: figures of little worth
  cargo xtask bench throughput --url valkey://10.0.0.7:6379
  cargo xtask bench throughput --payload 4096 --json bench.json --svg bench.svg
  cargo xtask bench --peers --doc docs/performance.md
  cargo xtask bench growth --doc docs/performance.md

Everything runs on private servers of this machine. Rates and times depend on it, so do nothing
else meanwhile; ratios, server calls a task and bytes hardly do. --peers needs Node.js and npm.
What --url leaves in a store is finished work that a worker of any kind clears away ten minutes
later, and the names of its lanes.";

/// What to measure and what to do with the figures.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// What to measure; everything unless named.
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// One short round in the build that runs: shows that everything works, not how fast it is.
    #[arg(long)]
    quick: bool,
    /// Measures the peers, too, on the same server, in turns.
    #[arg(long)]
    peers: bool,
    /// Measures the throughput of this store alone, by the clock: valkey://host:port, file:path,
    /// memory:
    #[arg(long, conflicts_with = "peers")]
    url: Option<String>,
    /// Executions of a round.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(100..=TASKS_MAX))]
    tasks: Option<u64>,
    /// Rounds, of which medians are printed: throughput runs twice as many, growth three times,
    /// strain three at most.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    rounds: Option<u16>,
    /// Threads that our clients and workers run on beside a server, which has one of its own.
    /// Without a server they have one a core.
    #[arg(long, value_name = "N", default_value_t = 1)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    threads: u16,
    /// Bytes of input of an execution.
    #[arg(long, value_name = "BYTES", default_value_t = PAYLOAD_DEFAULT)]
    #[arg(value_parser = clap::value_parser!(u32).range(PAYLOAD_BYTES))]
    payload: u32,
    /// Writes every round's figures to a file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draws the ratios to the peers into a file.
    #[arg(long, value_name = "FILE", requires = "peers")]
    svg: Option<PathBuf>,
    /// Replaces the tables of a Markdown file between its markers, and the chart beside it; what
    /// it tells of scenarios that do not run stays.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["quick", "url"])]
    doc: Option<PathBuf>,
}

/// A family of measurements.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Scenario {
    /// Submit, claim and complete: rates and what a task costs, against the raw ceiling.
    Throughput,
    /// How soon an idle worker begins, and goes on after a signal.
    Latency,
    /// What an idle worker asks of the server.
    Idle,
    /// What an execution takes of the server's memory in each state.
    Memory,
    /// Work that asks for capabilities, half of it for what no worker offers.
    Routing,
    /// How many frames are appended, and how soon a tail delivers them.
    Frames,
    /// What it costs to keep 10 000 executions active.
    Leases,
    /// What becomes of the rates as more waits, over more partitions, for more workers.
    Growth,
    /// The same work on servers that keep it more and less safely.
    Durability,
    /// How soon things happen while much else does: at 10, 50 and 90 % of the peak.
    Strain,
    /// The same without a server: memory and files, and how soon an idle worker begins.
    Embedded,
}

impl Scenario {
    const ALL: [Self; 11] = [
        Self::Throughput,
        Self::Latency,
        Self::Idle,
        Self::Memory,
        Self::Routing,
        Self::Frames,
        Self::Leases,
        Self::Growth,
        Self::Durability,
        Self::Strain,
        Self::Embedded,
    ];

    async fn run(self, bench: &mut Bench) -> Result<(), XtaskError> {
        match self {
            Self::Throughput => throughput::run(bench).await,
            Self::Latency => latency::run(bench).await,
            Self::Idle => idle::run(bench).await,
            Self::Memory => memory::run(bench).await,
            Self::Routing => routing::run(bench).await,
            Self::Frames => frames::run(bench).await,
            Self::Leases => leases::run(bench).await,
            Self::Growth => growth::run(bench).await,
            Self::Durability => durability::run(bench).await,
            Self::Strain => strain::run(bench).await,
            Self::Embedded => embedded::run(bench).await,
        }
    }

    /// Returns how many threads it runs on.
    fn threads(self, bench: &Bench) -> u16 {
        match self {
            Self::Embedded => machine::cores(),
            _ => bench.arguments.threads,
        }
    }

    /// Returns the section of its figures.
    const fn section(self) -> &'static str {
        match self {
            Self::Throughput => throughput::SECTION,
            Self::Latency => latency::SECTION,
            Self::Idle => idle::SECTION,
            Self::Memory => memory::SECTION,
            Self::Routing => routing::SECTION,
            Self::Frames => frames::SECTION,
            Self::Leases => leases::SECTION,
            Self::Growth => growth::SECTION,
            Self::Durability => durability::SECTION,
            Self::Strain => strain::SECTION,
            Self::Embedded => embedded::SECTION,
        }
    }

    /// Returns whether the peers take part in it.
    const fn has_peers(self) -> bool {
        matches!(self, Self::Throughput | Self::Latency | Self::Memory)
    }
}

/// Measures in a release build, which a debug build runs; in a hurry, in the build that runs.
pub(crate) fn run(arguments: Arguments) -> Result<(), XtaskError> {
    if cfg!(debug_assertions) && !arguments.quick {
        return run_release();
    }
    let scenarios = scenarios(&arguments)?;
    report::check(&arguments, &scenarios)?;
    if let Some(url) = &arguments.url {
        on_tokio(1, async { Ok(flowfabric::connect(url).await.map(drop)?) })?;
    }
    let mut bench = Bench::new(arguments)?;
    report::begin(&bench);
    for scenario in &scenarios {
        on_tokio(scenario.threads(&bench), scenario.run(&mut bench))?;
        report::section(&bench, *scenario);
    }
    report::end(&bench, &scenarios)
}

/// Returns what runs, each once and in its order; refuses what does not go together.
fn scenarios(arguments: &Arguments) -> Result<Vec<Scenario>, XtaskError> {
    let named = match (arguments.scenarios.is_empty(), &arguments.url) {
        (true, Some(_)) => &[Scenario::Throughput],
        (true, None) => &Scenario::ALL[..],
        (false, _) => &arguments.scenarios[..],
    };
    let all = Scenario::ALL.into_iter().filter(|scenario| named.contains(scenario));
    let all: Vec<Scenario> = all.collect();
    if arguments.url.is_some() && all != [Scenario::Throughput] {
        return Err(XtaskError::Told("--url measures the throughput alone: name no other".into()));
    }
    if arguments.doc.is_some() && !arguments.peers && all.iter().any(|one| one.has_peers()) {
        let why = "the page compares throughput, latency and memory with the peers: add --peers";
        return Err(XtaskError::Told(why.into()));
    }
    Ok(all)
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

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    fn parse(words: &str) -> Result<Arguments, String> {
        let told = |error: clap::Error| error.to_string();
        let command = Arguments::augment_args(Command::new("bench").no_binary_name(true));
        let matches = command.try_get_matches_from(words.split_whitespace()).map_err(told)?;
        Arguments::from_arg_matches(&matches).map_err(told)
    }

    fn chosen(words: &str) -> Result<Vec<Scenario>, String> {
        scenarios(&parse(words)?).map_err(|error| error.to_string())
    }

    #[test]
    fn a_scenario_runs_once_and_in_its_order() {
        use Scenario::{Idle, Throughput};
        assert_eq!(chosen("idle throughput idle"), Ok(vec![Throughput, Idle]));
        assert_eq!(chosen("").map(|all| all.len()), Ok(Scenario::ALL.len()));
        assert_eq!(chosen("--url memory:"), Ok(vec![Throughput]));
        assert_eq!(chosen("throughput --url memory:"), Ok(vec![Throughput]));
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for words in [
            "latency --url memory:",
            "--url memory: --peers",
            "--quick --doc page.md",
            "--url memory: --doc page.md",
            "throughput --doc page.md",
            "--svg chart.svg",
            "--payload 7",
            "--payload 1048577",
        ] {
            assert!(chosen(words).is_err(), "{words}");
        }
        for words in ["growth --doc page.md", "--peers --doc page.md", "--peers --svg chart.svg"] {
            assert!(chosen(words).is_ok(), "{words}");
        }
    }
}

//! What may be asked on the command line.

use std::env;
use std::path::PathBuf;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use flowfabric::ff_core::name::Namespace;

use crate::error::EXIT_CODES;
use crate::out::{Color, Format};
use crate::store::Place;
use crate::{
    cancel, completions, demo, describe, doctor, explain, lanes, list, load, lua_load, replay,
    signal, submit, tail,
};

/// What the long help ends with, before the exit codes.
const EXAMPLES: &str = "\
Examples:
  ff demo                                  durable work over real files, on a file, without a server
  ff submit shout hello --lane words       hand work in; a worker of yours takes it
  ff list --state failed                   what ended badly
  ff explain '{fp:0}:0198c5...'            why it is not running, in a sentence
  ff lanes --url valkey://127.0.0.1:6379   another store

`ff help <command>` tells more, with examples. Payloads are given as text, @file, or - for the
standard input; spans as 90s, 5m, 2h, 7d or milliseconds; times as 2030-01-31T09:00:00Z or
milliseconds since 1970.
";

/// Durable execution: hand work in, watch it, steer it, on a file or on Valkey.
#[derive(Debug, Parser)]
#[command(name = "ff", version, max_term_width = 100, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// What every command takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Options of every command")]
pub(crate) struct Global {
    /// The store, a file; flowfabric/ff.db in your data folder if you name none.
    #[arg(long, global = true, value_name = "FILE", env = "FF_DB")]
    db: Option<PathBuf>,
    /// The store by URL: valkey://host:port, valkey-cluster://host:port, file:path, memory:
    #[arg(long, global = true, value_name = "URL", env = "FF_URL", hide_env_values = true)]
    url: Option<String>,
    /// The namespace of the lanes.
    #[arg(
        long,
        global = true,
        value_name = "NAME",
        env = "FF_NAMESPACE",
        default_value = "default"
    )]
    pub(crate) namespace: Namespace,
    /// The form of the answer: tables for people, or JSON for programs.
    #[arg(short, long, global = true, value_name = "FORMAT", value_enum,
          default_value_t = Format::Table, hide_possible_values = true)]
    #[arg(help = "The answer: a table for people, or json for programs")]
    pub(crate) output: Format,
    /// When there is colour: auto (on a terminal, unless NO_COLOR is set), always, never.
    #[arg(long, global = true, value_name = "WHEN", value_enum, default_value_t = Color::Auto,
          hide_possible_values = true)]
    #[arg(help = "Colour: auto (terminals, unless NO_COLOR is set), always, never")]
    pub(crate) color: Color,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows the whole at work: durable work over real files, and what it survives.
    Demo(demo::Arguments),
    /// Is the worker that a demo kills.
    #[command(hide = true)]
    DemoWorker,
    /// Hands work in.
    Submit(submit::Arguments),
    /// Lists executions by lane and state.
    List(list::Arguments),
    /// Describes an execution: its state, its turns, its result.
    Describe(describe::Arguments),
    /// Says in a sentence why an execution is not running, and who moves next.
    Explain(explain::Arguments),
    /// Follows the output of an execution while it comes.
    Tail(tail::Arguments),
    /// Sends a signal to a waiting execution.
    Signal(signal::SignalArguments),
    /// Approves a waiting execution: a signal named approve.
    Approve(signal::ApproveArguments),
    /// Cancels executions: running work is asked to stop first.
    Cancel(cancel::Arguments),
    /// Runs finished executions again.
    Replay(replay::Arguments),
    /// Counts the executions of each lane by state.
    Lanes(lanes::Arguments),
    /// Proves that nothing is stranded, and mends what is.
    Doctor(doctor::Arguments),
    /// Generates load and measures: rates, latencies, each execution ended exactly once.
    Load(load::Arguments),
    /// Loads the function library on every primary of a Valkey store.
    LuaLoad(lua_load::Arguments),
    /// Prints the completion script of a shell.
    Completions(completions::Arguments),
}

/// What was asked.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) global: Global,
    /// The store that was named, if one was.
    pub(crate) place: Option<Place>,
    pub(crate) command: Command,
}

/// Returns the command tree, for completions, documents and tests.
pub fn command() -> clap::Command {
    let codes: String =
        EXIT_CODES.iter().map(|(code, meaning)| format!("{code:>5}  {meaning}\n")).collect();
    let after = format!("{EXAMPLES}\nExit codes:\n{codes}");
    Cli::command().after_help(after)
}

/// Reads the arguments of the process; ends it when they are wrong, or ask for help.
pub(crate) fn parse() -> Arguments {
    let mut command = command().color(color_of_help());
    let matches = command.get_matches_mut();
    let parsed = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let place = place(&parsed.global, &matches).unwrap_or_else(|text| {
        command.error(ErrorKind::ArgumentConflict, text).exit();
    });
    Arguments { global: parsed.global, place, command: parsed.command }
}

/// Help is printed before the arguments are known.
fn color_of_help() -> ColorChoice {
    let words: Vec<String> = env::args().collect();
    let asked = |word: &str| {
        let pair = words.windows(2).any(|pair| pair[0] == "--color" && pair[1] == word);
        pair || words.contains(&format!("--color={word}"))
    };
    match (asked("never"), asked("always")) {
        (true, _) => ColorChoice::Never,
        (_, true) => ColorChoice::Always,
        _ => ColorChoice::Auto,
    }
}

/// Picks the store that was named: the command line wins over the environment.
fn place(global: &Global, matches: &ArgMatches) -> Result<Option<Place>, String> {
    let said = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    let (db, url) = match (&global.db, &global.url) {
        (Some(db), Some(url)) => match (said("db"), said("url")) {
            (true, false) => (Some(db), None),
            (false, true) => (None, Some(url)),
            (true, true) => return Err("--db and --url both name a store; say one".to_owned()),
            (false, false) => {
                return Err("FF_DB and FF_URL both name a store; unset one, or say --db or --url"
                    .to_owned());
            }
        },
        (db, url) => (db.as_ref(), url.as_ref()),
    };
    match (db, url) {
        (Some(path), _) => Place::file(path).map(Some).map_err(|error| error.to_string()),
        (None, Some(url)) => Ok(Some(Place::url(url))),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_tree_is_sound() {
        command().debug_assert();
    }
}

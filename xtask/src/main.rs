//! The project's own commands: `cargo xtask <command>`, each in a file of its name.

#![allow(clippy::print_stdout, reason = "printing is what these commands are for")]

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use tracing_subscriber::EnvFilter;

mod bench;
mod ci;
mod demo;
mod error;
mod lua_check;
mod lua_load;
mod run;
mod test;
mod tidy;

use ff_cli::text::chain;
use run::on_tokio;

/// Tests, checks and runs this workspace.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the tests, with the servers that they need.
    Test(test::Arguments),
    /// Checks what the compiler does not: crate edges, sizes, capability files, words.
    Tidy,
    /// Lints the Lua files.
    LuaCheck,
    /// Loads the function library on every primary of a store.
    LuaLoad(lua_load::Arguments),
    /// Runs `ff demo`: durable work over real files, and what it survives.
    Demo(demo::Arguments),
    /// Measures how fast the engine is and what a task costs the server.
    Bench(bench::Arguments),
    /// Runs every check and every test, as before each landing.
    Ci,
}

fn main() -> ExitCode {
    // What the engine logs goes to the error output, as `RUST_LOG` asks for.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let done = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::LuaCheck => lua_check::run(),
        Command::LuaLoad(arguments) => on_tokio(1, lua_load::run(arguments)),
        Command::Demo(arguments) => demo::run(&arguments),
        Command::Bench(arguments) => bench::run(arguments),
        Command::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

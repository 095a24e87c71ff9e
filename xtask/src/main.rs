//! The project's own commands: `cargo xtask <command>`, each in a file of its name.

#![allow(
    clippy::print_stdout,
    reason = "printing is what these commands are for"
)]

use std::process::ExitCode;

use clap::{Parser, Subcommand};

mod ci;
mod error;
mod lua_check;
mod run;
mod test;
mod tidy;

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
    /// Runs every check and every test, as before each landing.
    Ci,
}

fn main() -> ExitCode {
    let done = match Arguments::parse().command {
        Command::Test(arguments) => test::run(&arguments),
        Command::Tidy => tidy::run(),
        Command::LuaCheck => lua_check::run(),
        Command::Ci => ci::run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask: {}", error::chain(&error));
            ExitCode::from(error.exit_code())
        }
    }
}

//! `ff`: durable execution from the command line, on a file or on Valkey.
//!
//! A command is a file of its name. `args` says what may be asked, `store` which store is meant,
//! `out` how an answer is printed, `error` what went wrong and which exit code that is. For users
//! it is all in `docs/cli.md`, which a test compares with [`command`].

use std::process::ExitCode;

use flowfabric::FlowFabricClient;
use tracing_subscriber::EnvFilter;

mod args;
mod context;
mod error;
mod invocation;
mod out;
mod payload;
mod store;
pub mod text;
mod when;

mod demo;

mod describe;
mod explain;
mod list;
mod submit;
mod tail;

mod cancel;
mod replay;
mod signal;

mod completions;
mod doctor;
mod lanes;
mod load;
pub mod lua_load;

use args::{Arguments, Command, Global};
use context::Context;
use out::Out;
use store::{Access, Place};

pub use args::command;
pub use error::{CliError, EXIT_CODES};

/// Runs the program with the arguments of the process.
pub fn main() -> ExitCode {
    let arguments = args::parse();
    arguments.global.color.set();
    // What the engine logs goes to the error output, as `RUST_LOG` asks for.
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("error"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    log.with_ansi(out::error_has_color()).init();
    let done = match tokio::runtime::Runtime::new() {
        Ok(runtime) => {
            let done = runtime.block_on(run(arguments));
            // A read of the terminal that nobody waits for any more does not hold the end up.
            runtime.shutdown_background();
            done
        }
        Err(source) => Err(CliError::NotRun { program: "tokio".to_owned(), source }),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            error.print();
            ExitCode::from(error.exit_code())
        }
    }
}

async fn run(arguments: Arguments) -> Result<(), CliError> {
    let Arguments { global, place, command } = arguments;
    let out = Out::new(global.output);
    match command {
        // These stop by themselves, and tell how far they came.
        Command::Demo(demo) => demo::run(demo, place, out).await,
        Command::Load(load) => {
            let context = context(&global, place, out, Access::Owner).await?;
            load::run(&load, context).await
        }
        command => tokio::select! {
            done = answer(command, &global, place, out) => done,
            _ = tokio::signal::ctrl_c() => Err(CliError::Interrupted),
        },
    }
}

/// Opens the store that was named, or the default.
async fn context(
    global: &Global,
    place: Option<Place>,
    out: Out,
    access: Access,
) -> Result<Context, CliError> {
    let place = place.map_or_else(Place::default, Ok)?;
    let backend = place.open(access).await?;
    let client = FlowFabricClient::with_namespace(backend, global.namespace.clone());
    Ok(Context { client, place, out })
}

async fn answer(
    command: Command,
    global: &Global,
    place: Option<Place>,
    out: Out,
) -> Result<(), CliError> {
    let context = match command {
        Command::LuaLoad(arguments) => return lua_load::run(arguments, place, out).await,
        Command::Completions(arguments) => return completions::run(&arguments),
        Command::DemoWorker => return demo::run_doomed(global, place).await,
        Command::Submit(_) => context(global, place, out, Access::Submitter).await?,
        _ => context(global, place, out, Access::Guest).await?,
    };
    let context = &context;
    match command {
        Command::Submit(arguments) => submit::run(arguments, context).await,
        Command::List(arguments) => list::run(arguments, context).await,
        Command::Describe(arguments) => describe::run(arguments, context).await,
        Command::Explain(arguments) => explain::run(arguments, context).await,
        Command::Tail(arguments) => tail::run(arguments, context).await,
        Command::Signal(arguments) => signal::signal(arguments, context).await,
        Command::Approve(arguments) => signal::approve(arguments, context).await,
        Command::Cancel(arguments) => cancel::run(arguments, context).await,
        Command::Replay(arguments) => replay::run(arguments, context).await,
        Command::Lanes(_) => lanes::run(context).await,
        Command::Doctor(arguments) => doctor::run(arguments, context).await,
        Command::Demo(_)
        | Command::DemoWorker
        | Command::Load(_)
        | Command::LuaLoad(_)
        | Command::Completions(_) => Ok(()),
    }
}

//! `cargo xtask lua-load`: loads the function library on every primary and verifies it, as
//! `ff lua-load` does.

use crate::error::XtaskError;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  cargo xtask lua-load --url valkey://127.0.0.1:6379
  cargo xtask lua-load --url valkey://:password@10.0.0.1:6379 --cluster";

/// Where to load.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The server, or any node of a cluster: `valkey://[user:password@]host:port`.
    #[arg(long)]
    url: String,
    /// The server is a node of a cluster: every primary gets the library.
    #[arg(long)]
    cluster: bool,
}

/// Loads the library and prints a line for every node.
pub(crate) async fn run(arguments: Arguments) -> Result<(), XtaskError> {
    let prepared = ff_cli::lua_load::load(&arguments.url, arguments.cluster).await?;
    prepared.nodes.iter().for_each(|node| println!("{node}"));
    println!("nodes: {}, partitions: {}", prepared.nodes.len(), prepared.partitions);
    Ok(())
}

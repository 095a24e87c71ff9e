//! `cargo xtask lua-load`: loads the function library on every primary and verifies it.

use crate::error::XtaskError;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  cargo xtask lua-load --url valkey://127.0.0.1:6379
  cargo xtask lua-load --url valkey://:password@10.0.0.1:6379 --cluster

A library that is as new stays, an older one is replaced, a newer one is never downgraded: it is
kept if it still serves this version, and refused if it does not.";

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
    let url = address(&arguments.url, arguments.cluster)?;
    let failed = |error: flowfabric::EngineError| {
        XtaskError::Told(format!("the library was not loaded: {}", crate::error::chain(&error)))
    };
    let backend = flowfabric::connect(&url).await.map_err(failed)?;
    let prepared = backend.prepare().await.map_err(failed)?;
    prepared.nodes.iter().for_each(|node| println!("{node}"));
    println!("nodes: {}, partitions: {}", prepared.nodes.len(), prepared.partitions);
    Ok(())
}

/// Returns the address with the scheme that the flag asks for.
fn address(url: &str, cluster: bool) -> Result<String, XtaskError> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let scheme = match (scheme, cluster) {
        ("valkey", true) => "valkey-cluster",
        ("valkeys", true) => "valkeys-cluster",
        ("valkey" | "valkeys" | "valkey-cluster" | "valkeys-cluster", _) => scheme,
        _ => {
            return Err(XtaskError::Told(
                "--url must be valkey://host:port; no other store has a function library"
                    .to_owned(),
            ));
        }
    };
    Ok(format!("{scheme}://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_turns_an_address_into_that_of_a_cluster() {
        let cases = [
            ("valkey://h:1", false, "valkey://h:1"),
            ("valkey://h:1", true, "valkey-cluster://h:1"),
            ("valkeys://h:1", true, "valkeys-cluster://h:1"),
            ("valkey-cluster://h:1", true, "valkey-cluster://h:1"),
        ];
        for (url, cluster, wanted) in cases {
            assert_eq!(address(url, cluster).ok().as_deref(), Some(wanted), "{url}");
        }
    }

    #[test]
    fn a_store_without_functions_is_refused() {
        assert!(address("memory:", false).is_err());
    }
}

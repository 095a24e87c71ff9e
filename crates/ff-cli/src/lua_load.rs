//! `ff lua-load`: loads the function library on every primary and verifies it.

use flowfabric::ff_core::contracts::admin::Prepared;

use crate::error::CliError;
use crate::out::Out;
use crate::store::{Access, Place};

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff lua-load --url valkey://127.0.0.1:6379
  ff lua-load --url valkey://:password@10.0.0.1:6379 --cluster

A library that is as new stays, an older one is replaced, a newer one is never downgraded: it is
kept if it still serves this version, and refused if it does not.";

/// What to load on.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The server is a node of a cluster: every primary gets the library.
    #[arg(long)]
    cluster: bool,
}

/// Loads the library and prints a line for every node.
pub(crate) async fn run(
    arguments: Arguments,
    place: Option<Place>,
    out: Out,
) -> Result<(), CliError> {
    let Some(place) = place else {
        return Err(CliError::Usage("say which server with --url valkey://host:port".to_owned()));
    };
    let prepared = load(place.as_url(), arguments.cluster).await?;
    if out.is_json() {
        return out.document(&prepared);
    }
    prepared.nodes.iter().try_for_each(|node| out.line(node))?;
    out.line(format!("nodes: {}, partitions: {}", prepared.nodes.len(), prepared.partitions))
}

/// Loads the library on the server of this URL, or on every primary of its cluster.
pub async fn load(url: &str, cluster: bool) -> Result<Prepared, CliError> {
    let place = Place::url(address(url, cluster)?);
    let backend = place.open(Access::Owner).await?;
    let failed = |source| CliError::Unreachable { place: place.shown(), alone: false, source };
    backend.prepare().await.map_err(failed)
}

/// Returns the address with the scheme that the flag asks for.
fn address(url: &str, cluster: bool) -> Result<String, CliError> {
    let (scheme, rest) = url.split_once("://").unwrap_or((url, ""));
    let scheme = match (scheme, cluster) {
        ("valkey", true) => "valkey-cluster",
        ("valkeys", true) => "valkeys-cluster",
        ("valkey" | "valkeys" | "valkey-cluster" | "valkeys-cluster", _) => scheme,
        _ => {
            return Err(CliError::Usage(
                "the URL must be valkey://host:port; no other store has a function library"
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

//! Starts a private server by hand: `ff-testserver [8|9] [cluster]` prints its address and serves
//! until its standard input ends.

use std::env;
use std::error::Error;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use ff_testserver::{Cluster, Server, ServerVersion};

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match serve(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ff-testserver: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(words: &[String]) -> Result<(), Box<dyn Error>> {
    let mut version = ServerVersion::V8;
    let mut clustered = false;
    for word in words {
        match word.as_str() {
            "8" => version = ServerVersion::V8,
            "9" => version = ServerVersion::V9,
            "cluster" => clustered = true,
            other => return Err(format!("unknown word {other}; say [8|9] [cluster]").into()),
        }
    }
    if clustered {
        let cluster = Cluster::start(version)?;
        let pids = cluster.nodes().iter().filter_map(Server::pid);
        announce(&cluster.url(), pids)
    } else {
        let server = Server::start(version)?;
        announce(&server.url(), server.pid().into_iter())
    }
}

/// Prints the address and the ids of the servers, and waits for the end of the input.
fn announce(url: &str, pids: impl Iterator<Item = u32>) -> Result<(), Box<dyn Error>> {
    let pids: Vec<String> = pids.map(|pid| pid.to_string()).collect();
    let mut out = io::stdout();
    writeln!(out, "{url} {}", pids.join(" "))?;
    out.flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    Ok(())
}

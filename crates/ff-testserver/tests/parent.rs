//! A server lives as long as the process that started it: no shorter, no longer.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use ff_testserver::{Connection, Server, ServerVersion};

/// How long a server may outlive its parent.
const GONE_MAX: Duration = Duration::from_secs(10);

/// A process that holds servers, and what it said about them.
struct Holder {
    process: Child,
    address: SocketAddr,
    folders: Vec<PathBuf>,
}

impl Holder {
    fn start(words: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_ff-testserver"))
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the holder starts");
        let mut line = String::new();
        let out = process.stdout.take().expect("it is piped");
        BufReader::new(out).read_line(&mut line).expect("a line");
        let (url, pids) = line.trim_end().split_once(' ').expect("an address and ids");
        let (_, address) = url.split_once("://").expect("a scheme");
        Self {
            process,
            address: address.parse().expect("an address"),
            folders: pids.split(' ').map(folder_of).collect(),
        }
    }

    fn is_gone(&self) -> bool {
        let no_folder = !self.folders.iter().any(|folder| folder.exists());
        no_folder && Connection::open(self.address).is_err()
    }

    fn wait_until_gone(&self) {
        let deadline = Instant::now() + GONE_MAX;
        while !self.is_gone() {
            assert!(Instant::now() < deadline, "{} still serves", self.address);
            thread::yield_now();
        }
    }
}

/// Returns the data folder of the server with this process id.
fn folder_of(pid: &str) -> PathBuf {
    std::fs::read_link(Path::new("/proc").join(pid).join("cwd")).expect("a working folder")
}

#[test]
fn a_killed_parent_takes_its_server_and_its_data_along() {
    let mut holder = Holder::start(&["8"]);
    assert!(Connection::open(holder.address).is_ok());
    holder.process.kill().expect("kill -9");
    holder.process.wait().expect("it ended");
    holder.wait_until_gone();
}

#[test]
fn a_killed_parent_takes_a_whole_cluster_along() {
    let mut holder = Holder::start(&["8", "cluster"]);
    assert_eq!(holder.folders.len(), 3);
    holder.process.kill().expect("kill -9");
    holder.process.wait().expect("it ended");
    holder.wait_until_gone();
}

#[test]
fn a_parent_that_ends_well_leaves_nothing() {
    let mut holder = Holder::start(&["9"]);
    drop(holder.process.stdin.take());
    let status = holder.process.wait().expect("it ended");
    assert!(status.success());
    assert!(holder.is_gone());
}

#[test]
fn a_server_outlives_the_thread_that_started_it() {
    let started = thread::spawn(|| Server::start(ServerVersion::V8));
    let server = started.join().expect("no panic").expect("a server");
    assert!(server.command(&["PING"]).is_ok());
}

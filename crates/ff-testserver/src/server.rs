//! One standalone server with a private folder, on a port that it keeps over restarts.

use std::fmt::Write as _;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{ClientError, Connection};
use crate::error::ServerError;
use crate::find::{ServerVersion, find};
use crate::limited::{read_lossy, tail};
use crate::places::ScratchDir;
use crate::port::PortLease;
use crate::process::{Process, signal};
use crate::value::Value;

/// How long a server may take until it answers; loading its data counts.
const START_MAX: Duration = Duration::from_secs(20);
/// How long a signal may take until it shows.
const SIGNAL_MAX: Duration = Duration::from_secs(5);
/// How often something awaited is looked at.
const POLL_EVERY: Duration = Duration::from_millis(5);
/// How many ports are tried before giving up; each failure means that a stranger took one.
const PORTS_TRIED_MAX: u32 = 10;
/// What a server says when a stranger has its port.
const PORT_TAKEN: &str = "Address already in use";

/// A private server on a loopback port; killed, and its data removed, on drop.
///
/// It keeps nothing on disk unless its configuration says so. It dies with the process that
/// started it, also by `kill -9`.
#[derive(Debug)]
pub struct Server {
    // Before the folder, so that the server is gone when its folder goes.
    process: Option<Process>,
    folder: ScratchDir,
    port: PortLease,
    // Held for a cluster's second port; nothing reads it.
    bus: Option<PortLease>,
    program: PathBuf,
    settings: Settings,
}

/// Collects what a server shall be started with.
#[derive(Debug, Clone)]
pub struct ServerBuilder {
    version: ServerVersion,
    settings: Settings,
}

#[derive(Debug, Clone, Default)]
struct Settings {
    lines: Vec<String>,
    password: Option<String>,
    cluster: bool,
}

impl Server {
    /// Starts a server of `version` with no persistence and no password.
    pub fn start(version: ServerVersion) -> Result<Self, ServerError> {
        Self::builder(version).start()
    }

    /// Returns a builder for a server that needs further configuration.
    pub fn builder(version: ServerVersion) -> ServerBuilder {
        ServerBuilder { version, settings: Settings::default() }
    }

    /// Returns the address as `valkey://127.0.0.1:port`, with the password if there is one.
    pub fn url(&self) -> String {
        match &self.settings.password {
            Some(password) => format!("valkey://:{password}@{}", self.address()),
            None => format!("valkey://{}", self.address()),
        }
    }

    /// Returns the port, which stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port.port()
    }

    /// Returns the address that the server listens on.
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Returns the id of the server process, `None` while it is stopped.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::pid)
    }

    /// Opens a connection, authenticated if the server has a password.
    pub fn connect(&self) -> Result<Connection, ServerError> {
        let mut connection = Connection::open(self.address())?;
        if let Some(password) = &self.settings.password {
            connection.command(&["AUTH", password])?.into_result()?;
        }
        Ok(connection)
    }

    /// Runs one command on a connection of its own; a refusal is an error.
    pub fn command<A: AsRef<[u8]>>(&self, arguments: &[A]) -> Result<Value, ServerError> {
        Ok(self.connect()?.command(arguments)?.into_result()?)
    }

    /// Kills the server as `kill -9` would; its folder stays. A stopped server stays stopped.
    ///
    /// With an append-only file the server has written every change that it has answered.
    pub fn stop(&mut self) {
        self.process = None;
    }

    /// Stops the server if it runs and starts it again, with the same port and folder.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.stop();
        let deadline = Instant::now() + START_MAX;
        loop {
            match self.launch() {
                Err(error) if is_port_taken(&error) && Instant::now() < deadline => {
                    thread::sleep(POLL_EVERY);
                }
                result => return result,
            }
        }
    }

    /// Freezes the server: it keeps its connections and answers nothing until it is resumed.
    pub fn pause(&self) -> Result<(), ServerError> {
        let pid = self.running()?;
        signal(pid, "STOP")?;
        let deadline = Instant::now() + SIGNAL_MAX;
        while !is_frozen(pid) && Instant::now() < deadline {
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }

    /// Lets a frozen server go on; it then answers what waits on its connections.
    pub fn resume(&self) -> Result<(), ServerError> {
        signal(self.running()?, "CONT")
    }

    /// Returns the port of the cluster bus.
    pub(crate) fn bus_port(&self) -> Option<u16> {
        self.bus.as_ref().map(PortLease::port)
    }

    fn running(&self) -> Result<u32, ServerError> {
        let port = self.port();
        self.pid().ok_or(ServerError::Stopped { port })
    }

    fn launch(&mut self) -> Result<(), ServerError> {
        let folder = self.folder.path();
        let configuration = folder.join("valkey.conf");
        let log = folder.join("server.log");
        // The log of the last run would hide why this one fails.
        fs::write(&log, "").map_err(ServerError::file("write", &log))?;
        fs::write(&configuration, self.configuration())
            .map_err(ServerError::file("write", &configuration))?;
        let process = Process::spawn(&self.program, &configuration, &log, folder)?;
        let process = self.process.insert(process);
        let pid = process.pid();
        let deadline = Instant::now() + START_MAX;
        let reason = loop {
            match process.ended() {
                Ok(None) => {}
                Ok(Some(status)) => break format!("it ended with {status}"),
                Err(error) => break error.to_string(),
            }
            let answer = answers(self.port.address(), self.settings.password.as_deref(), pid);
            match answer {
                Ok(true) => return Ok(()),
                Ok(false) if Instant::now() >= deadline => {
                    break "another server answers on its port".to_owned();
                }
                Err(error) if Instant::now() >= deadline => break error.to_string(),
                _ => thread::sleep(POLL_EVERY),
            }
        };
        self.process = None;
        Err(ServerError::NotStarted {
            port: self.port.port(),
            reason,
            log: tail(&read_lossy(&log)),
        })
    }

    fn configuration(&self) -> String {
        let mut text = format!(
            "bind 127.0.0.1\nport {}\ndir {}\nsave \"\"\nappendonly no\ndaemonize no\n",
            self.port(),
            quoted(&self.folder.path().to_string_lossy()),
        );
        if let Some(bus) = self.bus_port() {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "cluster-enabled yes\ncluster-port {bus}");
        }
        if let Some(password) = &self.settings.password {
            let _ = writeln!(text, "requirepass {}", quoted(password));
        }
        for line in &self.settings.lines {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

impl ServerBuilder {
    /// Adds a line of configuration; `value` is written as it would stand in `valkey.conf`.
    #[must_use]
    pub fn config(mut self, name: &str, value: &str) -> Self {
        self.settings.lines.push(format!("{name} {value}"));
        self
    }

    /// Requires `password` of every client, and knows it for [`Server::url`] and
    /// [`Server::connect`].
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.settings.password = Some(password.to_owned());
        self
    }

    /// Makes the server a read-only replica of `primary`.
    #[must_use]
    pub fn replica_of(self, primary: &Server) -> Self {
        let builder = self.config("replicaof", &format!("127.0.0.1 {}", primary.port()));
        match &primary.settings.password {
            Some(password) => builder.config("masterauth", &quoted(password)),
            None => builder,
        }
    }

    /// Makes the server a node of a cluster that does not exist yet.
    #[must_use]
    pub(crate) fn cluster_node(mut self) -> Self {
        self.settings.cluster = true;
        self
    }

    /// Finds the program, starts it, and waits until it answers.
    pub fn start(self) -> Result<Server, ServerError> {
        let program = find(self.version)?;
        self.start_program(&program)
    }

    fn start_program(self, program: &Path) -> Result<Server, ServerError> {
        let mut tries_left = PORTS_TRIED_MAX;
        loop {
            tries_left -= 1;
            let bus = self.settings.cluster.then(PortLease::take).transpose()?;
            let mut server = Server {
                process: None,
                folder: ScratchDir::new()?,
                port: PortLease::take()?,
                bus,
                program: program.to_owned(),
                settings: self.settings.clone(),
            };
            match server.launch() {
                Ok(()) => return Ok(server),
                Err(error) if is_port_taken(&error) && tries_left > 0 => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Asks whether the server at `address` is the process `pid` and has loaded its data.
fn answers(address: SocketAddr, password: Option<&str>, pid: u32) -> Result<bool, ClientError> {
    let mut connection = Connection::open(address)?;
    if let Some(password) = password {
        connection.command(&["AUTH", password])?.into_result()?;
    }
    connection.command(&["PING"])?.into_result()?;
    let info = connection.command(&["INFO", "server"])?.into_result()?;
    let wanted = format!("process_id:{pid}");
    Ok(info.text().is_some_and(|text| text.lines().any(|line| line.trim_end() == wanted)))
}

fn is_port_taken(error: &ServerError) -> bool {
    matches!(error, ServerError::NotStarted { log, .. } if log.contains(PORT_TAKEN))
}

/// Returns whether the process has stopped, as far as this system tells.
fn is_frozen(pid: u32) -> bool {
    match fs::read_to_string(format!("/proc/{pid}/stat")) {
        // The state follows the program's name, which stands in parentheses.
        Ok(stat) => stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T')),
        Err(_) => true,
    }
}

/// Quotes a value for a configuration file.
fn quoted(value: &str) -> String {
    let mut text = String::from("\"");
    for byte in value.bytes() {
        let _ = write!(text, "\\x{byte:02x}");
    }
    text.push('"');
    text
}

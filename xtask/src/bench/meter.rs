//! What work costs: time, what the server says about itself, and this process's processor time.

use std::time::{Duration, Instant};

use ff_testserver::{Connection, Server, Value};
use rustix::time::{ClockId, clock_gettime};

use crate::error::XtaskError;

/// Keys that one step of a scan returns.
const SCAN_COUNT: &str = "1000";

/// Reads private servers; a store that is not private is measured by the clock alone.
#[derive(Debug, Default)]
pub(super) struct Meter {
    connections: Vec<Connection>,
}

/// The counters of the servers at one moment, or their growth.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Calls of functions and scripts.
    pub(super) calls: u64,
    /// Commands that those made inside the server, and plain commands.
    pub(super) commands: u64,
    /// Microseconds of processor time.
    pub(super) cpu_us: f64,
}

/// What a part of a round took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) took: Duration,
    /// Nothing for a store without a server of its own.
    pub(super) server: Option<Counters>,
    /// Microseconds of processor time of clients and workers.
    pub(super) client_us: f64,
}

/// The moment at which a part of a round begins.
#[derive(Debug)]
pub(super) struct Begun {
    server: Option<Counters>,
    client_us: f64,
    at: Instant,
}

impl Meter {
    /// Reads these servers, and adds up what they say.
    pub(super) fn of<'a>(
        servers: impl IntoIterator<Item = &'a Server>,
    ) -> Result<Self, XtaskError> {
        let connections = servers.into_iter().map(Server::connect).collect::<Result<_, _>>()?;
        Ok(Self { connections })
    }

    /// Begins to measure.
    pub(super) fn begin(&mut self) -> Result<Begun, XtaskError> {
        let server = self.counters()?;
        Ok(Begun { server, client_us: process_us(), at: Instant::now() })
    }

    /// Returns what was spent since `begun`.
    pub(super) fn end(&mut self, begun: &Begun) -> Result<Spent, XtaskError> {
        let (took, client_us) = (begun.at.elapsed(), process_us() - begun.client_us);
        let server = begun.server.zip(self.counters()?).map(|(before, after)| after - before);
        Ok(Spent { took, server, client_us })
    }

    /// Reads the counters.
    pub(super) fn counters(&mut self) -> Result<Option<Counters>, XtaskError> {
        let mut sum = None;
        for connection in &mut self.connections {
            let read = counters(connection)?;
            sum = Some(sum.unwrap_or_default() + read);
        }
        Ok(sum)
    }

    /// Reads how many bytes the servers have in use, the buffers of their clients aside.
    pub(super) fn used_memory(&mut self) -> Result<u64, XtaskError> {
        let mut sum = 0;
        for connection in &mut self.connections {
            let memory = info(connection, "memory")?;
            let bytes = |name| field(&memory, name).and_then(|text| text.parse::<u64>().ok());
            let clients = bytes("mem_clients_normal").unwrap_or_default();
            sum += bytes("used_memory").unwrap_or_default().saturating_sub(clients);
        }
        Ok(sum)
    }

    /// Adds up what the servers say about each of their keys.
    pub(super) fn keys_memory(&mut self) -> Result<u64, XtaskError> {
        let mut sum = 0;
        for connection in &mut self.connections {
            sum += keys_memory(connection)?;
        }
        Ok(sum)
    }
}

impl Spent {
    /// Adds another part.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            took: self.took + other.took,
            server: self.server.zip(other.server).map(|(one, two)| one + two),
            client_us: self.client_us + other.client_us,
        }
    }
}

impl std::ops::Add for Counters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            calls: self.calls + other.calls,
            commands: self.commands + other.commands,
            cpu_us: self.cpu_us + other.cpu_us,
        }
    }
}

impl std::ops::Sub for Counters {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            calls: self.calls.saturating_sub(other.calls),
            commands: self.commands.saturating_sub(other.commands),
            cpu_us: self.cpu_us - other.cpu_us,
        }
    }
}

/// Returns the processor time that all threads of this process have taken so far.
pub(super) fn process_us() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e6 + time.tv_nsec as f64 / 1e3
}

fn counters(connection: &mut Connection) -> Result<Counters, XtaskError> {
    let cpu = info(connection, "cpu")?;
    let stats = info(connection, "commandstats")?;
    let seconds = |name: &str| {
        let value = field(&cpu, name).and_then(|text| text.parse::<f64>().ok());
        value.unwrap_or_default()
    };
    let mut counters = Counters {
        cpu_us: (seconds("used_cpu_user") + seconds("used_cpu_sys")) * 1e6,
        ..Counters::default()
    };
    for (name, calls) in stats.lines().filter_map(calls) {
        match name {
            "fcall" | "fcall_ro" | "eval" | "eval_ro" | "evalsha" | "evalsha_ro" => {
                counters.calls += calls;
            }
            // The meter's own.
            "info" => {}
            _ => counters.commands += calls,
        }
    }
    Ok(counters)
}

fn keys_memory(connection: &mut Connection) -> Result<u64, XtaskError> {
    let mut total = 0;
    let mut cursor = "0".to_owned();
    loop {
        let page = command(connection, &["SCAN", &cursor, "COUNT", SCAN_COUNT])?;
        let page = page.array().unwrap_or_default();
        let keys = page.get(1).and_then(Value::array).unwrap_or_default();
        let keys: Vec<&[u8]> = keys.iter().filter_map(Value::bytes).collect();
        for key in &keys {
            connection.send::<&[u8]>(&[b"MEMORY", b"USAGE", key, b"SAMPLES", b"0"])?;
        }
        for _ in &keys {
            let bytes = connection.read()?.integer().unwrap_or(0);
            total += u64::try_from(bytes).unwrap_or(0);
        }
        cursor = page.first().and_then(Value::text).unwrap_or("0".into()).into_owned();
        if cursor == "0" {
            return Ok(total);
        }
    }
}

fn info(connection: &mut Connection, section: &str) -> Result<String, XtaskError> {
    let reply = command(connection, &["INFO", section])?;
    Ok(reply.text().unwrap_or_default().into_owned())
}

fn command(connection: &mut Connection, words: &[&str]) -> Result<Value, XtaskError> {
    Ok(connection.command(words)?.into_result()?)
}

/// Reads a line such as `cmdstat_hset:calls=3,usec=...`.
fn calls(line: &str) -> Option<(&str, u64)> {
    let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
    Some((name, rest.split(',').next()?.parse().ok()?))
}

/// Finds a field of what `INFO` answered.
pub(super) fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    let line = info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    Some(line.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_read_with_the_name_of_their_command() {
        assert_eq!(calls("cmdstat_fcall_ro:calls=12,usec=34"), Some(("fcall_ro", 12)));
        assert_eq!(calls("# Commandstats"), None);
    }

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let info = "# CPU\r\nused_cpu_sys_children:1\r\nused_cpu_sys:2.5\r\n";
        assert_eq!(field(info, "used_cpu_sys"), Some("2.5"));
        assert_eq!(field(info, "used_cpu"), None);
    }

    #[test]
    fn work_takes_processor_time() {
        let begun = process_us();
        let sum: u64 = (0..1_000_000_u64).fold(0, |sum, number| std::hint::black_box(sum ^ number));
        assert!(process_us() > begun, "{sum}");
    }
}

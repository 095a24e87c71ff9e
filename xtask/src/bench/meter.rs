//! What a server says about itself: calls, processor time, memory.

use ff_testserver::{Connection, Server, Value};

use crate::error::XtaskError;

/// Keys that one step of a scan returns.
const SCAN_COUNT: &str = "1000";

/// Reads a private server; a store that is not private is measured by the clock alone.
#[derive(Debug)]
pub(super) struct Meter {
    connection: Option<Connection>,
}

/// The counters of a server at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counters {
    /// Function calls.
    pub(super) fcalls: u64,
    /// Commands that functions made inside the server, and plain commands.
    pub(super) commands: u64,
    /// Microseconds of processor time.
    pub(super) cpu_us: u64,
}

impl Meter {
    /// Measures nothing.
    pub(super) fn none() -> Self {
        Self { connection: None }
    }

    /// Reads a server.
    pub(super) fn of(server: &Server) -> Result<Self, XtaskError> {
        Ok(Self { connection: Some(server.connect()?) })
    }

    /// Reads the counters.
    pub(super) fn counters(&mut self) -> Result<Option<Counters>, XtaskError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let cpu = info(connection, "cpu")?;
        let stats = info(connection, "commandstats")?;
        let seconds = |name: &str| {
            let value = field(&cpu, name).and_then(|text| text.parse::<f64>().ok());
            value.unwrap_or_default()
        };
        let (mut fcalls, mut commands) = (0, 0);
        for (name, calls) in stats.lines().filter_map(calls) {
            match name {
                "fcall" | "fcall_ro" => fcalls += calls,
                _ => commands += calls,
            }
        }
        let cpu_s = seconds("used_cpu_user") + seconds("used_cpu_sys");
        Ok(Some(Counters { fcalls, commands, cpu_us: (cpu_s * 1e6) as u64 }))
    }

    /// Reads how many bytes the data takes.
    pub(super) fn used_memory(&mut self) -> Result<Option<u64>, XtaskError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
        let memory = info(connection, "memory")?;
        Ok(field(&memory, "used_memory").and_then(|text| text.parse().ok()))
    }

    /// Adds up what the server says about each of its keys.
    pub(super) fn keys_memory(&mut self) -> Result<Option<u64>, XtaskError> {
        let Some(connection) = &mut self.connection else {
            return Ok(None);
        };
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
                return Ok(Some(total));
            }
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

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
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
}

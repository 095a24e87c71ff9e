//! Where the store is and how to talk to it.

use ff_core::error::{EngineError, EngineResult, ValidationKind};
use ff_core::limits::PARTITIONS_MAX;
use ff_core::time::Clock;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The port of an address that names none.
const PORT_DEFAULT: u16 = 6379;
/// Connections for calls when the configuration names no number.
const CONNECTIONS_DEFAULT: usize = 2;
/// Most connections for calls.
const CONNECTIONS_MAX: usize = 64;
/// How long a call may take, the wait for a connection included.
const CALL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);
/// Longest that a call may be allowed to take.
const CALL_TIMEOUT_MS_MAX: u64 = 600_000;
/// How long it may take to open a connection.
const CONNECT_TIMEOUT_DEFAULT: Duration = Duration::from_secs(5);

/// What a [`ValkeyBackend`](crate::ValkeyBackend) needs to know.
///
/// ```
/// let config = ff_backend_valkey::Config::parse("valkey://127.0.0.1:6379?connections=4")?;
/// # Ok::<(), ff_core::EngineError>(())
/// ```
#[derive(Clone)]
pub struct Config {
    pub(crate) endpoint: Endpoint,
    pub(crate) connections: usize,
    pub(crate) call_timeout: Duration,
    pub(crate) connect_timeout: Duration,
    pub(crate) partitions: Option<u16>,
    pub(crate) test_clock: Option<Arc<dyn Clock>>,
}

/// The servers and the credentials.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Endpoint {
    pub(crate) cluster: bool,
    pub(crate) tls: bool,
    pub(crate) hosts: Vec<(String, u16)>,
    pub(crate) username: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: Option<u8>,
}

impl Config {
    /// Reads an address: `valkey://`, `valkeys://` (TLS), `valkey-cluster://` or
    /// `valkeys-cluster://`, then `[user:password@]host[:port][,host[:port]...]`, then `/database`
    /// (standalone only) and `?name=value&...`.
    ///
    /// The names are `connections`, `timeout_ms` (of a call), `connect_timeout_ms` and
    /// `partitions`. User and password may be percent-encoded.
    pub fn parse(url: &str) -> EngineResult<Self> {
        let (scheme, rest) = url
            .split_once("://")
            .ok_or_else(|| bad("it has no scheme, expected valkey://host:port"))?;
        let (cluster, tls) = match scheme {
            "valkey" => (false, false),
            "valkeys" => (false, true),
            "valkey-cluster" => (true, false),
            "valkeys-cluster" => (true, true),
            other => {
                return Err(bad(format!(
                    "scheme {other:?} is unknown, expected valkey, valkeys, valkey-cluster or \
                     valkeys-cluster"
                )));
            }
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        // A password may hold an `@` of its own.
        let (credentials, hosts) = match authority.rsplit_once('@') {
            Some((credentials, hosts)) => (Some(credentials), hosts),
            None => (None, authority),
        };
        let (username, password) = parse_credentials(credentials)?;
        let endpoint = Endpoint {
            cluster,
            tls,
            hosts: hosts.split(',').map(parse_host).collect::<Result<_, _>>()?,
            username,
            password,
            database: parse_database(path, cluster)?,
        };
        let mut config = Self {
            endpoint,
            connections: CONNECTIONS_DEFAULT,
            call_timeout: CALL_TIMEOUT_DEFAULT,
            connect_timeout: CONNECT_TIMEOUT_DEFAULT,
            partitions: None,
            test_clock: None,
        };
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            config.set(pair)?;
        }
        config.check()?;
        Ok(config)
    }

    /// Sets how many connections to each primary carry calls: 1 to 64, 2 unless told.
    #[must_use]
    pub const fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Sets how long a call may take, 5 s unless told; then it is a `Transport` error.
    #[must_use]
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.call_timeout = timeout;
        self
    }

    /// Sets how long it may take to open a connection: 5 s unless told.
    #[must_use]
    pub const fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Asks for a number of partitions. A store that has another number refuses; without this it
    /// keeps what it has, and a new one gets 1, or 64 in a cluster.
    #[must_use]
    pub const fn partitions(mut self, partitions: u16) -> Self {
        self.partitions = Some(partitions);
        self
    }

    /// Takes another clock than the system's and loads the library's test build, whose time
    /// stands still until [`ValkeyBackend::set_test_clock`](crate::ValkeyBackend::set_test_clock).
    #[doc(hidden)]
    #[must_use]
    pub fn test_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.test_clock = Some(clock);
        self
    }

    /// Refuses values out of bounds.
    pub(crate) fn check(&self) -> EngineResult<()> {
        if !(1..=CONNECTIONS_MAX).contains(&self.connections) {
            return Err(bad(format!(
                "connections is {}, it must be between 1 and {CONNECTIONS_MAX}",
                self.connections
            )));
        }
        for (name, timeout) in
            [("timeout_ms", self.call_timeout), ("connect_timeout_ms", self.connect_timeout)]
        {
            let ms = timeout.as_millis();
            if ms == 0 || ms > u128::from(CALL_TIMEOUT_MS_MAX) {
                return Err(bad(format!(
                    "{name} is {ms}, it must be between 1 and {CALL_TIMEOUT_MS_MAX}"
                )));
            }
        }
        match self.partitions {
            Some(count) if count == 0 || count > PARTITIONS_MAX => Err(bad(format!(
                "partitions is {count}, it must be between 1 and {PARTITIONS_MAX}"
            ))),
            _ => Ok(()),
        }
    }

    fn set(&mut self, pair: &str) -> EngineResult<()> {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        match name {
            "connections" => self.connections = number(name, value)?,
            "timeout_ms" => self.call_timeout = Duration::from_millis(number(name, value)?),
            "connect_timeout_ms" => {
                self.connect_timeout = Duration::from_millis(number(name, value)?);
            }
            "partitions" => self.partitions = Some(number(name, value)?),
            _ => {
                return Err(bad(format!(
                    "parameter {name:?} is unknown, expected connections, timeout_ms, \
                     connect_timeout_ms or partitions"
                )));
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("endpoint", &self.endpoint)
            .field("connections", &self.connections)
            .field("call_timeout", &self.call_timeout)
            .field("connect_timeout", &self.connect_timeout)
            .field("partitions", &self.partitions)
            .finish_non_exhaustive()
    }
}

/// Shows no password.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tls = if self.tls { "s" } else { "" };
        let cluster = if self.cluster { "-cluster" } else { "" };
        let hosts: Vec<String> =
            self.hosts.iter().map(|(host, port)| format!("{host}:{port}")).collect();
        write!(f, "valkey{tls}{cluster}://{}", hosts.join(","))
    }
}

/// Makes the error for an address that cannot be used. The address itself may hold a password.
fn bad(detail: impl fmt::Display) -> EngineError {
    EngineError::validation(
        ValidationKind::Connection,
        format!("address of the store cannot be used: {detail}"),
    )
}

fn number<T: std::str::FromStr>(name: &str, value: &str) -> EngineResult<T> {
    value.parse().map_err(|_| bad(format!("parameter {name} is {value:?}, expected a number")))
}

fn parse_credentials(text: Option<&str>) -> EngineResult<(Option<String>, Option<String>)> {
    let Some(text) = text else {
        return Ok((None, None));
    };
    let (username, password) = text.split_once(':').unwrap_or((text, ""));
    let some = |part: &str| -> EngineResult<Option<String>> {
        if part.is_empty() {
            return Ok(None);
        }
        percent_decoded(part).map(Some)
    };
    Ok((some(username)?, some(password)?))
}

fn percent_decoded(text: &str) -> EngineResult<String> {
    let broken = || bad("user or password is not percent-encoded UTF-8");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let mut digit = || {
            let digit = rest.next().map(char::from)?.to_digit(16)?;
            u8::try_from(digit).ok()
        };
        let (high, low) = (digit(), digit());
        let (Some(high), Some(low)) = (high, low) else {
            return Err(broken());
        };
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).map_err(|_| broken())
}

fn parse_host(text: &str) -> EngineResult<(String, u16)> {
    let (host, port) = match text.strip_prefix('[').and_then(|t| t.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, port)) => (host, Some(port.strip_prefix(':').unwrap_or("?"))),
        None => match text.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (text, None),
        },
    };
    let sound = !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c == '@');
    if !sound {
        return Err(bad("it names no host, expected host:port"));
    }
    let port = match port {
        None => PORT_DEFAULT,
        Some(digits) => digits
            .parse()
            .ok()
            .filter(|port| *port != 0)
            .ok_or_else(|| bad(format!("port {digits:?} is not between 1 and 65535")))?,
    };
    Ok((host.to_owned(), port))
}

fn parse_database(path: &str, cluster: bool) -> EngineResult<Option<u8>> {
    match path {
        "" => Ok(None),
        _ if cluster => Err(bad("a cluster has no databases to choose from")),
        digits => digits
            .parse()
            .map(Some)
            .map_err(|_| bad(format!("database {digits:?} is not between 0 and 255"))),
    }
}

#[cfg(test)]
#[path = "config_tests.rs"]
mod tests;

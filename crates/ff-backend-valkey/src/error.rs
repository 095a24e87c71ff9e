//! What went wrong, in the engine's words: the one place that reads the client library's errors.

use crate::config::Endpoint;
use ff_core::error::{BugKind, EngineError, ValidationKind};
use ff_script::library;
use fred::error::{Error, ErrorKind};
use std::fmt;

/// The name of this backend in transport errors.
pub(crate) const BACKEND: &str = "valkey";

/// What a server says, by its first word, and what an operator can do about it.
const UNAVAILABLE: &[(&str, &str)] = &[
    ("OOM", "the store is full: raise maxmemory, or let finished work expire"),
    (
        "READONLY",
        "the server is a replica: point the address at the primary, or wait for the failover",
    ),
    ("LOADING", "the server is loading its data: wait for it"),
    ("MISCONF", "the server cannot save its data and refuses writes: look at its log and disk"),
    ("CLUSTERDOWN", "the cluster does not serve every slot: look at CLUSTER INFO and at its nodes"),
    ("MASTERDOWN", "the replica has lost its primary: bring the primary back"),
    ("NOREPLICAS", "too few replicas are connected: look at min-replicas-to-write"),
    ("BUSY", "a script has been running for too long: look at SLOWLOG and FUNCTION STATS"),
    ("TRYAGAIN", "a slot is moving to another node: wait for the move to end"),
    ("MOVED", "the cluster's layout changes faster than it can be followed: wait for it to settle"),
    ("ASK", "the partition's slot is moving to another node: wait for the move to end"),
    ("NOAUTH", "the server wants a password: put it into the address"),
    ("WRONGPASS", "user or password is wrong: correct it in the address"),
    (
        "NOPERM",
        "the user lacks a right: function calls, FUNCTION, SSUBSCRIBE, SCAN and INFO on keys and \
         channels ff:* are needed",
    ),
];

/// Tells whether the server does not know the function: its library was flushed or never loaded.
pub(crate) fn is_unknown_function(error: &Error) -> bool {
    error.details().contains("Function not found")
}

/// Tells whether no answer came in time.
pub(crate) fn is_timeout(error: &Error) -> bool {
    *error.kind() == ErrorKind::Timeout
}

/// Tells whether the command was never written: the client library had no connection for it.
pub(crate) fn is_unsent(error: &Error) -> bool {
    *error.kind() == ErrorKind::Unknown && error.details() == "Failed to route command."
}

/// Turns the failure of a call into the engine's error.
pub(crate) fn call_error(function: &'static str, error: Error) -> EngineError {
    let op = function.strip_prefix("ff_").unwrap_or(function);
    let details = error.details();
    let word = details.split([' ', ':']).next().unwrap_or("");
    if let Some((word, advice)) = UNAVAILABLE.iter().find(|(known, _)| *known == word) {
        let reason = format!("{word}: {advice}");
        return EngineError::Unavailable { op, reason };
    }
    match error.kind() {
        ErrorKind::Unknown if is_servers_own(details) => {
            BugKind::Function { function, message: library::located(details) }.into()
        }
        ErrorKind::InvalidCommand | ErrorKind::InvalidArgument | ErrorKind::Protocol => {
            BugKind::Function { function, message: library::located(details) }.into()
        }
        _ => EngineError::Transport { backend: BACKEND, source: Box::new(error) },
    }
}

/// Tells a server's error from one that the client library made up: a server's begins with a word
/// in capitals, such as `ERR`.
fn is_servers_own(details: &str) -> bool {
    let word = details.split(' ').next().unwrap_or("");
    word.len() > 1 && word.bytes().all(|byte| byte.is_ascii_uppercase())
}

/// Turns the failure to connect into the engine's error.
pub(crate) fn connect_error(endpoint: &Endpoint, error: Error) -> EngineError {
    let details = error.details();
    let word = details.split([' ', ':']).next().unwrap_or("");
    let refused = |why: &str| connection(format!("{endpoint} {why}"));
    match word {
        "NOAUTH" => return refused("wants a password: put it into the address"),
        "WRONGPASS" => return refused("refuses the user or the password: correct the address"),
        "NOPERM" => return refused(&format!("lets this user do too little: {details}")),
        "NOPROTO" => return refused("is too old: version 7.2 or Valkey 8 is the least"),
        _ => {}
    }
    if details.contains("unknown command") {
        return refused(&format!("lacks a command, it is too old: {details}"));
    }
    if details.contains("cluster support disabled") {
        return refused("is no cluster: use valkey:// in its address");
    }
    match error.kind() {
        ErrorKind::Auth => refused(&format!("refuses the user or the password: {details}")),
        ErrorKind::Config | ErrorKind::Url => refused(&format!("cannot be used: {details}")),
        _ => unreachable_endpoint(endpoint, call_error("connect", error)),
    }
}

/// Says where nobody answered.
fn unreachable_endpoint(endpoint: &Endpoint, error: EngineError) -> EngineError {
    let EngineError::Transport { backend, source } = error else { return error };
    let source = format!("{endpoint} cannot be reached, is a server running there? {source}");
    EngineError::Transport { backend, source: source.into() }
}

/// Makes the error for a store that cannot be used as it is asked for.
pub(crate) fn connection(detail: impl fmt::Display) -> EngineError {
    EngineError::validation(ValidationKind::Connection, detail.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(details: &'static str) -> EngineError {
        call_error("ff_tick", Error::new(ErrorKind::Unknown, details))
    }

    #[test]
    fn what_an_operator_can_mend_is_unavailable() {
        for details in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "LOADING Valkey is loading the dataset in memory",
            "CLUSTERDOWN The cluster is down",
        ] {
            match server(details) {
                EngineError::Unavailable { op, reason } => {
                    assert_eq!(op, "tick");
                    assert!(reason.contains(": "), "{reason}");
                }
                other => panic!("{details}: {other}"),
            }
        }
    }

    #[test]
    fn a_functions_own_error_is_a_bug_and_a_broken_connection_is_not() {
        assert!(matches!(
            server("ERR flowfabric: boom"),
            EngineError::Bug(BugKind::Function { .. })
        ));
        assert!(matches!(server("Connection closed unexpectedly."), EngineError::Transport { .. }));
        let timeout = Error::new(ErrorKind::Timeout, "Request timed out.");
        assert!(is_timeout(&timeout));
        assert!(matches!(call_error("ff_tick", timeout), EngineError::Transport { .. }));
    }
}

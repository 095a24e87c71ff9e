//! A canonical dump of everything that FlowFabric keeps in a store.

use ff_testserver::{Connection, Value};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Writes every key with what it holds and when it expires, sorted.
pub fn dump(connections: &mut [Connection]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for connection in connections {
        for key in keys(connection) {
            let mut line = shown(&key);
            line.push_str(" = ");
            line.push_str(&content(connection, &key));
            let expires_at = command(connection, &[b"PEXPIRETIME", &key]);
            // Writing to a String cannot fail.
            let _ = write!(line, " until {expires_at:?}");
            lines.push(line);
        }
    }
    lines.sort();
    lines.join("\n")
}

fn keys(connection: &mut Connection) -> BTreeSet<Vec<u8>> {
    let mut keys = BTreeSet::new();
    let mut cursor = b"0".to_vec();
    loop {
        let reply = command(connection, &[b"SCAN", &cursor, b"COUNT", b"1000"]);
        let parts = reply.array().expect("a cursor and keys");
        let found = parts[1].array().expect("keys");
        keys.extend(found.iter().filter_map(|key| key.bytes().map(<[u8]>::to_vec)));
        cursor = parts[0].bytes().expect("a cursor").to_vec();
        if cursor == b"0" {
            return keys;
        }
    }
}

fn content(connection: &mut Connection, key: &[u8]) -> String {
    let kind = command(connection, &[b"TYPE", key]).text().unwrap_or_default().into_owned();
    let value = match kind.as_str() {
        "string" => command(connection, &[b"GET", key]),
        "hash" => command(connection, &[b"HGETALL", key]),
        "list" => command(connection, &[b"LRANGE", key, b"0", b"-1"]),
        "set" => command(connection, &[b"SMEMBERS", key]),
        "zset" => command(connection, &[b"ZRANGE", key, b"0", b"-1", b"WITHSCORES"]),
        "stream" => command(connection, &[b"XRANGE", key, b"-", b"+"]),
        // It went between the two commands: what expires only frees memory.
        "none" => return "gone".to_owned(),
        other => panic!("a key of type {other}"),
    };
    let mut parts = Vec::new();
    flatten(&value, &mut parts);
    match kind.as_str() {
        "hash" => {
            let mut pairs: Vec<String> = parts.chunks(2).map(|pair| pair.join(": ")).collect();
            pairs.sort();
            format!("{kind} {{{}}}", pairs.join(", "))
        }
        "set" => {
            parts.sort();
            format!("{kind} {{{}}}", parts.join(", "))
        }
        _ => format!("{kind} [{}]", parts.join(", ")),
    }
}

fn flatten(value: &Value, parts: &mut Vec<String>) {
    match value {
        Value::Array(values) => values.iter().for_each(|value| flatten(value, parts)),
        Value::Bulk(bytes) => parts.push(shown(bytes)),
        Value::Null => parts.push("nil".to_owned()),
        other => parts.push(other.text().unwrap_or_default().into_owned()),
    }
}

fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(text, "{}", std::ascii::escape_default(*byte));
    }
    text
}

fn command(connection: &mut Connection, words: &[&[u8]]) -> Value {
    let reply = connection.command(words).and_then(Value::into_result);
    reply.expect("the server answers")
}

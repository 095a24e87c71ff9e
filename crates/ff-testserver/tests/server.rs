//! A private server starts, answers, restarts, freezes and goes, on every version.

use std::time::{Duration, Instant};

use ff_testserver::{ClientError, Connection, Server, ServerError, ServerVersion, Value};

/// How long a client waits for an answer that must not come.
const SILENCE: Duration = Duration::from_millis(200);
/// How long the tests wait for something that must come.
const DEADLINE: Duration = Duration::from_secs(10);

fn start(version: ServerVersion) -> Server {
    Server::start(version).expect("a server")
}

fn ok() -> Value {
    Value::Simple("OK".into())
}

fn setting(server: &Server, name: &str) -> String {
    let reply = server.command(&["CONFIG", "GET", name]).expect("a reply");
    let pair = reply.array().expect("a pair");
    pair[1].text().expect("a text").into_owned()
}

fn serves_its_version(version: ServerVersion) {
    let server = start(version);
    let info = server.command(&["INFO", "server"]).expect("a reply");
    let text = info.text().expect("a text");
    let wanted = format!("valkey_version:{}.", version.major());
    assert!(text.contains(&wanted), "{text}");
}

#[test]
fn version_8_is_found_and_serves() {
    serves_its_version(ServerVersion::V8);
}

#[test]
fn version_9_is_found_and_serves() {
    serves_its_version(ServerVersion::V9);
}

#[test]
fn several_servers_run_side_by_side() {
    let servers: Vec<Server> = (0..3).map(|_| start(ServerVersion::V8)).collect();
    for server in &servers {
        let own = server.port().to_string();
        server.command(&["SET", "port", &own]).expect("stored");
    }
    for server in &servers {
        let stored = server.command(&["GET", "port"]).expect("a reply");
        assert_eq!(stored.text().expect("a text"), server.port().to_string());
    }
}

#[test]
fn nothing_is_persisted_by_default() {
    let server = start(ServerVersion::V8);
    assert_eq!(setting(&server, "save"), "");
    assert_eq!(setting(&server, "appendonly"), "no");
}

#[test]
fn configuration_is_passed_on() {
    let server = Server::builder(ServerVersion::V8)
        .config("maxmemory", "8mb")
        .config("maxmemory-policy", "noeviction")
        .start()
        .expect("a server");
    assert_eq!(setting(&server, "maxmemory"), "8388608");
}

#[test]
fn configuration_that_the_server_refuses_is_quoted_from_its_log() {
    let error = Server::builder(ServerVersion::V8)
        .config("no-such-setting", "1")
        .start()
        .expect_err("an unknown setting");
    assert!(matches!(error, ServerError::NotStarted { .. }), "{error}");
    assert!(error.to_string().contains("no-such-setting"), "{error}");
}

#[test]
fn a_password_is_required_and_known() {
    let server =
        Server::builder(ServerVersion::V8).password("s3cret \"word\"").start().expect("a server");
    let mut stranger = Connection::open(server.address()).expect("a connection");
    let refusal = stranger.command(&["GET", "key"]).expect("a reply");
    assert!(matches!(refusal, Value::Error(text) if text.starts_with("NOAUTH")));
    assert_eq!(server.command(&["SET", "key", "1"]).expect("stored"), ok());
}

#[test]
fn a_replica_follows_its_primary_and_refuses_writes() {
    let primary = Server::builder(ServerVersion::V8)
        .password("secret")
        .config("repl-diskless-sync-delay", "0")
        .start()
        .expect("a primary");
    let replica =
        Server::builder(ServerVersion::V8).replica_of(&primary).start().expect("a replica");
    let mut primary = primary.connect().expect("a connection");
    primary.command(&["SET", "key", "1"]).expect("stored");
    let deadline = Instant::now() + DEADLINE;
    let mut followed = Value::Integer(0);
    while followed != Value::Integer(1) && Instant::now() < deadline {
        followed = primary.command(&["WAIT", "1", "100"]).expect("a reply");
    }
    let read = replica.command(&["GET", "key"]).expect("a reply");
    assert_eq!(read.text().as_deref(), Some("1"));
    let refused = replica.command(&["SET", "key", "2"]).expect_err("read-only");
    assert!(refused.to_string().contains("READONLY"), "{refused}");
}

#[test]
fn a_restart_keeps_the_port_and_loses_the_data() {
    let mut server = start(ServerVersion::V8);
    let (port, pid) = (server.port(), server.pid());
    server.command(&["SET", "key", "1"]).expect("stored");
    server.restart().expect("restarted");
    assert_eq!(server.port(), port);
    assert_ne!(server.pid(), pid);
    assert_eq!(server.command(&["GET", "key"]).expect("a reply"), Value::Null);
}

#[test]
fn a_restart_keeps_the_data_of_an_append_only_file() {
    let mut server =
        Server::builder(ServerVersion::V8).config("appendonly", "yes").start().expect("a server");
    server.command(&["SET", "key", "1"]).expect("stored");
    server.restart().expect("restarted");
    let kept = server.command(&["GET", "key"]).expect("a reply");
    assert_eq!(kept.text().as_deref(), Some("1"));
}

#[test]
fn a_stopped_server_refuses_connections_until_it_is_restarted() {
    let mut server = start(ServerVersion::V8);
    server.stop();
    assert_eq!(server.pid(), None);
    assert!(Connection::open(server.address()).is_err());
    assert!(matches!(server.pause(), Err(ServerError::Stopped { .. })));
    server.restart().expect("restarted");
    assert!(server.command(&["PING"]).is_ok());
}

#[test]
fn a_frozen_server_answers_when_it_is_resumed() {
    let server = start(ServerVersion::V8);
    let mut connection = server.connect().expect("a connection");
    connection.set_timeout(SILENCE).expect("a timeout");
    server.pause().expect("frozen");
    let silence = connection.command(&["PING"]);
    assert!(matches!(silence, Err(ClientError::Timeout { .. })), "{silence:?}");
    server.resume().expect("resumed");
    connection.set_timeout(DEADLINE).expect("a timeout");
    assert_eq!(connection.read().expect("a reply").text().as_deref(), Some("PONG"));
}

#[test]
fn bytes_pass_through_a_connection_unchanged() {
    let server = start(ServerVersion::V8);
    let mut connection = server.connect().expect("a connection");
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    let stored = connection.command::<&[u8]>(&[b"SET", b"key", &bytes]);
    assert_eq!(stored.expect("a reply"), ok());
    let read = connection.command(&["GET", "key"]).expect("a reply");
    assert_eq!(read.bytes(), Some(&bytes[..]));
}

#[test]
fn a_monitoring_connection_sees_commands() {
    let server = start(ServerVersion::V8);
    let mut monitor = server.connect().expect("a connection");
    assert_eq!(monitor.command(&["MONITOR"]).expect("a reply"), ok());
    server.command(&["SET", "key", "1"]).expect("stored");
    let seen = monitor.read().expect("a line");
    assert!(seen.text().expect("a text").contains("\"SET\" \"key\""), "{seen:?}");
}

#[test]
fn a_killed_connection_is_reported_as_closed() {
    let server = start(ServerVersion::V8);
    let mut connection = server.connect().expect("a connection");
    let id = connection.command(&["CLIENT", "ID"]).expect("a reply");
    let id = id.integer().expect("a number").to_string();
    server.command(&["CLIENT", "KILL", "ID", &id]).expect("killed");
    assert!(connection.command(&["PING"]).is_err());
}

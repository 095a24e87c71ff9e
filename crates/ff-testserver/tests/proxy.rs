//! The proxy forwards faithfully, and fails exactly as told.

use std::time::Duration;

use ff_testserver::{Connection, Proxy, Server, ServerVersion, Value};

/// How long a fault may take to show.
const DEADLINE: Duration = Duration::from_secs(10);

struct Fixture {
    // Before the server, so that nothing is forwarded to a server that is gone.
    proxy: Proxy,
    server: Server,
}

impl Fixture {
    fn start() -> Self {
        let server = Server::start(ServerVersion::V8).expect("a server");
        let proxy = Proxy::start(server.address()).expect("a proxy");
        Self { proxy, server }
    }

    fn connect(&self) -> Connection {
        Connection::open(self.proxy.address()).expect("a connection")
    }

    fn stored(&self, key: &str) -> Option<String> {
        let reply = self.server.command(&["GET", key]).expect("a reply");
        reply.text().map(|text| text.into_owned())
    }
}

fn increment(connection: &mut Connection) -> Option<i64> {
    let reply = connection.command(&["INCR", "count"]).ok()?;
    reply.integer()
}

#[test]
fn everything_passes_without_a_fault() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect();
    let bytes: Vec<u8> = (0..=255).cycle().take(1 << 20).collect();
    connection.command::<&[u8]>(&[b"SET", b"key", &bytes]).expect("stored");
    let read = connection.command(&["GET", "key"]).expect("a reply");
    assert_eq!(read.bytes(), Some(&bytes[..]));
    assert_eq!(fixture.proxy.lost(), 0);
}

#[test]
fn cut_connections_break_and_new_ones_work() {
    let fixture = Fixture::start();
    let mut connections = [fixture.connect(), fixture.connect()];
    for connection in &mut connections {
        assert!(increment(connection).is_some());
    }
    assert_eq!(fixture.proxy.cut_all(), 2);
    for connection in &mut connections {
        assert!(increment(connection).is_none());
    }
    assert_eq!(increment(&mut fixture.connect()), Some(3));
}

#[test]
fn refused_connections_fail_while_existing_ones_work() {
    let mut fixture = Fixture::start();
    let mut existing = fixture.connect();
    assert_eq!(increment(&mut existing), Some(1));
    fixture.proxy.refuse();
    assert!(Connection::open(fixture.proxy.address()).is_err());
    assert_eq!(increment(&mut existing), Some(2));
    fixture.proxy.accept().expect("accepting again");
    assert_eq!(increment(&mut fixture.connect()), Some(3));
}

#[test]
fn a_lost_reply_belongs_to_a_request_that_was_carried_out() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect();
    fixture.proxy.lose_reply_after_requests(2);
    assert_eq!(increment(&mut connection), Some(1));
    assert_eq!(increment(&mut connection), Some(2));
    assert_eq!(increment(&mut connection), None);
    assert!(fixture.proxy.wait_until_lost(1, DEADLINE));
    assert_eq!(fixture.stored("count").as_deref(), Some("3"));
    assert_eq!(increment(&mut fixture.connect()), Some(4));
}

#[test]
fn a_reply_is_lost_by_what_its_request_says() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect();
    fixture.proxy.lose_reply_to("special");
    assert_eq!(increment(&mut connection), Some(1));
    assert!(connection.command(&["SET", "special", "1"]).is_err());
    assert_eq!(fixture.stored("special").as_deref(), Some("1"));
    assert_eq!(fixture.proxy.lost(), 1);
}

#[test]
fn requests_sent_ahead_get_their_replies_up_to_the_lost_one() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect();
    fixture.proxy.lose_reply_to("special");
    for command in [["INCR", "count"], ["INCR", "special"], ["INCR", "count"]] {
        connection.send(&command).expect("sent");
    }
    assert_eq!(connection.read().expect("the first reply"), Value::Integer(1));
    assert!(connection.read().is_err());
    assert_eq!(fixture.stored("special").as_deref(), Some("1"));
    assert_eq!(fixture.stored("count").as_deref(), Some("1"));
}

#[test]
fn pushed_messages_are_not_taken_for_replies() {
    let fixture = Fixture::start();
    let mut connection = fixture.connect();
    // Tracking under RESP3 pushes an invalidation for each change of a key that was read.
    connection.send(&["HELLO", "3"]).expect("sent");
    connection.send(&["CLIENT", "TRACKING", "ON"]).expect("sent");
    connection.send(&["GET", "count"]).expect("sent");
    connection.send(&["INCR", "count"]).expect("sent");
    fixture.proxy.lose_reply_to("special");
    connection.send(&["SET", "special", "1"]).expect("sent");
    assert!(fixture.proxy.wait_until_lost(1, DEADLINE));
    assert_eq!(fixture.stored("special").as_deref(), Some("1"));
}

#[test]
fn a_reply_is_cut_in_its_midst() {
    let fixture = Fixture::start();
    fixture.server.command(&["SET", "key", "0123456789"]).expect("stored");
    fixture.proxy.cut_after_reply_bytes(9);
    assert!(fixture.connect().command(&["GET", "key"]).is_err());
    assert!(fixture.proxy.wait_until_lost(1, DEADLINE));
    assert!(fixture.connect().command(&["GET", "key"]).is_ok());
}

#[test]
fn a_disarmed_fault_does_not_happen() {
    let fixture = Fixture::start();
    fixture.proxy.lose_reply_after_requests(0);
    fixture.proxy.disarm();
    assert_eq!(increment(&mut fixture.connect()), Some(1));
}

#[test]
fn a_server_that_is_down_closes_the_connection() {
    let mut fixture = Fixture::start();
    fixture.server.stop();
    assert!(fixture.connect().command(&["PING"]).is_err());
    fixture.server.restart().expect("restarted");
    assert_eq!(increment(&mut fixture.connect()), Some(1));
}

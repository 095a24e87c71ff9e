use super::*;

fn endpoint(url: &str) -> Endpoint {
    Config::parse(url).expect(url).endpoint
}

#[test]
fn an_address_may_leave_everything_but_the_host_out() {
    let found = endpoint("valkey://localhost");
    assert_eq!(found.hosts, [("localhost".to_owned(), 6379)]);
    assert!(!found.cluster && !found.tls && found.password.is_none());
    assert_eq!(found.database, None);
}

#[test]
fn an_address_may_name_everything() {
    let config = Config::parse(
        "valkeys://me:p%40ss%3a@[::1]:7000/3?connections=4&timeout_ms=250&partitions=8",
    )
    .expect("legal");
    let found = &config.endpoint;
    assert_eq!(found.hosts, [("::1".to_owned(), 7000)]);
    assert_eq!(found.username.as_deref(), Some("me"));
    assert_eq!(found.password.as_deref(), Some("p@ss:"));
    assert_eq!(found.database, Some(3));
    assert!(found.tls);
    assert_eq!(config.connections, 4);
    assert_eq!(config.call_timeout, Duration::from_millis(250));
    assert_eq!(config.partitions, Some(8));
}

#[test]
fn a_password_alone_needs_no_user() {
    let found = endpoint("valkey://:secret@127.0.0.1:1234/");
    assert_eq!(found.username, None);
    assert_eq!(found.password.as_deref(), Some("secret"));
}

#[test]
fn a_cluster_may_have_several_seeds() {
    let found = endpoint("valkey-cluster://a:1,b:2");
    assert!(found.cluster);
    assert_eq!(found.hosts, [("a".to_owned(), 1), ("b".to_owned(), 2)]);
}

#[test]
fn a_bad_address_is_refused_and_shows_no_password() {
    for bad in [
        "",
        "localhost:6379",
        "http://localhost",
        "valkey://",
        "valkey://:6379",
        "valkey://secret@",
        "valkey://:secret@host:0",
        "valkey://:secret@host:99999",
        "valkey://:secret@host:x",
        "valkey://:secret%@host",
        "valkey://:secret@host/x",
        "valkey://:secret@host?what=1",
        "valkey://:secret@host?connections=0",
        "valkey://:secret@host?timeout_ms=0",
        "valkey://:secret@host?partitions=0",
        "valkey://:secret@host?partitions=1025",
        "valkey-cluster://host/1",
        "valkey://[::1",
    ] {
        let error = Config::parse(bad).expect_err(bad);
        let kind = ValidationKind::Connection;
        assert!(matches!(&error, EngineError::Validation { kind: k, .. } if *k == kind), "{bad}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[test]
fn debug_output_shows_no_password() {
    let config = Config::parse("valkey://user:secret@host").expect("legal");
    assert!(!format!("{config:?}").contains("secret"));
}

//! Connecting: what goes wrong is said before any work is done.

mod support;

use ff_backend_valkey::{Config, ValkeyBackend};
use ff_core::contracts::{AdminBackend, SubmitBackend};
use ff_core::error::{EngineError, ValidationKind};
use ff_testserver::{Server, ServerVersion};
use std::time::{Duration, Instant};
use support::{connect, raw, submit};

async fn attempt(url: &str) -> Result<ValkeyBackend, EngineError> {
    ValkeyBackend::connect(Config::parse(url).expect("a legal address")).await
}

async fn refused(url: &str) -> String {
    match attempt(url).await {
        Err(EngineError::Validation { kind: ValidationKind::Connection, detail }) => detail,
        Err(other) => panic!("another error: {other:?}"),
        Ok(_) => panic!("not refused"),
    }
}

on_each_version! {
    async fn a_store_needs_no_further_step(server: Server) {
        let backend = connect(&server.url()).await;
        assert_eq!(backend.partitions().count(), 1);
        submit(&backend).await;
        let prepared = backend.prepare().await.expect("prepared");
        assert_eq!(prepared.partitions, 1);
        assert!(prepared.nodes[0].contains("valkey"), "{prepared:?}");
    }

    async fn the_partition_count_is_the_stores(server: Server) {
        let eight = format!("{}?partitions=8", server.url());
        assert_eq!(connect(&eight).await.partitions().count(), 8);
        assert_eq!(connect(&server.url()).await.partitions().count(), 8);
        let detail = refused(&format!("{}?partitions=4", server.url())).await;
        assert!(detail.contains('8') && detail.contains('4'), "{detail}");
    }

    async fn a_store_of_another_layout_is_refused_and_keeps_its_library(server: Server) {
        let mut at = server.connect().expect("a connection");
        for (layout, way_out) in [("2", "finish its work"), ("99", "upgrade")] {
            let marks = ["HSET", "ff:{meta}:store", "schema", layout];
            for words in [&["FUNCTION", "FLUSH"][..], &marks] {
                let words: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
                raw(&mut at, &words).into_result().expect("a command");
            }
            let detail = refused(&server.url()).await;
            assert!(detail.contains(layout) && detail.contains(way_out), "{detail}");
            let libraries = raw(&mut at, &[b"FUNCTION", b"LIST"]);
            let none = libraries.array().is_some_and(<[_]>::is_empty);
            assert!(none, "{libraries:?}");
        }
    }

    async fn a_standalone_server_is_no_cluster(server: Server) {
        let detail = refused(&server.url().replace("valkey://", "valkey-cluster://")).await;
        assert!(detail.contains("no cluster"), "{detail}");
    }
}

#[tokio::test]
async fn a_password_must_be_given_and_right() {
    for version in [ServerVersion::V8, ServerVersion::V9] {
        let server = Server::builder(version).password("s3cret").start().expect("a server");
        let address = server.address();
        let detail = refused(&format!("valkey://{address}")).await;
        assert!(detail.contains("password"), "{detail}");
        let detail = refused(&format!("valkey://:wrong@{address}")).await;
        assert!(detail.contains("password") && !detail.contains("wrong@"), "{detail}");
        submit(&connect(&server.url()).await).await;
    }
}

#[tokio::test]
async fn a_server_that_is_not_there_is_a_transport_error() {
    let mut server = support::start(ServerVersion::V8);
    let url = server.url();
    server.stop();
    let began = Instant::now();
    let error = attempt(&url).await.expect_err("nobody listens");
    assert!(matches!(error, EngineError::Transport { .. }), "{error:?}");
    let message = error.to_string();
    assert!(message.contains(&url) && message.contains("is a server running"), "{message}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_server_that_hangs_does_not_hang_the_connect() {
    let server = support::start(ServerVersion::V8);
    server.pause().expect("a pause");
    let began = Instant::now();
    let outcome = attempt(&format!("{}?connect_timeout_ms=300&timeout_ms=300", server.url())).await;
    server.resume().expect("a resume");
    assert!(matches!(outcome, Err(EngineError::Transport { .. })), "{outcome:?}");
    assert!(began.elapsed() < Duration::from_secs(5));
}

#[tokio::test]
async fn a_replica_is_refused_with_the_way_out() {
    let primary = support::start(ServerVersion::V8);
    let replica = Server::builder(ServerVersion::V8).replica_of(&primary).start();
    let replica = replica.expect("a replica");
    let error = attempt(&replica.url()).await.expect_err("a replica takes no writes");
    assert!(error.to_string().contains("primary"), "{error}");
}

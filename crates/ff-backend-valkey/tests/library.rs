//! The function library on the server: described, loaded, replaced, refused.

mod support;

use ff_backend_valkey::{Config, Described, ValkeyBackend};
use ff_core::contracts::AdminBackend;
use ff_core::error::{EngineError, ValidationKind};
use ff_core::time::ManualClock;
use ff_core::{EngineBackendExt, TimestampMs};
use ff_script::VERSION;
use ff_script::functions::ALL;
use ff_testserver::Server;
use std::sync::Arc;
use support::{connect, item, submit};

async fn described(backend: &ValkeyBackend) -> Described {
    let mut all = backend.describe_library().await.expect("a description");
    assert_eq!(all.len(), 1, "one server");
    all.remove(0).expect("a library")
}

async fn refused(server: &Server) -> String {
    let config = Config::parse(&server.url()).expect("a legal address");
    match ValkeyBackend::connect(config).await {
        Err(EngineError::Validation { kind: ValidationKind::Connection, detail }) => detail,
        other => panic!("not refused: {other:?}"),
    }
}

/// Loads a library of our name that says it has this version, and serves nothing else.
fn load_version(server: &Server, version: u32) {
    let source = format!(
        "#!lua name=flowfabric\nredis.register_function{{function_name='ff_describe', \
         callback=function() return {{1, 'OK', '{version}', {{}}}} end, flags={{'no-writes'}}}}"
    );
    let loaded = server.command(&["FUNCTION", "LOAD", "REPLACE", &source]);
    loaded.expect("the library loads");
}

on_each_version! {
    async fn the_server_describes_what_the_client_calls(server: Server) {
        let backend = connect(&server.url()).await;
        let described = described(&backend).await;
        assert_eq!(described.version, VERSION);
        for ours in ALL {
            let theirs = described.functions.iter().find(|function| function.name == ours.name);
            let theirs = theirs.unwrap_or_else(|| panic!("the server lacks {}", ours.name));
            assert_eq!(theirs.arguments, ours.arguments, "arguments of {}", ours.name);
            assert_eq!(theirs.group, ours.group.arguments, "groups of {}", ours.name);
            let bounds = (theirs.groups_min as usize, theirs.groups_max as usize);
            assert_eq!(bounds, (ours.group.min, ours.group.max), "groups of {}", ours.name);
            let reads = theirs.flags.iter().any(|flag| flag == "no-writes");
            assert_eq!(reads, ours.reads, "flags of {}", ours.name);
        }
        for theirs in &described.functions {
            let known = ALL.iter().any(|ours| ours.name == theirs.name);
            assert!(known, "the client does not know {}", theirs.name);
        }
    }

    async fn a_flushed_library_is_loaded_again_by_the_next_call(server: Server) {
        let backend = connect(&server.url()).await;
        server.command(&["FUNCTION", "FLUSH"]).expect("a flush");
        submit(&backend).await;
        assert_eq!(described(&backend).await.version, VERSION);
    }

    async fn many_calls_that_miss_the_library_all_succeed(server: Server) {
        let backend = Arc::new(connect(&server.url()).await);
        server.command(&["FUNCTION", "FLUSH"]).expect("a flush");
        let calls: Vec<_> = (0..16)
            .map(|_| {
                let backend = Arc::clone(&backend);
                tokio::spawn(async move { backend.submit_execution(item()).await })
            })
            .collect();
        for call in calls {
            call.await.expect("no panic").expect("a submission");
        }
    }

    async fn an_older_library_is_replaced_on_connect(server: Server) {
        load_version(&server, 0);
        let backend = connect(&server.url()).await;
        assert_eq!(described(&backend).await.version, VERSION);
        let lines = backend.prepare().await.expect("prepared").nodes;
        assert!(lines[0].contains(&format!("has library {VERSION}")), "{lines:?}");
    }

    async fn a_newer_library_that_serves_us_no_more_is_left_alone(server: Server) {
        load_version(&server, VERSION + 1);
        let detail = refused(&server).await;
        assert!(detail.contains("upgrade this program"), "{detail}");
        let kept = server.command(&["FCALL_RO", "ff_describe", "1", "ff:{meta}"]);
        let kept = kept.expect("a description");
        let version = kept.array().expect("an array")[2].text();
        assert_eq!(version.as_deref(), Some(&*(VERSION + 1).to_string()));
    }

    async fn a_library_that_describes_nothing_is_replaced(server: Server) {
        let source = "#!lua name=flowfabric\nredis.register_function('ff_other', \
                      function() return 1 end)";
        server.command(&["FUNCTION", "LOAD", source]).expect("it loads");
        let backend = connect(&server.url()).await;
        submit(&backend).await;
    }

    async fn a_server_whose_clock_stands_still_is_refused(server: Server) {
        let clock = Arc::new(ManualClock::new(TimestampMs::from_millis(1_000)));
        let config = Config::parse(&server.url()).expect("legal").test_clock(clock);
        let _test = ValkeyBackend::connect(config).await.expect("a test build");
        let detail = refused(&server).await;
        assert!(detail.contains("test build"), "{detail}");
    }

    async fn the_doctor_finds_and_mends_a_missing_library(server: Server) {
        let backend = connect(&server.url()).await;
        submit(&backend).await;
        let healthy = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!((healthy.executions, healthy.findings_total), (1, 0), "{healthy:?}");
        assert!(healthy.index_entries >= 1, "{healthy:?}");
        server.command(&["FUNCTION", "FLUSH"]).expect("a flush");
        let mended = backend.doctor(true).await.expect("a diagnosis");
        assert_eq!(mended.findings_total, 1);
        assert!(mended.findings[0].fixed, "{mended:?}");
        let healthy = backend.doctor(false).await.expect("a diagnosis");
        assert_eq!(healthy.findings_total, 0, "{healthy:?}");
    }

    async fn the_doctor_tells_of_a_server_that_throws_keys_away(server: Server) {
        let backend = connect(&server.url()).await;
        server.command(&["CONFIG", "SET", "maxmemory-policy", "allkeys-lru"]).expect("set");
        let found = backend.doctor(true).await.expect("a diagnosis");
        assert_eq!(found.findings_total, 1, "{found:?}");
        assert!(found.findings[0].problem.contains("allkeys-lru"), "{found:?}");
        assert!(!found.findings[0].fixed, "only its operator can change that");
    }

    async fn a_test_clock_outlives_a_flushed_library(server: Server) {
        let clock = Arc::new(ManualClock::new(TimestampMs::from_millis(5_000)));
        let config = Config::parse(&server.url()).expect("legal").test_clock(clock);
        let backend = ValkeyBackend::connect(config).await.expect("a test build");
        assert_eq!(backend.ping().await.expect("a pong").server_time.as_millis(), 5_000);
        backend.set_test_clock(TimestampMs::from_millis(9_000)).await.expect("a moved clock");
        server.command(&["FUNCTION", "FLUSH"]).expect("a flush");
        assert_eq!(backend.ping().await.expect("a pong").server_time.as_millis(), 9_000);
    }
}

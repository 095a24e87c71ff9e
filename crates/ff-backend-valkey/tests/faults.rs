//! Broken connections, full and dead servers.

mod support;

use ff_backend_valkey::ValkeyBackend;
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::{
    AdminBackend, ClaimBackend, InspectBackend, LeaseBackend, TerminalBackend,
};
use ff_core::error::{EngineError, ErrorClass};
use ff_core::state::TerminalOutcome;
use ff_core::{EngineBackendExt, EngineResult};
use ff_testserver::{Proxy, Server, ServerVersion};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use support::{claim, complete, connect, item, started, submit};

/// How long something that must come may take on a slow machine.
const SOON: Duration = Duration::from_secs(30);

/// Repeats an identical request until it lands, as callers do after a transport error.
async fn landed<T, F>(mut call: impl FnMut() -> F) -> T
where
    F: Future<Output = EngineResult<T>>,
{
    let deadline = Instant::now() + SOON;
    loop {
        match call().await {
            Ok(outcome) => return outcome,
            Err(error) => {
                assert_eq!(error.class(), ErrorClass::Retryable, "{error:?}");
                assert!(Instant::now() < deadline, "it never landed: {error}");
                tokio::task::yield_now().await;
            }
        }
    }
}

on_each_version! {
    async fn a_lost_reply_is_answered_by_the_repeat(server: Server) {
        let proxy = Proxy::start(server.address()).expect("a proxy");
        let backend = connect(&proxy.url()).await;
        let handle = started(&backend).await.handle;
        for function in ["ff_renew_lease", "ff_complete_execution"] {
            proxy.lose_reply_to(function);
            let lost = proxy.lost();
            if function == "ff_renew_lease" {
                let request = RenewLease { handles: vec![handle.clone()], lease_ttl_ms: 30_000 };
                landed(|| async { backend.renew_lease(request.clone()).await?.remove(0) }).await;
            } else {
                landed(|| backend.complete_execution(complete(&handle))).await;
            }
            assert_eq!(proxy.lost(), lost + 1, "the reply to {function} was lost");
        }
        let turns = backend.list_turns(handle.execution_id()).await.expect("the turns");
        assert_eq!(turns.len(), 1, "the end was carried out once");
    }

    async fn a_submission_sent_twice_is_one(server: Server) {
        let proxy = Proxy::start(server.address()).expect("a proxy");
        let backend = connect(&proxy.url()).await;
        submit(&backend).await;
        proxy.lose_reply_to("ff_submit_executions");
        let item = item();
        let outcome = landed(|| backend.submit_execution(item.clone())).await;
        assert_eq!(outcome.execution_id(), item.execution_id);
        let claimed = backend.claim_execution(claim(10)).await.expect("a claim");
        assert_eq!(claimed.executions.len(), 2);
    }

    async fn only_what_was_on_its_way_fails_with_its_connection(server: Server) {
        let proxy = Proxy::start(server.address()).expect("a proxy");
        let backend = Arc::new(connect(&proxy.url()).await);
        let stop = Arc::new(AtomicBool::new(false));
        let callers: Vec<_> = (0..8)
            .map(|_| {
                let (backend, stop) = (Arc::clone(&backend), Arc::clone(&stop));
                tokio::spawn(async move {
                    let mut errors = Vec::new();
                    while !stop.load(Ordering::Relaxed) {
                        errors.extend(backend.ping().await.err());
                    }
                    errors
                })
            })
            .collect();
        for _ in 0..20 {
            landed(|| backend.ping()).await;
            proxy.cut_all();
        }
        stop.store(true, Ordering::Relaxed);
        for caller in callers {
            for error in caller.await.expect("no panic") {
                // What was never sent waits for the connection, and is no failure.
                assert!(format!("{error:?}").contains("kind: IO"), "{error:?}");
            }
        }
    }

    async fn a_server_that_restarts_mid_call_is_found_again(server: Server) {
        let mut server = server;
        let backend = Arc::new(connect(&server.url()).await);
        let stop = Arc::new(AtomicBool::new(false));
        let caller = tokio::spawn({
            let (backend, stop) = (Arc::clone(&backend), Arc::clone(&stop));
            async move {
                while !stop.load(Ordering::Relaxed) {
                    landed(|| backend.ping()).await;
                }
            }
        });
        // Neither data nor library outlives this restart.
        let server = tokio::task::spawn_blocking(move || {
            server.restart().expect("a restart");
            server
        });
        let server = server.await.expect("no panic");
        landed(|| backend.submit_execution(item())).await;
        stop.store(true, Ordering::Relaxed);
        caller.await.expect("no panic");
        let handle = landed(|| backend.claim_execution(claim(1))).await.executions.remove(0).handle;
        landed(|| backend.complete_execution(complete(&handle))).await;
        drop(server);
    }

    async fn a_hung_server_makes_errors_and_not_waits(server: Server) {
        let url = format!("{}?timeout_ms=300&connect_timeout_ms=300", server.url());
        let backend = connect(&url).await;
        submit(&backend).await;
        server.pause().expect("a pause");
        for _ in 0..4 {
            let began = Instant::now();
            let error = backend.ping().await.expect_err("it hangs");
            assert!(matches!(error, EngineError::Transport { .. }), "{error:?}");
            assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
        }
        server.resume().expect("a resume");
        landed(|| backend.ping()).await;
        landed(|| backend.submit_execution(item())).await;
    }

    async fn killed_connections_are_opened_again(server: Server) {
        let backend = connect(&server.url()).await;
        let ids = [submit(&backend).await, submit(&backend).await];
        for _ in 0..5 {
            server.command(&["CLIENT", "KILL", "TYPE", "normal"]).expect("a kill");
            landed(|| backend.describe_execution(ids[0])).await;
        }
        let claimed = landed(|| backend.claim_execution(claim(10))).await;
        assert_eq!(claimed.executions.len(), ids.len());
    }
}

/// Fills a server until it takes nothing more.
async fn fill(backend: &ValkeyBackend, server: &Server) -> EngineError {
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).expect("a limit");
    backend.submit_execution(item()).await.expect_err("the store is full")
}

#[tokio::test]
async fn a_full_store_refuses_new_work_and_lets_old_work_end() {
    for version in [ServerVersion::V8, ServerVersion::V9] {
        let server = support::start(version);
        let backend = connect(&server.url()).await;
        let handle = started(&backend).await.handle;
        let error = fill(&backend, &server).await;
        match &error {
            EngineError::Unavailable { op, reason } => {
                assert_eq!(*op, "submit_executions");
                assert!(reason.contains("maxmemory"), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        let request = RenewLease { handles: vec![handle.clone()], lease_ttl_ms: 30_000 };
        let renewed = backend.renew_lease(request).await.expect("a call");
        assert!(renewed[0].is_ok(), "{renewed:?}");
        backend.complete_execution(complete(&handle)).await.expect("a completion");
        let result = backend.read_result(handle.execution_id()).await.expect("a result");
        assert_eq!(result.terminal_outcome, TerminalOutcome::Success);
    }
}

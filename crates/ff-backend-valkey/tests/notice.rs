//! Notices through a real server: published by the functions, and told to be lost when they are.

mod support;

use ff_backend_valkey::ValkeyBackend;
use ff_core::contracts::notice::{Notice, NoticeReceiver, WatchExecution};
use ff_core::contracts::{AdminBackend, NoticeBackend, TerminalBackend};
use ff_testserver::{Connection, Proxy};
use std::time::Duration;
use support::{calls, complete, connect, partition, started, submit};

/// How long a notice that must come may take on a slow machine.
const SOON: Duration = Duration::from_secs(20);

async fn subscribed(backend: &ValkeyBackend) -> Box<dyn NoticeReceiver> {
    backend.subscribe(vec![partition()]).await.expect("a subscription")
}

/// Waits for this notice; others may come before it.
async fn until(receiver: &mut Box<dyn NoticeReceiver>, wanted: Notice) {
    let arrival = async { while receiver.receive().await != wanted {} };
    let arrival = tokio::time::timeout(SOON, arrival).await;
    arrival.unwrap_or_else(|_| panic!("{wanted:?} did not come"));
}

fn connections(at: &mut Connection) -> u64 {
    let info = at.command(&["INFO", "clients"]).expect("the clients");
    let text = info.text().unwrap_or_default().into_owned();
    let count = text.lines().find_map(|line| line.strip_prefix("connected_clients:"));
    count.and_then(|digits| digits.trim().parse().ok()).expect("a number")
}

on_each_version! {
    async fn another_process_hears_of_new_work_and_of_its_end(server: Server) {
        let (here, there) = (connect(&server.url()).await, connect(&server.url()).await);
        let mut receiver = subscribed(&there).await;
        let handle = started(&here).await.handle;
        until(&mut receiver, Notice::Ready(partition())).await;
        let execution_id = handle.execution_id();
        let watch = WatchExecution { execution_id, ttl_ms: 60_000 };
        there.watch_execution(watch).await.expect("a watch");
        here.complete_execution(complete(&handle)).await.expect("a completion");
        until(&mut receiver, Notice::Done(execution_id)).await;
    }

    async fn a_lost_connection_is_told_and_mended(server: Server) {
        let backend = connect(&server.url()).await;
        let mut receiver = subscribed(&backend).await;
        server.command(&["CLIENT", "KILL", "TYPE", "pubsub"]).expect("a kill");
        until(&mut receiver, Notice::Lagged).await;
        submit(&connect(&server.url()).await).await;
        until(&mut receiver, Notice::Ready(partition())).await;
    }

    async fn a_cut_network_is_told_and_mended(server: Server) {
        let proxy = Proxy::start(server.address()).expect("a proxy");
        let backend = connect(&proxy.url()).await;
        let mut receiver = subscribed(&backend).await;
        proxy.cut_all();
        until(&mut receiver, Notice::Lagged).await;
        submit(&connect(&server.url()).await).await;
        until(&mut receiver, Notice::Ready(partition())).await;
    }

    async fn many_waiters_share_one_connection(server: Server) {
        let backend = connect(&server.url()).await;
        let mut at = server.connect().expect("a connection");
        let mut receivers = vec![subscribed(&backend).await];
        let (before, called) = (connections(&mut at), calls(&mut at));
        for _ in 0..50 {
            receivers.push(subscribed(&backend).await);
        }
        assert_eq!((connections(&mut at), calls(&mut at)), (before, called));
        submit(&backend).await;
        for receiver in &mut receivers {
            until(receiver, Notice::Ready(partition())).await;
        }
    }

    async fn a_dropped_backend_closes_its_connections(server: Server) {
        let mut at = server.connect().expect("a connection");
        let before = connections(&mut at);
        let backend = connect(&server.url()).await;
        let receiver = subscribed(&backend).await;
        backend.ping().await.expect("a pong");
        assert!(connections(&mut at) > before);
        drop((receiver, backend));
        let closed = async {
            while connections(&mut at) > before {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(SOON, closed).await.expect("the connections close");
    }
}

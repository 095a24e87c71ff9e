//! The backend itself: how it is connected, and what its capabilities share.

use crate::call::Caller;
use crate::config::Config;
use crate::connect::check_server;
use crate::library::Described;
use crate::meta::Meta;
use crate::nodes::Nodes;
use crate::notice::Notices;
use bytes::Bytes;
use ff_core::error::{EngineError, EngineResult};
use ff_core::ids::ExecutionId;
use ff_core::keys::partition_base;
use ff_core::partition::PartitionMap;
use ff_core::time::boxed::BoxFuture;
use ff_core::time::{Clock, TimestampMs, system_now};
use ff_script::{Fields, Function, Subject};
use fred::interfaces::{ClientLike as _, EventInterface};
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Handle as Runtime;
use tokio::task::JoinHandle;

/// Longest that a sleeper sleeps before it looks at the clock again: the system's time may jump.
const SLEEP_MS_MAX: u64 = 60_000;

/// FlowFabric on Valkey. Connect one a process and share it: calls travel together over few
/// connections.
#[derive(Debug)]
pub struct ValkeyBackend {
    pub(crate) caller: Arc<Caller>,
    pub(crate) notices: Notices,
    pub(crate) meta: Meta,
    pub(crate) partitions: PartitionMap,
    pub(crate) clock: Arc<dyn Clock>,
    /// Name and version of the server, for people.
    pub(crate) server: String,
    watcher: JoinHandle<()>,
    runtime: Runtime,
}

impl ValkeyBackend {
    /// Connects, loads the library where it is missing and prepares a new store, so that nothing
    /// else needs to be set up. A password, a version or an address that is wrong, and a store of
    /// another number of partitions than asked for, are `Validation(Connection)`.
    pub async fn connect(config: Config) -> EngineResult<Self> {
        config.check()?;
        let clock: Arc<dyn Clock> = match &config.test_clock {
            Some(clock) => Arc::clone(clock),
            None => Arc::new(SystemClock),
        };
        let nodes = Nodes::connect(&config).await?;
        let caller = Arc::new(Caller::new(nodes, config));
        match Self::prepared(&caller, clock.as_ref()).await {
            Ok((server, partitions)) => Ok(Self {
                watcher: tokio::spawn(watch(Arc::clone(&caller))),
                notices: Notices::default(),
                meta: Meta::default(),
                runtime: Runtime::current(),
                caller,
                partitions,
                clock,
                server,
            }),
            Err(error) => {
                caller.nodes.quit().await;
                Err(error)
            }
        }
    }

    async fn prepared(caller: &Caller, clock: &dyn Clock) -> EngineResult<(String, PartitionMap)> {
        let server = Self::check(caller).await?;
        crate::admin::check_layout(caller).await?;
        caller.library.ensure(caller).await?;
        if caller.config.test_clock.is_some() {
            tracing::debug!(now = %clock.now(), "the servers' clocks stand still");
            caller.library.set_clocks(caller, clock.now()).await?;
        }
        let partitions = crate::admin::prepare_store(caller).await?;
        Ok((server, partitions))
    }

    /// Checks every primary that can be reached; one that is down for now is no reason to refuse.
    async fn check(caller: &Caller) -> EngineResult<String> {
        let mut outcome = Ok(String::new());
        for node in caller.nodes.all() {
            outcome = check_server(&node, &caller.config).await;
            if matches!(outcome, Err(EngineError::Validation { .. })) {
                break;
            }
        }
        outcome
    }

    /// Moves the time of every primary, in the library's test build; never backwards. The clock
    /// of the configuration is the caller's to move, after this.
    #[doc(hidden)]
    pub async fn set_test_clock(&self, now: TimestampMs) -> EngineResult<()> {
        self.caller.library.set_clocks(&self.caller, now).await
    }

    /// Asks each primary for the library that it runs; `None` for one that runs none.
    #[doc(hidden)]
    pub async fn describe_library(&self) -> EngineResult<Vec<Option<Described>>> {
        let mut described = Vec::new();
        for node in self.caller.nodes.all() {
            described.push(self.caller.library.describe_at(&self.caller, &node).await?);
        }
        Ok(described)
    }

    /// Calls a function about one execution, at its partition.
    pub(crate) async fn on_execution<const N: usize>(
        &self,
        function: &Function<N>,
        execution_id: ExecutionId,
        arguments: [Bytes; N],
    ) -> EngineResult<Fields> {
        let base = partition_base(execution_id.partition());
        let subject = Subject::execution(execution_id);
        self.caller.ok(function, &base, arguments, &[], &subject).await
    }
}

impl Drop for ValkeyBackend {
    /// Ends the background tasks and closes the connections, by and by.
    fn drop(&mut self) {
        self.watcher.abort();
        let nodes = Arc::clone(&self.caller.nodes);
        let subscriber = self.notices.close();
        self.runtime.spawn(async move {
            nodes.quit().await;
            if let Some(subscriber) = subscriber {
                // Nobody is left who could be told that it did not close nicely.
                let _ = subscriber.quit().await;
            }
        });
    }
}

/// Checks the library after each reconnect and each change of the layout: a server may be new.
async fn watch(caller: Arc<Caller>) {
    loop {
        let nodes = caller.nodes.all();
        let mut events: Vec<_> = nodes
            .iter()
            .filter_map(|node| node.pool.clients().first())
            .map(EventInterface::reconnect_rx)
            .collect();
        let reconnects = events.iter_mut().map(|events| Box::pin(events.recv()));
        tokio::select! {
            () = caller.nodes.changed.notified() => {}
            _ = futures::future::select_all(reconnects) => {}
        }
        if let Err(error) = caller.library.ensure(&caller).await {
            // A call that misses the library tries again, and tells its caller.
            tracing::warn!(%error, "could not check the function library after a reconnect");
        }
    }
}

/// The time of this machine.
#[derive(Debug)]
struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> TimestampMs {
        system_now()
    }

    fn sleep_until(&self, at: TimestampMs) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let left_ms = at.since_ms(system_now());
                if left_ms == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(left_ms.min(SLEEP_MS_MAX))).await;
            }
        })
    }
}

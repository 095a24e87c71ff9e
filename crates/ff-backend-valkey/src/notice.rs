//! Notices: one subscriber connection a backend, fanned out to whoever waits.
//!
//! Each receiver has a queue of its own. A queue that overflows, and every queue after the
//! connection was lost, is emptied and says `Lagged`. A partition stays subscribed for the life
//! of the backend; the number of channels is bounded by the number of partitions.

use crate::backend::ValkeyBackend;
use crate::config::Config;
use crate::connect::open_subscriber;
use crate::error::call_error;
use ff_core::contracts::NoticeBackend;
use ff_core::contracts::notice::{Notice, NoticeReceiver, WatchExecution};
use ff_core::error::EngineResult;
use ff_core::ids::ExecutionId;
use ff_core::keys::notice_channel;
use ff_core::partition::Partition;
use ff_core::time::{Clock, TimestampMs};
use ff_script::functions::WATCH_EXECUTION;
use fred::clients::SubscriberClient;
use fred::interfaces::{ClientLike, ClusterInterface, EventInterface, PubsubInterface};
use fred::types::config::Server;
use fred::types::{ClusterStateChange, Message};
use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Notify, OnceCell, broadcast};
use tokio::task::JoinHandle;

/// Notices that wait for one receiver before it is told that it lags.
const QUEUE_MAX: usize = 1_024;
/// How often the subscriber's servers are asked whether they still live; a subscription alone
/// would never notice.
const HEARTBEAT_EVERY: Duration = Duration::from_secs(5);
/// The wait before another attempt to subscribe again.
const RESUBSCRIBE_WAIT: Duration = Duration::from_millis(100);
/// What separates the parts of a channel's and a notice's name.
const SEPARATOR: char = ':';

/// The subscriber and its receivers.
#[derive(Debug, Default)]
pub(crate) struct Notices {
    subscriber: OnceCell<Subscriber>,
    receivers: Arc<Receivers>,
}

/// What tells that servers came back or have changed.
type Events = (broadcast::Receiver<Server>, broadcast::Receiver<Vec<ClusterStateChange>>);

/// The connection, and the tasks that read it.
#[derive(Debug)]
struct Subscriber {
    client: SubscriberClient,
    tasks: Vec<JoinHandle<()>>,
}

/// Who waits for what.
#[derive(Debug, Default)]
struct Receivers {
    state: Mutex<ReceiversState>,
}

#[derive(Debug, Default)]
struct ReceiversState {
    next: u64,
    by_partition: HashMap<Partition, BTreeMap<u64, Weak<Queue>>>,
}

/// The notices that one receiver has not taken yet.
#[derive(Debug, Default)]
struct Queue {
    state: Mutex<QueueState>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct QueueState {
    notices: VecDeque<Notice>,
    lagged: bool,
}

/// One subscriber's end of its queue.
#[derive(Debug)]
struct Receiver {
    number: u64,
    partitions: BTreeSet<Partition>,
    queue: Arc<Queue>,
    receivers: Weak<Receivers>,
}

impl Notices {
    /// Subscribes; every notice published after this resolves reaches the receiver.
    pub(crate) async fn subscribe(
        &self,
        config: &Config,
        partitions: Vec<Partition>,
    ) -> EngineResult<Box<dyn NoticeReceiver>> {
        let partitions: BTreeSet<Partition> = partitions.into_iter().collect();
        // Registered first, so that nothing falls between the two.
        let receiver = self.receivers.add(partitions);
        if !receiver.partitions.is_empty() {
            let subscriber = self
                .subscriber
                .get_or_try_init(|| Subscriber::open(config, &self.receivers))
                .await?;
            subscriber.cover(&receiver.partitions).await?;
        }
        Ok(Box::new(receiver))
    }

    /// Takes the connection down.
    pub(crate) fn close(&mut self) -> Option<SubscriberClient> {
        let subscriber = self.subscriber.take()?;
        subscriber.tasks.iter().for_each(JoinHandle::abort);
        Some(subscriber.client)
    }
}

impl Subscriber {
    async fn open(config: &Config, receivers: &Arc<Receivers>) -> EngineResult<Self> {
        let client = open_subscriber(config).await?;
        // Taken before anything is subscribed to, so that the first message has a taker.
        let reader = tokio::spawn(read(client.message_rx(), Arc::clone(receivers)));
        let events = (client.reconnect_rx(), client.cluster_change_rx());
        let keeper = tokio::spawn(keep(client.clone(), events, Arc::clone(receivers)));
        let heart = tokio::spawn(beat(client.clone()));
        Ok(Self { client, tasks: vec![reader, keeper, heart] })
    }

    /// Subscribes to the channels that are not subscribed yet, one call a channel: in a cluster
    /// each has a slot of its own.
    async fn cover(&self, partitions: &BTreeSet<Partition>) -> EngineResult<()> {
        let known = self.client.tracked_shard_channels();
        let new = partitions
            .iter()
            .map(|partition| notice_channel(*partition))
            .filter(|channel| !known.contains(channel.as_str()));
        for channel in new {
            self.client
                .ssubscribe(channel)
                .await
                .map_err(|error| call_error("ff_subscribe", error))?;
        }
        Ok(())
    }
}

/// Hands messages out until the client is gone.
async fn read(mut messages: broadcast::Receiver<Message>, receivers: Arc<Receivers>) {
    loop {
        match messages.recv().await {
            Ok(message) => receivers.take(&message),
            Err(RecvError::Lagged(_)) => receivers.lag(),
            Err(RecvError::Closed) => return,
        }
    }
}

/// Subscribes again after each reconnect and each change of the cluster, and tells everybody.
async fn keep(client: SubscriberClient, events: Events, receivers: Arc<Receivers>) {
    let (mut reconnects, mut changes) = events;
    loop {
        let gone = tokio::select! {
            event = reconnects.recv() => matches!(event, Err(RecvError::Closed)),
            event = changes.recv() => matches!(event, Err(RecvError::Closed)),
        };
        if gone {
            return;
        }
        while let Err(error) = client.resubscribe_all().await {
            tracing::warn!(%error, "could not subscribe to notices again, trying once more");
            tokio::time::sleep(RESUBSCRIBE_WAIT).await;
        }
        receivers.lag();
    }
}

/// Sends a word to every server now and then, so that one that has stopped answering is found.
async fn beat(client: SubscriberClient) {
    loop {
        tokio::time::sleep(HEARTBEAT_EVERY).await;
        let routing = client.is_clustered().then(|| client.cached_cluster_state());
        let servers = routing.flatten().map(|routing| routing.unique_primary_nodes());
        // The answer does not matter: that there is one does, and the client looks after that.
        match servers {
            None => {
                let _: Result<(), _> = client.ping(None).await;
            }
            Some(servers) => {
                for server in servers {
                    let options = fred::types::config::Options {
                        cluster_node: Some(server),
                        ..Default::default()
                    };
                    let _: Result<(), _> = client.with_options(&options).ping(None).await;
                }
            }
        }
    }
}

impl Receivers {
    fn add(self: &Arc<Self>, partitions: BTreeSet<Partition>) -> Receiver {
        let queue = Arc::new(Queue::default());
        let mut state = lock(&self.state);
        state.next += 1;
        let number = state.next;
        for partition in &partitions {
            let waiting = state.by_partition.entry(*partition).or_default();
            waiting.insert(number, Arc::downgrade(&queue));
        }
        drop(state);
        Receiver { number, partitions, queue, receivers: Arc::downgrade(self) }
    }

    fn take(&self, message: &Message) {
        let payload = message.value.as_bytes_str();
        let Some((partition, notice)) =
            payload.as_deref().and_then(|payload| parse(&message.channel, payload))
        else {
            tracing::warn!(channel = %message.channel, "an unknown notice came");
            return;
        };
        let state = lock(&self.state);
        let Some(waiting) = state.by_partition.get(&partition) else {
            return;
        };
        for queue in waiting.values().filter_map(Weak::upgrade) {
            queue.push(notice);
        }
    }

    fn lag(&self) {
        let state = lock(&self.state);
        let all = state.by_partition.values().flat_map(BTreeMap::values);
        all.filter_map(Weak::upgrade).for_each(|queue| queue.lag());
    }
}

/// Reads a notice: `ready`, `due:<ms>`, `done:<uuid>`, `frame:<uuid>` or `cancel:<uuid>`.
fn parse(channel: &str, payload: &str) -> Option<(Partition, Notice)> {
    let base = channel.strip_prefix(ff_core::keys::PREFIX)?;
    let partition: Partition = base.strip_suffix(":notices")?.parse().ok()?;
    let (word, rest) = payload.split_once(SEPARATOR).unwrap_or((payload, ""));
    let id = || -> Option<ExecutionId> { format!("{partition}:{rest}").parse().ok() };
    let notice = match word {
        "ready" => Notice::Ready(partition),
        "due" => Notice::Due { partition, at: TimestampMs::from_millis(rest.parse().ok()?) },
        "done" => Notice::Done(id()?),
        "frame" => Notice::Frame(id()?),
        "cancel" => Notice::Cancel(id()?),
        _ => return None,
    };
    Some((partition, notice))
}

impl Queue {
    fn push(&self, notice: Notice) {
        let mut state = lock(&self.state);
        if state.lagged {
            return;
        }
        if state.notices.len() >= QUEUE_MAX {
            state.lagged = true;
            state.notices.clear();
        } else {
            state.notices.push_back(notice);
        }
        drop(state);
        self.filled.notify_one();
    }

    fn lag(&self) {
        let mut state = lock(&self.state);
        state.lagged = true;
        state.notices.clear();
        drop(state);
        self.filled.notify_one();
    }

    fn pop(&self) -> Option<Notice> {
        let mut state = lock(&self.state);
        if state.lagged {
            state.lagged = false;
            return Some(Notice::Lagged);
        }
        state.notices.pop_front()
    }
}

#[async_trait::async_trait]
impl NoticeReceiver for Receiver {
    async fn receive(&mut self) -> Notice {
        loop {
            // A permit is kept when nobody waits, so a notice between the two is not missed.
            if let Some(notice) = self.queue.pop() {
                return notice;
            }
            self.queue.filled.notified().await;
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let Some(receivers) = self.receivers.upgrade() else {
            return;
        };
        let mut state = lock(&receivers.state);
        for partition in &self.partitions {
            if let Some(waiting) = state.by_partition.get_mut(partition) {
                waiting.remove(&self.number);
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait::async_trait]
impl NoticeBackend for ValkeyBackend {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.clock)
    }

    async fn subscribe(&self, partitions: Vec<Partition>) -> EngineResult<Box<dyn NoticeReceiver>> {
        self.notices.subscribe(&self.caller.config, partitions).await
    }

    async fn watch_execution(&self, request: WatchExecution) -> EngineResult<()> {
        request.check()?;
        let id = request.execution_id;
        let arguments = [crate::args::execution(id), crate::args::text(request.ttl_ms)];
        self.on_execution(&WATCH_EXECUTION, id, arguments).await?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "notice_tests.rs"]
mod tests;

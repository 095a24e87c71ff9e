//! Calls: the one place that sends `FCALL`.
//!
//! The number of fixed arguments is checked by the compiler. A call that finds no library loads it
//! and is made once more. Each operation opens its span here; arguments never show in it.

use crate::config::Config;
use crate::connect::command;
use crate::error::{call_error, is_timeout, is_unknown_function, is_unsent};
use crate::library::Library;
use crate::nodes::{Node, Nodes};
use bytes::Bytes;
use ff_core::error::EngineResult;
use ff_script::{Fields, Function, Reply, Subject, Success, Value};
use fred::error::{Error, ErrorKind};
use fred::interfaces::ClientLike;
use fred::types::{Resp3Frame, Value as Fred};
use fred::util::redis_keyslot;
use std::sync::Arc;
use tracing::Instrument;

/// How often a call follows the cluster to another primary.
const REDIRECTS_MAX: u32 = 5;
/// How often a command that found no connection is handed to the client library again.
const UNSENT_MAX: u32 = 16;

/// Sends calls to the primaries.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) nodes: Arc<Nodes>,
    pub(crate) config: Config,
    pub(crate) library: Library,
}

/// A call's arguments, ready to be written as often as it takes.
struct Request<'a> {
    /// The function that is called; without one the groups are keys whose texts are read.
    function: Option<&'static str>,
    reads: bool,
    base: &'a str,
    fixed: &'a [Bytes],
    groups: &'a [Bytes],
}

impl Caller {
    pub(crate) fn new(nodes: Nodes, config: Config) -> Self {
        Self { nodes: Arc::new(nodes), library: Library::new(config.test_clock.clone()), config }
    }

    /// Calls a function at the base of a slot; `groups` holds whole groups.
    pub(crate) async fn call<const N: usize>(
        &self,
        function: &Function<N>,
        base: &str,
        fixed: [Bytes; N],
        groups: &[Bytes],
        subject: &Subject,
    ) -> EngineResult<Success> {
        let stride = function.group.arguments.len();
        debug_assert!(
            groups.is_empty() || (stride > 0 && groups.len().is_multiple_of(stride)),
            "{} takes whole groups",
            function.name
        );
        let request = Request {
            function: Some(function.name),
            reads: function.reads,
            base,
            fixed: &fixed,
            groups,
        };
        let operation = function.operation();
        let execution_id = subject.execution_id.map(tracing::field::display);
        let span = tracing::debug_span!("valkey", operation, base, execution_id);
        async {
            let outcome = self.reply(function.name, &request).await;
            let outcome = outcome.and_then(|reply| reply.into_success(subject));
            if let Err(error) = &outcome {
                tracing::debug!(%error, "call failed");
            }
            outcome
        }
        .instrument(span)
        .await
    }

    /// As [`call`](Self::call), for a function whose only status is `OK`.
    pub(crate) async fn ok<const N: usize>(
        &self,
        function: &Function<N>,
        base: &str,
        fixed: [Bytes; N],
        groups: &[Bytes],
        subject: &Subject,
    ) -> EngineResult<Fields> {
        self.call(function, base, fixed, groups, subject).await?.ok()
    }

    /// Reads the texts of keys that share the slot of a base; `None` for each that is absent.
    pub(crate) async fn read_texts(
        &self,
        base: &str,
        keys: Vec<Bytes>,
    ) -> EngineResult<Vec<Option<Bytes>>> {
        const READ: &str = "MGET";
        let request = Request { function: None, reads: true, base, fixed: &[], groups: &keys };
        let value = self.send(&request).await.map_err(|error| call_error(READ, error))?;
        let Value::Array(values) = value else {
            return Err(Fields::new(READ, Vec::new()).bad("texts", "an array", &value));
        };
        let texts = values.into_iter().map(|value| match value {
            Value::Bytes(text) => Some(text),
            _ => None,
        });
        Ok(texts.collect())
    }

    async fn reply(&self, function: &'static str, request: &Request<'_>) -> EngineResult<Reply> {
        let value = match self.send(request).await {
            Err(error) if is_unknown_function(&error) => {
                tracing::info!(function, "the library is gone from a server, loading it");
                if let Some(node) = self.nodes.of_slot(redis_keyslot(request.base.as_bytes())) {
                    self.library.ensure_one(self, &node).await?;
                }
                self.send(request).await
            }
            other => other,
        };
        match value {
            Ok(value) => Reply::decode(function, value),
            Err(error) => Err(call_error(function, error)),
        }
    }

    /// Calls a function without loading the library if it is missing: for the library's own use.
    pub(crate) async fn probe<const N: usize>(
        &self,
        function: &Function<N>,
        base: &str,
        fixed: [Bytes; N],
    ) -> Result<Value, Error> {
        self.send(&Request {
            function: Some(function.name),
            reads: function.reads,
            base,
            fixed: &fixed,
            groups: &[],
        })
        .await
    }

    /// Sends a call to the primary of its slot, wherever that is by now.
    ///
    /// While a slot moves key by key (`ASK`) the call is refused and not followed: its one key is a
    /// base, which never exists, so the old primary refuses every call of the slot from the start
    /// of the move to its end, and no function sees half of a partition.
    async fn send(&self, request: &Request<'_>) -> Result<Value, Error> {
        let slot = redis_keyslot(request.base.as_bytes());
        let mut node = self.nodes.of_slot(slot);
        let mut redirects = 0;
        loop {
            let Some(to) = node else {
                self.nodes.refresh().await;
                let text = format!("CLUSTERDOWN slot {slot} is not served");
                return Err(Error::new(ErrorKind::Cluster, text));
            };
            let error = match self.send_to(&to, request).await {
                Ok(value) => return Ok(value),
                Err(error) => error,
            };
            match moved(&error, &to).filter(|_| redirects < REDIRECTS_MAX) {
                Some((host, port)) => {
                    redirects += 1;
                    self.nodes.refresh().await;
                    node = self.nodes.at(&host, port).or_else(|| self.nodes.of_slot(slot));
                }
                None => {
                    self.look_around(&error);
                    return Err(error);
                }
            }
        }
    }

    /// Asks the cluster for its layout, in the background, after a failure that a failover makes.
    fn look_around(&self, error: &Error) {
        let kinds = [ErrorKind::Timeout, ErrorKind::IO, ErrorKind::Canceled, ErrorKind::Routing];
        if self.nodes.is_clustered() && kinds.contains(error.kind()) {
            let nodes = Arc::clone(&self.nodes);
            tokio::spawn(async move { nodes.refresh().await });
        }
    }

    async fn send_to(&self, node: &Node, request: &Request<'_>) -> Result<Value, Error> {
        let word = match request.function {
            None => "MGET",
            Some(_) if request.reads => "FCALL_RO",
            Some(_) => "FCALL",
        };
        write(node, word, || {
            let mut arguments = Vec::with_capacity(3 + request.fixed.len() + request.groups.len());
            if let Some(function) = request.function {
                arguments.push(Fred::from_static_str(function));
                arguments.push(Fred::from_static_str("1"));
                arguments.push(Fred::String(request.base.into()));
            }
            let rest = request.fixed.iter().chain(request.groups);
            arguments.extend(rest.cloned().map(Fred::Bytes));
            arguments
        })
        .await
    }

    /// Sends a command that is no call of ours to one primary.
    pub(crate) async fn command_at(
        &self,
        node: &Node,
        word: &'static str,
        arguments: Vec<Bytes>,
    ) -> Result<Value, Error> {
        write(node, word, || arguments.iter().cloned().map(Fred::Bytes).collect()).await
    }

    /// Finds a base in a slot of the node, so that a call of it goes there and nowhere else.
    pub(crate) fn base_at(&self, node: &Node) -> Option<String> {
        if !self.nodes.is_clustered() {
            return Some(ff_core::keys::META.to_owned());
        }
        // Every slot has such a base among the first few hundred thousand.
        (0..1_000_000u32).map(|n| format!("ff:{{n:{n}}}")).find(|base| {
            let owner = self.nodes.of_slot(redis_keyslot(base.as_bytes()));
            owner.is_some_and(|owner| Arc::ptr_eq(&owner, node))
        })
    }
}

/// Writes a command over a connection of the primary, and over the next one if that one was lost
/// and not yet opened anew: such a command was never sent. For a moment after a loss the client
/// library refuses what comes, and only later holds it until the connection stands again.
async fn write(
    node: &Node,
    word: &'static str,
    arguments: impl Fn() -> Vec<Fred>,
) -> Result<Value, Error> {
    for _ in 0..UNSENT_MAX {
        let client = node.client();
        let frame = client.custom_raw(command(word), arguments()).await;
        if !frame.as_ref().is_err_and(is_unsent) {
            node.watch(client, frame.as_ref().is_err_and(is_timeout));
            return value(frame?);
        }
        tokio::task::yield_now().await;
    }
    Err(Error::new(ErrorKind::Routing, "no connection stood for long enough to send anything"))
}

/// Reads `MOVED <slot> <host>:<port>`; an absent host is that of the server that answered.
fn moved(error: &Error, from: &Node) -> Option<(String, u16)> {
    let address = error.details().strip_prefix("MOVED ")?.split(' ').nth(1)?;
    let (host, port) = address.rsplit_once(':')?;
    let host = if host.is_empty() { &from.host } else { host };
    Some((host.to_owned(), port.parse().ok()?))
}

/// Turns what came over the wire into the decoder's value; an error reply is an error.
pub(crate) fn value(frame: Resp3Frame) -> Result<Value, Error> {
    let all = |frames: Vec<Resp3Frame>| frames.into_iter().map(value).collect::<Result<_, _>>();
    Ok(match frame {
        Resp3Frame::Null => Value::Null,
        Resp3Frame::Number { data, .. } => Value::Int(data),
        Resp3Frame::Double { data, .. } => Value::Double(data),
        Resp3Frame::Boolean { data, .. } => Value::Bool(data),
        Resp3Frame::SimpleString { data, .. }
        | Resp3Frame::BlobString { data, .. }
        | Resp3Frame::VerbatimString { data, .. }
        | Resp3Frame::BigNumber { data, .. } => Value::Bytes(data),
        Resp3Frame::Array { data, .. } | Resp3Frame::Push { data, .. } => Value::Array(all(data)?),
        Resp3Frame::Set { data, .. } => Value::Array(all(data.into_iter().collect())?),
        Resp3Frame::Map { data, .. } => {
            Value::Array(all(data.into_iter().flat_map(|(k, v)| [k, v]).collect())?)
        }
        Resp3Frame::SimpleError { data, .. } => {
            return Err(Error::new(ErrorKind::Unknown, data.to_string()));
        }
        Resp3Frame::BlobError { data, .. } => {
            let text = String::from_utf8_lossy(&data).into_owned();
            return Err(Error::new(ErrorKind::Unknown, text));
        }
        _ => {
            let text = "a frame of an unexpected kind came";
            return Err(Error::new(ErrorKind::Protocol, text));
        }
    })
}

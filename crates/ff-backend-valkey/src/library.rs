//! The function library on the servers: loaded where it is missing, replaced where it is older,
//! never downgraded.

use crate::args::text;
use crate::call::Caller;
use crate::error::{call_error, connection, is_unknown_function};
use crate::nodes::Node;
use bytes::Bytes;
use ff_core::error::{EngineResult, ErrorClass};
use ff_core::time::{Clock, TimestampMs};
use ff_script::functions::{ALL, DESCRIBE, TEST_SET_CLOCK};
use ff_script::library::{NAME, SOURCE, TEST_SOURCE};
use ff_script::{Fields, Reply, Signature, Subject, VERSION};
use fred::error::Error;
use futures::future::join_all;
use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, MutexGuard, PoisonError};
use tokio::sync::Mutex;

/// What a server says when two load the library at the same time.
const LOADED_ALREADY: &str = "already exists";

/// Keeps the library on every primary.
#[derive(Debug)]
pub(crate) struct Library {
    /// Loads the test build, whose time is this clock's.
    test_clock: Option<Arc<dyn Clock>>,
    /// The time that a test build was last set to, for those that are loaded later.
    test_now_ms: AtomicU64,
    /// The servers that this process loaded the library on.
    loaded: std::sync::Mutex<BTreeSet<String>>,
    /// One check at a time: all calls that miss the library find out at once.
    checking: Mutex<()>,
}

/// What a server says about the library that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Described {
    /// Its version.
    pub version: u32,
    /// Its functions.
    pub functions: Vec<DescribedFunction>,
}

/// A function as a server describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DescribedFunction {
    /// Its name.
    pub name: String,
    /// Its flags.
    pub flags: Vec<String>,
    /// The names of its fixed arguments.
    pub arguments: Vec<String>,
    /// The names of the arguments of a group.
    pub group: Vec<String>,
    /// The fewest groups.
    pub groups_min: u32,
    /// The most groups.
    pub groups_max: u32,
}

impl DescribedFunction {
    /// Tells whether a client that knows the function as `ours` may call it.
    fn serves(&self, ours: &Signature) -> bool {
        self.name == ours.name
            && self.arguments == ours.arguments
            && self.group == ours.group.arguments
            && usize::try_from(self.groups_max).is_ok_and(|max| max >= ours.group.max)
    }
}

impl Described {
    fn read(mut fields: Fields) -> EngineResult<Self> {
        Ok(Self {
            version: fields.u32("version")?,
            functions: fields.list("functions", |row| {
                Ok(DescribedFunction {
                    name: row.text("name")?,
                    flags: row.joined("flags", "flags")?,
                    arguments: row.each("arguments", |names| names.text("argument"))?,
                    group: row.each("group", |names| names.text("argument"))?,
                    groups_min: row.u32("groups_min")?,
                    groups_max: row.u32("groups_max")?,
                })
            })?,
        })
    }

    fn is_test_build(&self) -> bool {
        self.functions.iter().any(|function| function.name == TEST_SET_CLOCK.name)
    }

    /// Names the first function that this library lacks or has otherwise.
    fn missing(&self) -> Option<&'static str> {
        let lacks = |ours: &&Signature| !self.functions.iter().any(|theirs| theirs.serves(ours));
        ALL.iter().find(lacks).map(|ours| ours.name)
    }
}

/// What is to be done about a server's library.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Keep,
    Load,
    Replace,
}

impl Library {
    pub(crate) fn new(test_clock: Option<Arc<dyn Clock>>) -> Self {
        Self {
            test_clock,
            test_now_ms: AtomicU64::default(),
            loaded: std::sync::Mutex::default(),
            checking: Mutex::default(),
        }
    }

    /// Makes sure that every primary serves the library; one line a primary tells what was done.
    /// A primary that does not answer for now is no error, unless none does.
    pub(crate) async fn ensure(&self, caller: &Caller) -> EngineResult<Vec<String>> {
        let _checking = self.checking.lock().await;
        let nodes = caller.nodes.all();
        let checks = nodes.iter().map(|node| self.ensure_at(caller, node));
        let mut lines = Vec::with_capacity(nodes.len());
        let mut silent = Vec::new();
        for (node, outcome) in nodes.iter().zip(join_all(checks).await) {
            match outcome {
                Ok(line) => lines.push(format!("{node} {line}")),
                Err(error) if error.class() == ErrorClass::Retryable => {
                    tracing::warn!(%node, %error, "could not check the function library");
                    lines.push(format!("{node} cannot be checked: {error}"));
                    silent.push(error);
                }
                Err(error) => return Err(error),
            }
        }
        match silent.pop() {
            Some(error) if silent.len() + 1 == nodes.len() => Err(error),
            _ => Ok(lines),
        }
    }

    /// Makes sure that one primary serves the library.
    pub(crate) async fn ensure_one(&self, caller: &Caller, node: &Node) -> EngineResult<()> {
        let _checking = self.checking.lock().await;
        self.ensure_at(caller, node).await.map(|_| ())
    }

    async fn ensure_at(&self, caller: &Caller, node: &Node) -> EngineResult<String> {
        let name = &node.to_string();
        let found = self.describe_at(caller, node).await?;
        let step = self.judge(name, found.as_ref())?;
        if step == Step::Keep {
            let version = found.map_or(VERSION, |found| found.version);
            let by_us = if self.loaded().contains(name) { ", loaded by this process" } else { "" };
            return Ok(format!("has library {version}{by_us}"));
        }
        let loaded = self.load(caller, node, step).await;
        match loaded {
            Err(error) if error.details().contains(LOADED_ALREADY) => {
                // Another process was faster, or a library of that name describes nothing.
                match self.describe_at(caller, node).await? {
                    Some(found) => {
                        if self.judge(name, Some(&found))? == Step::Replace {
                            self.replace(caller, node).await?;
                        }
                    }
                    None => self.replace(caller, node).await?,
                }
            }
            Err(error) => return Err(call_error("ff_load", error)),
            Ok(_) => {}
        }
        // What was loaded must serve what this program calls, or the next process would find out.
        if let Some(found) = self.describe_at(caller, node).await? {
            self.judge(name, Some(&found))?;
        }
        self.set_clock(caller, node).await?;
        self.loaded().insert(name.clone());
        tracing::info!(%node, version = VERSION, "loaded the function library");
        Ok(format!("loaded library {VERSION}"))
    }

    fn loaded(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn replace(&self, caller: &Caller, node: &Node) -> EngineResult<()> {
        let loaded = self.load(caller, node, Step::Replace).await;
        loaded.map_err(|error| call_error("ff_load", error))
    }

    /// Decides what to do about what a server holds.
    fn judge(&self, node: &str, found: Option<&Described>) -> EngineResult<Step> {
        let Some(found) = found else {
            return Ok(Step::Load);
        };
        if found.version < VERSION {
            return Ok(Step::Replace);
        }
        if let Some(function) = found.missing() {
            return Err(connection(self.unserved(node, found.version, function)));
        }
        match (found.is_test_build(), self.test_clock.is_some()) {
            (false, true) => Ok(Step::Replace),
            (true, false) => Err(connection(format!(
                "{node} runs the library's test build, whose clock stands still: run FUNCTION \
                 DELETE {NAME} there if that is a mistake"
            ))),
            _ => Ok(Step::Keep),
        }
    }

    /// Says why a library that is no older than ours is of no use to us.
    fn unserved(&self, node: &str, version: u32, function: &str) -> String {
        if version > VERSION {
            format!(
                "{node} runs library {version}, which does not serve clients of library {VERSION} \
                 any more ({function} differs): upgrade this program"
            )
        } else {
            format!(
                "{node} runs another library that says it is library {VERSION} ({function} \
                 differs): run FUNCTION DELETE {NAME} there if no other program needs it"
            )
        }
    }

    async fn load(&self, caller: &Caller, node: &Node, step: Step) -> Result<(), Error> {
        let source = match self.test_clock {
            Some(_) => TEST_SOURCE,
            None => SOURCE,
        };
        let mut arguments = vec![Bytes::from_static(b"LOAD")];
        if step == Step::Replace {
            arguments.push(Bytes::from_static(b"REPLACE"));
        }
        arguments.push(Bytes::from_static(source.as_bytes()));
        caller.command_at(node, "FUNCTION", arguments).await.map(|_| ())
    }

    /// Asks a primary for its library; `None` when it has none.
    pub(crate) async fn describe_at(
        &self,
        caller: &Caller,
        node: &Node,
    ) -> EngineResult<Option<Described>> {
        // A primary without slots serves nobody, and has the library before it gets some.
        let Some(base) = caller.base_at(node) else {
            return Ok(None);
        };
        let value = match caller.probe(&DESCRIBE, &base, []).await {
            Ok(value) => value,
            Err(error) if is_unknown_function(&error) => return Ok(None),
            Err(error) => return Err(call_error(DESCRIBE.name, error)),
        };
        let fields = Reply::decode(DESCRIBE.name, value)?.into_success(&Subject::NONE)?.ok()?;
        Described::read(fields).map(Some)
    }

    /// Sets the clock of one server's test build.
    async fn set_clock(&self, caller: &Caller, node: &Node) -> EngineResult<()> {
        let (Some(clock), Some(base)) = (&self.test_clock, caller.base_at(node)) else {
            return Ok(());
        };
        let now_ms = self.test_now_ms.load(Ordering::Relaxed).max(clock.now().as_millis());
        let value = caller.probe(&TEST_SET_CLOCK, &base, [text(now_ms)]).await;
        let value = value.map_err(|error| call_error(TEST_SET_CLOCK.name, error))?;
        let reply = Reply::decode(TEST_SET_CLOCK.name, value)?;
        reply.into_success(&Subject::NONE)?.ok().map(|_| ())
    }

    /// Sets the clock of every primary's test build, loading it where it is missing.
    pub(crate) async fn set_clocks(&self, caller: &Caller, now: TimestampMs) -> EngineResult<()> {
        self.test_now_ms.fetch_max(now.as_millis(), Ordering::Relaxed);
        for node in caller.nodes.all() {
            if self.set_clock(caller, &node).await.is_err() {
                self.ensure_one(caller, &node).await?;
                self.set_clock(caller, &node).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;

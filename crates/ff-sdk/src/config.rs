//! What a worker is told at its start.

use crate::error::SdkError;
use crate::text::cut_at_char;
use ff_core::contracts::claim::WorkerIdentity;
use ff_core::limits::{
    CAPABILITIES_MAX, CLAIM_LANES_MAX, CLAIM_SLOT_MAX, LEASE_TTL_MS_DEFAULT, LEASE_TTL_MS_MAX,
    LEASE_TTL_MS_MIN, NAME_BYTES_MAX,
};
use ff_core::name::{Capability, LaneId, Namespace, WorkerId, WorkerInstanceId};
use std::collections::BTreeSet;
use uuid::Uuid;

/// How long an idle claim waits, and the pace of fallback polls, when nothing is said.
pub const IDLE_POLL_CEILING_MS_DEFAULT: u64 = 1_000;
/// Longest idle poll ceiling.
pub const IDLE_POLL_CEILING_MS_MAX: u64 = 60_000;
/// How long a drain waits for running tasks when nothing is said.
pub const DRAIN_GRACE_MS_DEFAULT: u64 = 20_000;
/// Longest drain grace.
pub const DRAIN_GRACE_MS_MAX: u64 = 60 * 60 * 1_000;
/// Most tasks that one worker instance runs at a time: each needs a claim slot of its own, and one
/// stays for the claims that wait for work.
pub const CONCURRENT_TASKS_MAX: u16 = CLAIM_SLOT_MAX - 1;

const CONTEXT: &str = "worker config";
/// Hexadecimal digits of a random number that make an instance id unique.
const INSTANCE_DIGITS: usize = 16;

/// The checked settings of a worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkerConfig {
    identity: WorkerIdentity,
    lanes: Vec<LaneId>,
    lease_ttl_ms: u64,
    idle_poll_ceiling_ms: u64,
    max_concurrent_tasks: u16,
    drain_grace_ms: u64,
}

impl WorkerConfig {
    /// Starts from the name by which operators know the worker; everything else has a default.
    pub fn builder(worker_id: impl Into<String>) -> WorkerConfigBuilder {
        WorkerConfigBuilder {
            worker_id: worker_id.into(),
            worker_instance_id: None,
            namespace: Namespace::default().as_str().to_owned(),
            lanes: Vec::new(),
            capabilities: Vec::new(),
            lease_ttl_ms: LEASE_TTL_MS_DEFAULT,
            idle_poll_ceiling_ms: IDLE_POLL_CEILING_MS_DEFAULT,
            max_concurrent_tasks: 1,
            drain_grace_ms: DRAIN_GRACE_MS_DEFAULT,
        }
    }

    /// Returns the worker as its operator knows it.
    pub const fn worker_id(&self) -> &WorkerId {
        &self.identity.worker_id
    }

    /// Returns this process's id, unique while it lives.
    pub const fn worker_instance_id(&self) -> &WorkerInstanceId {
        &self.identity.worker_instance_id
    }

    /// Returns the namespace whose lanes it serves.
    pub const fn namespace(&self) -> &Namespace {
        &self.identity.namespace
    }

    /// Returns the lanes it serves.
    pub fn lanes(&self) -> &[LaneId] {
        &self.lanes
    }

    /// Returns what it offers.
    pub const fn capabilities(&self) -> &BTreeSet<Capability> {
        &self.identity.capabilities
    }

    /// Returns how long a lease lasts without renewal.
    pub const fn lease_ttl_ms(&self) -> u64 {
        self.lease_ttl_ms
    }

    /// Returns how long an idle claim waits, and the pace of fallback polls.
    pub const fn idle_poll_ceiling_ms(&self) -> u64 {
        self.idle_poll_ceiling_ms
    }

    /// Returns how many tasks run at a time.
    pub const fn max_concurrent_tasks(&self) -> u16 {
        self.max_concurrent_tasks
    }

    /// Returns how long a drain waits for running tasks before it releases them.
    pub const fn drain_grace_ms(&self) -> u64 {
        self.drain_grace_ms
    }

    /// Returns who claims.
    pub const fn identity(&self) -> &WorkerIdentity {
        &self.identity
    }
}

/// Collects the settings of a worker; [`build`](Self::build) checks them.
#[derive(Clone, Debug)]
#[must_use = "a builder does nothing until it is built"]
pub struct WorkerConfigBuilder {
    worker_id: String,
    worker_instance_id: Option<String>,
    namespace: String,
    lanes: Vec<String>,
    capabilities: Vec<String>,
    lease_ttl_ms: u64,
    idle_poll_ceiling_ms: u64,
    max_concurrent_tasks: u16,
    drain_grace_ms: u64,
}

impl WorkerConfigBuilder {
    /// Names this process. Two live processes must not share the name. By default the worker id
    /// and a random number.
    pub fn worker_instance_id(mut self, id: impl Into<String>) -> Self {
        self.worker_instance_id = Some(id.into());
        self
    }

    /// Sets the namespace; `default` by default.
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Adds a lane; `default` alone when none is added.
    pub fn lane(mut self, lane: impl Into<String>) -> Self {
        self.lanes.push(lane.into());
        self
    }

    /// Adds lanes.
    pub fn lanes<L: Into<String>>(mut self, lanes: impl IntoIterator<Item = L>) -> Self {
        self.lanes.extend(lanes.into_iter().map(Into::into));
        self
    }

    /// Adds something that the worker offers.
    pub fn capability(mut self, capability: impl Into<String>) -> Self {
        self.capabilities.push(capability.into());
        self
    }

    /// Adds several things that the worker offers.
    pub fn capabilities<C: Into<String>>(mut self, all: impl IntoIterator<Item = C>) -> Self {
        self.capabilities.extend(all.into_iter().map(Into::into));
        self
    }

    /// Sets how long a lease lasts without renewal: 1 s to 1 day, 30 s by default.
    pub fn lease_ttl_ms(mut self, ms: u64) -> Self {
        self.lease_ttl_ms = ms;
        self
    }

    /// Sets how long an idle claim waits, and the pace of fallback polls: 1 s by default.
    pub fn idle_poll_ceiling_ms(mut self, ms: u64) -> Self {
        self.idle_poll_ceiling_ms = ms;
        self
    }

    /// Sets how many tasks run at a time: 1 by default, at most [`CONCURRENT_TASKS_MAX`].
    pub fn max_concurrent_tasks(mut self, count: u16) -> Self {
        self.max_concurrent_tasks = count;
        self
    }

    /// Sets how long a drain waits for running tasks: 20 s by default, 0 releases them at once.
    pub fn drain_grace_ms(mut self, ms: u64) -> Self {
        self.drain_grace_ms = ms;
        self
    }

    /// Checks every value.
    pub fn build(self) -> Result<WorkerConfig, SdkError> {
        let worker_id = name("worker_id", &self.worker_id, WorkerId::new)?;
        let instance =
            self.worker_instance_id.unwrap_or_else(|| unique_instance(worker_id.as_str()));
        let lanes = match self.lanes.is_empty() {
            true => vec![LaneId::default()],
            false => distinct("lanes", &self.lanes, LaneId::new)?,
        };
        let capabilities = distinct("capabilities", &self.capabilities, Capability::new)?;
        within("lanes", lanes.len() as u64, 1, CLAIM_LANES_MAX as u64)?;
        let offered = capabilities.len() as u64;
        within("capabilities", offered, 0, CAPABILITIES_MAX as u64)?;
        within("lease_ttl_ms", self.lease_ttl_ms, LEASE_TTL_MS_MIN, LEASE_TTL_MS_MAX)?;
        within("idle_poll_ceiling_ms", self.idle_poll_ceiling_ms, 1, IDLE_POLL_CEILING_MS_MAX)?;
        within(
            "max_concurrent_tasks",
            self.max_concurrent_tasks.into(),
            1,
            CONCURRENT_TASKS_MAX.into(),
        )?;
        within("drain_grace_ms", self.drain_grace_ms, 0, DRAIN_GRACE_MS_MAX)?;
        Ok(WorkerConfig {
            identity: WorkerIdentity {
                namespace: name("namespace", &self.namespace, Namespace::new)?,
                worker_id,
                worker_instance_id: name("worker_instance_id", &instance, WorkerInstanceId::new)?,
                capabilities: capabilities.into_iter().collect(),
            },
            lanes,
            lease_ttl_ms: self.lease_ttl_ms,
            idle_poll_ceiling_ms: self.idle_poll_ceiling_ms,
            max_concurrent_tasks: self.max_concurrent_tasks,
            drain_grace_ms: self.drain_grace_ms,
        })
    }
}

fn unique_instance(worker_id: &str) -> String {
    let digits = Uuid::new_v4().simple().to_string();
    let kept = cut_at_char(worker_id, NAME_BYTES_MAX - INSTANCE_DIGITS - 1);
    format!("{kept}-{}", &digits[..INSTANCE_DIGITS])
}

fn name<T>(
    field: &'static str,
    text: &str,
    new: impl Fn(String) -> Result<T, ff_core::EngineError>,
) -> Result<T, SdkError> {
    new(text.to_owned()).map_err(|error| SdkError::config(CONTEXT, field, error.to_string()))
}

/// Checks names and drops repeats, keeping the order.
fn distinct<T: PartialEq>(
    field: &'static str,
    texts: &[String],
    new: impl Fn(String) -> Result<T, ff_core::EngineError>,
) -> Result<Vec<T>, SdkError> {
    let mut names = Vec::with_capacity(texts.len());
    for text in texts {
        let name = name(field, text, &new)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

fn within(field: &'static str, value: u64, min: u64, max: u64) -> Result<(), SdkError> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    let message = format!("is {value}, it must be between {min} and {max}");
    Err(SdkError::config(CONTEXT, field, message))
}

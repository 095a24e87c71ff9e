//! Admin: set the store up, look after it.

use crate::error::EngineResult;
use crate::ids::ExecutionId;
use crate::limits::SPAN_MS_MAX;
use crate::name::{KeyId, LaneId, Namespace};
use crate::policy::{LaneDefaults, at_most};
use crate::time::TimestampMs;
use crate::token::Secret;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What preparing the store did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prepared {
    /// One line a node, such as `127.0.0.1:6379 loaded library 1 (valkey 8.0.1)`.
    pub nodes: Vec<String>,
    /// How many partitions the store has.
    pub partitions: u16,
}

/// The store answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pong {
    /// The store's time.
    pub server_time: TimestampMs,
}

/// Adds a signing key, or revokes keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RotateKeyring {
    /// The key that signs from now on; `None` only revokes.
    pub add: Option<(KeyId, Secret)>,
    /// How long the keys before stay good; `None` until they are revoked.
    pub grace_ms: Option<u64>,
    /// Keys to take out at once.
    pub revoke: Vec<KeyId>,
}

/// The keyring after a rotation, without secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeyringRotated {
    /// The key that signs.
    pub current: KeyId,
    /// Every key with its expiry.
    pub keys: Vec<(KeyId, Option<TimestampMs>)>,
}

/// Sets the defaults of a lane. Executions submitted before keep what they got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigureLane {
    /// The namespace.
    pub namespace: Namespace,
    /// The lane.
    pub lane: LaneId,
    /// The defaults.
    pub defaults: LaneDefaults,
}

/// Something that is not as the rules say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The execution, if it is about one.
    pub execution_id: Option<ExecutionId>,
    /// What is wrong.
    pub problem: String,
    /// Whether it was mended.
    pub fixed: bool,
}

/// What the doctor saw.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Records that were checked.
    pub executions: u64,
    /// Index entries that were checked.
    pub index_entries: u64,
    /// Everything that is wrong, the first 100 in full.
    pub findings: Vec<Finding>,
    /// How many things are wrong.
    pub findings_total: u64,
}

impl RotateKeyring {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        at_most("grace_ms", self.grace_ms.unwrap_or(0), SPAN_MS_MAX)
    }
}

/// Sets the store up and looks after it.
#[async_trait::async_trait]
pub trait AdminBackend: Send + Sync + fmt::Debug {
    /// Makes the store ready: loads the library on every primary, writes the partition count and
    /// makes a keyring if there is none. Safe to repeat; never downgrades.
    async fn prepare(&self) -> EngineResult<Prepared>;

    /// Asks the store for its time.
    async fn ping(&self) -> EngineResult<Pong>;

    /// Rotates the keyring. Adding the current key again changes nothing. A revoked key is refused
    /// everywhere within `KEYRING_AGE_MAX_MS`.
    async fn rotate_keyring(&self, request: RotateKeyring) -> EngineResult<KeyringRotated>;

    /// Sets the defaults of a lane; other processes see them within `LANE_DEFAULTS_AGE_MAX_MS`.
    async fn configure_lane(&self, request: ConfigureLane) -> EngineResult<()>;

    /// Returns the defaults of a lane: the constants where none were set.
    async fn describe_lane(&self, namespace: Namespace, lane: LaneId)
    -> EngineResult<LaneDefaults>;

    /// Proves that every record stands in exactly the indexes it determines and that no index
    /// holds anything else; with `fix`, mends what is not.
    async fn doctor(&self, fix: bool) -> EngineResult<Diagnosis>;
}

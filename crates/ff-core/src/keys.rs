//! The names of keys on Valkey: the one list that `lua/lib/keys.lua` and `docs/keys.md` agree with.
//!
//! Every key of a partition begins with `ff:{fp:N}:`, so that it stands in the partition's slot.

use crate::ids::{BudgetId, ExecutionId};
use crate::partition::{BudgetPartition, Partition};

/// The prefix of everything that FlowFabric keeps in a store.
pub const PREFIX: &str = "ff:";
/// The prefix of what belongs to no partition.
pub const META: &str = "ff:{meta}";

/// One family of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The pattern; `<...>` stands for a part that varies.
    pub pattern: &'static str,
    /// The server's word for its type.
    pub kind: &'static str,
}

const fn family(pattern: &'static str, kind: &'static str) -> Family {
    Family { pattern, kind }
}

/// Every family. What each holds and what bounds it is in `docs/keys.md`.
pub const FAMILIES: &[Family] = &[
    family("ff:{fp:N}:x:<uuid>", "string"),
    family("ff:{fp:N}:x:<uuid>:in", "string"),
    family("ff:{fp:N}:x:<uuid>:out", "string"),
    family("ff:{fp:N}:x:<uuid>:turns", "list"),
    family("ff:{fp:N}:x:<uuid>:s:<attempt>", "stream"),
    family("ff:{fp:N}:x:<uuid>:wp", "hash"),
    family("ff:{fp:N}:x:<uuid>:sig", "hash"),
    family("ff:{fp:N}:ready:<namespace>:<lane>:<route>:<fairness>", "zset"),
    family("ff:{fp:N}:delayed:<namespace>:<lane>", "zset"),
    family("ff:{fp:N}:active:<namespace>:<lane>", "zset"),
    family("ff:{fp:N}:suspended:<namespace>:<lane>", "zset"),
    family("ff:{fp:N}:blocked:<namespace>:<lane>", "zset"),
    family("ff:{fp:N}:done:<namespace>:<lane>", "zset"),
    family("ff:{fp:N}:due", "zset"),
    family("ff:{fp:N}:lanes", "set"),
    family("ff:{fp:N}:routes:<namespace>:<lane>", "hash"),
    family("ff:{fp:N}:claimed:<namespace>:<instance>:<slot>", "string"),
    family("ff:{fp:N}:idem:<namespace>:<key>", "string"),
    family("ff:{b:M}:budget:<uuid>", "hash"),
    family("ff:{b:M}:budget:<uuid>:mut:<mutation>", "string"),
    family("ff:{b:M}:budget:<uuid>:key:<dedup key>", "string"),
    family("ff:{b:M}:budget:<uuid>:epoch:<execution>", "string"),
    family("ff:{meta}:store", "hash"),
    family("ff:{meta}:keyring", "hash"),
    family("ff:{meta}:lane:<namespace>:<lane>", "string"),
    family("ff:{meta}:workers:<namespace>", "hash"),
];

/// Returns what every key of a partition begins with, and what a call to it is routed by.
pub fn partition_base(partition: Partition) -> String {
    format!("{PREFIX}{partition}")
}

/// Returns what every key of a budget partition begins with.
pub fn budget_base(partition: BudgetPartition) -> String {
    format!("{PREFIX}{partition}")
}

/// Returns the key of an execution's record.
pub fn execution(id: ExecutionId) -> String {
    format!("{PREFIX}{}:x:{}", id.partition(), id.uuid())
}

/// Returns the key of an execution's long input.
pub fn long_input(id: ExecutionId) -> String {
    execution(id) + ":in"
}

/// Returns the key of a budget's record.
pub fn budget(id: BudgetId) -> String {
    format!("{PREFIX}{}:budget:{}", id.partition(), id.uuid())
}

/// Returns the channel of a partition's notices.
pub fn notice_channel(partition: Partition) -> String {
    format!("{PREFIX}{partition}:notices")
}

//! The names of keys on Valkey: the one list that `lua/lib/keys.lua` and `docs/keys.md` agree with.
//!
//! Every key of a partition begins with `ff:{fp:N}:`, so that it stands in the partition's slot.

use crate::ids::{BudgetId, ExecutionId};
use crate::partition::{BudgetPartition, Partition};

/// The prefix of everything that FlowFabric keeps in a store.
pub const PREFIX: &str = "ff:";
/// The prefix of what belongs to no partition.
pub const META: &str = "ff:{meta}";

/// One family of keys: its pattern, its type on the server, what it is, and what bounds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Family {
    /// The pattern; `<...>` stands for a part that varies.
    pub pattern: &'static str,
    /// The server's word for its type.
    pub kind: &'static str,
    /// What it holds.
    pub what: &'static str,
    /// What keeps it from growing for ever.
    pub bound: &'static str,
}

/// Every family.
pub const FAMILIES: &[Family] = &[
    Family {
        pattern: "ff:{fp:N}:x:<uuid>",
        kind: "hash",
        what: "the execution",
        bound: "retention of the execution",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:more",
        kind: "hash",
        what: "fields of the execution that are longer than 64 bytes",
        bound: "retention of the execution",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:in",
        kind: "string",
        what: "its input, when longer than 64 bytes",
        bound: "PAYLOAD_BYTES_MAX, retention of the execution",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:out",
        kind: "string",
        what: "its result, when longer than 64 bytes",
        bound: "PAYLOAD_BYTES_MAX, retention of the execution",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:turns",
        kind: "list",
        what: "ended turns before the last",
        bound: "TURNS_KEPT_MAX",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:s:<attempt>",
        kind: "stream",
        what: "output frames of an attempt",
        bound: "FRAMES_PER_STREAM_MAX, STREAM_BYTES_MAX, STREAMS_KEPT_MAX, retention",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:wp",
        kind: "hash",
        what: "waitpoints and the open suspension",
        bound: "WAITPOINTS_OPEN_MAX, WAITPOINTS_CLOSED_KEPT_MAX",
    },
    Family {
        pattern: "ff:{fp:N}:x:<uuid>:sig",
        kind: "hash",
        what: "accepted signals",
        bound: "SIGNALS_PER_EXECUTION_MAX, retention of the execution",
    },
    Family {
        pattern: "ff:{fp:N}:ready:<namespace>:<lane>:<route>:<fairness>",
        kind: "zset",
        what: "claimable now, by ready time minus lead",
        bound: "live executions",
    },
    Family {
        pattern: "ff:{fp:N}:delayed:<namespace>:<lane>",
        kind: "zset",
        what: "claimable later, by time",
        bound: "live executions",
    },
    Family {
        pattern: "ff:{fp:N}:active:<namespace>:<lane>",
        kind: "zset",
        what: "under a lease, by the start of the lease",
        bound: "live executions",
    },
    Family {
        pattern: "ff:{fp:N}:suspended:<namespace>:<lane>",
        kind: "zset",
        what: "waiting for signals, by the start of the suspension",
        bound: "live executions",
    },
    Family {
        pattern: "ff:{fp:N}:blocked:<namespace>:<lane>",
        kind: "zset",
        what: "held back by a gate, by the time it closed",
        bound: "live executions",
    },
    Family {
        pattern: "ff:{fp:N}:done:<namespace>:<lane>",
        kind: "zset",
        what: "ended, by time",
        bound: "retention of each execution",
    },
    Family {
        pattern: "ff:{fp:N}:due",
        kind: "zset",
        what: "one entry an execution with a timer, at or before the earliest",
        bound: "executions",
    },
    Family {
        pattern: "ff:{fp:N}:lanes",
        kind: "set",
        what: "lanes that have held work",
        bound: "lanes of the deployment",
    },
    Family {
        pattern: "ff:{fp:N}:routes:<namespace>:<lane>",
        kind: "hash",
        what: "how many live executions have each capability set, none excepted",
        bound: "ROUTES_PER_LANE_MAX",
    },
    Family {
        pattern: "ff:{fp:N}:claimed:<namespace>:<instance>:<slot>",
        kind: "string",
        what: "the last claim of a worker slot and what it took",
        bound: "a lease TTL and EXPIRY_SLACK_MS",
    },
    Family {
        pattern: "ff:{fp:N}:idem:<namespace>:<key>",
        kind: "string",
        what: "the execution first submitted under an idempotency key",
        bound: "its window",
    },
    Family {
        pattern: "ff:{b:M}:budget:<uuid>",
        kind: "hash",
        what: "limits and usage of a budget",
        bound: "BUDGET_DIMENSIONS_MAX",
    },
    Family {
        pattern: "ff:{b:M}:budget:<uuid>:mut:<mutation>",
        kind: "string",
        what: "the result of one usage report",
        bound: "USAGE_MEMORY_MS",
    },
    Family {
        pattern: "ff:{b:M}:budget:<uuid>:key:<dedup key>",
        kind: "string",
        what: "a dedup key that was reported",
        bound: "USAGE_MEMORY_MS",
    },
    Family {
        pattern: "ff:{b:M}:budget:<uuid>:epoch:<execution>",
        kind: "string",
        what: "the highest epoch seen of an execution",
        bound: "USAGE_MEMORY_MS",
    },
    Family {
        pattern: "ff:{meta}:store",
        kind: "hash",
        what: "partition count and schema version",
        bound: "fixed fields",
    },
    Family {
        pattern: "ff:{meta}:keyring",
        kind: "hash",
        what: "keys that sign and verify waitpoint tokens",
        bound: "KEYRING_KIDS_MAX",
    },
    Family {
        pattern: "ff:{meta}:lane:<namespace>:<lane>",
        kind: "string",
        what: "defaults of a lane",
        bound: "lanes of the deployment",
    },
    Family {
        pattern: "ff:{meta}:workers:<namespace>",
        kind: "hash",
        what: "registered worker instances",
        bound: "live workers; lapsed ones go with the next registration",
    },
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

/// Returns the key of a budget's record.
pub fn budget(id: BudgetId) -> String {
    format!("{PREFIX}{}:budget:{}", id.partition(), id.uuid())
}

/// Returns the channel of a partition's notices.
pub fn notice_channel(partition: Partition) -> String {
    format!("{PREFIX}{partition}:notices")
}

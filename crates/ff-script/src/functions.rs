//! Every function of the library as a client calls it: its name, its arguments, its groups.
//!
//! The number of fixed arguments is part of a function's type, so a call with a missing or a
//! superfluous one does not compile. The server tells the same list by `ff_describe`; a test of
//! the backend compares the two, both ways.

/// A function with `N` fixed arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function<const N: usize> {
    /// Its name on the server.
    pub name: &'static str,
    /// The names of the fixed arguments, in order.
    pub arguments: &'static [&'static str; N],
    /// The arguments that are repeated after them.
    pub group: Group,
    /// Whether it only reads.
    pub reads: bool,
}

/// Arguments that come several times, as whole groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    /// The names of the arguments of one group; empty when there are no groups.
    pub arguments: &'static [&'static str],
    /// The fewest groups.
    pub min: usize,
    /// The most groups.
    pub max: usize,
}

/// What a function looks like, whatever the number of its arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature {
    /// Its name on the server.
    pub name: &'static str,
    /// The names of the fixed arguments, in order.
    pub arguments: &'static [&'static str],
    /// The arguments that are repeated after them.
    pub group: Group,
    /// Whether it only reads.
    pub reads: bool,
}

impl<const N: usize> Function<N> {
    /// Returns what the function looks like.
    pub const fn signature(&self) -> Signature {
        Signature {
            name: self.name,
            arguments: self.arguments,
            group: self.group,
            reads: self.reads,
        }
    }

    /// Returns the name of the operation: that of the function without its prefix.
    pub fn operation(&self) -> &'static str {
        self.name.strip_prefix("ff_").unwrap_or(self.name)
    }
}

const NO_GROUP: Group = Group { arguments: &[], min: 0, max: 0 };

const fn group(arguments: &'static [&'static str], min: usize, max: usize) -> Group {
    Group { arguments, min, max }
}

/// A list of arguments that begins with those of a handle.
macro_rules! handle {
    ($($rest:literal),* $(,)?) => {
        &["execution", "attempt_index", "attempt_id", "lease_id", "lease_epoch" $(, $rest)*]
    };
}

const HANDLE: &[&str] = handle![];
const CLAIM: &[&str; 10] = &[
    "claim_id",
    "slot",
    "namespace",
    "worker_id",
    "worker_instance_id",
    "capabilities",
    "lease_ttl_ms",
    "count_max",
    "lanes",
    "grant",
];

macro_rules! functions {
    ($(
        $constant:ident: $count:literal = $name:literal, $reads:ident, $arguments:expr,
        $group:expr;
    )*) => {
        $(
            #[doc = concat!("The function `", $name, "`.")]
            pub const $constant: Function<$count> = Function {
                name: $name,
                arguments: $arguments,
                group: $group,
                reads: functions!(@$reads),
            };
        )*

        /// Every function of the library, the test build's own aside.
        pub const ALL: &[Signature] = &[$($constant.signature()),*];
    };
    (@reads) => { true };
    (@writes) => { false };
}

functions! {
    SUBMIT_EXECUTIONS: 0 = "ff_submit_executions", writes, &[], group(
        &[
            "execution", "definition", "submitted", "idempotency", "extras", "input",
        ],
        1,
        500,
    );

    CLAIM_EXECUTION: 10 = "ff_claim_execution", writes, CLAIM, NO_GROUP;
    CLAIM_RESUMED_EXECUTION: 10 = "ff_claim_resumed_execution", writes, CLAIM, NO_GROUP;
    ISSUE_GRANT: 5 = "ff_issue_grant", writes,
        &["grant_id", "execution", "worker_instance_id", "kind", "ttl_ms"], NO_GROUP;
    TICK: 1 = "ff_tick", writes, &["limit"], NO_GROUP;

    RENEW_LEASE: 1 = "ff_renew_lease", writes, &["lease_ttl_ms"], group(HANDLE, 1, 1_000);
    UPDATE_PROGRESS: 7 = "ff_update_progress", writes, handle!["percent", "message"], NO_GROUP;

    COMPLETE_EXECUTION: 6 = "ff_complete_execution", writes, handle!["result"],
        group(CLAIM, 0, 1);
    COMPLETE_EXECUTIONS: 10 = "ff_complete_executions", writes, CLAIM,
        group(handle!["result"], 1, 256);
    FAIL_EXECUTION: 7 = "ff_fail_execution", writes, handle!["reason", "category"],
        group(CLAIM, 0, 1);
    CANCEL_EXECUTION: 9 = "ff_cancel_execution", writes,
        &[
            "execution", "by", "reason", "grace_ms", "mutation_id", "attempt_index", "attempt_id",
            "lease_id", "lease_epoch",
        ],
        NO_GROUP;
    DELAY_EXECUTION: 6 = "ff_delay_execution", writes, handle!["delay_until"], NO_GROUP;
    RELEASE_EXECUTION: 6 = "ff_release_execution", writes, handle!["reason"], NO_GROUP;
    MOVE_TO_WAITING_CHILDREN: 5 = "ff_move_to_waiting_children", writes, handle![], NO_GROUP;
    REPLAY_EXECUTION: 2 = "ff_replay_execution", writes, &["execution", "mutation_id"], NO_GROUP;

    SUSPEND_EXECUTION: 12 = "ff_suspend_execution", writes,
        handle![
            "suspension_id", "waitpoint_id", "token", "reason_code", "timeout_ms",
            "timeout_behavior", "waitpoint_key",
        ],
        group(&["signal_name"], 0, 16);
    CREATE_PENDING_WAITPOINT: 9 = "ff_create_pending_waitpoint", writes,
        handle!["waitpoint_id", "waitpoint_key", "expires_in_ms", "token"], NO_GROUP;
    REISSUE_WAITPOINT_TOKEN: 3 = "ff_reissue_waitpoint_token", writes,
        &["execution", "waitpoint_id", "token"], NO_GROUP;
    DELIVER_SIGNAL: 11 = "ff_deliver_signal", writes,
        &[
            "execution", "waitpoint_id", "signal_id", "token", "signal_name", "signal_category",
            "payload", "source_type", "source_identity", "correlation_id", "idempotency_key",
        ],
        NO_GROUP;

    APPEND_FRAME: 6 = "ff_append_frame", writes, handle!["sequence"],
        group(&["frame_type", "payload", "correlation_id"], 1, 256);
    READ_STREAM: 6 = "ff_read_stream", reads,
        &["execution", "attempt_index", "from", "after", "to", "count_limit"], NO_GROUP;

    CREATE_BUDGET: 1 = "ff_create_budget", writes, &["budget"],
        group(&["dimension", "soft", "hard"], 1, 32);
    DESCRIBE_BUDGET: 1 = "ff_describe_budget", reads, &["budget"], NO_GROUP;
    REPORT_USAGE_AND_CHECK: 5 = "ff_report_usage_and_check", writes,
        &["budget", "execution", "lease_epoch", "mutation_id", "dedup_key"],
        group(&["dimension", "amount"], 1, 32);

    DESCRIBE_EXECUTION: 1 = "ff_describe_execution", reads, &["execution"], NO_GROUP;
    LIST_TURNS: 1 = "ff_list_turns", reads, &["execution"], NO_GROUP;
    READ_RESULT: 1 = "ff_read_result", reads, &["execution"], NO_GROUP;
    LIST_EXECUTIONS: 5 = "ff_list_executions", reads,
        &["namespace", "lane", "state", "cursor", "limit"], NO_GROUP;
    LIST_LANES: 1 = "ff_list_lanes", reads, &["namespace"], NO_GROUP;
    WATCH_EXECUTION: 2 = "ff_watch_execution", writes, &["execution", "ttl_ms"], NO_GROUP;

    DESCRIBE: 0 = "ff_describe", reads, &[], NO_GROUP;
    PING: 0 = "ff_ping", reads, &[], NO_GROUP;
    CHECK_EXECUTIONS: 1 = "ff_check_executions", writes, &["fix"],
        group(&["execution"], 1, 1_000);
    CHECK_INDEXES: 3 = "ff_check_indexes", writes, &["cursor", "count", "fix"], NO_GROUP;
    PREPARE_STORE: 3 = "ff_prepare_store", writes, &["partitions", "kid", "secret"], NO_GROUP;
    ROTATE_KEYRING: 3 = "ff_rotate_keyring", writes, &["kid", "secret", "grace_ms"],
        group(&["revoke"], 0, 16);
    READ_KEYRING: 0 = "ff_read_keyring", reads, &[], NO_GROUP;
    CONFIGURE_LANE: 3 = "ff_configure_lane", writes, &["namespace", "lane", "defaults"], NO_GROUP;
    DESCRIBE_LANE: 2 = "ff_describe_lane", reads, &["namespace", "lane"], NO_GROUP;
    REGISTER_WORKER: 6 = "ff_register_worker", writes,
        &["namespace", "worker_id", "worker_instance_id", "capabilities", "lanes", "ttl_ms"],
        NO_GROUP;
    DEREGISTER_WORKER: 2 = "ff_deregister_worker", writes,
        &["namespace", "worker_instance_id"], NO_GROUP;
    LIST_WORKERS: 1 = "ff_list_workers", reads, &["namespace"], NO_GROUP;
}

/// The function of the test build alone that sets a server's clock.
pub const TEST_SET_CLOCK: Function<1> =
    Function { name: "ff_test_set_clock", arguments: &["now_ms"], group: NO_GROUP, reads: false };

#[cfg(test)]
mod tests {
    use super::*;
    use ff_core::limits;

    #[test]
    fn every_function_has_one_name_and_sound_groups() {
        let mut names: Vec<&str> = ALL.iter().map(|function| function.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        for function in ALL {
            assert!(function.name.starts_with("ff_"), "{}", function.name);
            let group = function.group;
            assert_eq!(group.arguments.is_empty(), group.max == 0, "{}", function.name);
            assert!(group.min <= group.max, "{}", function.name);
        }
    }

    #[test]
    fn groups_are_bounded_by_the_limits() {
        assert_eq!(SUBMIT_EXECUTIONS.group.max, limits::SUBMIT_CALL_ITEMS_MAX);
        assert_eq!(RENEW_LEASE.group.max, limits::RENEWALS_MAX);
        assert_eq!(COMPLETE_EXECUTIONS.group.max, limits::COMPLETIONS_MAX);
        assert_eq!(SUSPEND_EXECUTION.group.max, limits::MATCHERS_MAX);
        assert_eq!(APPEND_FRAME.group.max, limits::FRAMES_PER_APPEND_MAX);
        assert_eq!(CREATE_BUDGET.group.max, limits::BUDGET_DIMENSIONS_MAX);
        assert_eq!(REPORT_USAGE_AND_CHECK.group.max, limits::BUDGET_DIMENSIONS_MAX);
        assert_eq!(ROTATE_KEYRING.group.max, limits::KEYRING_KIDS_MAX);
    }
}

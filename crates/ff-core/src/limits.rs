//! Every bound of the engine, by name. A request past one of these is refused before any I/O.
//!
//! Sizes are bytes, spans are milliseconds.

/// Longest lane, namespace, worker, kind and other name.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest idempotency key.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 256;
/// Shortest and longest window in which an idempotency key answers the first id: up to 90 days.
pub const IDEMPOTENCY_WINDOW_MS_MAX: u64 = 90 * DAY_MS;
/// Window of an idempotency key when the caller names none: one day.
pub const IDEMPOTENCY_WINDOW_MS_DEFAULT: u64 = DAY_MS;

/// One day.
pub const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
/// Latest instant a caller may name (the year 5138), so that sums stay exact in a double.
pub const TIMESTAMP_MS_MAX: u64 = 100_000_000_000_000;

/// Largest input, result or signal-free payload: 1 MiB.
pub const PAYLOAD_BYTES_MAX: usize = 1024 * 1024;
/// Largest signal payload: 64 KiB.
pub const SIGNAL_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Largest frame payload: 64 KiB.
pub const FRAME_PAYLOAD_BYTES_MAX: usize = 64 * 1024;
/// Longest correlation id, source identity, signal category and similar free text.
pub const LABEL_BYTES_MAX: usize = 256;
/// Longest failure, cancel or release reason and progress message; longer ones are cut by the SDK.
pub const REASON_BYTES_MAX: usize = 1_024;

/// Most executions in one submission.
pub const SUBMIT_ITEMS_MAX: usize = 10_000;
/// Most executions that travel in one server call.
pub const SUBMIT_CALL_ITEMS_MAX: usize = 500;
/// Most bytes of input that travel in one server call, one execution aside.
pub const SUBMIT_CALL_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Most executions in one claim.
pub const CLAIM_COUNT_MAX: u32 = 256;
/// A claim stops picking once its reply holds this many bytes; the first pick always fits.
pub const CLAIM_REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Most lanes one claim may ask for.
pub const CLAIM_LANES_MAX: usize = 32;
/// Most overdue timers that one claim handles before it picks.
pub const CLAIM_TICK_MAX: u32 = 64;
/// Most timers one tick handles.
pub const TICK_LIMIT_MAX: u32 = 1_000;
/// Most distinct capability sets that the live executions of a lane can have in one partition.
pub const ROUTES_PER_LANE_MAX: usize = 256;
/// Most capability tokens that a worker or an execution may name.
pub const CAPABILITIES_MAX: usize = 32;
/// Most claim loops inside one worker instance.
pub const CLAIM_SLOT_MAX: u16 = 1_023;

/// Shortest lease.
pub const LEASE_TTL_MS_MIN: u64 = 1_000;
/// Longest lease.
pub const LEASE_TTL_MS_MAX: u64 = DAY_MS;
/// Lease when the worker names none.
pub const LEASE_TTL_MS_DEFAULT: u64 = 30_000;
/// Most leases renewed in one request.
pub const RENEWALS_MAX: usize = 1_000;
/// Most completions of one call.
pub const COMPLETIONS_MAX: usize = 256;
/// Most bytes of results of one call that completes several executions; one result always fits.
pub const COMPLETIONS_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest life of a grant.
pub const GRANT_TTL_MS_MAX: u64 = 60 * 60 * 1_000;
/// Longest silence after which a registered worker is forgotten.
pub const WORKER_TTL_MS_MAX: u64 = DAY_MS;

/// Largest priority; the smallest is its negative.
pub const PRIORITY_MAX: i32 = 1_000;
/// Head-start that one step of priority gives, when the lane sets none.
pub const HEAD_START_MS_DEFAULT: u64 = 1_000;
/// Largest head-start of one step of priority.
pub const HEAD_START_MS_MAX: u64 = DAY_MS;
/// Furthest a delay, deadline or timeout may reach: 10 years.
pub const SPAN_MS_MAX: u64 = 3_650 * DAY_MS;
/// Longest backoff between two attempts: 30 days.
pub const BACKOFF_MS_MAX: u64 = 30 * DAY_MS;
/// Largest growth of an exponential backoff from one retry to the next, in percent.
pub const BACKOFF_GROWTH_PCT_MAX: u32 = 10_000;
/// Most retries, reclaims and replays that a policy may allow.
pub const COUNT_CAP_MAX: u32 = 10_000;
/// Most error categories that a retry policy may name.
pub const CATEGORIES_MAX: usize = 32;
/// Most tags of one execution.
pub const TAGS_MAX: usize = 32;
/// Longest tag value.
pub const TAG_VALUE_BYTES_MAX: usize = 256;
/// Most budgets that an execution may name.
pub const EXECUTION_BUDGETS_MAX: usize = 8;
/// Longest grace between a cancel request and the end of the lease.
pub const CANCEL_GRACE_MS_MAX: u64 = DAY_MS;
/// Shortest retention of a finished execution: no call is repeated later than this.
pub const RETENTION_MS_MIN: u64 = 60_000;
/// Most calls of operators (cancels, replays) that a record remembers.
pub const MUTATIONS_KEPT_MAX: usize = 8;
/// Most ended turns that a record remembers, the last one included.
pub const TURNS_KEPT_MAX: usize = 32;

/// Most matchers of one suspension.
pub const MATCHERS_MAX: usize = 16;
/// Most open waitpoints of one execution.
pub const WAITPOINTS_OPEN_MAX: usize = 16;
/// Most closed waitpoints that a record remembers.
pub const WAITPOINTS_CLOSED_KEPT_MAX: usize = 16;
/// Most signals that a record remembers; the oldest that nothing waits for goes first.
pub const SIGNALS_PER_EXECUTION_MAX: usize = 1_000;
/// Longest idempotency key of a signal or of a usage report.
pub const DEDUP_KEY_BYTES_MAX: usize = 256;

/// Most frames in one append.
pub const FRAMES_PER_APPEND_MAX: usize = 256;
/// Most bytes of payload in one append.
pub const APPEND_BYTES_MAX: usize = 1024 * 1024;
/// Most attempts of one execution whose streams are kept; the oldest go first.
pub const STREAMS_KEPT_MAX: u32 = 8;
/// Most frames kept of one attempt; the oldest go first.
pub const FRAMES_PER_STREAM_MAX: usize = 10_000;
/// Most bytes of payload kept of one attempt; the oldest frames go first.
pub const STREAM_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Most frames one read may ask for.
pub const STREAM_READ_HARD_CAP: usize = 10_000;
/// A read stops once its reply holds this many bytes; the first frame always fits.
pub const READ_REPLY_BYTES_MAX: usize = 4 * 1024 * 1024;
/// Longest wait of one tail.
pub const MAX_TAIL_BLOCK_MS: u64 = 30_000;
/// Longest that an execution stays marked as watched.
pub const WATCH_TTL_MS_MAX: u64 = 60 * 60 * 1_000;

/// Most dimensions of one budget and of one usage report.
pub const BUDGET_DIMENSIONS_MAX: usize = 32;
/// Most dimensions that a budget counts, those without limits included.
pub const BUDGET_USAGE_DIMENSIONS_MAX: usize = 64;
/// Largest amount of usage, limit and sum: what a double holds exactly.
pub const USAGE_MAX: u64 = (1 << 53) - 1;
/// How long a budget remembers usage ids and epochs.
pub const USAGE_MEMORY_MS: u64 = 7 * DAY_MS;

/// Most rows of one listing.
pub const LIST_LIMIT_MAX: u32 = 1_000;
/// Most findings that `doctor` reports in full.
pub const DOCTOR_FINDINGS_MAX: usize = 100;
/// Shortest and longest secret of the keyring, in bytes.
pub const SECRET_BYTES_MIN: usize = 16;
/// Longest secret of the keyring, in bytes.
pub const SECRET_BYTES_MAX: usize = 256;
/// Most keys in the keyring.
pub const KEYRING_KIDS_MAX: usize = 16;
/// Longest that a process trusts its copy of the keyring.
pub const KEYRING_AGE_MAX_MS: u64 = 5_000;
/// Longest that a process trusts its copy of the lane defaults.
pub const LANE_DEFAULTS_AGE_MAX_MS: u64 = 5_000;
/// Most partitions.
pub const PARTITIONS_MAX: u16 = 1_024;
/// What a key that only frees memory outlives its value's own expiry by.
pub const EXPIRY_SLACK_MS: u64 = 60_000;

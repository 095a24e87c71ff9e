//! Suspend: stop for signals without holding a worker.

use crate::contracts::signal::ResumeSignal;
use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::handle::Handle;
use crate::ids::{ExecutionId, SuspensionId, WaitpointId};
use crate::limits::{MATCHERS_MAX, NAME_BYTES_MAX, SPAN_MS_MAX};
use crate::name::{WaitpointKey, check_label, check_snake_case};
use crate::policy::between;
use crate::state::TimeoutBehavior;
use crate::time::TimestampMs;
use crate::token::WaitpointToken;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What a suspension waits for: a signal of this name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConditionMatcher {
    /// The name of the signal; empty matches any.
    pub signal_name: String,
    /// The pending waitpoint to adopt. All matchers of a suspension name the same one, or none.
    pub waitpoint_key: Option<WaitpointKey>,
}

impl ConditionMatcher {
    /// Matches signals of this name.
    pub fn named(signal_name: impl Into<String>) -> Self {
        Self { signal_name: signal_name.into(), waitpoint_key: None }
    }

    /// Matches every signal.
    pub fn any() -> Self {
        Self::default()
    }
}

/// Releases the lease and waits for signals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuspendExecution {
    /// The claim.
    pub handle: Handle,
    /// This suspension.
    pub suspension_id: SuspensionId,
    /// The id of the waitpoint if a new one must be opened.
    pub waitpoint_id: WaitpointId,
    /// Why, lower_snake_case, at most 64 bytes.
    pub reason_code: String,
    /// All must be met, each by a signal of its own; none means one signal of any name. At most 16.
    pub matchers: Vec<ConditionMatcher>,
    /// How long to wait at most, from now.
    pub timeout_ms: Option<u64>,
    /// What happens then.
    pub timeout_behavior: TimeoutBehavior,
}

impl SuspendExecution {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        check_snake_case("reason code", &self.reason_code)?;
        between("matchers", self.matchers.len() as u64, 0, MATCHERS_MAX as u64)?;
        between("timeout_ms", self.timeout_ms.unwrap_or(1), 1, SPAN_MS_MAX)?;
        for matcher in &self.matchers {
            check_label("signal name", &matcher.signal_name, NAME_BYTES_MAX)?;
        }
        let mut keys = self.matchers.iter().map(|matcher| &matcher.waitpoint_key);
        let first = keys.next();
        if keys.all(|key| Some(key) == first) {
            return Ok(());
        }
        Err(EngineError::validation(
            ValidationKind::Argument,
            "all matchers of a suspension must name the same waitpoint key, or none",
        ))
    }

    /// Returns the key of the waitpoint that the matchers name.
    pub fn waitpoint_key(&self) -> Option<&WaitpointKey> {
        self.matchers.first().and_then(|matcher| matcher.waitpoint_key.as_ref())
    }
}

/// A suspension and the waitpoint that it waits on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// The suspension, as sent.
    pub suspension_id: SuspensionId,
    /// The waitpoint used: the caller's new one, or the adopted one.
    pub waitpoint_id: WaitpointId,
    /// Its key; a new waitpoint without one takes its id for a key.
    pub waitpoint_key: WaitpointKey,
    /// Its token, as first stored.
    pub waitpoint_token: WaitpointToken,
}

/// The outcome of a suspend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExecutionSuspended {
    /// The lease is released.
    Suspended(Suspension),
    /// Buffered signals met every matcher: the lease is kept, the work goes on.
    AlreadySatisfied {
        /// The suspension, closed already.
        suspension: Suspension,
        /// The signals that met the matchers.
        resume_signals: Vec<ResumeSignal>,
    },
}

/// Opens a waitpoint ahead of a suspension: signals sent to it are buffered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatePendingWaitpoint {
    /// The claim.
    pub handle: Handle,
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// Its key, unique among the open waitpoints of the execution.
    pub waitpoint_key: WaitpointKey,
    /// How long it takes signals unless a suspension adopts it, from now.
    pub expires_in_ms: u64,
}

impl CreatePendingWaitpoint {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        between("expires_in_ms", self.expires_in_ms, 1, SPAN_MS_MAX)
    }
}

/// A waitpoint was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingWaitpointCreated {
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// Its token, as first stored.
    pub waitpoint_token: WaitpointToken,
    /// When it stops taking signals unless adopted.
    pub expires_at: TimestampMs,
}

/// Signs an open waitpoint anew with the current key. A token signed by another key stops working;
/// while the key is the same, so is the token: rotate the keyring first to get a new one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReissueWaitpointToken {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
}

/// Opens waitpoints and suspends on them.
#[async_trait::async_trait]
pub trait SuspendBackend: Send + Sync + fmt::Debug {
    /// Suspends. A matcher's key adopts the pending waitpoint of that key, or opens it; without a
    /// key the attempt's single pending waitpoint is adopted, several are `WaitpointAmbiguous`,
    /// none opens a new one.
    async fn suspend_execution(
        &self,
        request: SuspendExecution,
    ) -> EngineResult<ExecutionSuspended>;

    /// Opens a pending waitpoint of the attempt. It closes when the attempt ends.
    async fn create_pending_waitpoint(
        &self,
        request: CreatePendingWaitpoint,
    ) -> EngineResult<PendingWaitpointCreated>;

    /// Signs an open waitpoint anew. For operators: whoever may call this may signal.
    async fn reissue_waitpoint_token(
        &self,
        request: ReissueWaitpointToken,
    ) -> EngineResult<WaitpointToken>;
}

//! Suspend: stop for signals without holding a worker.

use crate::error::SdkError;
use crate::resend::send;
use crate::task::ClaimedTask;
use ff_core::contracts::suspend::{
    ConditionMatcher, CreatePendingWaitpoint, ExecutionSuspended, SuspendExecution, Suspension,
};
use ff_core::ids::{SuspensionId, WaitpointId};
use ff_core::name::WaitpointKey;
use ff_core::state::TimeoutBehavior;
use ff_core::token::WaitpointToken;
use std::sync::PoisonError;

/// What a suspend led to.
#[derive(Debug)]
#[must_use = "an already satisfied suspension hands the task back"]
pub enum SuspendOutcome {
    /// The lease is released; whoever has the token can signal.
    Suspended(Suspension),
    /// Buffered signals met every matcher. The lease is kept: go on with the task, whose
    /// [`resume_signals`](ClaimedTask::resume_signals) are those signals.
    AlreadySatisfied {
        /// The task.
        task: Box<ClaimedTask>,
        /// The suspension, closed already.
        suspension: Suspension,
    },
}

impl ClaimedTask {
    /// Releases the lease and waits for signals. All matchers must be met, each by a signal of its
    /// own; none means one signal of any name. At most `timeout_ms` from now, then `behavior`
    /// decides.
    ///
    /// Matchers may name the key of a waitpoint. Without a key a single pending waitpoint of this
    /// attempt is adopted, several are `WaitpointAmbiguous`, and none opens a new one. Sent as an
    /// end is; see [`complete`](Self::complete).
    pub async fn suspend(
        self,
        reason_code: &str,
        matchers: &[ConditionMatcher],
        timeout_ms: Option<u64>,
        behavior: TimeoutBehavior,
    ) -> Result<SuspendOutcome, SdkError> {
        let request = self.suspension(reason_code, matchers, timeout_ms, behavior);
        let (task, outcome) = self.end_and_return(request).await?;
        task.note_suspension(&outcome);
        Ok(match outcome {
            ExecutionSuspended::Suspended(suspension) => SuspendOutcome::Suspended(suspension),
            ExecutionSuspended::AlreadySatisfied { suspension, .. } => {
                SuspendOutcome::AlreadySatisfied { task: Box::new(task), suspension }
            }
        })
    }

    /// Opens a waitpoint ahead of a suspension: signals sent to it are buffered. It takes them for
    /// `expires_in_ms` unless a suspension adopts it.
    pub async fn create_pending_waitpoint(
        &self,
        waitpoint_key: &str,
        expires_in_ms: u64,
    ) -> Result<(WaitpointId, WaitpointToken), SdkError> {
        let key = WaitpointKey::new(waitpoint_key).map_err(|error| {
            SdkError::config("create_pending_waitpoint", "waitpoint_key", error.to_string())
        })?;
        let request = CreatePendingWaitpoint {
            handle: self.handle().clone(),
            waitpoint_id: WaitpointId::generate(),
            waitpoint_key: key,
            expires_in_ms,
        };
        let create = || self.backend().create_pending_waitpoint(request.clone());
        let created = send(&**self.clock(), create).await?;
        Ok((created.waitpoint_id, created.waitpoint_token))
    }

    /// Builds the request. Its ids stay the same until an answer has landed, so that a suspend
    /// that is called again after [`SdkError::NotLanded`] is recognised as a repeat.
    pub(crate) fn suspension(
        &self,
        reason_code: &str,
        matchers: &[ConditionMatcher],
        timeout_ms: Option<u64>,
        timeout_behavior: TimeoutBehavior,
    ) -> SuspendExecution {
        let mut ids = self.suspend_ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (suspension_id, waitpoint_id) =
            *ids.get_or_insert_with(|| (SuspensionId::generate(), WaitpointId::generate()));
        SuspendExecution {
            handle: self.handle().clone(),
            suspension_id,
            waitpoint_id,
            reason_code: reason_code.to_owned(),
            matchers: matchers.to_vec(),
            timeout_ms,
            timeout_behavior,
        }
    }

    /// Takes an answer: the next suspension is another one, and its signals are the task's.
    pub(crate) fn note_suspension(&self, outcome: &ExecutionSuspended) {
        let mut ids = self.suspend_ids.lock().unwrap_or_else(PoisonError::into_inner);
        *ids = None;
        drop(ids);
        if let ExecutionSuspended::AlreadySatisfied { resume_signals, .. } = outcome {
            self.set_resume_signals(resume_signals.clone());
        }
    }
}

//! What a handler gets and what it answers.

use crate::error::SdkError;
use crate::task::ClaimedTask;
use ff_core::contracts::suspend::ConditionMatcher;
use ff_core::error::EngineError;
use ff_core::name::WaitpointKey;
use ff_core::state::TimeoutBehavior;
use ff_core::time::TimestampMs;
use std::any::Any;
use std::error::Error;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

/// The category of a handler's error that names none.
pub const HANDLER_ERROR_CATEGORY: &str = "handler_error";
/// The category of a handler's error that came from a store that was away.
pub const ENGINE_UNAVAILABLE_CATEGORY: &str = "engine_unavailable";
/// The category of an attempt whose handler panicked.
pub const PANIC_CATEGORY: &str = "panic";
/// The category of an attempt whose handler asked for an end that the engine refused.
pub const INVALID_END_CATEGORY: &str = "invalid_end";

/// The task as a handler sees it: every operation that does not end it. The end is what the
/// handler returns. Clones are cheap and share the task.
#[derive(Clone, Debug)]
pub struct TaskContext(Arc<ClaimedTask>);

impl TaskContext {
    pub(crate) fn new(task: ClaimedTask) -> Self {
        Self(Arc::new(task))
    }
}

impl Deref for TaskContext {
    type Target = ClaimedTask;

    fn deref(&self) -> &ClaimedTask {
        &self.0
    }
}

/// What a handler returns.
pub type TaskResult = Result<TaskEnd, TaskError>;

/// How the turn of a task ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TaskEnd {
    /// With success and this result.
    Complete(Option<Vec<u8>>),
    /// Cancelled, for this reason.
    Cancel(String),
    /// Put off until a time; the same attempt goes on then.
    Delay(TimestampMs),
    /// Handed back at once, for this reason; the same attempt goes on.
    Release(String),
    /// Waiting for the children; the same attempt goes on.
    WaitChildren,
    /// Suspended until signals come; the same attempt goes on. When buffered signals meet the
    /// matchers already, the handler is run again at once, with those as
    /// [`resume_signals`](ClaimedTask::resume_signals).
    Suspend {
        /// Why, lower_snake_case, at most 64 bytes.
        reason_code: String,
        /// All must be met; none means one signal of any name.
        matchers: Vec<ConditionMatcher>,
        /// How long to wait at most.
        timeout_ms: Option<u64>,
        /// What happens then.
        timeout_behavior: TimeoutBehavior,
    },
}

impl TaskEnd {
    /// Ends with success and without a result.
    pub const fn done() -> Self {
        Self::Complete(None)
    }

    /// Ends with success and a result.
    pub fn result(bytes: impl Into<Vec<u8>>) -> Self {
        Self::Complete(Some(bytes.into()))
    }

    /// Suspends until one signal of this name comes to a waitpoint, however long that takes.
    ///
    /// Open the waitpoint first, with
    /// [`create_pending_waitpoint`](ClaimedTask::create_pending_waitpoint), and hand its token to
    /// whoever may signal: a suspension that opens one itself tells its token to nobody.
    pub fn wait_for_signal(
        reason_code: &str,
        waitpoint_key: WaitpointKey,
        signal_name: &str,
    ) -> Self {
        let matcher = ConditionMatcher {
            signal_name: signal_name.to_owned(),
            waitpoint_key: Some(waitpoint_key),
        };
        Self::Suspend {
            reason_code: reason_code.to_owned(),
            matchers: vec![matcher],
            timeout_ms: None,
            timeout_behavior: TimeoutBehavior::Fail,
        }
    }
}

/// Why a handler failed. Any error turns into one with `?`, under the category
/// [`HANDLER_ERROR_CATEGORY`]; an engine error whose retry may help under
/// [`ENGINE_UNAVAILABLE_CATEGORY`].
///
/// As it takes every error in, it is no [`Error`] itself.
#[derive(Debug)]
pub struct TaskError {
    reason: String,
    category: String,
}

impl TaskError {
    /// Fails with a category, lower_snake_case, that the retry policy can tell apart.
    pub fn new(error_category: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { reason: reason.into(), category: error_category.into() }
    }

    /// Returns the reason.
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// Returns the category.
    pub fn category(&self) -> &str {
        &self.category
    }

    pub(crate) fn panic(payload: &(dyn Any + Send)) -> Self {
        let text = payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
            .unwrap_or("the handler panicked");
        Self::new(PANIC_CATEGORY, text)
    }
}

impl<E: Error + 'static> From<E> for TaskError {
    fn from(error: E) -> Self {
        let engine = (&error as &dyn Any)
            .downcast_ref::<SdkError>()
            .and_then(SdkError::engine_error)
            .or_else(|| (&error as &dyn Any).downcast_ref::<EngineError>());
        let category = match engine {
            Some(engine) if crate::resend::may_resend(engine) => ENGINE_UNAVAILABLE_CATEGORY,
            _ => HANDLER_ERROR_CATEGORY,
        };
        Self::new(category, Chain(&error).to_string())
    }
}

/// An error with its sources, those left out that repeat what was said.
struct Chain<'a>(&'a dyn Error);

impl fmt::Display for Chain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut said = self.0.to_string();
        f.write_str(&said)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            let text = error.to_string();
            if !said.ends_with(&text) {
                write!(f, ": {text}")?;
            }
            said = text;
            source = error.source();
        }
        Ok(())
    }
}

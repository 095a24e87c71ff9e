//! Ends of a task. Each is sent until its answer has landed.

use crate::error::SdkError;
use crate::resend::{may_resend, send_until};
use crate::task::ClaimedTask;
use crate::text::fit_reason;
use bytes::Bytes;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::suspend::{ExecutionSuspended, SuspendExecution};
use ff_core::contracts::terminal::*;
use ff_core::error::{EngineError, EngineResult};
use ff_core::time::TimestampMs;
use ff_core::time::boxed::BoxFuture;
use tracing::Instrument;

/// Why an end did not happen.
#[derive(Debug)]
pub(crate) enum NotEnded {
    /// The lease is gone: nothing is left to end.
    LeaseLost(EngineError),
    /// The engine changed nothing and the lease is still held.
    Refused(EngineError),
    /// No answer came until the lease had run out.
    NotLanded(EngineError),
}

impl NotEnded {
    fn with_task(self, task: ClaimedTask) -> SdkError {
        let task = Box::new(task);
        match self {
            Self::LeaseLost(error) => error.into(),
            Self::Refused(error) => SdkError::Refused { task, source: Box::new(error) },
            Self::NotLanded(error) => SdkError::NotLanded { task, source: Box::new(error) },
        }
    }
}

/// A request that may end a turn.
pub(crate) trait EndRequest: Clone + Send + Sync + 'static {
    type Outcome: Send + 'static;
    const OP: &'static str;

    /// Sends it, each time the same.
    fn send<'a>(
        &self,
        backend: &'a dyn EngineBackend,
    ) -> BoxFuture<'a, EngineResult<Self::Outcome>>;

    /// Tells whether the turn is over by this outcome.
    fn has_ended(_outcome: &Self::Outcome) -> bool {
        true
    }
}

macro_rules! end_requests {
    ($($request:ty => $method:ident -> $outcome:ty $(, ended when $ended:expr)?;)*) => {$(
        impl EndRequest for $request {
            type Outcome = $outcome;
            const OP: &'static str = stringify!($method);

            fn send<'a>(
                &self,
                backend: &'a dyn EngineBackend,
            ) -> BoxFuture<'a, EngineResult<Self::Outcome>> {
                backend.$method(self.clone())
            }

            $(fn has_ended(outcome: &Self::Outcome) -> bool {
                $ended(outcome)
            })?
        }
    )*};
}

end_requests! {
    CompleteExecution => complete_execution -> TurnEnded<()>;
    FailExecution => fail_execution -> TurnEnded<FailOutcome>;
    CancelExecution => cancel_execution -> ExecutionCancelled;
    DelayExecution => delay_execution -> ();
    ReleaseExecution => release_execution -> ();
    MoveToWaitingChildren => move_to_waiting_children -> ();
    SuspendExecution => suspend_execution -> ExecutionSuspended,
        ended when |outcome: &_| matches!(outcome, ExecutionSuspended::Suspended(_));
}

/// # Ends
///
/// A call whose answer does not come is made again, identically, in a tokio task of its own, so
/// dropping the future stops nothing. The lease is renewed until the answer has landed. Once the
/// lease has run out without one, the answer is [`SdkError::NotLanded`] with the task inside. A
/// refusal that leaves the lease alone is [`SdkError::Refused`], the task inside, too.
impl ClaimedTask {
    /// Ends the execution with success and keeps the result: at most 1 MiB, any bytes.
    pub async fn complete(self, result: Option<Vec<u8>>) -> Result<(), SdkError> {
        let Completion { handle, result } = self.completion(result);
        let request = CompleteExecution { handle, result, next: None };
        self.end_by(request).await.map(|ended| ended.outcome)
    }

    /// Fails the attempt. The category, any lower_snake_case word, decides with the retry policy
    /// whether there is another; a reason that is too long is cut.
    pub async fn fail(self, reason: &str, error_category: &str) -> Result<FailOutcome, SdkError> {
        let request = self.failure(reason, error_category);
        self.end_by(request).await.map(|ended| ended.outcome)
    }

    /// Ends the execution cancelled.
    pub async fn cancel(self, reason: &str) -> Result<(), SdkError> {
        let request = self.cancellation(reason);
        self.end_by(request).await.map(|_| ())
    }

    /// Puts the work off until a time and releases the lease. The same attempt goes on then; a
    /// time in the past means at once.
    pub async fn delay_execution(self, delay_until: TimestampMs) -> Result<(), SdkError> {
        let request = self.delay(delay_until);
        self.end_by(request).await
    }

    /// Hands unfinished work back: it is ready again at once, the same attempt goes on, nothing is
    /// counted.
    pub async fn release(self, reason: &str) -> Result<(), SdkError> {
        let request = self.hand_back(reason);
        self.end_by(request).await
    }

    /// Releases the lease until the children resolve. With none unresolved it is ready again at
    /// once.
    pub async fn move_to_waiting_children(self) -> Result<(), SdkError> {
        let request = self.wait_for_children();
        self.end_by(request).await
    }

    pub(crate) fn completion(&self, result: Option<Vec<u8>>) -> Completion {
        Completion { handle: self.handle().clone(), result: result.map(Bytes::from) }
    }

    pub(crate) fn failure(&self, reason: &str, error_category: &str) -> FailExecution {
        FailExecution {
            handle: self.handle().clone(),
            reason: fit_reason(reason),
            error_category: error_category.to_owned(),
            next: None,
        }
    }

    pub(crate) fn cancellation(&self, reason: &str) -> CancelExecution {
        CancelExecution {
            execution_id: self.execution_id(),
            by: CancelBy::LeaseHolder(self.handle().clone()),
            reason: fit_reason(reason),
        }
    }

    pub(crate) fn delay(&self, delay_until: TimestampMs) -> DelayExecution {
        DelayExecution { handle: self.handle().clone(), delay_until }
    }

    pub(crate) fn hand_back(&self, reason: &str) -> ReleaseExecution {
        ReleaseExecution { handle: self.handle().clone(), reason: fit_reason(reason) }
    }

    pub(crate) fn wait_for_children(&self) -> MoveToWaitingChildren {
        MoveToWaitingChildren { handle: self.handle().clone() }
    }

    async fn end_by<R: EndRequest>(self, request: R) -> Result<R::Outcome, SdkError> {
        let (_, outcome) = self.end_and_return(request).await?;
        Ok(outcome)
    }

    /// Ends the task in a tokio task of its own and gives it back with the outcome.
    pub(crate) async fn end_and_return<R: EndRequest>(
        self,
        request: R,
    ) -> Result<(Self, R::Outcome), SdkError> {
        let ending = async move {
            match self.land(&request).await {
                Ok(outcome) => Ok((self, outcome)),
                Err(not_ended) => Err(not_ended.with_task(self)),
            }
        };
        let ended = tokio::spawn(ending.in_current_span()).await;
        ended.unwrap_or(Err(SdkError::Stopped { op: R::OP }))
    }

    /// Sends the request until its answer has landed or the lease has run out.
    pub(crate) async fn land<R: EndRequest>(&self, request: &R) -> Result<R::Outcome, NotEnded> {
        // An end that is sent late in a lease has a fair time to be answered, too.
        let fair = self.clock().now().plus_ms(self.lease().interval_ms());
        let until = || self.lease().until().max(fair);
        let send = || request.send(&**self.backend());
        self.judge(send_until(&**self.clock(), R::OP, until, send).await, R::has_ended)
    }

    /// Says what an answer means for the task, and marks it as over when it is.
    pub(crate) fn judge<T>(
        &self,
        answer: EngineResult<T>,
        has_ended: impl FnOnce(&T) -> bool,
    ) -> Result<T, NotEnded> {
        match answer {
            Ok(outcome) => {
                if has_ended(&outcome) {
                    self.set_ended();
                }
                Ok(outcome)
            }
            Err(error) if error.is_lease_lost() => {
                self.lease().lose();
                self.set_ended();
                Err(NotEnded::LeaseLost(error))
            }
            Err(error) if may_resend(&error) => Err(NotEnded::NotLanded(error)),
            Err(error) => Err(NotEnded::Refused(error)),
        }
    }
}

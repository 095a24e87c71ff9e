//! Sending the identical request again after an answer that never came.
//!
//! Every mutating request carries the ids that make it unique, so a repeat is the same operation.

use ff_core::error::{EngineError, EngineResult, ErrorClass};
use ff_core::time::{Clock, TimestampMs};
use std::future::Future;

/// How often an operation that does not end a turn is sent before its error is returned.
pub(crate) const SENDS_MAX: u32 = 5;
/// First wait before a request is sent again; it doubles.
const WAIT_MS_MIN: u64 = 20;
/// Longest wait before a request is sent again.
const WAIT_MS_MAX: u64 = 1_000;

/// The waits between sends.
#[derive(Debug)]
pub(crate) struct Backoff {
    wait_ms: u64,
}

impl Backoff {
    pub(crate) fn new() -> Self {
        Self { wait_ms: WAIT_MS_MIN }
    }

    /// Tells whether the next wait would end at this time or later.
    pub(crate) fn reaches(&self, clock: &dyn Clock, at: TimestampMs) -> bool {
        clock.now().plus_ms(self.wait_ms) >= at
    }

    /// Waits, each time longer, at most until `latest`.
    pub(crate) async fn wait(&mut self, clock: &dyn Clock, latest: Option<TimestampMs>) {
        let at = clock.now().plus_ms(self.wait_ms);
        self.wait_ms = (self.wait_ms * 2).min(WAIT_MS_MAX);
        clock.sleep_until(latest.map_or(at, |latest| at.min(latest))).await;
    }
}

/// Tells whether the identical request may be answered later.
pub(crate) fn may_resend(error: &EngineError) -> bool {
    error.class() == ErrorClass::Retryable
}

/// Tells whether nobody knows if the operation happened.
pub(crate) fn is_in_doubt(error: &EngineError) -> bool {
    matches!(error, EngineError::Transport { .. })
}

/// The error of a call that was given up by the clock.
pub(crate) fn no_answer(op: &'static str, waited_until: TimestampMs) -> EngineError {
    EngineError::Transport {
        backend: "the store",
        source: format!("no answer to {op} until {waited_until}").into(),
    }
}

/// The same, with what the send before had met: it tells what is wrong with the store.
fn silence(op: &'static str, until: TimestampMs, reason: Option<&EngineError>) -> EngineError {
    let Some(reason) = reason else { return no_answer(op, until) };
    let source = format!("no answer to {op} until {until}; before that {reason}").into();
    EngineError::Transport { backend: "the store", source }
}

/// Tells whether the store could not take the operation for now.
pub(crate) fn is_unavailable(error: &EngineError) -> bool {
    matches!(error, EngineError::Unavailable { .. })
}

/// Sends up to [`SENDS_MAX`] times while answers fail to come or the store cannot answer. Once one
/// send was in doubt, only an answer of the rules says what happened: a store that is full or
/// loading by then says nothing about the send before.
pub(crate) async fn send<T, F>(clock: &dyn Clock, call: impl Fn() -> F) -> EngineResult<T>
where
    F: Future<Output = EngineResult<T>>,
{
    let mut backoff = Backoff::new();
    let mut doubt = None;
    for _ in 1..SENDS_MAX {
        match call().await {
            Err(error) if is_in_doubt(&error) => doubt = Some(error),
            Err(error) if is_unavailable(&error) => {}
            answer => return answer,
        }
        tracing::debug!("sending the identical request again");
        backoff.wait(clock, None).await;
    }
    match (call().await, doubt) {
        (Err(error), Some(doubt)) if is_unavailable(&error) => Err(doubt),
        (answer, _) => answer,
    }
}

/// Sends until an answer comes or the time is over. A call that hangs is given up then, too. At
/// least one call is made.
pub(crate) async fn send_until<T, F>(
    clock: &dyn Clock,
    op: &'static str,
    until: impl Fn() -> TimestampMs,
    call: impl Fn() -> F,
) -> EngineResult<T>
where
    F: Future<Output = EngineResult<T>>,
{
    let mut backoff = Backoff::new();
    let mut reason = None;
    loop {
        let answer = tokio::select! {
            biased;
            answer = call() => answer,
            at = passed(clock, &until) => Err(silence(op, at, reason.as_ref())),
        };
        match answer {
            Err(error) if may_resend(&error) => {
                let latest = until();
                if clock.now() >= latest {
                    return Err(error);
                }
                tracing::debug!(%error, op, "sending the identical request again");
                backoff.wait(clock, Some(latest)).await;
                reason = Some(error);
            }
            answer => return answer,
        }
    }
}

/// Resolves once a time that may move later has passed.
async fn passed(clock: &dyn Clock, until: impl Fn() -> TimestampMs) -> TimestampMs {
    loop {
        let at = until();
        clock.sleep_until(at).await;
        if until() <= clock.now() {
            return at;
        }
    }
}

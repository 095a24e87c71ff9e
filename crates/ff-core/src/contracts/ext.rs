//! What every backend gets for free.

use crate::contracts::notice::{Notice, WatchExecution};
use crate::contracts::stream::{ReadStream, StreamCursor, StreamFrames};
use crate::contracts::submit::{ExecutionSubmitted, SubmitExecution, SubmitExecutions};
use crate::contracts::{EngineBackend, StreamBackend};
use crate::error::{BugKind, EngineResult};
use crate::ids::{AttemptIndex, ExecutionId};
use crate::limits::{MAX_TAIL_BLOCK_MS, WATCH_TTL_MS_MAX};
use crate::policy::at_most;
use crate::time::boxed::BoxFuture;
use std::future::poll_fn;
use std::task::Poll;

/// Conveniences over the capabilities.
#[async_trait::async_trait]
pub trait EngineBackendExt: EngineBackend {
    /// Submits one execution.
    async fn submit_execution(&self, item: SubmitExecution) -> EngineResult<ExecutionSubmitted> {
        let mut results = self.submit_executions(SubmitExecutions { items: vec![item] }).await?;
        results.pop().unwrap_or_else(|| {
            Err(BugKind::Invariant("a submission of one item had no outcome".into()).into())
        })
    }
}

impl<T: EngineBackend + ?Sized> EngineBackendExt for T {}

/// Waits for frames of an attempt that lie after a concrete cursor: notices and plain reads, no
/// connection of its own. Returns as soon as there is one, once the stream is closed, or when
/// `block_ms` (at most 30 000; 0 looks once) have passed, then empty.
pub async fn tail_stream(
    backend: &dyn StreamBackend,
    execution_id: ExecutionId,
    attempt_index: AttemptIndex,
    after: StreamCursor,
    block_ms: u64,
    count_limit: usize,
) -> EngineResult<StreamFrames> {
    at_most("block_ms", block_ms, MAX_TAIL_BLOCK_MS)?;
    let request = ReadStream {
        execution_id,
        attempt_index,
        from: StreamCursor::At(after.concrete()?),
        after: true,
        to: StreamCursor::End,
        count_limit,
    };
    request.check()?;
    if block_ms == 0 {
        return backend.read_stream(request).await;
    }
    let clock = backend.clock();
    let until = clock.now().plus_ms(block_ms);
    let mut notices = backend.subscribe(vec![execution_id.partition()]).await?;
    let ttl_ms = block_ms.saturating_mul(2).min(WATCH_TTL_MS_MAX);
    backend.watch_execution(WatchExecution { execution_id, ttl_ms }).await?;
    let mut timeout = clock.sleep_until(until);
    loop {
        let frames = backend.read_stream(request.clone()).await?;
        if !frames.frames.is_empty() || frames.closed_at.is_some() {
            return Ok(frames);
        }
        loop {
            match first(notices.receive(), &mut timeout).await {
                None => return backend.read_stream(request).await,
                Some(Notice::Frame(id) | Notice::Done(id)) if id == execution_id => break,
                Some(Notice::Lagged | Notice::Due { .. }) => break,
                Some(_) => {}
            }
        }
    }
}

/// Resolves with the notice, or with `None` once the timeout is over.
async fn first(
    mut notice: BoxFuture<'_, Notice>,
    timeout: &mut BoxFuture<'_, ()>,
) -> Option<Notice> {
    poll_fn(|cx| {
        if let Poll::Ready(notice) = notice.as_mut().poll(cx) {
            return Poll::Ready(Some(notice));
        }
        timeout.as_mut().poll(cx).map(|()| None)
    })
    .await
}

//! Notices and the clock.

use crate::EmbeddedBackend;
use crate::store::Store;
use ff_core::contracts::NoticeBackend;
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::notice::{Notice, NoticeReceiver, WatchExecution};
use ff_core::partition::Partition;
use ff_core::{Clock, EngineResult};
use ff_lifecycle::{Execution, Phase};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// What of a record is told to those who wait for it to change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outward {
    attempts: u32,
    frames: u64,
    progress: Option<(u8, Option<String>)>,
    cancel: Option<CancelRequested>,
    is_over: bool,
}

impl Outward {
    pub(crate) fn of(execution: &Execution) -> Self {
        Self {
            attempts: execution.attempts,
            frames: execution.frames.count,
            progress: execution.progress.clone(),
            cancel: execution.cancel.clone(),
            is_over: !execution.is_live(),
        }
    }

    /// Lists the notices of the change from this to `after`.
    pub(crate) fn changes(&self, after: &Execution) -> Vec<Notice> {
        let (id, mut notices) = (after.id(), Vec::new());
        let active = matches!(after.phase, Phase::Active(_));
        if active && after.cancel.is_some() && self.cancel != after.cancel {
            notices.push(Notice::Cancel(id));
        }
        if !after.is_watched(after.updated_at) {
            return notices;
        }
        let moved = self.attempts != after.attempts || self.frames != after.frames.count;
        if moved || self.progress != after.progress {
            notices.push(Notice::Frame(id));
        }
        if !after.is_live() && !self.is_over {
            notices.push(Notice::Done(id));
        }
        notices
    }
}

#[derive(Debug)]
struct Subscription {
    partitions: Vec<Partition>,
    notices: Receiver<Notice>,
}

impl Subscription {
    fn concerns(&self, notice: Notice) -> bool {
        match notice {
            Notice::Ready(partition) | Notice::Due { partition, .. } => {
                self.partitions.contains(&partition)
            }
            Notice::Done(id) | Notice::Frame(id) | Notice::Cancel(id) => {
                self.partitions.contains(&id.partition())
            }
            Notice::Lagged => true,
        }
    }
}

#[async_trait::async_trait]
impl NoticeReceiver for Subscription {
    async fn receive(&mut self) -> Notice {
        loop {
            match self.notices.recv().await {
                Ok(notice) if self.concerns(notice) => return notice,
                Ok(_) => {}
                Err(RecvError::Lagged(_)) => return Notice::Lagged,
                Err(RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

#[async_trait::async_trait]
impl<S: Store> NoticeBackend for EmbeddedBackend<S> {
    fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(self.store.clock())
    }

    async fn subscribe(&self, partitions: Vec<Partition>) -> EngineResult<Box<dyn NoticeReceiver>> {
        let notices = self.store.notices().subscribe();
        Ok(Box::new(Subscription { partitions, notices }))
    }

    async fn watch_execution(&self, request: WatchExecution) -> EngineResult<()> {
        request.check()?;
        self.change("watch_execution", request.execution_id, move |execution, now| {
            ff_lifecycle::lease::watch(execution, &request, now)
        })
        .await
    }
}

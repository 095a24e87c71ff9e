//! Notices and the clock.

use crate::EmbeddedBackend;
use crate::store::Store;
use ff_core::contracts::NoticeBackend;
use ff_core::contracts::notice::{Notice, NoticeReceiver, WatchExecution};
use ff_core::partition::Partition;
use ff_core::{Clock, EngineResult};
use ff_lifecycle::{Execution, Phase};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

/// Lists what those who wait for a record to change are told of a change.
pub(crate) fn changes(before: &Execution, after: &Execution) -> Vec<Notice> {
    let (id, mut notices) = (after.id(), Vec::new());
    let active = matches!(after.phase, Phase::Active(_));
    if active && after.cancel.is_some() && before.cancel != after.cancel {
        notices.push(Notice::Cancel(id));
    }
    if !after.is_watched(after.updated_at) {
        return notices;
    }
    let moved = before.attempts != after.attempts || before.frames.count != after.frames.count;
    if moved || before.progress != after.progress {
        notices.push(Notice::Frame(id));
    }
    if !after.is_live() && before.is_live() {
        notices.push(Notice::Done(id));
    }
    notices
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

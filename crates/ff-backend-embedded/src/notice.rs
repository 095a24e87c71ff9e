//! Notices and the clock.

use crate::MemoryBackend;
use ff_core::contracts::NoticeBackend;
use ff_core::contracts::notice::{Notice, NoticeReceiver, WatchExecution};
use ff_core::partition::Partition;
use ff_core::{Clock, EngineResult};
use std::sync::Arc;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

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
impl NoticeBackend for MemoryBackend {
    fn clock(&self) -> Arc<dyn Clock> {
        self.shared_clock()
    }

    async fn subscribe(&self, partitions: Vec<Partition>) -> EngineResult<Box<dyn NoticeReceiver>> {
        Ok(Box::new(Subscription { partitions, notices: self.listen() }))
    }

    async fn watch_execution(&self, request: WatchExecution) -> EngineResult<()> {
        request.check()?;
        self.change(request.execution_id, |execution, now| {
            ff_lifecycle::lease::watch(execution, &request, now)
        })
    }
}

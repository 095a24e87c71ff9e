//! Suspend: stop for signals without holding a worker.

use crate::MemoryBackend;
use ff_core::contracts::SuspendBackend;
use ff_core::contracts::suspend::*;
use ff_core::token::WaitpointToken;
use ff_core::{EngineResult, ExecutionId, WaitpointId};

impl MemoryBackend {
    fn mint(&self, execution_id: ExecutionId, waitpoint_id: WaitpointId) -> WaitpointToken {
        self.lock().keyring.mint(execution_id, waitpoint_id)
    }
}

#[async_trait::async_trait]
impl SuspendBackend for MemoryBackend {
    async fn suspend_execution(
        &self,
        request: SuspendExecution,
    ) -> EngineResult<ExecutionSuspended> {
        request.check()?;
        let id = request.handle.execution_id();
        let token = self.mint(id, request.waitpoint_id);
        self.change(id, |execution, now| {
            ff_lifecycle::suspend::suspend(execution, &request, &token, now)
        })
    }

    async fn create_pending_waitpoint(
        &self,
        request: CreatePendingWaitpoint,
    ) -> EngineResult<PendingWaitpointCreated> {
        request.check()?;
        let id = request.handle.execution_id();
        let token = self.mint(id, request.waitpoint_id);
        self.change(id, |execution, now| {
            ff_lifecycle::suspend::create_pending_waitpoint(execution, &request, &token, now)
        })
    }

    async fn reissue_waitpoint_token(
        &self,
        request: ReissueWaitpointToken,
    ) -> EngineResult<WaitpointToken> {
        let token = self.mint(request.execution_id, request.waitpoint_id);
        self.change(request.execution_id, |execution, now| {
            ff_lifecycle::suspend::reissue_waitpoint_token(execution, &request, &token, now)
        })
    }
}

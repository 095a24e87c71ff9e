//! Suspend: stop for signals without holding a worker.

use crate::EmbeddedBackend;
use crate::backend::change_in;
use crate::store::{Room, Store};
use ff_core::contracts::SuspendBackend;
use ff_core::contracts::suspend::*;
use ff_core::token::WaitpointToken;
use ff_core::{EngineResult, ExecutionId, TimestampMs, WaitpointId};
use ff_lifecycle::{Decision, Execution, suspend};

impl<S: Store> EmbeddedBackend<S> {
    /// Runs a rule that needs the token of a waitpoint.
    async fn signed<T: Send + 'static>(
        &self,
        operation: &'static str,
        id: ExecutionId,
        waitpoint_id: WaitpointId,
        rule: impl Fn(&Execution, &WaitpointToken, TimestampMs) -> EngineResult<Decision<T>>
        + Send
        + 'static,
    ) -> EngineResult<T> {
        let change = move |room: &mut S::Room, now| {
            let token = room.keyring().mint(id, waitpoint_id);
            change_in(room.partition(id.partition())?, id, now, |execution, now| {
                rule(execution, &token, now)
            })
        };
        self.store.write(operation, change).await
    }
}

#[async_trait::async_trait]
impl<S: Store> SuspendBackend for EmbeddedBackend<S> {
    async fn suspend_execution(
        &self,
        request: SuspendExecution,
    ) -> EngineResult<ExecutionSuspended> {
        request.check()?;
        self.store.works("suspend_execution")?;
        let (id, waitpoint_id) = (request.handle.execution_id(), request.waitpoint_id);
        self.signed("suspend_execution", id, waitpoint_id, move |execution, token, now| {
            suspend::suspend(execution, &request, token, now)
        })
        .await
    }

    async fn create_pending_waitpoint(
        &self,
        request: CreatePendingWaitpoint,
    ) -> EngineResult<PendingWaitpointCreated> {
        request.check()?;
        self.store.works("create_pending_waitpoint")?;
        let (id, waitpoint_id) = (request.handle.execution_id(), request.waitpoint_id);
        self.signed("create_pending_waitpoint", id, waitpoint_id, move |execution, token, now| {
            suspend::create_pending_waitpoint(execution, &request, token, now)
        })
        .await
    }

    async fn reissue_waitpoint_token(
        &self,
        request: ReissueWaitpointToken,
    ) -> EngineResult<WaitpointToken> {
        let (id, waitpoint_id) = (request.execution_id, request.waitpoint_id);
        self.signed("reissue_waitpoint_token", id, waitpoint_id, move |execution, token, now| {
            suspend::reissue_waitpoint_token(execution, &request, token, now)
        })
        .await
    }
}

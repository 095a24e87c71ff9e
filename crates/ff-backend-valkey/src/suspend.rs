//! Suspend: waitpoints, whose tokens are signed here.

use crate::args::{execution, optional, text, with_handle};
use crate::backend::ValkeyBackend;
use crate::decode::resume_signal;
use bytes::Bytes;
use ff_core::contracts::SuspendBackend;
use ff_core::contracts::suspend::*;
use ff_core::error::EngineResult;
use ff_core::keys::partition_base;
use ff_core::token::WaitpointToken;
use ff_script::functions::{CREATE_PENDING_WAITPOINT, REISSUE_WAITPOINT_TOKEN, SUSPEND_EXECUTION};
use ff_script::{Fields, Subject, Value};

/// Reads a token; an empty one is no token.
fn token(fields: &mut Fields) -> EngineResult<WaitpointToken> {
    match fields.optional_text("waitpoint_token")? {
        Some(text) => Ok(WaitpointToken::from_text(text)),
        None => Err(fields.bad("waitpoint_token", "a token", &Value::text(""))),
    }
}

#[async_trait::async_trait]
impl SuspendBackend for ValkeyBackend {
    async fn suspend_execution(
        &self,
        request: SuspendExecution,
    ) -> EngineResult<ExecutionSuspended> {
        request.check()?;
        let execution_id = request.handle.execution_id();
        let minted = self.mint(execution_id, request.waitpoint_id).await?;
        let rest = [
            text(request.suspension_id),
            text(request.waitpoint_id),
            text(minted.expose()),
            text(&request.reason_code),
            optional(request.timeout_ms),
            text(request.timeout_behavior),
            optional(request.waitpoint_key()),
        ];
        let arguments = with_handle(&request.handle, rest);
        let names: Vec<Bytes> = request.matchers.iter().map(|m| text(&m.signal_name)).collect();
        let base = partition_base(execution_id.partition());
        let subject = Subject::execution(execution_id);
        let reply =
            self.caller.call(&SUSPEND_EXECUTION, &base, arguments, &names, &subject).await?;
        let (status, mut fields) = reply.one_of(&["OK", "ALREADY_SATISFIED"])?;
        let suspension = Suspension {
            suspension_id: fields.parsed("suspension_id", "a suspension id")?,
            waitpoint_id: fields.parsed("waitpoint_id", "a waitpoint id")?,
            waitpoint_key: fields.parsed("waitpoint_key", "a waitpoint key")?,
            waitpoint_token: token(&mut fields)?,
        };
        if status == "OK" {
            return Ok(ExecutionSuspended::Suspended(suspension));
        }
        let resume_signals = fields.list("resume_signals", resume_signal)?;
        Ok(ExecutionSuspended::AlreadySatisfied { suspension, resume_signals })
    }

    async fn create_pending_waitpoint(
        &self,
        request: CreatePendingWaitpoint,
    ) -> EngineResult<PendingWaitpointCreated> {
        request.check()?;
        let execution_id = request.handle.execution_id();
        let minted = self.mint(execution_id, request.waitpoint_id).await?;
        let rest = [
            text(request.waitpoint_id),
            text(&request.waitpoint_key),
            text(request.expires_in_ms),
            text(minted.expose()),
        ];
        let arguments = with_handle(&request.handle, rest);
        let mut fields =
            self.on_execution(&CREATE_PENDING_WAITPOINT, execution_id, arguments).await?;
        Ok(PendingWaitpointCreated {
            waitpoint_id: fields.parsed("waitpoint_id", "a waitpoint id")?,
            waitpoint_token: token(&mut fields)?,
            expires_at: fields.time("expires_at")?,
        })
    }

    async fn reissue_waitpoint_token(
        &self,
        request: ReissueWaitpointToken,
    ) -> EngineResult<WaitpointToken> {
        let execution_id = request.execution_id;
        // An operator who has just rotated the keyring elsewhere wants the new key.
        self.meta.forget_keyring();
        let minted = self.mint(execution_id, request.waitpoint_id).await?;
        let arguments =
            [execution(execution_id), text(request.waitpoint_id), text(minted.expose())];
        let mut fields =
            self.on_execution(&REISSUE_WAITPOINT_TOKEN, execution_id, arguments).await?;
        token(&mut fields)
    }
}

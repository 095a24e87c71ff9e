//! Signal: tell a waiting execution to go on.

use crate::MemoryBackend;
use ff_core::EngineResult;
use ff_core::contracts::SignalBackend;
use ff_core::contracts::signal::{DeliverSignal, SignalOutcome};
use ff_core::error::StateKind;
use ff_core::token::TokenFault;
use ff_lifecycle::suspend::invalid_token;

#[async_trait::async_trait]
impl SignalBackend for MemoryBackend {
    async fn deliver_signal(&self, request: DeliverSignal) -> EngineResult<SignalOutcome> {
        request.check()?;
        let execution_id = request.execution_id;
        let token = &request.signal.waitpoint_token;
        let now = self.now();
        let verdict = self.lock().keyring.verify(token, execution_id, request.waitpoint_id, now);
        match verdict {
            Ok(()) => {}
            Err(TokenFault::KeyExpired) => {
                return Err(StateKind::TokenExpired { execution_id }.into());
            }
            Err(TokenFault::Invalid | TokenFault::UnknownKey) => {
                return Err(invalid_token(execution_id));
            }
        }
        self.change(execution_id, |execution, now| {
            ff_lifecycle::signal::deliver(execution, &request, now)
        })
    }
}

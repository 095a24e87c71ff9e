//! Signal: tell a waiting execution to go on.

use crate::EmbeddedBackend;
use crate::backend::change_in;
use crate::store::{Room, Store};
use ff_core::EngineResult;
use ff_core::contracts::SignalBackend;
use ff_core::contracts::signal::{DeliverSignal, SignalOutcome};
use ff_core::error::StateKind;
use ff_core::token::TokenFault;
use ff_lifecycle::suspend::invalid_token;

#[async_trait::async_trait]
impl<S: Store> SignalBackend for EmbeddedBackend<S> {
    async fn deliver_signal(&self, request: DeliverSignal) -> EngineResult<SignalOutcome> {
        request.check()?;
        let deliver = move |room: &mut S::Room, now| {
            let (execution_id, waitpoint_id) = (request.execution_id, request.waitpoint_id);
            let token = &request.signal.waitpoint_token;
            match room.keyring().verify(token, execution_id, waitpoint_id, now) {
                Ok(()) => {}
                Err(TokenFault::KeyExpired) => {
                    return Err(StateKind::TokenExpired { execution_id }.into());
                }
                Err(TokenFault::Invalid | TokenFault::UnknownKey) => {
                    return Err(invalid_token(execution_id));
                }
            }
            let partition = room.partition(execution_id.partition())?;
            change_in(partition, execution_id, now, |execution, now| {
                ff_lifecycle::signal::deliver(execution, &request, now)
            })
        };
        self.store.write("deliver_signal", deliver).await
    }
}

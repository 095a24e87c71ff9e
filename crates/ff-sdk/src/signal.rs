//! Signal: tell a waiting execution to go on.

use crate::error::SdkError;
use crate::resend::send;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::signal::{DeliverSignal, Signal, SignalOutcome};
use ff_core::ids::{ExecutionId, SignalId, WaitpointId};

/// Delivers a signal under an id of its own, again while no answer comes.
pub(crate) async fn deliver(
    backend: &dyn EngineBackend,
    execution_id: &ExecutionId,
    waitpoint_id: &WaitpointId,
    signal: Signal,
) -> Result<SignalOutcome, SdkError> {
    let request = DeliverSignal {
        execution_id: *execution_id,
        waitpoint_id: *waitpoint_id,
        signal_id: SignalId::generate(),
        signal,
    };
    let deliver = || backend.deliver_signal(request.clone());
    Ok(send(&*backend.clock(), deliver).await?)
}

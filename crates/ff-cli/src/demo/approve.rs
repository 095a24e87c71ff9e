//! What it takes to approve the summary, from wherever the store is reached.

use flowfabric::ff_core::contracts::signal::SignalOutcome;
use flowfabric::ff_core::ids::{ExecutionId, WaitpointId};
use flowfabric::ff_core::token::WaitpointToken;
use flowfabric::{FlowFabricClient, SdkError};

use crate::invocation::{program, quote};
use crate::signal::approval;
use crate::store::Place;

/// What is needed to approve.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    pub(super) execution_id: ExecutionId,
    pub(super) waitpoint_id: WaitpointId,
    pub(super) token: WaitpointToken,
}

impl Approval {
    /// Returns the whole command that approves.
    pub(super) fn command(&self, place: &Place) -> String {
        format!(
            "{} approve {} {} {} {}",
            program(),
            place.option(),
            quote(&self.execution_id.to_string()),
            self.waitpoint_id,
            quote(self.token.expose())
        )
    }

    /// Sends the signal.
    pub(super) async fn deliver(
        &self,
        client: &FlowFabricClient,
        by: &str,
    ) -> Result<SignalOutcome, SdkError> {
        let signal = approval(by, self.token.clone());
        client.signal(&self.execution_id, &self.waitpoint_id, signal).await
    }
}

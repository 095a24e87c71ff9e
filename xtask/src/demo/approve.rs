//! Approving the summary: a signed signal to its waitpoint, from wherever the store is reached.

use std::env;

use flowfabric::ff_core::contracts::signal::{Signal, SignalOutcome};
use flowfabric::ff_core::error::{EngineError, ValidationKind};
use flowfabric::ff_core::ids::{ExecutionId, WaitpointId};
use flowfabric::ff_core::token::WaitpointToken;
use flowfabric::{FlowFabricClient, SdkError};

use super::connect;
use crate::error::XtaskError;

/// The signal that the summary waits for.
pub(super) const SIGNAL: &str = "approve";

/// Approves the summary of a demo that runs.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Where the store is: the demo says it.
    #[arg(long)]
    url: String,
    /// Who approves; the name of the user by default.
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
    /// The execution that waits.
    execution_id: ExecutionId,
    /// The waitpoint that it waits on.
    waitpoint_id: WaitpointId,
    /// The right to signal there.
    token: String,
}

/// What is needed to approve.
#[derive(Clone, Debug)]
pub(super) struct Approval {
    pub(super) execution_id: ExecutionId,
    pub(super) waitpoint_id: WaitpointId,
    pub(super) token: WaitpointToken,
}

impl Approval {
    /// Returns the whole command that approves.
    pub(super) fn command(&self, url: &str) -> String {
        format!(
            "cargo xtask demo approve --url '{url}' '{}' {} {}",
            self.execution_id,
            self.waitpoint_id,
            self.token.expose()
        )
    }

    /// Sends the signal.
    pub(super) async fn deliver(
        &self,
        client: &FlowFabricClient,
        by: &str,
    ) -> Result<SignalOutcome, SdkError> {
        let signal = Signal {
            signal_name: SIGNAL.to_owned(),
            signal_category: "approval".to_owned(),
            payload: None,
            source_type: "person".to_owned(),
            source_identity: by.to_owned(),
            correlation_id: None,
            idempotency_key: Some(SIGNAL.to_owned()),
            waitpoint_token: self.token.clone(),
        };
        client.signal(&self.execution_id, &self.waitpoint_id, signal).await
    }
}

/// Delivers the signal that the arguments name.
pub(super) async fn run(arguments: Arguments) -> Result<(), XtaskError> {
    if arguments.url.starts_with("memory") {
        return Err(XtaskError::Told(
            "a store in memory is out of reach of other processes; such a demo approves by itself"
                .to_owned(),
        ));
    }
    let by = arguments.by.unwrap_or_else(user);
    let client = FlowFabricClient::new(connect(&arguments.url).await?);
    let approval = Approval {
        execution_id: arguments.execution_id,
        waitpoint_id: arguments.waitpoint_id,
        token: WaitpointToken::from_text(arguments.token),
    };
    match approval.deliver(&client, &by).await {
        Ok(SignalOutcome::TriggeredResume { signal_id }) => {
            println!("approved by {by}: the summary goes on (signal {signal_id})");
        }
        Ok(SignalOutcome::Accepted { signal_id, effect }) => {
            println!("the signal was kept ({effect}, signal {signal_id})");
        }
        Ok(SignalOutcome::Duplicate { existing_signal_id }) => {
            println!("it was approved before (signal {existing_signal_id}); nothing changed");
        }
        Err(error) => return Err(explained(error)),
    }
    Ok(())
}

/// Says what to do about a refusal.
fn explained(error: SdkError) -> XtaskError {
    let hint = match error.engine_error() {
        Some(EngineError::Validation { kind: ValidationKind::InvalidToken, .. }) => {
            "copy the whole command that the demo printed; each run has a token of its own"
        }
        Some(EngineError::NotFound { .. } | EngineError::State(_)) => {
            "the summary waits no more: it was approved, or its demo has ended"
        }
        Some(EngineError::Transport { .. }) => "is the demo still running?",
        _ => return error.into(),
    };
    XtaskError::Told(format!("{error}; {hint}"))
}

fn user() -> String {
    let named = ["USER", "LOGNAME"].iter().find_map(|name| env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

//! `ff signal` and `ff approve`: tell a waiting execution to go on.

use std::env;

use flowfabric::ff_core::contracts::signal::{Signal, SignalOutcome};
use flowfabric::ff_core::ids::{ExecutionId, WaitpointId};
use flowfabric::ff_core::state::SignalEffect;
use flowfabric::ff_core::token::WaitpointToken;
use serde_json::json;

use crate::context::Context;
use crate::error::{CliError, NO};
use crate::out::note;
use crate::payload;

/// The signal that approves.
pub(crate) const APPROVE: &str = "approve";
/// What sends a signal unless told.
const SOURCE_TYPE: &str = "person";
/// What kind of signal an approval is.
const APPROVAL: &str = "approval";

/// What the help of `signal` ends with.
const SIGNAL_EXAMPLES: &str = "\
Examples:
  ff signal '{fp:0}:0198c5...' 0198c5... k1.Zm9v... --name paid
  ff signal '{fp:0}:0198c5...' 0198c5... @token.txt --name paid --payload '{\"amount\": 3}'

The worker that opened the waitpoint knows its id and its token. Exits with 1 if the signal was kept
but nothing waits for one of that name.";

/// What the help of `approve` ends with.
const APPROVE_EXAMPLES: &str = "\
Examples:
  ff approve '{fp:0}:0198c5...' 0198c5... k1.Zm9v...
  ff approve '{fp:0}:0198c5...' 0198c5... - < token.txt --as ada --comment 'looks good'

It is `ff signal --name approve --category approval --key approve`: a second changes nothing.";

/// Where a signal goes, and by what right.
#[derive(Debug, clap::Args)]
struct Target {
    /// The execution that waits.
    execution_id: ExecutionId,
    /// The waitpoint that it waits on.
    waitpoint_id: WaitpointId,
    /// The right to signal there: the token, @file, or - for the standard input.
    token: String,
    /// Who sends it; the name of the user by default.
    #[arg(long = "as", value_name = "NAME")]
    by: Option<String>,
}

/// What to signal.
#[derive(Debug, clap::Args)]
#[command(after_help = SIGNAL_EXAMPLES)]
pub(crate) struct SignalArguments {
    #[command(flatten)]
    target: Target,
    /// The name of the signal, which the execution waits for.
    #[arg(long)]
    name: String,
    /// What it carries: text, @file, or - for the standard input. At most 64 KiB.
    #[arg(long)]
    payload: Option<String>,
    /// What kind of signal it is, for people.
    #[arg(long, default_value = "")]
    category: String,
    /// What sends it, such as webhook.
    #[arg(long, value_name = "TYPE", default_value = SOURCE_TYPE)]
    source_type: String,
    /// Ties it to something outside.
    #[arg(long, value_name = "ID")]
    correlation: Option<String>,
    /// A second signal with this key at the waitpoint changes nothing.
    #[arg(long)]
    key: Option<String>,
}

/// What to approve.
#[derive(Debug, clap::Args)]
#[command(after_help = APPROVE_EXAMPLES)]
pub(crate) struct ApproveArguments {
    #[command(flatten)]
    target: Target,
    /// A word to whoever reads the approval; it travels as the payload.
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
}

/// Makes the signal that approves.
pub(crate) fn approval(by: &str, token: WaitpointToken) -> Signal {
    Signal {
        signal_name: APPROVE.to_owned(),
        signal_category: APPROVAL.to_owned(),
        payload: None,
        source_type: SOURCE_TYPE.to_owned(),
        source_identity: by.to_owned(),
        correlation_id: None,
        idempotency_key: Some(APPROVE.to_owned()),
        waitpoint_token: token,
    }
}

/// Delivers a signal.
pub(crate) async fn signal(arguments: SignalArguments, context: &Context) -> Result<(), CliError> {
    let Target { by, .. } = &arguments.target;
    let payload = arguments.payload.as_deref().map(payload::read).transpose()?;
    let signal = Signal {
        signal_name: arguments.name,
        signal_category: arguments.category,
        payload: payload.map(Into::into),
        source_type: arguments.source_type,
        source_identity: by.clone().unwrap_or_else(user),
        correlation_id: arguments.correlation,
        idempotency_key: arguments.key,
        waitpoint_token: token(&arguments.target.token)?,
    };
    deliver(&arguments.target, signal, context).await
}

/// Delivers an approval.
pub(crate) async fn approve(
    arguments: ApproveArguments,
    context: &Context,
) -> Result<(), CliError> {
    let Target { by, token: text, .. } = &arguments.target;
    let mut signal = approval(&by.clone().unwrap_or_else(user), token(text)?);
    signal.payload = arguments.comment.map(Into::into);
    deliver(&arguments.target, signal, context).await
}

async fn deliver(target: &Target, signal: Signal, context: &Context) -> Result<(), CliError> {
    let (name, by) = (signal.signal_name.clone(), signal.source_identity.clone());
    let execution_id = target.execution_id;
    let outcome = context.client.signal(&execution_id, &target.waitpoint_id, signal).await?;
    let (word, signal_id, effect) = match outcome {
        SignalOutcome::TriggeredResume { signal_id } => {
            ("resumed", signal_id, Some(SignalEffect::ResumeConditionSatisfied))
        }
        SignalOutcome::Accepted { signal_id, effect } => ("accepted", signal_id, Some(effect)),
        SignalOutcome::Duplicate { existing_signal_id } => ("duplicate", existing_signal_id, None),
    };
    if context.out.is_json() {
        context.out.document(&json!({
            "execution_id": execution_id,
            "outcome": word,
            "signal_id": signal_id,
            "effect": effect,
        }))?;
    } else {
        context.out.line(format!("{}: {}", told(effect, &name, &by), execution_id))?;
    }
    if effect == Some(SignalEffect::NoOp) {
        note(context.command(&format!("explain '{execution_id}'")) + "   says what it waits for");
        return Err(CliError::Said(NO));
    }
    Ok(())
}

fn told(effect: Option<SignalEffect>, name: &str, by: &str) -> String {
    match effect {
        None if name == APPROVE => "approved before; nothing changed".to_owned(),
        None => format!("{name} came before; nothing changed"),
        Some(SignalEffect::ResumeConditionSatisfied) if name == APPROVE => {
            format!("approved by {by}; it goes on")
        }
        Some(SignalEffect::ResumeConditionSatisfied) => {
            format!("{name} by {by} was all that it waited for; it goes on")
        }
        Some(SignalEffect::Appended) => format!("{name} by {by} is one of those it waits for"),
        Some(SignalEffect::Buffered) => format!("{name} by {by} is kept until it waits for it"),
        Some(SignalEffect::NoOp) => format!("{name} is kept, but nothing waits for it"),
    }
}

fn token(argument: &str) -> Result<WaitpointToken, CliError> {
    let bytes = payload::read(argument)?;
    let text = String::from_utf8(bytes)
        .map_err(|_| CliError::Usage("a token is text; this is something else".to_owned()))?;
    Ok(WaitpointToken::from_text(text.trim()))
}

/// Returns who runs this program.
pub(crate) fn user() -> String {
    let named = ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| env::var(name).ok());
    named.filter(|name| !name.is_empty()).unwrap_or_else(|| "somebody".to_owned())
}

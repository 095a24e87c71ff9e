//! Signal: checked here from the request alone, then matched by the function.

use crate::args::{execution, maybe, text};
use crate::backend::ValkeyBackend;
use ff_core::contracts::SignalBackend;
use ff_core::contracts::signal::{DeliverSignal, SignalOutcome};
use ff_core::error::EngineResult;
use ff_core::keys::partition_base;
use ff_core::state::SignalEffect;
use ff_script::Subject;
use ff_script::functions::DELIVER_SIGNAL;

#[async_trait::async_trait]
impl SignalBackend for ValkeyBackend {
    async fn deliver_signal(&self, request: DeliverSignal) -> EngineResult<SignalOutcome> {
        request.check()?;
        let execution_id = request.execution_id;
        let signal = &request.signal;
        self.verify(&signal.waitpoint_token, execution_id, request.waitpoint_id).await?;
        let arguments = [
            execution(execution_id),
            text(request.waitpoint_id),
            text(request.signal_id),
            text(signal.waitpoint_token.expose()),
            text(&signal.signal_name),
            text(&signal.signal_category),
            maybe(signal.payload.as_deref()),
            text(&signal.source_type),
            text(&signal.source_identity),
            maybe(signal.correlation_id.as_deref().map(str::as_bytes)),
            text(request.dedup_key().unwrap_or("")),
        ];
        let base = partition_base(execution_id.partition());
        let subject = Subject::execution(execution_id);
        let reply = self.caller.call(&DELIVER_SIGNAL, &base, arguments, &[], &subject).await?;
        let (status, mut fields) = reply.one_of(&["OK", "DUPLICATE"])?;
        let signal_id = fields.parsed("signal_id", "a signal id")?;
        if status == "DUPLICATE" {
            return Ok(SignalOutcome::Duplicate { existing_signal_id: signal_id });
        }
        Ok(match fields.word("effect", SignalEffect::parse)? {
            SignalEffect::ResumeConditionSatisfied => SignalOutcome::TriggeredResume { signal_id },
            effect => SignalOutcome::Accepted { signal_id, effect },
        })
    }
}

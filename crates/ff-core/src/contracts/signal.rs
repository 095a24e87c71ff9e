//! Signal: tell a waiting execution to go on.

use crate::error::{EngineError, EngineResult, ValidationKind};
use crate::ids::{ExecutionId, SignalId, WaitpointId};
use crate::limits::{
    DEDUP_KEY_BYTES_MAX, LABEL_BYTES_MAX, NAME_BYTES_MAX, SIGNAL_PAYLOAD_BYTES_MAX,
};
use crate::name::check_label;
use crate::policy::between;
use crate::state::SignalEffect;
use crate::time::TimestampMs;
use crate::token::WaitpointToken;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::fmt;

/// What is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signal {
    /// What matchers compare; 1 to 64 bytes.
    pub signal_name: String,
    /// What kind of signal, for people; at most 256 bytes.
    pub signal_category: String,
    /// At most 64 KiB, any bytes.
    pub payload: Option<Bytes>,
    /// What sent it, such as `webhook`; at most 256 bytes.
    pub source_type: String,
    /// Who sent it; at most 256 bytes.
    pub source_identity: String,
    /// Ties it to something outside; at most 256 bytes.
    pub correlation_id: Option<String>,
    /// A second signal with this key at the same waitpoint is a duplicate. At most 256 bytes; an
    /// empty key is no key.
    pub idempotency_key: Option<String>,
    /// The right to signal.
    pub waitpoint_token: WaitpointToken,
}

/// Delivers a signal to a waitpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeliverSignal {
    /// The execution.
    pub execution_id: ExecutionId,
    /// The waitpoint.
    pub waitpoint_id: WaitpointId,
    /// This delivery.
    pub signal_id: SignalId,
    /// What is sent.
    pub signal: Signal,
}

impl DeliverSignal {
    /// Refuses a request past its bounds.
    pub fn check(&self) -> EngineResult<()> {
        let signal = &self.signal;
        between("signal name bytes", signal.signal_name.len() as u64, 1, NAME_BYTES_MAX as u64)?;
        check_label("signal name", &signal.signal_name, NAME_BYTES_MAX)?;
        check_label("signal category", &signal.signal_category, LABEL_BYTES_MAX)?;
        check_label("source type", &signal.source_type, LABEL_BYTES_MAX)?;
        check_label("source identity", &signal.source_identity, LABEL_BYTES_MAX)?;
        let correlation_id = signal.correlation_id.as_deref().unwrap_or("");
        check_label("correlation id", correlation_id, LABEL_BYTES_MAX)?;
        let key = signal.idempotency_key.as_deref().unwrap_or("");
        check_label("idempotency key", key, DEDUP_KEY_BYTES_MAX)?;
        let bytes = signal.payload.as_ref().map_or(0, Bytes::len);
        if bytes > SIGNAL_PAYLOAD_BYTES_MAX {
            return Err(EngineError::validation(
                ValidationKind::TooLarge,
                format!("signal payload is {bytes} bytes, the limit is {SIGNAL_PAYLOAD_BYTES_MAX}"),
            ));
        }
        Ok(())
    }

    /// Returns the idempotency key unless it is absent or empty.
    pub fn dedup_key(&self) -> Option<&str> {
        self.signal.idempotency_key.as_deref().filter(|key| !key.is_empty())
    }
}

/// The outcome of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalOutcome {
    /// It was kept; the execution does not resume by it.
    Accepted {
        /// The signal.
        signal_id: SignalId,
        /// What it did.
        effect: SignalEffect,
    },
    /// It met the last open matcher: the execution is ready again.
    TriggeredResume {
        /// The signal.
        signal_id: SignalId,
    },
    /// A signal with this idempotency key came before.
    Duplicate {
        /// That signal.
        existing_signal_id: SignalId,
    },
}

/// A signal that caused a resume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResumeSignal {
    /// The signal.
    pub signal_id: SignalId,
    /// Its name; `timeout` for the synthetic signal of an auto-resume.
    pub signal_name: String,
    /// Its category.
    pub signal_category: String,
    /// What sent it; `engine` for the synthetic signal.
    pub source_type: String,
    /// Who sent it.
    pub source_identity: String,
    /// What it is tied to.
    pub correlation_id: Option<String>,
    /// When it was accepted.
    pub accepted_at: TimestampMs,
    /// What it carried; base64 in JSON.
    #[serde(with = "crate::base64_text", default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Bytes>,
}

/// The name and category of the synthetic signal of an auto-resume.
pub const TIMEOUT_SIGNAL_NAME: &str = "timeout";
/// The source type and identity of the synthetic signal of an auto-resume.
pub const TIMEOUT_SIGNAL_SOURCE: &str = "engine";

/// Takes signals.
#[async_trait::async_trait]
pub trait SignalBackend: Send + Sync + fmt::Debug {
    /// Delivers a signal. Pending waitpoints buffer it; an active one matches it against the open
    /// matchers: the first of equal name takes it, else the first that takes any name. Wrong
    /// tokens and unknown waitpoints are
    /// `InvalidToken`, closed ones `WaitpointClosed`, lapsed ones `TokenExpired`.
    async fn deliver_signal(&self, request: DeliverSignal) -> EngineResult<SignalOutcome>;
}

//! The one table from wire codes to errors.

use crate::reply::{Fields, Refusal};
use ff_core::error::{
    BugKind, ConflictKind, ContentionKind, Counted, EngineError, EngineResult, Entity, StateKind,
    ValidationKind,
};
use ff_core::ids::{AttemptId, BudgetId, ExecutionId, LeaseEpoch};
use ff_core::state::{LifecyclePhase, PublicState, TerminalOutcome};

/// What a call was about: the ids that an error names but the wire does not repeat.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject {
    /// The execution.
    pub execution_id: Option<ExecutionId>,
    /// The budget.
    pub budget_id: Option<BudgetId>,
}

impl Subject {
    /// Names nothing: for calls whose refusals name no record.
    pub const NONE: Self = Self { execution_id: None, budget_id: None };

    /// Names an execution.
    pub const fn execution(execution_id: ExecutionId) -> Self {
        Self { execution_id: Some(execution_id), budget_id: None }
    }

    /// Names a budget and, for a report of usage, the execution that spent.
    pub const fn budget(budget_id: BudgetId, execution_id: Option<ExecutionId>) -> Self {
        Self { execution_id, budget_id: Some(budget_id) }
    }
}

/// Builds the error of a code from its details.
type Build = fn(&mut Details<'_>) -> EngineResult<EngineError>;

/// Every code with its error, by name.
const TABLE: &[(&str, Build)] = &[
    ("budget_exists", |d| {
        let budget_id = d.budget()?;
        Ok(ConflictKind::BudgetExists { budget_id }.into())
    }),
    ("budget_not_found", |d| {
        let entity = Entity::Budget(d.budget()?);
        Ok(EngineError::NotFound { entity })
    }),
    ("capability_missing", |d| {
        let execution_id = d.execution()?;
        let missing = d.fields.parsed("missing", "a capability")?;
        Ok(StateKind::CapabilityMissing { execution_id, missing }.into())
    }),
    ("claim_superseded", |d| {
        let current = d.fields.parsed("current", "a claim id")?;
        Ok(ConflictKind::ClaimSuperseded { current }.into())
    }),
    ("deadline_in_past", |d| d.validation(ValidationKind::DeadlineInPast)),
    ("execution_exists", |d| {
        let execution_id = d.execution()?;
        Ok(ConflictKind::ExecutionExists { execution_id }.into())
    }),
    ("execution_not_active", execution_not_active),
    ("execution_not_found", |d| Ok(EngineError::execution_not_found(d.execution()?))),
    ("execution_not_ready", |d| {
        let execution_id = d.execution()?;
        let public_state = d.fields.word("public_state", PublicState::parse)?;
        Ok(StateKind::ExecutionNotReady { execution_id, public_state }.into())
    }),
    ("execution_not_terminal", |d| {
        let execution_id = d.execution()?;
        let public_state = d.fields.word("public_state", PublicState::parse)?;
        Ok(StateKind::ExecutionNotTerminal { execution_id, public_state }.into())
    }),
    ("frame_out_of_order", |d| {
        let execution_id = d.execution()?;
        let expected = d.fields.u64("expected")?;
        let got = d.fields.u64("got")?;
        Ok(ConflictKind::FrameOutOfOrder { execution_id, expected, got }.into())
    }),
    ("grant_exists", |d| {
        let execution_id = d.execution()?;
        let until = d.fields.time("until")?;
        Ok(ContentionKind::GrantExists { execution_id, until }.into())
    }),
    ("grant_invalid", |d| {
        let execution_id = d.execution()?;
        let reason = d.fields.text("reason")?;
        Ok(StateKind::GrantInvalid { execution_id, reason }.into())
    }),
    ("id_taken", |d| {
        let execution_id = d.execution()?;
        let id = d.fields.text("id")?;
        Ok(ConflictKind::IdTaken { execution_id, id }.into())
    }),
    ("invalid_argument", |d| d.validation(ValidationKind::Argument)),
    ("invalid_token", |d| d.validation(ValidationKind::InvalidToken)),
    ("key_id_taken", |d| {
        let kid = d.fields.parsed("kid", "a key id")?;
        Ok(ConflictKind::KeyIdTaken { kid }.into())
    }),
    ("lease_expired", |d| {
        let execution_id = d.execution()?;
        let expired_at = d.fields.time("expired_at")?;
        Ok(StateKind::LeaseExpired { execution_id, expired_at }.into())
    }),
    ("limit_reached", |d| {
        let execution_id = d.execution()?;
        let what = d.fields.word("what", counted)?;
        let limit = d.fields.u64("limit")?;
        Ok(StateKind::LimitReached { execution_id, what, limit }.into())
    }),
    ("record_damaged", |d| {
        let execution_id = d.execution()?;
        Ok(BugKind::RecordDamaged { execution_id }.into())
    }),
    ("route_limit", |d| {
        let limit = d.fields.u64("limit")?;
        Ok(StateKind::RouteLimit { limit }.into())
    }),
    ("stale_lease", |d| {
        let execution_id = d.execution()?;
        let held = LeaseEpoch(d.fields.u64("held")?);
        let current = LeaseEpoch(d.fields.u64("current")?);
        Ok(ConflictKind::StaleLease { execution_id, held, current }.into())
    }),
    ("token_expired", |d| {
        let execution_id = d.execution()?;
        Ok(StateKind::TokenExpired { execution_id }.into())
    }),
    ("usage_overflow", |d| d.validation(ValidationKind::UsageOverflow)),
    ("use_claim_grant", |d| {
        let execution_id = d.execution()?;
        Ok(StateKind::UseClaimGrant { execution_id }.into())
    }),
    ("use_reclaim_grant", |d| {
        let execution_id = d.execution()?;
        Ok(StateKind::UseReclaimGrant { execution_id }.into())
    }),
    ("waitpoint_ambiguous", |d| {
        let execution_id = d.execution()?;
        let open = d.fields.u64("open")?;
        Ok(StateKind::WaitpointAmbiguous { execution_id, open }.into())
    }),
    ("waitpoint_closed", |d| {
        let execution_id = d.execution()?;
        Ok(StateKind::WaitpointClosed { execution_id }.into())
    }),
    ("waitpoint_exists", |d| {
        let execution_id = d.execution()?;
        let waitpoint_key = d.fields.parsed("waitpoint_key", "a waitpoint key")?;
        Ok(ConflictKind::WaitpointExists { execution_id, waitpoint_key }.into())
    }),
];

/// Lists every code that the table knows.
pub fn known() -> impl Iterator<Item = &'static str> {
    TABLE.iter().map(|(code, _)| *code)
}

/// Turns a refusal into the error that it stands for.
pub fn to_error(refusal: Refusal, subject: &Subject) -> EngineError {
    let Refusal { function, code, details } = refusal;
    let Some((_, build)) = TABLE.iter().find(|(known, _)| *known == code) else {
        return BugKind::UnknownCode { function, code }.into();
    };
    let mut details = Details { fields: details, subject };
    build(&mut details).unwrap_or_else(|parse_error| parse_error)
}

/// The details of a refusal and what the call was about.
struct Details<'a> {
    fields: Fields,
    subject: &'a Subject,
}

impl Details<'_> {
    fn execution(&self) -> EngineResult<ExecutionId> {
        self.subject.execution_id.ok_or_else(|| self.unexpected("execution"))
    }

    fn budget(&self) -> EngineResult<BudgetId> {
        self.subject.budget_id.ok_or_else(|| self.unexpected("budget"))
    }

    fn unexpected(&self, entity: &str) -> EngineError {
        let function = self.fields.function();
        BugKind::Invariant(format!(
            "{function} refused over an {entity}, which its call does not name"
        ))
        .into()
    }

    fn validation(&mut self, kind: ValidationKind) -> EngineResult<EngineError> {
        let detail = self.fields.text("detail")?;
        Ok(EngineError::Validation { kind, detail })
    }
}

/// Without its four details nobody can tell a repeat from a lost race, so the error that results
/// is one that is never reconciled: a broken invariant, not a malformed reply.
fn execution_not_active(d: &mut Details<'_>) -> EngineResult<EngineError> {
    let execution_id = d.execution()?;
    if d.fields.len() < 4 {
        return Ok(BugKind::Invariant(format!(
            "execution {execution_id} is not active, and the refusal does not say how it ended"
        ))
        .into());
    }
    let terminal_outcome = d.fields.word("terminal_outcome", TerminalOutcome::parse)?;
    let lease_epoch = LeaseEpoch(d.fields.u64("lease_epoch")?);
    let lifecycle_phase = d.fields.word("lifecycle_phase", LifecyclePhase::parse)?;
    let attempt_id: Option<AttemptId> =
        d.fields.optional_parsed("attempt_id", "an attempt id or ''")?;
    Ok(StateKind::ExecutionNotActive {
        execution_id,
        terminal_outcome,
        lease_epoch,
        lifecycle_phase,
        attempt_id,
    }
    .into())
}

fn counted(word: &str) -> Option<Counted> {
    [Counted::Waitpoints, Counted::Signals, Counted::Replays]
        .into_iter()
        .find(|counted| counted.as_str() == word)
}

#[cfg(test)]
#[path = "codes_tests.rs"]
mod tests;

//! Rows that several replies share.

use bytes::Bytes;
use ff_core::contracts::claim::{ClaimedExecution, WorkerIdentity};
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::signal::ResumeSignal;
use ff_core::error::EngineResult;
use ff_core::handle::{Handle, HandleParts};
use ff_core::ids::{AttemptIndex, BudgetId, ExecutionId, LeaseEpoch};
use ff_core::partition::Partition;
use ff_core::policy::When;
use ff_core::state::HandleKind;
use ff_core::time::TimestampMs;
use ff_core::turn::{EndedTurn, TurnOperation, TurnOutcome};
use ff_script::pack::unpack;
use ff_script::{Fields, Record, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Reads the id of an execution of the partition.
pub(crate) fn execution(fields: &mut Fields, partition: Partition) -> EngineResult<ExecutionId> {
    let text = fields.text("execution")?;
    format!("{partition}:{text}")
        .parse()
        .map_err(|_| fields.bad("execution", "an execution id", &Value::text(text)))
}

/// Reads a cancel that is under way.
pub(crate) fn cancel(row: &mut Fields) -> EngineResult<CancelRequested> {
    Ok(CancelRequested {
        reason: row.text("cancel_reason")?,
        requested_at: row.time("requested_at")?,
        revoke_at: row.time("revoke_at")?,
    })
}

/// Reads a signal that caused a resume.
pub(crate) fn resume_signal(row: &mut Fields) -> EngineResult<ResumeSignal> {
    Ok(ResumeSignal {
        signal_id: row.parsed("signal_id", "a signal id")?,
        signal_name: row.text("signal_name")?,
        signal_category: row.text("signal_category")?,
        source_type: row.text("source_type")?,
        source_identity: row.text("source_identity")?,
        correlation_id: row.maybe_text("correlation_id")?,
        accepted_at: row.time("accepted_at")?,
        payload: row.maybe_bytes("payload")?,
    })
}

/// Reads an ended turn.
pub(crate) fn turn(row: &mut Fields) -> EngineResult<EndedTurn> {
    Ok(EndedTurn {
        attempt_index: AttemptIndex(row.u32("attempt_index")?),
        attempt_id: row.parsed("attempt_id", "an attempt id")?,
        lease_epoch: LeaseEpoch(row.u64("lease_epoch")?),
        operation: row.word("operation", TurnOperation::parse)?,
        outcome: row.word("outcome", TurnOutcome::parse)?,
        delay_until: row.optional_time("delay_until")?,
        suspension_id: row.optional_parsed("suspension_id", "a suspension id or ''")?,
        started_at: row.time("started_at")?,
        ended_at: row.time("ended_at")?,
        worker_id: row.parsed("worker_id", "a name")?,
        worker_instance_id: row.parsed("worker_instance_id", "a name")?,
        category: row.optional_text("category")?,
        reason: row.optional_text("reason")?,
    })
}

/// Who claimed, where and for how long: what the rows of a claim do not repeat.
pub(crate) struct Claimant<'a> {
    pub(crate) partition: Partition,
    pub(crate) worker: &'a WorkerIdentity,
    pub(crate) lease_ttl_ms: u64,
}

/// What a claim took, before its long inputs are read.
#[derive(Debug)]
pub(crate) struct Claimed {
    pub(crate) ready_left: bool,
    pub(crate) next_due: Option<TimestampMs>,
    pub(crate) rows: Vec<ClaimedRow>,
}

/// An execution that a claim took.
#[derive(Debug)]
pub(crate) struct ClaimedRow {
    pub(crate) execution: ClaimedExecution,
    /// Whether its input has a key of its own.
    pub(crate) has_long_input: bool,
}

/// Reads what a claim took.
pub(crate) fn claimed(fields: &mut Fields, claimant: &Claimant<'_>) -> EngineResult<Claimed> {
    Ok(Claimed {
        ready_left: fields.flag("ready_left")?,
        next_due: fields.optional_time("next_due")?,
        rows: {
            let rows = fields.each("executions", |items| claimed_execution(items, claimant))?;
            rows.into_iter().flatten().collect()
        },
    })
}

/// Reads what a fused claim took; `None` when there was none.
pub(crate) fn next(
    fields: &mut Fields,
    claimant: Option<&Claimant<'_>>,
) -> EngineResult<Option<Claimed>> {
    let mut row = fields.array("next")?;
    match claimant {
        None => Ok(None),
        Some(claimant) => claimed(&mut row, claimant).map(Some),
    }
}

/// Reads an id, a record and what it lacks, out of a flat list of them. A record that cannot be
/// read is left to the end of its lease: it must not cost the work that was claimed beside it.
fn claimed_execution(
    items: &mut Fields,
    claimant: &Claimant<'_>,
) -> EngineResult<Option<ClaimedRow>> {
    let execution_id = execution(items, claimant.partition)?;
    let text = items.bytes("record")?;
    let rest = items.next("rest")?;
    match claimed_record(items, claimant, execution_id, text, rest) {
        Ok(claimed) => Ok(Some(claimed)),
        Err(error) => {
            tracing::error!(%execution_id, %error, "a claimed execution cannot be read");
            Ok(None)
        }
    }
}

fn claimed_record(
    items: &Fields,
    claimant: &Claimant<'_>,
    execution_id: ExecutionId,
    text: Bytes,
    rest: Value,
) -> EngineResult<ClaimedRow> {
    let rest = match rest {
        Value::Array(values) => Some(Fields::new(items.function(), values)),
        Value::Bytes(bytes) if bytes.is_empty() => None,
        other => return Err(items.bad("rest", "'' or an array", &other)),
    };
    let Record {
        definition,
        extras,
        input,
        has_long_input,
        attempts,
        lease_epoch,
        attempt_id,
        lease,
    } = Record::decode(&text).ok_or_else(|| {
        items.bad("record", "the record of an active execution", &Value::Bytes(text))
    })?;
    let mut names = definition.split(|byte| *byte == b':').skip(1);
    let mut name = || Value::Bytes(Bytes::copy_from_slice(names.next().unwrap_or_default()));
    let lease_id = if lease.id.is_empty() { attempt_id.clone() } else { lease.id };
    let words = vec![
        name(),
        name(),
        Value::Bytes(attempt_id),
        Value::Bytes(lease_id),
        Value::Bytes(extras),
    ];
    let mut words = Fields::new(items.function(), words);
    let lane = words.parsed("lane", "a lane")?;
    let kind = words.parsed("kind", "an execution kind")?;
    let handle = Handle::from_parts(HandleParts {
        execution_id,
        lane,
        attempt_index: AttemptIndex(attempts - 1),
        attempt_id: words.parsed("attempt_id", "an attempt id")?,
        lease_id: words.parsed("lease_id", "a lease id")?,
        lease_epoch: LeaseEpoch(lease_epoch),
        kind: if lease.is_resumed { HandleKind::Resumed } else { HandleKind::Fresh },
        worker_instance_id: claimant.worker.worker_instance_id.clone(),
    });
    let extras = Extras::read(&mut words)?;
    let mut claimed = ClaimedExecution {
        handle,
        kind,
        lease_expires_at: TimestampMs::from_millis(lease.expires_at),
        lease_ttl_ms: claimant.lease_ttl_ms,
        tags: extras.tags,
        budgets: extras.budgets,
        input: if has_long_input { Bytes::new() } else { input },
        cancel_requested: None,
        resume_signals: Vec::new(),
    };
    if let Some(mut rest) = rest {
        claimed.cancel_requested = rest.optional_row("cancel", cancel)?;
        claimed.resume_signals = rest.list("resume_signals", resume_signal)?;
    }
    Ok(ClaimedRow { execution: claimed, has_long_input })
}

/// What is seldom asked for.
#[derive(Debug, Default)]
pub(crate) struct Extras {
    pub(crate) retryable_categories: BTreeSet<String>,
    pub(crate) permanent_categories: BTreeSet<String>,
    pub(crate) budgets: Vec<BudgetId>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Extras {
    /// Reads the extras as they were submitted.
    pub(crate) fn read(fields: &mut Fields) -> EngineResult<Self> {
        let packed = fields.bytes("extras")?;
        if packed.is_empty() {
            return Ok(Self::default());
        }
        Self::parse(&packed)
            .ok_or_else(|| fields.bad("extras", "a pack of four", &Value::Bytes(packed)))
    }

    fn parse(packed: &[u8]) -> Option<Self> {
        let parts = unpack(packed)?;
        let [retryable, permanent, budgets, tags] = parts.as_slice() else {
            return None;
        };
        let words = |part: &[u8]| -> Option<Vec<String>> {
            let text = std::str::from_utf8(part).ok()?;
            let words = text.split(',').filter(|word| !word.is_empty());
            Some(words.map(str::to_owned).collect())
        };
        let tags = unpack(tags)?
            .into_iter()
            .map(|part| String::from_utf8(part.to_vec()).ok())
            .collect::<Option<Vec<String>>>()?;
        if tags.len() % 2 != 0 {
            return None;
        }
        let pairs = tags.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone()));
        Some(Self {
            retryable_categories: words(retryable)?.into_iter().collect(),
            permanent_categories: words(permanent)?.into_iter().collect(),
            budgets: words(budgets)?
                .into_iter()
                .map(|id| id.parse().ok())
                .collect::<Option<_>>()?,
            tags: pairs.collect(),
        })
    }
}

/// Reads an instant that was named outright or counted from the submission.
pub(crate) fn when(fields: &mut Fields, field: &'static str) -> EngineResult<Option<When>> {
    let text = fields.text(field)?;
    if text.is_empty() {
        return Ok(None);
    }
    let digits = |rest: &str| rest.parse::<u64>().ok();
    let when = text.strip_prefix('+').and_then(digits).map(When::After).or_else(|| {
        let at = text.strip_prefix('@').and_then(digits)?;
        Some(When::At(TimestampMs::from_millis(at)))
    });
    when.map(Some).ok_or_else(|| fields.bad(field, "'', +<ms> or @<ms>", &Value::text(text)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args;
    use ff_core::name::Capability;
    use ff_core::partition::BudgetPartition;
    use ff_core::policy::{ExecutionPolicy, LaneDefaults, RetryPolicy};

    #[test]
    fn extras_come_back_as_they_were_written() {
        let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        let budget = BudgetId::generate(BudgetPartition::new(3).expect("legal"));
        let policy = ExecutionPolicy {
            retry: Some(RetryPolicy {
                retryable_categories: set(&["io", "net"]),
                permanent_categories: set(&["bad"]),
                ..RetryPolicy::default()
            }),
            required_capabilities: [Capability::new("gpu").expect("legal")].into(),
            budgets: vec![budget],
            tags: [("a".to_owned(), "1:2".to_owned()), ("b".to_owned(), String::new())].into(),
            ..ExecutionPolicy::default()
        };
        let policy = policy.resolve(&LaneDefaults::default());
        let written = args::extras(&policy);
        let read = Extras::parse(&written).expect("well formed");
        assert_eq!(read.retryable_categories, policy.retry.retryable_categories);
        assert_eq!(read.permanent_categories, policy.retry.permanent_categories);
        assert_eq!(read.budgets, policy.budgets);
        assert_eq!(read.tags, policy.tags);
    }

    #[test]
    fn an_instant_comes_back_as_it_was_written() {
        for given in [None, Some(When::After(0)), Some(When::At(TimestampMs::from_millis(7)))] {
            let mut fields = Fields::new("ff_test", vec![Value::Bytes(args::when(given))]);
            assert_eq!(when(&mut fields, "start").ok(), Some(given));
        }
        let mut fields = Fields::new("ff_test", vec![Value::text("7")]);
        assert!(when(&mut fields, "start").is_err());
    }
}

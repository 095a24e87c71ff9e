//! Arguments: how each kind of value is written on the wire. `docs/wire.md` names the forms.

use bytes::Bytes;
use ff_core::contracts::claim::{ClaimExecution, ClaimSource, Grant, WorkerIdentity};
use ff_core::contracts::submit::{Idempotency, SubmitExecution};
use ff_core::handle::Handle;
use ff_core::ids::{ClaimId, ExecutionId};
use ff_core::name::LaneId;
use ff_core::policy::{Backoff, EffectivePolicy, When};
use ff_script::pack::pack;
use std::fmt::{Display, Write as _};

/// Writes a value by its text: numbers, ids, times, names and words.
pub(crate) fn text(value: impl Display) -> Bytes {
    Bytes::from(value.to_string())
}

/// Writes a value that may be absent.
pub(crate) fn optional(value: Option<impl Display>) -> Bytes {
    value.map_or_else(Bytes::new, text)
}

/// Writes bytes where none differs from empty ones.
pub(crate) fn maybe(value: Option<&[u8]>) -> Bytes {
    let Some(bytes) = value else {
        return Bytes::new();
    };
    let mut marked = Vec::with_capacity(bytes.len() + 1);
    marked.push(b'=');
    marked.extend_from_slice(bytes);
    Bytes::from(marked)
}

/// Writes `0` or `1`.
pub(crate) const fn flag(value: bool) -> Bytes {
    Bytes::from_static(if value { b"1" } else { b"0" })
}

/// Writes names joined by commas, in the order given.
pub(crate) fn joined<T: Display>(values: impl IntoIterator<Item = T>) -> Bytes {
    let mut all = String::new();
    join(&mut all, values);
    Bytes::from(all)
}

/// Appends values joined by commas.
fn join<T: Display>(all: &mut String, values: impl IntoIterator<Item = T>) {
    for (n, value) in values.into_iter().enumerate() {
        let comma = if n > 0 { "," } else { "" };
        // A text takes whatever is written to it.
        let _ = write!(all, "{comma}{value}");
    }
}

/// Writes the id of an execution without its partition, which is the base's.
pub(crate) fn execution(id: ExecutionId) -> Bytes {
    text(id.uuid().as_hyphenated())
}

/// Writes the five arguments of a handle.
pub(crate) fn handle(handle: &Handle) -> [Bytes; 5] {
    [
        execution(handle.execution_id()),
        text(handle.attempt_index()),
        text(handle.attempt_id()),
        text(handle.lease_id()),
        text(handle.lease_epoch()),
    ]
}

/// Writes a handle and the arguments that follow it.
pub(crate) fn with_handle<const K: usize, const N: usize>(
    of: &Handle,
    rest: [Bytes; K],
) -> [Bytes; N] {
    const { assert!(N == K + 5, "a handle is five arguments") };
    let mut arguments = handle(of).into_iter().chain(rest);
    // There are N of them, as asserted above.
    std::array::from_fn(|_| arguments.next().unwrap_or_default())
}

/// A claim by either of its two calls.
pub(crate) struct Claim<'a> {
    pub(crate) claim_id: ClaimId,
    pub(crate) slot: u16,
    pub(crate) worker: &'a WorkerIdentity,
    pub(crate) lease_ttl_ms: u64,
    pub(crate) lanes: &'a [LaneId],
    pub(crate) count_max: u32,
    pub(crate) grant: Option<&'a Grant>,
}

impl<'a> From<&'a ClaimExecution> for Claim<'a> {
    fn from(request: &'a ClaimExecution) -> Self {
        let (lanes, count_max, grant) = match &request.source {
            ClaimSource::Ready { lanes, count_max } => (lanes.as_slice(), *count_max, None),
            ClaimSource::Grant(grant) => (&[][..], 1, Some(grant)),
        };
        Self {
            claim_id: request.claim_id,
            slot: request.slot,
            worker: &request.worker,
            lease_ttl_ms: request.lease_ttl_ms,
            lanes,
            count_max,
            grant,
        }
    }
}

/// Writes the ten arguments of a claim.
pub(crate) fn claim(claim: &Claim<'_>) -> [Bytes; 10] {
    [
        text(claim.claim_id),
        text(claim.slot),
        text(&claim.worker.namespace),
        text(&claim.worker.worker_id),
        text(&claim.worker.worker_instance_id),
        joined(&claim.worker.capabilities),
        text(claim.lease_ttl_ms),
        text(claim.count_max),
        lanes(claim.lanes),
        claim.grant.map_or_else(Bytes::new, grant),
    ]
}

/// Writes lanes as a pack.
pub(crate) fn lanes(lanes: &[LaneId]) -> Bytes {
    Bytes::from(pack(lanes.iter().map(|lane| lane.as_str().as_bytes())))
}

fn grant(grant: &Grant) -> Bytes {
    let grant_id = text(grant.grant_id);
    let execution_id = execution(grant.execution_id);
    Bytes::from(pack([&grant_id[..], &execution_id[..]]))
}

/// Writes an instant that is named outright or counted from the submission.
pub(crate) fn when(when: Option<When>) -> Bytes {
    match when {
        None => Bytes::new(),
        Some(When::After(span_ms)) => Bytes::from(format!("+{span_ms}")),
        Some(When::At(at)) => Bytes::from(format!("@{at}")),
    }
}

/// Writes what many executions have in common: namespace, lane, kind, policy and route.
pub(crate) fn definition(item: &SubmitExecution, policy: &EffectivePolicy) -> Bytes {
    let (namespace, lane, kind) = (&item.namespace, &item.lane, &item.kind);
    let mut text = format!("{namespace}:{lane}:{kind}:{}:", self::policy(policy));
    join(&mut text, &policy.required_capabilities);
    Bytes::from(text)
}

/// Writes as what an execution is submitted: texts, each after its length in one byte.
pub(crate) fn submitted(item: &SubmitExecution, policy: &EffectivePolicy) -> Bytes {
    let texts = [
        text(item.fingerprint()),
        when(policy.start),
        when(policy.deadline),
        optional(item.fairness_key.as_ref()),
    ];
    let mut all = Vec::with_capacity(64);
    for text in texts {
        // None is longer than a name.
        all.push(u8::try_from(text.len()).unwrap_or(u8::MAX));
        all.extend_from_slice(&text);
    }
    Bytes::from(all)
}

/// Writes an idempotency key after its window; empty for none.
pub(crate) fn idempotency(idempotency: Option<&Idempotency>) -> Bytes {
    idempotency
        .map_or_else(Bytes::new, |once| text(format_args!("{}:{}", once.window_ms, once.key)))
}

/// Writes the twelve numbers of a policy.
pub(crate) fn policy(policy: &EffectivePolicy) -> String {
    let (kind, initial_ms, ceiling_ms, growth_pct) = match policy.retry.backoff {
        Backoff::Fixed { delay_ms } => ('f', delay_ms, 0, 0),
        Backoff::Exponential { initial_ms, ceiling_ms, growth_pct } => {
            ('e', initial_ms, ceiling_ms, growth_pct)
        }
    };
    let attempt_ms = policy.attempt_timeout_ms;
    let attempt_ms = attempt_ms.map_or_else(String::new, |span_ms| span_ms.to_string());
    format!(
        "{},{},{attempt_ms},{},{kind},{initial_ms},{ceiling_ms},{growth_pct},{},{},{},{}",
        policy.priority,
        policy.lead_ms,
        policy.retry.retries_max,
        policy.retry.jitter_pct,
        policy.reclaims_max,
        policy.replays_max,
        policy.retention_ms,
    )
}

/// Writes what is seldom asked for: categories, budgets and tags.
pub(crate) fn extras(policy: &EffectivePolicy) -> Bytes {
    let tags = policy.tags.iter().flat_map(|(key, value)| [key, value]);
    let parts = [
        joined(&policy.retry.retryable_categories),
        joined(&policy.retry.permanent_categories),
        joined(&policy.budgets),
        Bytes::from(pack(tags.map(|text| text.as_bytes()))),
    ];
    if parts.iter().all(Bytes::is_empty) {
        return Bytes::new();
    }
    Bytes::from(pack(parts.iter().map(|part| &part[..])))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ff_core::policy::{ExecutionPolicy, LaneDefaults};

    #[test]
    fn a_policy_is_written_as_the_wire_page_shows() {
        let policy = ExecutionPolicy::default().resolve(&LaneDefaults::default());
        assert_eq!(super::policy(&policy), "0,0,,3,e,1000,60000,200,20,10,10,86400000");
        assert_eq!(extras(&policy), "");
    }

    #[test]
    fn none_differs_from_empty_bytes() {
        assert_eq!(maybe(None), "");
        assert_eq!(maybe(Some(b"")), "=");
        assert_eq!(maybe(Some(b"=")), "==");
    }
}

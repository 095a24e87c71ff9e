//! Submit: take an execution in, once.

use crate::execution::{Definition, Execution, FrameState, NextTurn, Phase, score_of};
use crate::settle::settle;
use crate::store::{IdempotencyEntry, PartitionStore};
use ff_core::contracts::submit::{ExecutionSubmitted, SubmitExecution};
use ff_core::error::{ConflictKind, StateKind, ValidationKind};
use ff_core::limits::ROUTES_PER_LANE_MAX;
use ff_core::policy::LaneDefaults;
use ff_core::state::DelayReason;
use ff_core::{EngineError, EngineResult, ExecutionId, LeaseEpoch, TimestampMs};
use std::sync::Arc;

/// Takes an execution in.
pub fn submit(
    store: &mut impl PartitionStore,
    item: &SubmitExecution,
    defaults: &LaneDefaults,
    now: TimestampMs,
) -> EngineResult<ExecutionSubmitted> {
    submit_known(store, item, &item.fingerprint(), defaults, now)
}

/// Takes an execution in whose fingerprint the caller has made, so that nobody waits for that.
pub fn submit_known(
    store: &mut impl PartitionStore,
    item: &SubmitExecution,
    fingerprint: &str,
    defaults: &LaneDefaults,
    now: TimestampMs,
) -> EngineResult<ExecutionSubmitted> {
    let execution_id = item.execution_id;
    if let Some(first) = store.get(execution_id).and_then(|first| settle(&first, now)) {
        return if first.definition.fingerprint == fingerprint {
            Ok(ExecutionSubmitted::Created { execution_id })
        } else {
            Err(ConflictKind::ExecutionExists { execution_id }.into())
        };
    }
    if let Some(first) = duplicate(store, item, now) {
        return Ok(ExecutionSubmitted::Duplicate { execution_id: first });
    }
    let execution = build(item, defaults, fingerprint, now)?;
    check_route(store, &execution)?;
    if let Some(idempotency) = &item.idempotency {
        let expires_at = now.plus_ms(idempotency.window_ms);
        let entry = IdempotencyEntry { execution_id, expires_at };
        store.remember_key(&item.namespace, &idempotency.key, entry);
    }
    store.remove(execution_id);
    store.put(execution);
    Ok(ExecutionSubmitted::Created { execution_id })
}

fn duplicate(
    store: &impl PartitionStore,
    item: &SubmitExecution,
    now: TimestampMs,
) -> Option<ExecutionId> {
    let key = item.idempotency.as_ref()?;
    let entry = store.idempotency(&item.namespace, &key.key)?;
    (entry.expires_at > now).then_some(entry.execution_id)
}

/// Refuses one more route where the live executions of a lane have as many as they may.
pub(crate) fn check_route(store: &impl PartitionStore, execution: &Execution) -> EngineResult<()> {
    let Definition { namespace, lane, route, .. } = &*execution.definition;
    if route.is_empty() {
        return Ok(());
    }
    let (count, known) = store.live_routes(namespace, lane, route);
    if known || count < ROUTES_PER_LANE_MAX {
        return Ok(());
    }
    Err(StateKind::RouteLimit { limit: ROUTES_PER_LANE_MAX as u64 }.into())
}

fn build(
    item: &SubmitExecution,
    defaults: &LaneDefaults,
    fingerprint: &str,
    now: TimestampMs,
) -> EngineResult<Execution> {
    let policy = item.policy.resolve(defaults);
    let deadline_at = policy.deadline.map(|deadline| deadline.at(now));
    if let Some(at) = deadline_at.filter(|at| *at <= now) {
        return Err(EngineError::validation(
            ValidationKind::DeadlineInPast,
            format!("{at} does not lie after {now}"),
        ));
    }
    let start = policy.start.map(|start| start.at(now)).filter(|start| *start > now);
    let phase = match start {
        Some(until) => Phase::Delayed { reason: DelayReason::Start, until },
        None => Phase::Ready { score: score_of(now) - policy.lead_ms },
    };
    let definition = Definition {
        execution_id: item.execution_id,
        namespace: item.namespace.clone(),
        lane: item.lane.clone(),
        kind: item.kind.clone(),
        fairness_key: item.fairness_key.clone(),
        route: policy.route(),
        policy,
        fingerprint: fingerprint.to_owned(),
        input: item.input.clone(),
        deadline_span_ms: deadline_at.map(|at| at.since_ms(now)),
        created_at: now,
    };
    Ok(Execution {
        definition: Arc::new(definition),
        phase,
        next: NextTurn::NewAttempt,
        epoch: LeaseEpoch(0),
        attempts: 0,
        attempt_id: None,
        attempt_left_ms: None,
        deadline_at,
        retries: 0,
        reclaims: 0,
        replays: 0,
        mutations: Vec::new(),
        last_grant: None,
        progress: None,
        cancel: None,
        failure_category: None,
        end_reason: None,
        result: None,
        turns: Vec::new(),
        waitpoints: Vec::new(),
        satisfied: Vec::new(),
        suspensions: Vec::new(),
        signals: Vec::new(),
        resume_signals: Vec::new(),
        frames: FrameState::default(),
        watched_until: None,
        updated_at: now,
    })
}

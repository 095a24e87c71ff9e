//! Claim: pick the best ready work, start its leases; handle what is due.

use crate::execution::{Decision, Execution, Lease, NextTurn, Phase};
use crate::settle::{open, settle};
use crate::store::{ClaimMemory, ClaimSlot, PartitionStore};
use ff_core::contracts::claim::*;
use ff_core::error::{ConflictKind, ContentionKind, StateKind};
use ff_core::handle::HandleParts;
use ff_core::limits::{CLAIM_REPLY_BYTES_MAX, CLAIM_TICK_MAX, STREAMS_KEPT_MAX};
use ff_core::name::Capability;
use ff_core::state::HandleKind;
use ff_core::{
    AttemptIndex, ClaimId, EngineError, EngineResult, ExecutionId, Handle, LaneId, LeaseEpoch,
    TimestampMs,
};
use std::collections::BTreeSet;

/// What every claim needs to know of the claimer.
struct Claimer<'a> {
    claim_id: ClaimId,
    slot: ClaimSlot,
    worker: &'a WorkerIdentity,
    lease_ttl_ms: u64,
}

/// Claims from the ready indexes, or by a claim grant.
pub fn claim(
    store: &mut impl PartitionStore,
    request: &ClaimExecution,
    now: TimestampMs,
) -> EngineResult<ExecutionsClaimed> {
    let claimer =
        Claimer::new(request.claim_id, request.slot, &request.worker, request.lease_ttl_ms);
    let lanes: &[LaneId] = match &request.source {
        ClaimSource::Ready { lanes, .. } => lanes,
        ClaimSource::Grant(_) => &[],
    };
    if let Some(executions) = claimer.recall(store, now)? {
        return Ok(claimer.reply(store, lanes, executions));
    }
    match &request.source {
        ClaimSource::Grant(grant) => claimer.take_granted(store, grant, now),
        ClaimSource::Ready { lanes, count_max } => {
            tick(store, CLAIM_TICK_MAX, now);
            let executions = claimer.take_ready(store, lanes, *count_max, now);
            let mut claimed = claimer.reply(store, lanes, executions);
            claimed.ready_left |= claimed.next_due.is_some_and(|at| at <= now);
            Ok(claimed)
        }
    }
}

/// Takes over by a reclaim grant.
pub fn claim_resumed(
    store: &mut impl PartitionStore,
    request: &ClaimResumedExecution,
    now: TimestampMs,
) -> EngineResult<ExecutionsClaimed> {
    let claimer =
        Claimer::new(request.claim_id, request.slot, &request.worker, request.lease_ttl_ms);
    match claimer.recall(store, now)? {
        Some(executions) => Ok(claimer.reply(store, &[], executions)),
        None => claimer.take_granted(store, &request.grant, now),
    }
}

/// Handles timers that are due, the earliest first.
pub fn tick(store: &mut impl PartitionStore, limit: u32, now: TimestampMs) -> Ticked {
    let mut handled = 0;
    while handled < limit {
        let Some((_, id)) = store.due_head().filter(|(at, _)| *at <= now) else {
            break;
        };
        match store.get(id).and_then(|execution| settle(&execution, now)) {
            Some(settled) => store.put(*settled),
            None => store.remove(id),
        }
        handled += 1;
    }
    let next_due = store.due_head().map(|(at, _)| at);
    Ticked { handled, more: next_due.is_some_and(|at| at <= now), next_due }
}

/// Reserves a ready execution for one worker instance.
pub fn issue_grant(
    execution: &Execution,
    request: &IssueGrant,
    now: TimestampMs,
) -> EngineResult<Decision<GrantIssued>> {
    let (mut next, now) = open(execution, now)?;
    let execution_id = next.id();
    let known = next.last_grant.filter(|(grant_id, _)| *grant_id == request.grant.grant_id);
    if let Some((_, expires_at)) = known {
        return Ok(Decision::Repeat(GrantIssued { expires_at }));
    }
    let score = match &next.phase {
        Phase::Granted { expires_at, .. } => {
            return Err(ContentionKind::GrantExists { execution_id, until: *expires_at }.into());
        }
        Phase::Ready { score } => *score,
        _ => {
            let public_state = next.public_state();
            return Err(StateKind::ExecutionNotReady { execution_id, public_state }.into());
        }
    };
    match (request.grant.kind, next.next) {
        (GrantKind::Claim, NextTurn::Resume | NextTurn::AfterLostLease) => {
            return Err(StateKind::UseReclaimGrant { execution_id }.into());
        }
        (GrantKind::Reclaim, NextTurn::NewAttempt) => {
            return Err(StateKind::UseClaimGrant { execution_id }.into());
        }
        _ => {}
    }
    let expires_at = now.plus_ms(request.ttl_ms);
    next.last_grant = Some((request.grant.grant_id, expires_at));
    next.phase = Phase::Granted { grant: request.grant.clone(), since: now, expires_at, score };
    Ok(next.changed(GrantIssued { expires_at }, now))
}

impl<'a> Claimer<'a> {
    fn new(claim_id: ClaimId, slot: u16, worker: &'a WorkerIdentity, lease_ttl_ms: u64) -> Self {
        let slot = ClaimSlot {
            namespace: worker.namespace.clone(),
            worker_instance_id: worker.worker_instance_id.clone(),
            slot,
        };
        Self { claim_id, slot, worker, lease_ttl_ms }
    }

    /// Answers a repeat from memory; refuses a claim that a newer one replaced.
    fn recall(
        &self,
        store: &impl PartitionStore,
        now: TimestampMs,
    ) -> EngineResult<Option<Vec<ClaimedExecution>>> {
        let memory = store.claim_memory(&self.slot).filter(|memory| memory.forgotten_at() > now);
        let Some(memory) = memory else {
            return Ok(None);
        };
        if memory.claim_id > self.claim_id {
            return Err(ConflictKind::ClaimSuperseded { current: memory.claim_id }.into());
        }
        if memory.claim_id < self.claim_id {
            return Ok(None);
        }
        if memory.expires_at <= now {
            return Ok(Some(Vec::new()));
        }
        let live = (0..).zip(&memory.taken).filter_map(|(index, (id, epoch))| {
            let execution = store.get(*id).and_then(|execution| settle(&execution, now))?;
            let lease_id = self.claim_id.lease_id(index);
            let same = execution.epoch == *epoch
                && matches!(&execution.phase, Phase::Active(lease) if lease.lease_id == lease_id);
            same.then(|| self.claimed(&execution)).flatten()
        });
        Ok(Some(live.collect()))
    }

    /// Takes the best ready records.
    fn take_ready(
        &self,
        store: &mut impl PartitionStore,
        lanes: &[LaneId],
        count_max: u32,
        now: TimestampMs,
    ) -> Vec<ClaimedExecution> {
        let (mut taken, mut bytes, mut passed_over) = (Vec::new(), 0, 0);
        while taken.len() < count_max as usize
            && bytes < CLAIM_REPLY_BYTES_MAX
            && passed_over < CLAIM_TICK_MAX
        {
            let Some(id) = self.best_ready(store, lanes) else {
                break;
            };
            let settled = store.get(id).and_then(|execution| settle(&execution, now));
            match settled {
                Some(execution) if matches!(execution.phase, Phase::Ready { .. }) => {
                    let index = u32::try_from(taken.len()).unwrap_or(u32::MAX);
                    let claimed = self.start(store, execution, index, now);
                    bytes += claimed.as_ref().map_or(0, reply_bytes);
                    taken.extend(claimed);
                }
                Some(execution) => {
                    store.put(*execution);
                    passed_over += 1;
                }
                None => {
                    store.remove(id);
                    passed_over += 1;
                }
            }
        }
        self.remember(store, &taken, now);
        taken
    }

    fn take_granted(
        &self,
        store: &mut impl PartitionStore,
        grant: &Grant,
        now: TimestampMs,
    ) -> EngineResult<ExecutionsClaimed> {
        let execution_id = grant.execution_id;
        let execution =
            store.get(execution_id).ok_or(EngineError::execution_not_found(execution_id))?;
        let (execution, now) = open(&execution, now)?;
        let Phase::Granted { grant: held, .. } = &execution.phase else {
            let reason = "no grant is open".to_owned();
            return Err(StateKind::GrantInvalid { execution_id, reason }.into());
        };
        if held != grant {
            let reason = "another grant is open".to_owned();
            return Err(StateKind::GrantInvalid { execution_id, reason }.into());
        }
        if execution.definition.namespace != self.worker.namespace {
            let reason = "the worker is of another namespace".to_owned();
            return Err(StateKind::GrantInvalid { execution_id, reason }.into());
        }
        let required = &execution.definition.policy.required_capabilities;
        if let Some(missing) = required.difference(&self.worker.capabilities).next() {
            let missing = missing.clone();
            return Err(StateKind::CapabilityMissing { execution_id, missing }.into());
        }
        let taken: Vec<ClaimedExecution> =
            self.start(store, execution, 0, now).into_iter().collect();
        self.remember(store, &taken, now);
        Ok(self.reply(store, &[], taken))
    }

    fn remember(
        &self,
        store: &mut impl PartitionStore,
        taken: &[ClaimedExecution],
        now: TimestampMs,
    ) {
        let entry = |claimed: &ClaimedExecution| {
            (claimed.handle.execution_id(), claimed.handle.lease_epoch())
        };
        let memory = ClaimMemory {
            claim_id: self.claim_id,
            taken: taken.iter().map(entry).collect(),
            expires_at: now.plus_ms(self.lease_ttl_ms),
        };
        store.remember_claim(self.slot.clone(), memory);
    }

    fn best_ready(&self, store: &impl PartitionStore, lanes: &[LaneId]) -> Option<ExecutionId> {
        let namespace = &self.worker.namespace;
        let heads = lanes.iter().flat_map(|lane| {
            let routes = store.ready_routes(namespace, lane);
            routes
                .into_iter()
                .filter(|route| self.can_run(route))
                .filter_map(|route| store.ready_head(namespace, lane, &route))
        });
        heads.min().map(|(_, id)| id)
    }

    fn can_run(&self, route: &str) -> bool {
        route_is_offered(route, &self.worker.capabilities)
    }

    fn start(
        &self,
        store: &mut impl PartitionStore,
        mut execution: Box<Execution>,
        index: u32,
        now: TimestampMs,
    ) -> Option<ClaimedExecution> {
        let now = now.max(execution.updated_at);
        let lease_id = self.claim_id.lease_id(index);
        let timeout_ms = execution.definition.policy.attempt_timeout_ms;
        let (kind, running_ms) = if execution.next == NextTurn::Resume {
            (HandleKind::Resumed, execution.attempt_left_ms)
        } else {
            execution.begin_attempt(lease_id.begins_attempt());
            if let Some(oldest) = execution.attempt_index().0.checked_sub(STREAMS_KEPT_MAX) {
                store.drop_stream(execution.id(), AttemptIndex(oldest));
            }
            (HandleKind::Fresh, timeout_ms)
        };
        execution.epoch = LeaseEpoch(execution.epoch.0 + 1);
        execution.frames.next_sequence = 0;
        execution.frames.last_append = None;
        execution.phase = Phase::Active(Lease {
            lease_id,
            worker_id: self.worker.worker_id.clone(),
            worker_instance_id: self.worker.worker_instance_id.clone(),
            kind,
            started_at: now,
            expires_at: now.plus_ms(self.lease_ttl_ms),
            attempt_timeout_at: running_ms.map(|left_ms| now.plus_ms(left_ms)),
        });
        execution.updated_at = now;
        let claimed = self.claimed(&execution);
        store.put(*execution);
        claimed
    }

    fn claimed(&self, execution: &Execution) -> Option<ClaimedExecution> {
        let (Phase::Active(lease), Some(attempt_id)) = (&execution.phase, execution.attempt_id)
        else {
            return None;
        };
        let definition = &execution.definition;
        Some(ClaimedExecution {
            handle: Handle::from_parts(HandleParts {
                execution_id: execution.id(),
                attempt_index: execution.attempt_index(),
                attempt_id,
                lease_id: lease.lease_id,
                lease_epoch: execution.epoch,
                lane: definition.lane.clone(),
                worker_instance_id: lease.worker_instance_id.clone(),
                kind: lease.kind,
            }),
            kind: definition.kind.clone(),
            input: definition.input.clone(),
            tags: definition.policy.tags.clone(),
            budgets: definition.policy.budgets.clone(),
            lease_expires_at: lease.expires_at,
            lease_ttl_ms: self.lease_ttl_ms,
            resume_signals: execution.resume_signals.clone(),
            cancel_requested: execution.cancel.clone(),
        })
    }

    fn reply(
        &self,
        store: &impl PartitionStore,
        lanes: &[LaneId],
        executions: Vec<ClaimedExecution>,
    ) -> ExecutionsClaimed {
        let next_due = store.due_head().map(|(at, _)| at);
        let ready_left = self.best_ready(store, lanes).is_some();
        ExecutionsClaimed { executions, ready_left, next_due }
    }
}

/// Tells whether the capabilities hold everything that a route names.
pub fn route_is_offered(route: &str, capabilities: &BTreeSet<Capability>) -> bool {
    route.is_empty()
        || route.split(',').all(|token| capabilities.iter().any(|c| c.as_str() == token))
}

fn reply_bytes(claimed: &ClaimedExecution) -> usize {
    let payloads = claimed.resume_signals.iter().filter_map(|signal| signal.payload.as_ref());
    claimed.input.len() + payloads.map(bytes::Bytes::len).sum::<usize>()
}

impl Execution {
    fn begin_attempt(&mut self, attempt_id: ff_core::AttemptId) {
        self.attempt_id = Some(attempt_id);
        self.attempts += 1;
        self.next = NextTurn::Resume;
        self.progress = None;
        self.failure_category = None;
        self.end_reason = None;
        self.frames.count = 0;
        self.frames.kept = 0;
        self.frames.kept_bytes = 0;
    }
}

//! What may happen next, and the calls that are made of it.

use crate::call::{Call, LEASE_MS, token};
use crate::state::{Counts, State, WORKERS};
use crate::world::*;
use bytes::Bytes;
use ff_core::contracts::claim::*;
use ff_core::contracts::lease::UpdateProgress;
use ff_core::contracts::signal::{DeliverSignal, Signal};
use ff_core::contracts::stream::{AppendFrame, Frame};
use ff_core::contracts::suspend::*;
use ff_core::contracts::terminal::*;
use ff_core::state::{TimeoutBehavior, WaitpointState};
use ff_core::*;
use ff_lifecycle::{Execution, NextTurn, Phase};

/// How a call travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Travel {
    /// It arrives at once and never again.
    Once,
    /// It arrives at once, and again at any time.
    Twice,
    /// It does not arrive yet, but may at any time, up to twice. Nobody hears the answer.
    Late,
}

/// A step. Numbers stand for places: of workers, tasks, executions, waitpoints, posted calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    Submit(usize, Travel),
    Claim {
        worker: usize,
        travel: Travel,
    },
    ClaimGranted {
        worker: usize,
        grant: usize,
        travel: Travel,
    },
    Hold {
        worker: usize,
        task: usize,
        op: HolderOp,
        travel: Travel,
    },
    Operate {
        execution: usize,
        op: OperatorOp,
        travel: Travel,
    },
    Grant {
        execution: usize,
        worker: usize,
        travel: Travel,
    },
    Signal {
        execution: usize,
        waitpoint: usize,
        signal: usize,
        travel: Travel,
    },
    /// A posted call arrives.
    Arrive(usize),
    /// A worker forgets all it knows.
    Crash(usize),
    /// The clock moves to the next time at which anything changes.
    Jump,
    /// The clock moves a little.
    Pause,
    /// One overdue timer is handled.
    Tick,
}

/// Lists the times that a record waits for.
pub fn times(record: &Execution) -> Vec<TimestampMs> {
    let mut times: Vec<TimestampMs> = match &record.phase {
        Phase::Ready { .. } => Vec::new(),
        Phase::Delayed { until, .. } => vec![*until],
        Phase::Granted { expires_at, .. } => vec![*expires_at],
        Phase::Active(lease) => {
            let revoke_at = record.cancel.as_ref().map(|cancel| cancel.revoke_at);
            let others = [lease.attempt_timeout_at, revoke_at];
            others.into_iter().flatten().chain([lease.expires_at]).collect()
        }
        Phase::Suspended(open) => open.timeout_at.into_iter().collect(),
        Phase::Terminal { ended_at, .. } => {
            return vec![ended_at.plus_ms(record.definition.policy.retention_ms)];
        }
    };
    times.extend(record.deadline_at);
    times
}

impl State {
    /// Returns the next time at which anything changes.
    pub fn next_time(&self) -> Option<TimestampMs> {
        let waitpoints = |record: &Execution| {
            let pending = record.waitpoints.iter().filter(|w| w.state == WaitpointState::Pending);
            pending.filter_map(|waitpoint| waitpoint.expires_at).collect::<Vec<_>>()
        };
        let records = self.store.records.values();
        let of_records = records.flat_map(|r| times(r).into_iter().chain(waitpoints(r)));
        let of_keys = self.store.keys.values().map(|entry| entry.expires_at);
        of_records.chain(of_keys).filter(|at| *at > self.now).min()
    }
}

impl World {
    /// Lists what may happen in a state.
    pub fn next_actions(&self, state: &State) -> Vec<Action> {
        if !state.broken.is_empty() {
            return Vec::new();
        }
        let (made, bounds) = (&state.made, &self.bounds);
        let mut calls = Vec::new();
        if !self.submitted {
            let new = |n: &usize| !state.seen[&self.items[*n].execution_id].submitted;
            let items = (0..self.items.len()).filter(new);
            calls.extend(items.map(|n| Action::Submit(n, Travel::Once)));
        }
        self.claims(state, &mut calls);
        self.holds(state, &mut calls);
        self.outside(state, &mut calls);
        let mut actions: Vec<Action> = Vec::new();
        for call in calls {
            actions.push(call);
            if made.odd < bounds.odd {
                actions.extend([call.travels(Travel::Twice), call.travels(Travel::Late)]);
            }
        }
        actions.extend((0..state.posted.len()).map(Action::Arrive));
        if made.crashes < bounds.crashes {
            let busy = |w: &usize| !state.workers[*w].tasks.is_empty();
            actions.extend((0..WORKERS).filter(busy).map(Action::Crash));
        }
        if state.store.due.first().is_some_and(|(at, _)| *at <= state.now) {
            actions.push(Action::Tick);
        }
        if let Some(next) = state.next_time().filter(|_| made.moves < bounds.moves) {
            actions.push(Action::Jump);
            if self.pause_ms > 0 && state.now.plus_ms(self.pause_ms) < next {
                actions.push(Action::Pause);
            }
        }
        actions
    }

    fn claims(&self, state: &State, actions: &mut Vec<Action>) {
        if state.made.claims >= self.bounds.claims {
            return;
        }
        // The workers are alike, so the first one goes first.
        let workers = if state.made.claims == 0 { 1 } else { WORKERS };
        let free = |worker: &usize| state.workers[*worker].tasks.is_empty();
        let overdue = state.store.due.first().is_some_and(|(at, _)| *at <= state.now);
        let ready = |r: &Execution| matches!(r.phase, Phase::Ready { .. });
        let found = overdue || state.store.records.values().any(|record| ready(record));
        for worker in (0..workers).filter(free) {
            if self.claims_ready && found {
                actions.push(Action::Claim { worker, travel: Travel::Once });
            }
        }
        for worker in (0..WORKERS).filter(free) {
            for grant in 0..state.grants.len() {
                actions.push(Action::ClaimGranted { worker, grant, travel: Travel::Once });
            }
        }
    }

    fn holds(&self, state: &State, actions: &mut Vec<Action>) {
        let (made, bounds) = (&state.made, &self.bounds);
        let within = |op: &HolderOp| match op {
            HolderOp::Renew | HolderOp::Progress | HolderOp::Append => made.small < bounds.small,
            HolderOp::Suspend(_) => made.suspends < bounds.suspends,
            HolderOp::Open(_) => made.waitpoints < bounds.waitpoints,
            _ => true,
        };
        for (worker, known) in state.workers.iter().enumerate() {
            for task in 0..known.tasks.len() {
                let ops = self.holder.iter().copied().filter(within);
                actions.extend(ops.map(|op| Action::Hold {
                    worker,
                    task,
                    op,
                    travel: Travel::Once,
                }));
            }
        }
    }

    fn outside(&self, state: &State, actions: &mut Vec<Action>) {
        let (made, bounds, travel) = (&state.made, &self.bounds, Travel::Once);
        for (execution, item) in self.items.iter().enumerate() {
            let Some(record) = state.store.records.get(&item.execution_id) else {
                continue;
            };
            if made.operator < bounds.operator {
                let ops = self.operator.iter();
                actions.extend(ops.map(|op| Action::Operate { execution, op: *op, travel }));
            }
            if made.grants < bounds.grants {
                let workers = if made.grants == 0 { 1 } else { WORKERS };
                actions.extend((0..workers).map(|worker| Action::Grant {
                    execution,
                    worker,
                    travel,
                }));
            }
            if made.signals < bounds.signals {
                for (waitpoint, known) in record.waitpoints.iter().enumerate() {
                    if known.state != WaitpointState::Closed {
                        actions.extend((0..self.signals.len()).map(|signal| Action::Signal {
                            execution,
                            waitpoint,
                            signal,
                            travel,
                        }));
                    }
                }
            }
        }
    }

    /// Builds the call of an action, and counts it.
    pub fn call(&self, state: &State, action: Action, made: &mut Counts) -> Option<Call> {
        let id = |execution: usize| self.items[execution].execution_id;
        let call = match action {
            Action::Submit(n, _) => Call::Submit(self.items[n].clone()),
            Action::Claim { worker, .. } => {
                let lanes = vec![lane()];
                let source = ClaimSource::Ready { lanes, count_max: self.claim_count };
                self.claim(worker, source, made)
            }
            Action::ClaimGranted { worker, grant, .. } => {
                self.claim_granted(worker, state.grants[grant].clone(), made)
            }
            Action::Hold { worker, task, op, .. } => {
                let task = &state.workers[worker].tasks[task];
                self.hold(task.handle.clone(), task.frames, op, state.now, made)
            }
            Action::Operate { execution, op, .. } => operate(id(execution), op, made),
            Action::Grant { execution, worker, .. } => {
                let record = &state.store.records[&id(execution)];
                self.grant(record, worker, made)
            }
            Action::Signal { execution, waitpoint, signal, .. } => {
                let record = &state.store.records[&id(execution)];
                self.signal(record, waitpoint, signal, made)
            }
            _ => return None,
        };
        Some(call)
    }

    fn claim(&self, worker: usize, source: ClaimSource, made: &mut Counts) -> Call {
        made.claims += 1;
        Call::Claim(ClaimExecution {
            claim_id: claim_id(made.claims),
            slot: 0,
            worker: self.identities[worker].clone(),
            partition: PARTITION,
            source,
            lease_ttl_ms: LEASE_MS,
        })
    }

    fn claim_granted(&self, worker: usize, grant: Grant, made: &mut Counts) -> Call {
        if grant.kind == GrantKind::Claim {
            return self.claim(worker, ClaimSource::Grant(grant), made);
        }
        made.claims += 1;
        Call::TakeOver(ClaimResumedExecution {
            claim_id: claim_id(made.claims),
            slot: 0,
            worker: self.identities[worker].clone(),
            grant,
            lease_ttl_ms: LEASE_MS,
        })
    }

    fn hold(
        &self,
        handle: Handle,
        sequence: u64,
        op: HolderOp,
        now: TimestampMs,
        made: &mut Counts,
    ) -> Call {
        let fail = |handle, category: &str| {
            let (reason, error_category) = ("broke".to_owned(), category.to_owned());
            Call::Fail(FailExecution { handle, reason, error_category, next: None })
        };
        match op {
            HolderOp::Renew => {
                made.small += 1;
                Call::Renew(handle)
            }
            HolderOp::Progress => {
                made.small += 1;
                Call::Progress(UpdateProgress { handle, percent: 50, message: None })
            }
            HolderOp::Append => {
                made.small += 1;
                let frame_type = "log".to_owned();
                let frame = Frame { frame_type, payload: Bytes::new(), correlation_id: None };
                Call::Append(AppendFrame { handle, sequence, frames: vec![frame] })
            }
            HolderOp::Complete => {
                Call::Complete(CompleteExecution { handle, result: None, next: None })
            }
            HolderOp::Fail => fail(handle, "io"),
            HolderOp::GiveUp => fail(handle, PERMANENT),
            HolderOp::Cancel => Call::Cancel(CancelExecution {
                execution_id: handle.execution_id(),
                by: CancelBy::LeaseHolder(handle),
                reason: "by the holder".to_owned(),
            }),
            HolderOp::Delay => {
                Call::Delay(DelayExecution { handle, delay_until: now.plus_ms(2_000) })
            }
            HolderOp::DelayPast => Call::Delay(DelayExecution { handle, delay_until: START }),
            HolderOp::Release => {
                Call::Release(ReleaseExecution { handle, reason: "drain".to_owned() })
            }
            HolderOp::WaitChildren => Call::WaitChildren(MoveToWaitingChildren { handle }),
            HolderOp::Suspend(plan) => self.suspend(handle, &self.suspends[plan], made),
            HolderOp::Open(plan) => self.open(handle, self.waitpoints[plan], made),
        }
    }

    fn suspend(&self, handle: Handle, plan: &SuspendPlan, made: &mut Counts) -> Call {
        made.suspends += 1;
        let waitpoint_key = plan.key.map(key);
        let matcher = |name: &&str| ConditionMatcher {
            signal_name: (*name).to_owned(),
            waitpoint_key: waitpoint_key.clone(),
        };
        let n = made.suspends;
        Call::Suspend(SuspendExecution {
            handle,
            suspension_id: SuspensionId::from_uuid(uuid(2, n)),
            waitpoint_id: WaitpointId::from_uuid(uuid(3, n)),
            reason_code: "waits".to_owned(),
            matchers: plan.names.iter().map(matcher).collect(),
            timeout_ms: plan.timeout.map(|(timeout_ms, _)| timeout_ms),
            timeout_behavior: plan.timeout.map_or(TimeoutBehavior::Fail, |(_, then)| then),
        })
    }

    fn open(&self, handle: Handle, (name, expires_in_ms): (&str, u64), made: &mut Counts) -> Call {
        made.waitpoints += 1;
        let waitpoint_id = WaitpointId::from_uuid(uuid(4, made.waitpoints));
        let waitpoint_key = key(name);
        Call::Open(CreatePendingWaitpoint { handle, waitpoint_id, waitpoint_key, expires_in_ms })
    }

    fn signal(&self, record: &Execution, at: usize, signal: usize, made: &mut Counts) -> Call {
        made.signals += 1;
        let (name, dedup_key) = self.signals[signal];
        let waitpoint_id = record.waitpoints[at].waitpoint_id;
        let signal_id = SignalId::from_uuid(uuid(5, made.signals));
        Call::Signal(signal_for(record.id(), waitpoint_id, signal_id, name, dedup_key))
    }

    fn grant(&self, record: &Execution, worker: usize, made: &mut Counts) -> Call {
        made.grants += 1;
        let kind = match record.next {
            NextTurn::NewAttempt => GrantKind::Claim,
            NextTurn::Resume | NextTurn::AfterLostLease => GrantKind::Reclaim,
        };
        let grant = Grant {
            grant_id: GrantId::from_uuid(uuid(6, made.grants)),
            execution_id: record.id(),
            worker_instance_id: self.identities[worker].worker_instance_id.clone(),
            kind,
        };
        Call::Grant(IssueGrant { grant, ttl_ms: 2_000 })
    }
}

fn operate(execution_id: ExecutionId, op: OperatorOp, made: &mut Counts) -> Call {
    made.operator += 1;
    let mutation_id = MutationId::from_uuid(uuid(7, made.operator));
    let cancel = |grace_ms| {
        let (by, reason) = (CancelBy::Operator { mutation_id, grace_ms }, "stop".to_owned());
        Call::Cancel(CancelExecution { execution_id, by, reason })
    };
    match op {
        OperatorOp::Cancel => cancel(0),
        OperatorOp::CancelWithGrace => cancel(2_000),
        OperatorOp::Replay => Call::Replay(ReplayExecution { execution_id, mutation_id }),
    }
}

/// Builds the delivery of a signal.
pub fn signal_for(
    execution_id: ExecutionId,
    waitpoint_id: WaitpointId,
    signal_id: SignalId,
    name: &str,
    dedup_key: Option<&str>,
) -> DeliverSignal {
    let signal = Signal {
        signal_name: name.to_owned(),
        signal_category: "test".to_owned(),
        payload: None,
        source_type: "model".to_owned(),
        source_identity: "outside".to_owned(),
        correlation_id: None,
        idempotency_key: dedup_key.map(str::to_owned),
        waitpoint_token: token(waitpoint_id),
    };
    DeliverSignal { execution_id, waitpoint_id, signal_id, signal }
}

/// Returns the `n`th claim id; they grow.
pub fn claim_id(n: u8) -> ClaimId {
    ClaimId::from_uuid(uuid(1, n)).expect("it ends in 000")
}

fn key(name: &str) -> WaitpointKey {
    WaitpointKey::new(name).expect("a legal key")
}

impl Action {
    /// Returns how its call travels.
    pub fn travel(self) -> Travel {
        match self {
            Self::Submit(_, travel)
            | Self::Claim { travel, .. }
            | Self::ClaimGranted { travel, .. }
            | Self::Hold { travel, .. }
            | Self::Operate { travel, .. }
            | Self::Grant { travel, .. }
            | Self::Signal { travel, .. } => travel,
            _ => Travel::Once,
        }
    }

    /// Returns whose worker makes the call.
    pub fn worker(self) -> Option<usize> {
        match self {
            Self::Claim { worker, .. }
            | Self::ClaimGranted { worker, .. }
            | Self::Hold { worker, .. } => Some(worker),
            _ => None,
        }
    }

    fn travels(mut self, by: Travel) -> Self {
        match &mut self {
            Self::Submit(_, travel)
            | Self::Claim { travel, .. }
            | Self::ClaimGranted { travel, .. }
            | Self::Hold { travel, .. }
            | Self::Operate { travel, .. }
            | Self::Grant { travel, .. }
            | Self::Signal { travel, .. } => *travel = by,
            _ => {}
        }
        self
    }
}

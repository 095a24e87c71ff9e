//! Reads steps into calls, against what has happened so far.

use super::Step;
use super::call::{Call, Reply};
use bytes::Bytes;
use ff_core::contracts::budget::{CreateBudget, DimensionLimits, ReportUsageAndCheck};
use ff_core::contracts::claim::*;
use ff_core::contracts::lease::{RenewLease, UpdateProgress};
use ff_core::contracts::signal::{DeliverSignal, Signal};
use ff_core::contracts::stream::{AppendFrame, Frame};
use ff_core::contracts::submit::*;
use ff_core::contracts::suspend::*;
use ff_core::contracts::terminal::*;
use ff_core::handle::HandleParts;
use ff_core::partition::{BudgetPartition, Partition, PartitionMap};
use ff_core::policy::{Backoff, ExecutionPolicy, RetryPolicy, When};
use ff_core::state::{HandleKind, TimeoutBehavior};
use ff_core::token::WaitpointToken;
use ff_core::*;
use std::collections::BTreeMap;
use uuid::Uuid;

/// The lanes of a history.
pub(super) const LANES: [&str; 2] = ["fast", "slow"];
const WORKERS: [(&str, &[&str]); 3] = [("plain", &[]), ("gpu", &["gpu"]), ("both", &["eu", "gpu"])];
const ROUTES: [&[&str]; 4] = [&[], &[], &["gpu"], &["eu", "gpu"]];
const SPANS_MS: [u64; 12] =
    [0, 1, 7, 500, 999, 1_000, 2_500, 5_000, 20_000, 61_000, 3_600_000, 90_000_000];
const NAMES: [&str; 4] = ["", "go", "stop", "other"];
const KEYS: [&str; 3] = ["one", "two", "three"];
/// Executions of one history; later submissions repeat or are keyed.
const EXECUTIONS_MAX: usize = 5;

/// What a history has seen.
#[derive(Debug)]
pub(super) struct Plan {
    partition: Partition,
    map: PartitionMap,
    ids: u128,
    executions: Vec<ExecutionId>,
    handles: Vec<Handle>,
    sequences: BTreeMap<(ExecutionId, LeaseEpoch), u64>,
    waitpoints: Vec<(ExecutionId, WaitpointId, WaitpointToken)>,
    grants: Vec<Grant>,
    budgets: Vec<BudgetId>,
    calls: Vec<Call>,
}

/// Picks from a list by a number.
fn pick<T>(list: &[T], number: u16) -> &T {
    &list[usize::from(number) % list.len()]
}

fn name<T>(made: Result<T, EngineError>) -> T {
    made.expect("the names of a history are legal")
}

impl Plan {
    pub(super) fn new(map: PartitionMap) -> Self {
        let partition = Partition::new_unchecked(0);
        let first = BudgetId::from_parts(BudgetPartition::new_unchecked(0), Uuid::from_u128(1));
        Self {
            partition,
            map,
            ids: 0,
            executions: Vec::new(),
            handles: Vec::new(),
            sequences: BTreeMap::new(),
            waitpoints: Vec::new(),
            grants: Vec::new(),
            budgets: vec![first],
            calls: Vec::new(),
        }
    }

    pub(super) fn executions(&self) -> &[ExecutionId] {
        &self.executions
    }

    pub(super) fn budgets(&self) -> &[BudgetId] {
        &self.budgets
    }

    /// Makes the next id: they grow, and are the same in every run of a history.
    fn uuid(&mut self) -> Uuid {
        self.ids += 1;
        let tail = self.ids.wrapping_mul(0x9e37_79b9) & 0xffff;
        let stamp = (0x0197_0000_0000 + self.ids) << 80;
        Uuid::from_u128(stamp | 0x7000 << 64 | 0x8000 << 48 | tail << 12)
    }

    /// Reads a step.
    pub(super) fn call(&mut self, step: Step) -> Call {
        let call = self.read(step);
        if !matches!(call, Call::Advance { .. }) {
            self.calls.push(call.clone());
        }
        call
    }

    fn read(&mut self, step: Step) -> Call {
        let Step { operation, subject, variant, amount } = step;
        if self.executions.is_empty() {
            return self.submit(variant, amount);
        }
        match operation % 32 {
            0..=2 => Call::Advance { span_ms: *pick(&SPANS_MS, amount) },
            3 | 4 if !self.calls.is_empty() => pick(&self.calls, subject).clone(),
            5 | 6 => self.submit(variant, amount),
            7..=11 => Call::Claim(self.claim(subject, variant, amount)),
            12 => {
                let limit = if odd(variant) { 0 } else { 100 };
                Call::Tick(Tick { partition: self.partition, limit })
            }
            13 => self.issue_grant(subject, variant, amount),
            14 => self.claim_by_grant(subject, variant, amount),
            15 => self.operator(subject, variant, amount),
            16 | 17 => self.signal(subject, variant, amount),
            18 if !self.waitpoints.is_empty() => {
                let (execution_id, waitpoint_id) = {
                    let (e, w, _) = pick(&self.waitpoints, subject);
                    (*e, *w)
                };
                Call::Reissue(ReissueWaitpointToken { execution_id, waitpoint_id })
            }
            19 => self.budget(subject, variant, amount),
            _ => self.by_handle(operation, subject, variant, amount),
        }
    }

    fn submit(&mut self, variant: u16, amount: u16) -> Call {
        let mut items = Vec::new();
        for number in 0..1 + amount % 2 {
            let fresh = self.executions.len() < EXECUTIONS_MAX;
            let keyed = variant % 5 == 1 && self.map.count() == 1;
            let id = if fresh || keyed {
                ExecutionId::from_parts(self.partition, self.uuid())
            } else {
                *pick(&self.executions, amount)
            };
            if fresh {
                self.executions.push(id);
            }
            items.push(self.item(id, variant.wrapping_add(number), keyed));
        }
        Call::Submit(SubmitExecutions { items })
    }

    fn item(&self, execution_id: ExecutionId, variant: u16, keyed: bool) -> SubmitExecution {
        let some = |divisor: u16, remainder: u16| variant % divisor == remainder;
        let backoff = if some(2, 0) {
            Backoff::Fixed { delay_ms: u64::from(variant % 3) * 700 }
        } else {
            Backoff::Exponential { initial_ms: 333, ceiling_ms: 5_000, growth_pct: 250 }
        };
        let retry = RetryPolicy {
            retries_max: u32::from(variant % 4),
            backoff,
            jitter_pct: u32::from(variant % 7) * 15,
            permanent_categories: ["fatal".to_owned()].into(),
            ..RetryPolicy::default()
        };
        let route = pick(&ROUTES, variant / 3);
        let policy = ExecutionPolicy {
            start: some(6, 5).then_some(When::After(2_500)),
            priority: i32::from(variant % 3) - 1,
            deadline: some(5, 4).then_some(When::After(20_000)),
            attempt_timeout_ms: some(4, 3).then_some(2_000),
            retry: Some(retry),
            reclaims_max: Some(u32::from(variant % 3)),
            replays_max: Some(2),
            retention_ms: Some(60_000),
            required_capabilities: route.iter().map(|c| name(Capability::new(c))).collect(),
            budgets: if some(3, 0) { self.budgets.clone() } else { Vec::new() },
            tags: if some(3, 1) {
                [("team".to_owned(), "blue green".to_owned())].into()
            } else {
                BTreeMap::new()
            },
        };
        SubmitExecution {
            execution_id,
            namespace: Namespace::default(),
            lane: name(LaneId::new(pick(&LANES, variant))),
            kind: name(ExecutionKind::new("work")),
            input: Bytes::from(vec![0xff; usize::from(variant % 90)]),
            policy,
            idempotency: keyed
                .then(|| Idempotency { key: (*pick(&KEYS, variant)).to_owned(), window_ms: 4_000 }),
            fairness_key: None,
            durability: Durability::Memory,
        }
    }

    fn worker(number: u16) -> WorkerIdentity {
        let (worker, offers) = pick(&WORKERS, number);
        WorkerIdentity {
            namespace: Namespace::default(),
            worker_id: name(WorkerId::new(worker)),
            worker_instance_id: name(WorkerInstanceId::new(format!("{worker}-1"))),
            capabilities: offers.iter().map(|c| name(Capability::new(c))).collect(),
        }
    }

    fn claim(&mut self, subject: u16, variant: u16, amount: u16) -> ClaimExecution {
        let lanes = if variant.is_multiple_of(3) { &LANES[..1] } else { &LANES[..] };
        let lanes = lanes.iter().map(|lane| name(LaneId::new(lane))).collect();
        ClaimExecution {
            claim_id: name(ClaimId::from_uuid(self.uuid())),
            slot: variant % 2,
            worker: Self::worker(subject),
            partition: self.partition,
            source: ClaimSource::Ready { lanes, count_max: 1 + u32::from(amount % 3) },
            lease_ttl_ms: [1_000, 2_500, 30_000][usize::from(amount) % 3],
        }
    }

    fn issue_grant(&mut self, subject: u16, variant: u16, amount: u16) -> Call {
        let (worker, _) = pick(&WORKERS, variant);
        let grant = Grant {
            grant_id: GrantId::from_uuid(self.uuid()),
            execution_id: *pick(&self.executions, subject),
            worker_instance_id: name(WorkerInstanceId::new(format!("{worker}-1"))),
            kind: if amount.is_multiple_of(2) { GrantKind::Claim } else { GrantKind::Reclaim },
        };
        self.grants.push(grant.clone());
        Call::IssueGrant(IssueGrant { grant, ttl_ms: 1_500 })
    }

    fn claim_by_grant(&mut self, subject: u16, variant: u16, amount: u16) -> Call {
        let Some(grant) = self.grants.get(usize::from(subject) % self.grants.len().max(1)).cloned()
        else {
            return Call::Claim(self.claim(subject, variant, amount));
        };
        let slot = variant % 2;
        let claim_id = name(ClaimId::from_uuid(self.uuid()));
        let mut worker = Self::worker(variant);
        worker.worker_instance_id = grant.worker_instance_id.clone();
        let lease_ttl_ms = 2_500;
        match grant.kind {
            GrantKind::Claim => Call::Claim(ClaimExecution {
                claim_id,
                slot,
                worker,
                partition: self.partition,
                source: ClaimSource::Grant(grant),
                lease_ttl_ms,
            }),
            GrantKind::Reclaim => {
                let request = ClaimResumedExecution { claim_id, slot, worker, grant, lease_ttl_ms };
                Call::ClaimResumed(request)
            }
        }
    }

    fn operator(&mut self, subject: u16, variant: u16, amount: u16) -> Call {
        let execution_id = *pick(&self.executions, subject);
        let mutation_id = MutationId::from_uuid(self.uuid());
        if variant.is_multiple_of(2) {
            return Call::Replay(ReplayExecution { execution_id, mutation_id });
        }
        let grace_ms = *pick(&[0, 1_200, 9_000], amount);
        let by = CancelBy::Operator { mutation_id, grace_ms };
        Call::Cancel(CancelExecution { execution_id, by, reason: "operator".into() })
    }

    fn signal(&mut self, subject: u16, variant: u16, amount: u16) -> Call {
        let signal_id = SignalId::from_uuid(self.uuid());
        let Some((execution_id, waitpoint_id, token)) =
            self.waitpoints.get(usize::from(subject) % self.waitpoints.len().max(1)).cloned()
        else {
            return self.submit(variant, amount);
        };
        let signal = Signal {
            signal_name: pick(&NAMES[1..], variant).to_string(),
            signal_category: "test".into(),
            payload: (amount.is_multiple_of(2)).then(|| Bytes::from_static(b"\x00\xff")),
            source_type: "history".into(),
            source_identity: "tester".into(),
            correlation_id: None,
            idempotency_key: (amount.is_multiple_of(5)).then(|| (*pick(&KEYS, variant)).to_owned()),
            waitpoint_token: token,
        };
        Call::Signal(DeliverSignal { execution_id, waitpoint_id, signal_id, signal })
    }

    fn budget(&mut self, subject: u16, variant: u16, amount: u16) -> Call {
        let budget_id = self.budgets[0];
        let tokens = name(Dimension::new("tokens"));
        let Some(handle) = self.handle(subject).filter(|_| !variant.is_multiple_of(4)) else {
            let limits = DimensionLimits { soft: Some(100), hard: Some(200) };
            let limits = [(tokens, limits)].into();
            return Call::CreateBudget(CreateBudget { budget_id, limits });
        };
        let other = name(Dimension::new("seconds"));
        let usage = vec![(tokens.clone(), amount.into()), (other, 1), (tokens, 1)];
        let dedup_key = (variant.is_multiple_of(3)).then(|| (*pick(&KEYS, amount)).to_owned());
        let mutation_id = MutationId::from_uuid(self.uuid());
        Call::Usage(ReportUsageAndCheck { budget_id, handle, mutation_id, dedup_key, usage })
    }

    fn handle(&self, subject: u16) -> Option<Handle> {
        // Late handles are picked more often than stale ones.
        let last = self.handles.len().checked_sub(1)?;
        let back = usize::from(subject % 16);
        let index = if back < 10 { last } else { usize::from(subject / 16) % (last + 1) };
        self.handles.get(index).cloned()
    }

    fn by_handle(&mut self, operation: u8, subject: u16, variant: u16, amount: u16) -> Call {
        let Some(handle) = self.handle(subject) else {
            return Call::Claim(self.claim(subject, variant, amount));
        };
        let handle = if subject % 61 == 60 { forged(&handle) } else { handle };
        let next = (amount.is_multiple_of(3)).then(|| self.claim(subject, variant, amount));
        match operation % 32 {
            20 | 21 => {
                let bytes = Bytes::from(vec![0x80; usize::from(variant % 90)]);
                let result = Some(bytes).filter(|_| !variant.is_multiple_of(3));
                if odd(variant) {
                    return Call::CompleteMany(self.completions(
                        handle,
                        result.as_ref(),
                        amount,
                        next,
                    ));
                }
                Call::Complete(CompleteExecution { handle, result, next })
            }
            22 | 23 => {
                let error_category =
                    pick(&["io", "fatal", "io", "Not A Category"], variant).to_string();
                Call::Fail(FailExecution { handle, reason: "broke".into(), error_category, next })
            }
            24 => match variant % 4 {
                0 => Call::Cancel(CancelExecution {
                    execution_id: handle.execution_id(),
                    by: CancelBy::LeaseHolder(handle),
                    reason: "worker".into(),
                }),
                1 => Call::Release(ReleaseExecution { handle, reason: "drain".into() }),
                2 => Call::WaitChildren(MoveToWaitingChildren { handle }),
                _ => Call::Delay(DelayExecution { delay_until: later(amount), handle }),
            },
            25 => Call::Renew(RenewLease { handles: self.handles.clone(), lease_ttl_ms: 2_500 }),
            26 => Call::Progress(UpdateProgress {
                handle,
                // Now and then past its bound.
                percent: u8::try_from(amount % 103).unwrap_or(0),
                message: (variant.is_multiple_of(2)).then(|| "x".repeat(usize::from(variant % 90))),
            }),
            27 | 28 => self.append(handle, variant, amount),
            29 => Call::CreateWaitpoint(CreatePendingWaitpoint {
                handle,
                waitpoint_id: WaitpointId::from_uuid(self.uuid()),
                waitpoint_key: name(WaitpointKey::new(pick(&KEYS, variant))),
                expires_in_ms: *pick(&[1_000, 60_000, 1_000, 0], amount),
            }),
            _ => self.suspend(handle, variant, amount),
        }
    }

    /// Several ends: of the newest handles, which may be stale or of one execution, and of this
    /// one, now and then twice.
    fn completions(
        &self,
        handle: Handle,
        result: Option<&Bytes>,
        amount: u16,
        next: Option<ClaimExecution>,
    ) -> CompleteExecutions {
        let newest = self.handles.iter().rev().take(usize::from(amount % 4)).cloned();
        let mut handles: Vec<Handle> = newest.chain([handle.clone()]).collect();
        if amount % 5 == 4 {
            handles.push(handle);
        }
        let completion = |handle| Completion { handle, result: result.cloned() };
        CompleteExecutions { completions: handles.into_iter().map(completion).collect(), next }
    }

    fn append(&mut self, handle: Handle, variant: u16, amount: u16) -> Call {
        let claim = (handle.execution_id(), handle.lease_epoch());
        let next = self.sequences.entry(claim).or_insert(0);
        let sequence = if variant % 7 == 6 { *next + 1 } else { *next };
        let count = 1 + amount % 2;
        *next += u64::from(count);
        let frame = |number: u16| Frame {
            frame_type: "log".into(),
            payload: Bytes::from(vec![number as u8; usize::from(variant % 70)]),
            correlation_id: (variant.is_multiple_of(3)).then(|| "cause".to_owned()),
        };
        Call::Append(AppendFrame { handle, sequence, frames: (0..count).map(frame).collect() })
    }

    fn suspend(&mut self, handle: Handle, variant: u16, amount: u16) -> Call {
        let key = (variant.is_multiple_of(3)).then(|| name(WaitpointKey::new(pick(&KEYS, amount))));
        let matcher = |number: u16| ConditionMatcher {
            signal_name: pick(&NAMES, variant.wrapping_add(number)).to_string(),
            waitpoint_key: key.clone(),
        };
        let behaviors = TimeoutBehavior::ALL;
        Call::Suspend(SuspendExecution {
            handle,
            suspension_id: SuspensionId::from_uuid(self.uuid()),
            waitpoint_id: WaitpointId::from_uuid(self.uuid()),
            reason_code: if odd(amount) { "Not a code" } else { "waiting_for_signal" }.into(),
            matchers: (0..amount % 3).map(matcher).collect(),
            timeout_ms: (amount.is_multiple_of(2)).then_some(2_000),
            timeout_behavior: *pick(behaviors, variant / 3),
        })
    }

    /// Takes note of what a reply brought.
    pub(super) fn learn(&mut self, reply: &Reply) {
        match reply {
            Reply::Claimed(claimed)
            | Reply::Completed(_, Some(claimed))
            | Reply::Failed(_, Some(claimed)) => {
                let handles = claimed.executions.iter().map(|claimed| claimed.handle.clone());
                let new: Vec<Handle> = handles.filter(|h| !self.handles.contains(h)).collect();
                self.handles.extend(new);
            }
            Reply::Suspended(
                id,
                ExecutionSuspended::Suspended(s)
                | ExecutionSuspended::AlreadySatisfied { suspension: s, .. },
            ) => self.waitpoints.push((*id, s.waitpoint_id, s.waitpoint_token.clone())),
            Reply::WaitpointCreated(id, created) => {
                self.waitpoints.push((*id, created.waitpoint_id, created.waitpoint_token.clone()));
            }
            Reply::Reissued(id, waitpoint_id, token) => {
                self.waitpoints.push((*id, *waitpoint_id, token.clone()));
            }
            _ => {}
        }
    }
}

/// Tells whether a step is one of the few that ask for what cannot be.
const fn odd(number: u16) -> bool {
    number % 23 == 22
}

/// An instant in the first minutes of a history, before or after the present one.
fn later(amount: u16) -> TimestampMs {
    crate::START.plus_ms(u64::from(amount))
}

/// A handle that no claim gave out.
fn forged(handle: &Handle) -> Handle {
    Handle::from_parts(HandleParts {
        execution_id: handle.execution_id(),
        attempt_index: handle.attempt_index(),
        attempt_id: handle.attempt_id(),
        lease_id: LeaseId::from_uuid(Uuid::from_u128(7)),
        lease_epoch: handle.lease_epoch(),
        lane: handle.lane().clone(),
        worker_instance_id: handle.worker_instance_id().clone(),
        kind: HandleKind::Fresh,
    })
}

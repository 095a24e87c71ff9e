//! The renewer: one task a worker, one call a partition.

use super::{Lease, interval_ms, missing_answer};
use crate::resend::no_answer;
use ff_core::contracts::EngineBackend;
use ff_core::contracts::lease::{LeaseRenewed, RenewLease};
use ff_core::error::EngineError;
use ff_core::ids::{ExecutionId, LeaseId};
use ff_core::limits::RENEWALS_MAX;
use ff_core::partition::Partition;
use ff_core::time::{Clock, TimestampMs};
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, oneshot};

/// Renews the leases it was given until they are forgotten or lost. Lives as long as the worker or
/// any of its tasks.
#[derive(Debug)]
pub(crate) struct Renewer {
    shared: Arc<Shared>,
    /// Dropped with the last owner, which ends the loop.
    _stop: oneshot::Sender<()>,
}

#[derive(Debug)]
struct Shared {
    backend: Arc<dyn EngineBackend>,
    clock: Arc<dyn Clock>,
    ttl_ms: u64,
    state: Mutex<State>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct State {
    leases: BTreeMap<LeaseId, Arc<Lease>>,
    /// The loop sleeps without a timer: the next lease must wake it.
    parked: bool,
}

/// Leases of one partition that are renewed by one call.
struct Batch {
    leases: Vec<Arc<Lease>>,
    sent_at: TimestampMs,
}

impl Renewer {
    pub(crate) fn start(backend: Arc<dyn EngineBackend>, ttl_ms: u64) -> Self {
        let shared = Arc::new(Shared {
            clock: backend.clock(),
            backend,
            ttl_ms,
            state: Mutex::default(),
            wake: Notify::new(),
        });
        let (stop, stopped) = oneshot::channel();
        tokio::spawn(renew(shared.clone(), stopped));
        Self { shared, _stop: stop }
    }

    /// Renews this lease from now on.
    pub(crate) fn keep(&self, lease: Arc<Lease>) {
        let mut state = self.shared.lock();
        state.leases.insert(lease.handle.lease_id(), lease);
        let parked = std::mem::replace(&mut state.parked, false);
        drop(state);
        if parked {
            self.shared.wake.notify_one();
        }
    }

    /// Renews this lease no more.
    pub(crate) fn forget(&self, lease: &Lease) {
        self.shared.lock().leases.remove(&lease.handle.lease_id());
    }

    /// Renews the leases of an execution at once, to learn about a cancel; `None` stands for all.
    pub(crate) fn look_now(&self, execution_id: Option<ExecutionId>) {
        let state = self.shared.lock();
        let mut any = false;
        for lease in state.leases.values() {
            if execution_id.is_none_or(|id| id == lease.handle.execution_id()) {
                lease.timing().urgent = true;
                any = true;
            }
        }
        drop(state);
        if any {
            self.shared.wake.notify_one();
        }
    }
}

async fn renew(shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let mut calls = FuturesUnordered::new();
    loop {
        let now = shared.clock.now();
        let (batches, wake_at) = shared.plan(now);
        calls.extend(batches.into_iter().map(|batch| shared.call(batch)));
        tokio::select! {
            biased;
            _ = &mut stopped => return,
            // Before the clock: after a stall, what was confirmed must count before it is judged.
            Some((batch, answer)) = calls.next() => shared.note(&batch, answer),
            () = shared.wake.notified() => {}
            () = sleep(&*shared.clock, wake_at) => {}
        }
    }
}

async fn sleep(clock: &dyn Clock, wake_at: Option<TimestampMs>) {
    match wake_at {
        Some(at) => clock.sleep_until(at).await,
        None => pending().await,
    }
}

impl Shared {
    /// Picks what is to be renewed now, and says when to wake next.
    fn plan(&self, now: TimestampMs) -> (Vec<Batch>, Option<TimestampMs>) {
        let interval_ms = interval_ms(self.ttl_ms);
        let mut state = self.lock();
        state.leases.retain(|_, lease| {
            let live = lease.until() > now && !lease.is_lost();
            if !live && lease.lose() {
                let execution_id = lease.handle.execution_id();
                tracing::warn!(%execution_id, "the lease ran out without a renewal");
            }
            live
        });
        let mut partitions: BTreeMap<Partition, Vec<&Arc<Lease>>> = BTreeMap::new();
        for lease in state.leases.values() {
            let partition = lease.handle.execution_id().partition();
            partitions.entry(partition).or_default().push(lease);
        }
        let batches: Vec<Batch> =
            partitions.into_values().flat_map(|leases| pick(&leases, now, interval_ms)).collect();
        let wake_at = state.leases.values().map(|lease| lease.wake_at()).min();
        state.parked = wake_at.is_none();
        (batches, wake_at)
    }

    /// Makes one call and gives it up before the next is due.
    async fn call(&self, batch: Batch) -> (Batch, Answer) {
        let interval_ms = interval_ms(self.ttl_ms);
        let give_up_at = batch.sent_at.plus_ms((interval_ms - interval_ms / 10).max(1));
        let request = RenewLease {
            handles: batch.leases.iter().map(|l| l.handle.clone()).collect(),
            lease_ttl_ms: self.ttl_ms,
        };
        let answer = tokio::select! {
            biased;
            answer = self.backend.renew_lease(request) => answer,
            () = self.clock.sleep_until(give_up_at) => Err(no_answer("renew_lease", give_up_at)),
        };
        (batch, answer)
    }

    /// Hands each lease its answer.
    fn note(&self, batch: &Batch, answer: Answer) {
        let mut answers = match answer {
            Ok(answers) => answers.into_iter(),
            Err(error) => return self.note_failed_call(batch, &error),
        };
        for lease in &batch.leases {
            let answer = answers.next().unwrap_or_else(missing_answer);
            self.note_one(lease, batch.sent_at, &answer);
        }
    }

    fn note_failed_call(&self, batch: &Batch, error: &EngineError) {
        let alone = batch.leases.len() == 1;
        tracing::warn!(%error, leases = batch.leases.len(), "a renewal call failed");
        for lease in &batch.leases {
            let copy = if alone && error.is_lease_lost() {
                EngineError::execution_not_found(lease.handle.execution_id())
            } else {
                EngineError::Transport { backend: "the store", source: error.to_string().into() }
            };
            self.note_one(lease, batch.sent_at, &Err(copy));
        }
    }

    fn note_one(
        &self,
        lease: &Arc<Lease>,
        sent_at: TimestampMs,
        answer: &Result<LeaseRenewed, EngineError>,
    ) {
        let execution_id = lease.handle.execution_id();
        let _span = tracing::info_span!("renew_lease", %execution_id).entered();
        lease.timing().in_flight = false;
        let mut state = self.lock();
        // A task that has ended meanwhile has nothing to learn: its lease is over by its own will.
        if !state.leases.contains_key(&lease.handle.lease_id()) {
            return;
        }
        let goes_on = lease.renewed(sent_at, answer);
        if !goes_on {
            state.leases.remove(&lease.handle.lease_id());
        }
        drop(state);
        match answer {
            Ok(_) => {}
            Err(error) if goes_on => {
                tracing::debug!(%error, failures = lease.failures(), "the renewal failed");
            }
            Err(error) => tracing::warn!(%error, "the lease is lost"),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Answer = Result<Vec<Result<LeaseRenewed, EngineError>>, EngineError>;

impl Lease {
    /// When the renewer has to look at this lease next.
    fn wake_at(&self) -> TimestampMs {
        let until = self.until();
        let timing = self.timing();
        if timing.in_flight { until } else { timing.sent_at.plus_ms(self.interval_ms()).min(until) }
    }
}

/// Picks the leases of one partition that travel together. Once one is due, those that are half
/// way there go with it, so that leases taken at different times soon share their calls.
fn pick(leases: &[&Arc<Lease>], now: TimestampMs, interval_ms: u64) -> Vec<Batch> {
    let age_ms = |lease: &Lease| {
        let timing = lease.timing();
        let idle = !timing.in_flight;
        idle.then(|| (now.since_ms(timing.sent_at), timing.urgent))
    };
    let any_due =
        leases.iter().any(|lease| age_ms(lease).is_some_and(|(age, _)| age >= interval_ms));
    let half_ms = interval_ms.div_ceil(2);
    let picked: Vec<Arc<Lease>> = leases
        .iter()
        .filter(|lease| {
            age_ms(lease).is_some_and(|(age, urgent)| urgent || any_due && age >= half_ms)
        })
        .map(|lease| Arc::clone(lease))
        .collect();
    for lease in &picked {
        let mut timing = lease.timing();
        timing.in_flight = true;
        timing.urgent = false;
        timing.sent_at = now;
    }
    picked
        .chunks(RENEWALS_MAX)
        .map(|leases| Batch { leases: leases.to_vec(), sent_at: now })
        .collect()
}

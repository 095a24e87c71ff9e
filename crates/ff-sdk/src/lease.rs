//! Leases: one renewer a worker keeps all of them alive, and tells each task how its lease fares.

mod renewer;

pub(crate) use renewer::Renewer;

use crate::error::SdkError;
use crate::task::ClaimedTask;
use ff_core::contracts::lease::{CancelRequested, LeaseRenewed, RenewLease, UpdateProgress};
use ff_core::error::{BugKind, EngineError};
use ff_core::handle::Handle;
use ff_core::time::TimestampMs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::sync::watch;

/// Consecutive failed renewals after which a lease no longer counts as healthy.
const FAILURES_UNHEALTHY: u32 = 3;

/// A cancel that an operator asked of running work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cancellation {
    /// Why.
    pub reason: String,
    /// How long the task may still run before its lease is revoked, as of now.
    pub grace_left_ms: u64,
}

/// One lease, shared by its task and the renewer.
#[derive(Debug)]
pub(crate) struct Lease {
    handle: Handle,
    ttl_ms: u64,
    timing: Mutex<Timing>,
    view: watch::Sender<View>,
}

#[derive(Debug)]
struct Timing {
    /// When the last call that certainly extended the lease was sent. The lease lasts its TTL from
    /// then at least: the store counts from a later moment.
    confirmed_sent_at: TimestampMs,
    /// When the last call was sent.
    sent_at: TimestampMs,
    in_flight: bool,
    /// To be renewed at once, to learn about a cancel.
    urgent: bool,
    failures: u32,
}

#[derive(Clone, Debug, Default)]
struct View {
    lost: bool,
    cancel: Option<CancelRequested>,
}

impl Lease {
    /// Takes a lease whose claim was first sent at `sent_at`.
    pub(crate) fn new(
        handle: Handle,
        ttl_ms: u64,
        sent_at: TimestampMs,
        cancel: Option<CancelRequested>,
    ) -> Self {
        Self {
            handle,
            ttl_ms,
            timing: Mutex::new(Timing {
                confirmed_sent_at: sent_at,
                sent_at,
                in_flight: false,
                urgent: false,
                failures: 0,
            }),
            view: watch::Sender::new(View { lost: false, cancel }),
        }
    }

    pub(crate) const fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Until when the lease lasts for certain.
    pub(crate) fn until(&self) -> TimestampMs {
        self.timing().confirmed_sent_at.plus_ms(self.ttl_ms)
    }

    /// How long after a renewal the next one is due.
    pub(crate) fn interval_ms(&self) -> u64 {
        interval_ms(self.ttl_ms)
    }

    pub(crate) fn is_lost(&self) -> bool {
        self.view.borrow().lost
    }

    pub(crate) fn is_cancel_requested(&self) -> bool {
        self.view.borrow().cancel.is_some()
    }

    /// Marks the lease as gone for good. Returns whether that is news.
    pub(crate) fn lose(&self) -> bool {
        self.view.send_if_modified(|view| !std::mem::replace(&mut view.lost, true))
    }

    /// Resolves once the lease is gone.
    pub(crate) async fn lost(&self) {
        let mut view = self.view.subscribe();
        // The sender lives as long as `self`, so this cannot fail.
        let _ = view.wait_for(|view| view.lost).await;
    }

    async fn cancelled(&self) -> CancelRequested {
        let mut view = self.view.subscribe();
        let seen = view.wait_for(|view| view.cancel.is_some()).await;
        match seen.ok().and_then(|view| view.cancel.clone()) {
            Some(cancel) => cancel,
            None => std::future::pending().await,
        }
    }

    fn is_healthy(&self, now: TimestampMs) -> bool {
        let timing = self.timing();
        let since_ms = now.since_ms(timing.confirmed_sent_at);
        let fresh = u128::from(since_ms) * 3 < u128::from(self.ttl_ms) * 2;
        fresh && timing.failures < FAILURES_UNHEALTHY && !self.is_lost()
    }

    fn failures(&self) -> u32 {
        self.timing().failures
    }

    /// Takes the answer to a renewal that was sent at `sent_at`. Returns whether renewing goes on.
    fn renewed(&self, sent_at: TimestampMs, answer: &Result<LeaseRenewed, EngineError>) -> bool {
        let mut timing = self.timing();
        match answer {
            Ok(renewed) => {
                timing.failures = 0;
                timing.confirmed_sent_at = timing.confirmed_sent_at.max(sent_at);
                drop(timing);
                let cancel = renewed.cancel_requested.as_ref();
                self.view.send_if_modified(|view| {
                    let changed = view.cancel.as_ref() != cancel && cancel.is_some();
                    if changed {
                        view.cancel = cancel.cloned();
                    }
                    changed
                });
                true
            }
            Err(error) => {
                timing.failures = timing.failures.saturating_add(1);
                drop(timing);
                if error.is_lease_lost() {
                    self.lose();
                }
                !error.is_lease_lost()
            }
        }
    }

    fn timing(&self) -> MutexGuard<'_, Timing> {
        self.timing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A third of the TTL, so that two renewals may fail before a lease runs out.
fn interval_ms(ttl_ms: u64) -> u64 {
    (ttl_ms / 3).max(1)
}

impl ClaimedTask {
    /// Renews the lease now, whatever the renewer does. Fails when the store does not answer or
    /// the lease is gone; in the latter case [`lease_lost`](Self::lease_lost) resolves, too.
    pub async fn renew_lease(&self) -> Result<(), SdkError> {
        let lease = self.lease();
        let sent_at = self.clock().now();
        let request =
            RenewLease { handles: vec![lease.handle.clone()], lease_ttl_ms: lease.ttl_ms };
        let answer = match self.backend().renew_lease(request).await {
            Ok(answers) => answers.into_iter().next().unwrap_or_else(missing_answer),
            Err(error) => Err(error),
        };
        if !lease.renewed(sent_at, &answer) {
            self.renewer().forget(lease);
        }
        answer.map(|_| ()).map_err(SdkError::from)
    }

    /// Overwrites the progress: 0 to 100 percent and what it is doing; a message that is too long
    /// is cut. Never appears in the output stream.
    pub async fn update_progress(&self, pct: u8, message: Option<&str>) -> Result<(), SdkError> {
        let request = UpdateProgress {
            handle: self.handle().clone(),
            percent: pct,
            message: message.map(crate::text::fit_reason),
        };
        if pct > 100 {
            let message = format!("is {pct}, it must be between 0 and 100");
            return Err(SdkError::config("update_progress", "pct", message));
        }
        let send = || self.backend().update_progress(request.clone());
        Ok(crate::resend::send(&**self.clock(), send).await?)
    }

    /// Tells whether the lease is renewed as it should be. False after three consecutive failures
    /// or once two thirds of the TTL have passed since the last confirmed renewal was sent.
    pub fn is_lease_healthy(&self) -> bool {
        self.lease().is_healthy(self.clock().now())
    }

    /// Returns how many renewals in a row have failed.
    pub fn consecutive_renewal_failures(&self) -> u32 {
        self.lease().failures()
    }

    /// Resolves once the lease is gone: taken over, run out, revoked or ended. Stop the work then;
    /// nothing it does can be stored any more.
    pub async fn lease_lost(&self) {
        self.lease().lost().await;
    }

    /// Resolves once an operator has asked this execution to stop. Stop the work within the grace
    /// and end the task with `cancel`; after it the lease is revoked.
    pub async fn cancelled(&self) -> Cancellation {
        let cancel = self.lease().cancelled().await;
        Cancellation {
            grace_left_ms: cancel.revoke_at.since_ms(self.clock().now()),
            reason: cancel.reason,
        }
    }
}

fn missing_answer() -> Result<LeaseRenewed, EngineError> {
    Err(BugKind::Invariant("a renewal of one lease had no answer".into()).into())
}

//! Claims: take work under a lease, and lose none of it to a lost reply or a dropped future.

use crate::error::SdkError;
use crate::lookout::{Look, Next};
use crate::resend::{Backoff, is_in_doubt, may_resend, no_answer, send};
use crate::task::ClaimedTask;
use crate::worker::Core;
use ff_core::contracts::claim::{
    ClaimExecution, ClaimResumedExecution, ClaimSource, ClaimedExecution, ExecutionsClaimed, Grant,
    GrantKind,
};
use ff_core::contracts::terminal::ReleaseExecution;
use ff_core::error::{EngineResult, StateKind};
use ff_core::ids::{ClaimId, ExecutionId};
use ff_core::limits::CLAIM_COUNT_MAX;
use ff_core::partition::Partition;
use ff_core::time::TimestampMs;
use futures::future::join_all;
use std::sync::Arc;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::Instrument;

/// The slot of claims that wait for work; a running task's own claims use a slot above it.
pub(crate) const WAITING_SLOT: u16 = 0;

/// What work is pulled for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pull {
    /// One task: partitions take turns.
    Task,
    /// The places of the worker loop: all that are free are filled, where it [stays](crate::stay).
    Places,
}

/// A claim as it goes out, the same each time.
#[derive(Clone, Debug)]
pub(crate) enum ClaimCall {
    Claim(ClaimExecution),
    Resume(ClaimResumedExecution),
}

/// An answer on its way to who asked. When nobody opens it, what was taken is given back.
struct Parcel {
    core: Arc<Core>,
    taken: Option<EngineResult<Taken>>,
}

impl Parcel {
    fn open(mut self) -> Option<EngineResult<Taken>> {
        self.taken.take()
    }
}

impl Drop for Parcel {
    fn drop(&mut self) {
        let Some(Ok(taken)) = self.taken.take() else { return };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let core = self.core.clone();
        runtime.spawn(async move {
            // In the slot's turn, so that a drain waits for it.
            let _slot = core.waiting_slot.lock().await;
            core.release_untouched(taken.executions).await;
        });
    }
}

/// What a claim took, and when it was first sent: its leases last from then at least.
#[derive(Debug)]
pub(crate) struct Taken {
    pub(crate) executions: Vec<ClaimedExecution>,
    pub(crate) sent_at: TimestampMs,
}

impl Core {
    /// Waits for work and claims as much as there are permits, for the worker loop those that
    /// became free while waiting, too. The permits of the tasks are split off. Empty only once the
    /// deadline has passed.
    pub(crate) async fn pull(
        self: &Arc<Self>,
        permits: &mut OwnedSemaphorePermit,
        pull: Pull,
        deadline: Option<TimestampMs>,
    ) -> Result<Vec<ClaimedTask>, SdkError> {
        let mut changes = self.lookout.changes();
        loop {
            changes.mark_unchanged();
            let now = self.clock.now();
            let next = match pull {
                Pull::Task => self.lookout.next(now),
                Pull::Places => self.lookout.next_stay(now),
            };
            match next {
                Next::Claim(look) => {
                    if pull == Pull::Places {
                        // Tasks that have just ended give their permits back first.
                        tokio::task::yield_now().await;
                        self.top_up(permits);
                    }
                    let tasks = self.claim_ready(look, permits).await?;
                    if !tasks.is_empty() {
                        return Ok(tasks);
                    }
                }
                Next::Wait(_) if deadline.is_some_and(|deadline| now >= deadline) => {
                    return Ok(Vec::new());
                }
                Next::Wait(until) => {
                    let until = deadline.map_or(until, |deadline| until.min(deadline));
                    tokio::select! {
                        _ = changes.changed() => {}
                        () = self.clock.sleep_until(until) => {}
                    }
                }
            }
        }
    }

    fn top_up(&self, permits: &mut OwnedSemaphorePermit) {
        let free = u32::try_from(self.permits.available_permits()).unwrap_or(0);
        if free > 0
            && let Ok(more) = self.permits.clone().try_acquire_many_owned(free)
        {
            permits.merge(more);
        }
    }

    async fn claim_ready(
        self: &Arc<Self>,
        look: Look,
        permits: &mut OwnedSemaphorePermit,
    ) -> Result<Vec<ClaimedTask>, SdkError> {
        let room = u32::try_from(permits.num_permits()).unwrap_or(CLAIM_COUNT_MAX);
        let count_max = room.min(self.lookout.share()).clamp(1, CLAIM_COUNT_MAX);
        self.lookout.charge(look, count_max);
        let taken = self
            .claim_detached(Some(look), move |core| {
                ClaimCall::Claim(core.ready_claim(look.partition, WAITING_SLOT, count_max))
            })
            .await?;
        let sent_at = taken.sent_at;
        let tasks = taken.executions.into_iter();
        Ok(tasks.map(|claimed| self.task(claimed, sent_at, permits.split(1))).collect())
    }

    /// Builds a new claim of ready work.
    pub(crate) fn ready_claim(
        &self,
        partition: Partition,
        slot: u16,
        count_max: u32,
    ) -> ClaimExecution {
        ClaimExecution {
            claim_id: ClaimId::generate(),
            slot,
            worker: self.config.identity().clone(),
            partition,
            source: ClaimSource::Ready { lanes: self.config.lanes().to_vec(), count_max },
            lease_ttl_ms: self.config.lease_ttl_ms(),
        }
    }

    /// Claims what a grant names.
    pub(crate) async fn claim_granted(
        self: &Arc<Self>,
        grant: Grant,
        kind: GrantKind,
    ) -> Result<ClaimedTask, SdkError> {
        if grant.kind != kind {
            let message = format!("is of kind {}, expected {}", grant.kind.as_str(), kind.as_str());
            return Err(SdkError::config("claim by grant", "grant", message));
        }
        let permit = self.permit().await?;
        let execution_id = grant.execution_id;
        let taken = self.claim_detached(None, move |core| core.granted_claim(grant)).await?;
        let sent_at = taken.sent_at;
        match taken.executions.into_iter().next() {
            Some(claimed) => Ok(self.task(claimed, sent_at, Some(permit))),
            None => Err(answered_too_late(execution_id)),
        }
    }

    fn granted_claim(&self, grant: Grant) -> ClaimCall {
        let (claim_id, slot) = (ClaimId::generate(), WAITING_SLOT);
        let worker = self.config.identity().clone();
        let lease_ttl_ms = self.config.lease_ttl_ms();
        match grant.kind {
            GrantKind::Claim => ClaimCall::Claim(ClaimExecution {
                claim_id,
                slot,
                worker,
                partition: grant.execution_id.partition(),
                source: ClaimSource::Grant(grant),
                lease_ttl_ms,
            }),
            GrantKind::Reclaim => ClaimCall::Resume(ClaimResumedExecution {
                claim_id,
                slot,
                worker,
                grant,
                lease_ttl_ms,
            }),
        }
    }

    /// Claims in the waiting slot, in a tokio task of its own. The caller waits for one lease TTL
    /// at most; when it is gone before the answer, what was taken is released. The slot has one
    /// claim in flight: while one is unanswered, there is no other.
    async fn claim_detached(
        self: &Arc<Self>,
        look: Option<Look>,
        build: impl FnOnce(&Self) -> ClaimCall,
    ) -> Result<Taken, SdkError> {
        let until = self.clock.now().plus_ms(self.config.lease_ttl_ms());
        tokio::select! {
            biased;
            taken = self.claim_in_turn(look, build) => taken,
            () = self.clock.sleep_until(until) => Err(no_answer("claim_execution", until).into()),
        }
    }

    async fn claim_in_turn(
        self: &Arc<Self>,
        look: Option<Look>,
        build: impl FnOnce(&Self) -> ClaimCall,
    ) -> Result<Taken, SdkError> {
        let slot = self.waiting_slot.clone().lock_owned().await;
        let call = build(self);
        let sent_at = self.clock.now();
        let (deliver, delivered) = oneshot::channel();
        let core = self.clone();
        let claiming = async move {
            let _slot = slot;
            let answer = core.send_claim(&call, sent_at, false).await;
            if let (Ok(claimed), Some(look)) = (&answer, look) {
                core.note_claimed(look, claimed);
            }
            let taken = answer.map(|claimed| Taken { executions: claimed.executions, sent_at });
            let parcel = Parcel { core: core.clone(), taken: Some(taken) };
            if let Err(undelivered) = deliver.send(parcel)
                && let Some(Ok(taken)) = undelivered.open()
            {
                core.release_untouched(taken.executions).await;
            }
        };
        tokio::spawn(claiming.in_current_span());
        let stopped = SdkError::Stopped { op: "claim_execution" };
        match delivered.await.ok().and_then(Parcel::open) {
            Some(taken) => Ok(taken?),
            None => Err(stopped),
        }
    }

    /// Sends a claim until it is answered. A store that hangs may take work for it long after it
    /// was sent, so a claim in doubt is asked for as long as the worker lives: forgetting it would
    /// leave that work leased to nobody. A store that says why it cannot answer is asked for less
    /// than one lease TTL, so that whoever waits for the claim hears its reason.
    pub(crate) async fn send_claim(
        &self,
        call: &ClaimCall,
        first_sent_at: TimestampMs,
        mut in_doubt: bool,
    ) -> EngineResult<ExecutionsClaimed> {
        let until = first_sent_at.plus_ms(self.config.lease_ttl_ms());
        let mut backoff = Backoff::new();
        loop {
            let error = match self.send_claim_once(call).await {
                Err(error) if may_resend(&error) => error,
                answer => return answer,
            };
            in_doubt |= is_in_doubt(&error);
            if self.is_over() || (!in_doubt && backoff.reaches(&*self.clock, until)) {
                return Err(error);
            }
            tracing::debug!(%error, "sending the identical claim again");
            backoff.wait(&*self.clock, None).await;
        }
    }

    /// Sends a claim and waits for the answer for one lease TTL.
    async fn send_claim_once(&self, call: &ClaimCall) -> EngineResult<ExecutionsClaimed> {
        let until = self.clock.now().plus_ms(self.config.lease_ttl_ms());
        let answer = match call {
            ClaimCall::Claim(request) => self.backend.claim_execution(request.clone()),
            ClaimCall::Resume(request) => self.backend.claim_resumed_execution(request.clone()),
        };
        tokio::select! {
            biased;
            answer = answer => answer,
            () = self.clock.sleep_until(until) => Err(no_answer("claim_execution", until)),
        }
    }

    /// Tells whether a claim that was first sent then is answered too late to be worked on: its
    /// leases may have run out.
    pub(crate) fn is_too_late(&self, sent_at: TimestampMs) -> bool {
        self.clock.now() >= sent_at.plus_ms(self.config.lease_ttl_ms())
    }

    /// Remembers what a claim saw of its partition, for the next claims and the tick loop.
    pub(crate) fn note_claimed(&self, look: Look, claimed: &ExecutionsClaimed) {
        self.lookout.saw(look, claimed.ready_left, self.clock.now());
        self.engine.saw_next_due(look.partition, claimed.next_due);
    }

    /// Gives back what nobody has begun to work on.
    pub(crate) async fn release_untouched(&self, executions: Vec<ClaimedExecution>) {
        let releases = executions.into_iter().map(|claimed| async move {
            let execution_id = claimed.handle.execution_id();
            let request = ReleaseExecution {
                handle: claimed.handle,
                reason: "claimed, but nobody was there to take it".to_owned(),
            };
            let release = || self.backend.release_execution(request.clone());
            if let Err(error) = send(&*self.clock, release).await {
                tracing::warn!(%execution_id, %error, "unused work was not given back");
            }
        });
        join_all(releases).await;
    }

    pub(crate) fn task(
        &self,
        claimed: ClaimedExecution,
        sent_at: TimestampMs,
        permit: Option<OwnedSemaphorePermit>,
    ) -> ClaimedTask {
        let (backend, renewer) = (self.backend.clone(), self.renewer.clone());
        ClaimedTask::new(backend, renewer, permit, claimed, sent_at)
    }

    pub(crate) async fn permit(&self) -> Result<OwnedSemaphorePermit, SdkError> {
        let permits = self.permits.clone();
        // The semaphore is never closed; if it were, the worker would be at its end.
        permits.acquire_owned().await.map_err(|_| SdkError::Stopped { op: "claim_execution" })
    }
}

/// A grant was used, but the answer came after the lease had run out.
fn answered_too_late(execution_id: ExecutionId) -> SdkError {
    let reason = "it was used by this call, but the lease ran out before the answer".to_owned();
    let state = StateKind::GrantInvalid { execution_id, reason };
    SdkError::Engine(Box::new(state.into()))
}

//! Completions that travel together, and the claim that they share.

use super::chain::Phase;
use crate::claim::ClaimCall;
use crate::lookout::Look;
use crate::resend::{may_resend, no_answer, send_until};
use crate::run::TaskContext;
use crate::terminal::NotEnded;
use crate::together::{Member, Together, Turn};
use crate::worker::Core;
use bytes::Bytes;
use ff_core::contracts::claim::{ClaimExecution, ClaimedExecution, ExecutionsClaimed};
use ff_core::contracts::terminal::{CompleteExecutions, Completion, ExecutionsCompleted};
use ff_core::error::{EngineError, EngineResult};
use ff_core::limits::{CLAIM_COUNT_MAX, COMPLETIONS_BYTES_MAX, COMPLETIONS_MAX};
use ff_core::partition::Partition;
use ff_core::time::TimestampMs;
use futures::future::join_all;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinSet;
use tracing::Instrument;

const OP: &str = "complete_executions";

/// The completions of a worker loop.
#[derive(Debug)]
pub(super) struct Ends {
    core: Arc<Core>,
    phase: watch::Receiver<Phase>,
    waiting: Arc<Together<Waiting>>,
    /// The calls on their way.
    calls: Mutex<JoinSet<()>>,
}

/// A completion on its way, and who waits for it.
#[derive(Debug)]
struct Waiting {
    task: TaskContext,
    completion: Completion,
    /// The slot of the task's own claims when its place is to be filled again.
    slot: Option<u16>,
    seat: oneshot::Sender<Verdict>,
}

impl Member for Waiting {
    const COUNT_MAX: usize = COMPLETIONS_MAX;
    const BYTES_MAX: usize = COMPLETIONS_BYTES_MAX;

    fn bytes(&self) -> usize {
        self.completion.result.as_ref().map_or(0, Bytes::len)
    }
}

/// What became of a completion.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) ended: Result<(), NotEnded>,
    /// What takes the place of the task, and when its claim was sent.
    pub(super) next: Option<(ClaimedExecution, TimestampMs)>,
}

/// The claim that travels with ends.
#[derive(Debug)]
pub(super) struct Fused {
    look: Look,
    pub(super) claim: ClaimExecution,
    pub(super) sent_at: TimestampMs,
}

impl Ends {
    pub(super) fn new(core: Arc<Core>, phase: watch::Receiver<Phase>) -> Self {
        Self { core, phase, waiting: Arc::default(), calls: Mutex::default() }
    }

    /// Completes a task together with those that end at the same time. With a slot, what is claimed
    /// next in its partition comes with the answer.
    pub(super) async fn complete(
        self: &Arc<Self>,
        task: &TaskContext,
        result: Option<Vec<u8>>,
        slot: Option<u16>,
    ) -> Verdict {
        let completion = task.completion(result);
        if let Err(error) = completion.check() {
            return Verdict { ended: Err(NotEnded::Refused(error)), next: None };
        }
        let partition = task.execution_id().partition();
        let (seat, verdict) = oneshot::channel();
        let member = Waiting { task: task.clone(), completion, slot, seat };
        if let Some(turn) = self.waiting.join(partition, member) {
            self.spawn(turn);
        }
        // The channel ends without a verdict when the runtime does.
        verdict.await.unwrap_or_else(|_| Verdict {
            ended: Err(NotEnded::NotLanded(no_answer(OP, self.core.clock.now()))),
            next: None,
        })
    }

    /// Calls for those who wait, in a task of its own: whoever is dropped meanwhile does not take
    /// the others along.
    fn spawn(self: &Arc<Self>, mut turn: Turn<Waiting>) {
        let ends = self.clone();
        let calling = async move {
            while let Some((members, second)) = turn.next().await {
                second.into_iter().for_each(|second| ends.spawn(second));
                ends.call(members).await;
            }
        };
        let mut calls = self.calls();
        while calls.try_join_next().is_some() {}
        calls.spawn(calling.in_current_span());
    }

    fn calls(&self) -> MutexGuard<'_, JoinSet<()>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves once no call is on its way any more.
    pub(super) async fn settled(&self) {
        loop {
            let mut calls = std::mem::take(&mut *self.calls());
            if calls.is_empty() {
                return;
            }
            while calls.join_next().await.is_some() {}
        }
    }

    async fn call(&self, mut members: Vec<Waiting>) {
        let fused = self.fused(&mut members);
        let (outcomes, claimed) = match self.land(&members, fused.as_ref()).await {
            Ok(answer) => (answer.outcomes, answer.next),
            Err(error) => {
                let outcomes = self.outcomes_after(&error, &members).await;
                // Whose slot the claim used is told last: once it is known what the claim took.
                let rest = members.split_off(1);
                let (first, others) = split_first(outcomes);
                self.tell(rest, others, Vec::new(), TimestampMs::default()).await;
                let claimed = match &fused {
                    Some(fused) if !matches!(error, EngineError::Validation { .. }) => {
                        self.repeat_claim(fused).await
                    }
                    _ => None,
                };
                (first, claimed)
            }
        };
        let (next, sent_at) = match (claimed, &fused) {
            (Some(claimed), Some(fused)) => (self.unpack(claimed, fused).await, fused.sent_at),
            _ => (Vec::new(), TimestampMs::default()),
        };
        self.tell(members, outcomes, next, sent_at).await;
    }

    /// Returns what became of each end after a call failed as a whole. What one of them has done to
    /// the call must not touch the others, so each is sent again alone unless the store was away.
    async fn outcomes_after(
        &self,
        error: &EngineError,
        members: &[Waiting],
    ) -> Vec<EngineResult<()>> {
        if may_resend(error) || members.len() == 1 {
            return members.iter().map(|_| Err(error.again())).collect();
        }
        let alone = members.iter().map(|member| async move {
            let answer = self.land(std::slice::from_ref(member), None).await?;
            answer.outcomes.into_iter().next().unwrap_or_else(|| Err(error.again()))
        });
        join_all(alone).await
    }

    /// Sends the ends until they are answered or the last of their leases has run out.
    async fn land(
        &self,
        members: &[Waiting],
        fused: Option<&Fused>,
    ) -> EngineResult<ExecutionsCompleted> {
        let core = &self.core;
        // An end that is sent late in a lease has a fair time to be answered, too.
        let fair = core.clock.now().plus_ms(core.config.lease_ttl_ms() / 3);
        let until = || {
            let leases = members.iter().map(|member| member.task.lease().until());
            leases.max().unwrap_or(fair).max(fair)
        };
        let send = || {
            core.backend.complete_executions(CompleteExecutions {
                completions: members.iter().map(|member| member.completion.clone()).collect(),
                next: fused.map(|fused| fused.claim.clone()),
            })
        };
        send_until(&*core.clock, OP, until, send).await
    }

    /// Builds the claim for those whose place is to be filled again, in the slot of the first: no
    /// other claim uses it while its task waits here. That one goes to the front.
    fn fused(&self, members: &mut [Waiting]) -> Option<Fused> {
        let first = members.iter().position(|member| member.slot.is_some())?;
        members.swap(0, first);
        let wanted = members.iter().filter(|member| member.slot.is_some()).count();
        let partition = members[0].task.execution_id().partition();
        self.fuse(partition, members[0].slot?, wanted)
    }

    /// Builds a claim that travels with ends; none while draining, nor when the places are to be
    /// filled elsewhere.
    pub(super) fn fuse(&self, partition: Partition, slot: u16, wanted: usize) -> Option<Fused> {
        if *self.phase.borrow() != Phase::Running {
            return None;
        }
        let count_max = u32::try_from(wanted).unwrap_or(CLAIM_COUNT_MAX).min(CLAIM_COUNT_MAX);
        let now = self.core.clock.now();
        let look = self.core.lookout.stay(partition, count_max, now)?;
        let claim = self.core.ready_claim(partition, slot, count_max);
        Some(Fused { look, claim, sent_at: now })
    }

    /// Takes what a fused claim took: what may still be worked on; the rest is given back.
    pub(super) async fn unpack(
        &self,
        claimed: ExecutionsClaimed,
        fused: &Fused,
    ) -> Vec<ClaimedExecution> {
        self.core.note_claimed(fused.look, &claimed);
        if *self.phase.borrow() == Phase::Running && !self.core.is_too_late(fused.sent_at) {
            return claimed.executions;
        }
        self.core.release_untouched(claimed.executions).await;
        Vec::new()
    }

    /// Ends went unanswered, and their claim with them: asks again for the claim alone, under its
    /// own id, however long it takes, so that what it may have taken is not left lying.
    pub(super) async fn repeat_claim(&self, fused: &Fused) -> Option<ExecutionsClaimed> {
        let call = ClaimCall::Claim(fused.claim.clone());
        match self.core.send_claim(&call, fused.sent_at, true).await {
            Ok(claimed) => Some(claimed),
            Err(error) => {
                tracing::warn!(%error, "a claim went unanswered; what it took is claimed anew");
                None
            }
        }
    }

    /// Tells each what became of its end and what takes its place; gives back what nobody takes.
    async fn tell(
        &self,
        members: Vec<Waiting>,
        outcomes: Vec<EngineResult<()>>,
        next: Vec<ClaimedExecution>,
        sent_at: TimestampMs,
    ) {
        let mut next = next.into_iter();
        let mut unused = Vec::new();
        for (member, outcome) in members.into_iter().zip(outcomes) {
            let ended = member.task.judge(outcome, |()| true);
            let goes_on = member.slot.is_some() && !matches!(ended, Err(NotEnded::Refused(_)));
            let next = if goes_on { next.next() } else { None };
            let verdict = Verdict { ended, next: next.map(|next| (next, sent_at)) };
            if let Err(Verdict { next: Some((next, _)), .. }) = member.seat.send(verdict) {
                unused.push(next);
            }
        }
        unused.extend(next);
        self.core.release_untouched(unused).await;
    }
}

/// Takes the first of a list off.
fn split_first<T>(mut list: Vec<T>) -> (Vec<T>, Vec<T>) {
    let rest = list.split_off(1.min(list.len()));
    (list, rest)
}

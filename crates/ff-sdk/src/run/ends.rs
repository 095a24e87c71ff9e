//! Completions that travel together, and the claim that they share.

use super::chain::Phase;
use crate::claim::ClaimCall;
use crate::lookout::Look;
use crate::resend::{may_resend, send_until};
use crate::run::TaskContext;
use crate::terminal::NotEnded;
use crate::together::Together;
use crate::worker::Core;
use bytes::Bytes;
use ff_core::contracts::claim::{ClaimExecution, ClaimedExecution, ExecutionsClaimed};
use ff_core::contracts::terminal::{CompleteExecutions, Completion, ExecutionsCompleted};
use ff_core::error::{BugKind, EngineResult};
use ff_core::limits::{CLAIM_COUNT_MAX, COMPLETIONS_BYTES_MAX, COMPLETIONS_MAX};
use ff_core::partition::Partition;
use ff_core::time::TimestampMs;
use std::sync::Arc;
use tokio::sync::{oneshot, watch};
use tracing::Instrument;

/// The completions of a worker loop.
#[derive(Debug)]
pub(super) struct Ends {
    core: Arc<Core>,
    phase: watch::Receiver<Phase>,
    waiting: Together<Member>,
}

/// A completion on its way, and who waits for it.
#[derive(Debug)]
struct Member {
    task: TaskContext,
    completion: Completion,
    /// The slot of the task's own claims when its place is to be filled again.
    slot: Option<u16>,
    seat: oneshot::Sender<Verdict>,
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
        Self { core, phase, waiting: Together::default() }
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
        let member = Member { task: task.clone(), completion, slot, seat };
        if self.waiting.join(partition, member) {
            self.lead(partition).await;
        }
        verdict.await.unwrap_or_else(|_| Verdict {
            ended: Err(NotEnded::Refused(
                BugKind::Invariant("nobody ended a completion".to_owned()).into(),
            )),
            next: None,
        })
    }

    /// Makes one call for those who wait in a partition, and leaves the rest to a task of its own.
    async fn lead(self: &Arc<Self>, partition: Partition) {
        // Handlers that are about to end come along.
        tokio::task::yield_now().await;
        self.call(partition).await;
        if self.waiting.goes_on(partition) {
            let ends = self.clone();
            let rest = async move {
                while {
                    ends.call(partition).await;
                    ends.waiting.goes_on(partition)
                } {}
            };
            tokio::spawn(rest.in_current_span());
        }
    }

    async fn call(&self, partition: Partition) {
        let bytes_of = |member: &Member| member.completion.result.as_ref().map_or(0, Bytes::len);
        let bytes_max = COMPLETIONS_BYTES_MAX;
        let mut members = self.waiting.take(partition, COMPLETIONS_MAX, bytes_max, bytes_of);
        if members.is_empty() {
            return;
        }
        let fused = self.fused(partition, &mut members);
        let (outcomes, claimed) = match self.land(&members, fused.as_ref()).await {
            Ok(answer) => (answer.outcomes, answer.next),
            Err(error) => {
                // Whose slot the claim used is told last: once it is known what the claim took.
                let rest = members.split_off(1);
                let outcomes = rest.iter().map(|_| Err(error.again())).collect();
                self.tell(rest, outcomes, Vec::new(), TimestampMs::default()).await;
                let claimed = match &fused {
                    Some(fused) if may_resend(&error) => self.repeat_claim(fused).await,
                    _ => None,
                };
                (vec![Err(error)], claimed)
            }
        };
        let (next, sent_at) = match (claimed, &fused) {
            (Some(claimed), Some(fused)) => (self.unpack(claimed, fused).await, fused.sent_at),
            _ => (Vec::new(), TimestampMs::default()),
        };
        self.tell(members, outcomes, next, sent_at).await;
    }

    /// Sends the ends until they are answered or the last of their leases has run out.
    async fn land(
        &self,
        members: &[Member],
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
        send_until(&*core.clock, "complete_executions", until, send).await
    }

    /// Builds the claim for those whose place is to be filled again, in the slot of the first: no
    /// other claim uses it while its task waits here. That one goes to the front.
    fn fused(&self, partition: Partition, members: &mut [Member]) -> Option<Fused> {
        let first = members.iter().position(|member| member.slot.is_some())?;
        members.swap(0, first);
        let wanted = members.iter().filter(|member| member.slot.is_some()).count();
        self.fuse(partition, members[0].slot?, wanted)
    }

    /// Builds a claim that travels with ends; none while draining.
    pub(super) fn fuse(&self, partition: Partition, slot: u16, wanted: usize) -> Option<Fused> {
        if *self.phase.borrow() != Phase::Running {
            return None;
        }
        let count_max = u32::try_from(wanted).unwrap_or(CLAIM_COUNT_MAX).min(CLAIM_COUNT_MAX);
        Some(Fused {
            look: self.core.lookout.look(partition),
            claim: self.core.ready_claim(partition, slot, count_max),
            sent_at: self.core.clock.now(),
        })
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
        match self.core.send_claim(&call, fused.sent_at).await {
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
        members: Vec<Member>,
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

//! What a world must come to see at least once, so that its laws are not kept for want of cases.

use crate::state::{State, ended};
use crate::world::World;
use ff_core::state::TerminalOutcome;
use ff_core::turn::TurnOperation;
use ff_lifecycle::{Execution, NextTurn, Phase};
use stateright::Property;

macro_rules! sights {
    ($($sight:ident = $words:literal, $seen:expr;)*) => {
        /// Something that can be seen in a state.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Sight { $($sight,)* }

        impl Sight {
            /// Returns the sight as a property: it is seen sometimes.
            pub fn property(self) -> Property<World> {
                match self {
                    $(Self::$sight => Property::sometimes($words, |_, state| $seen(state)),)*
                }
            }
        }
    };
}

sights! {
    Success = "an execution succeeds",
        |state| any(state, |r| ended_as(r, TerminalOutcome::Success));
    Failure = "an execution fails", |state| any(state, |r| ended_as(r, TerminalOutcome::Failed));
    Cancelled = "an execution is cancelled",
        |state| any(state, |r| ended_as(r, TerminalOutcome::Cancelled));
    Expired = "an execution expires",
        |state| any(state, |r| ended_as(r, TerminalOutcome::Expired));
    AllSucceed = "all executions succeed",
        |state| !any(state, |r| !ended_as(r, TerminalOutcome::Success));
    LostLease = "a lease is lost", |state| any(state, |r| ended_by(r, TurnOperation::LeaseExpired));
    Poisoned = "too many leases are lost",
        |state| any(state, |r| r.reclaims > 1 && ended(r).is_some());
    TimedOut = "an attempt times out",
        |state| any(state, |r| ended_by(r, TurnOperation::AttemptTimeout));
    Heir = "another worker goes on with an attempt", |state| any(state, goes_on_elsewhere);
    BothWork = "both workers think that they hold one lease each", both_work;
    LateRefused = "a call that comes too late is refused", |state: &State| {
        state.posted.iter().any(|posted| matches!(posted.answer, Some(Err(_))))
    };
    Resumed = "a signal resumes", |state| any(state, |r| {
        r.next == NextTurn::Resume && r.resume_signals.iter().any(|s| s.source_type == "model")
    });
    ResumedByTime = "a timeout resumes", |state| any(state, |r| {
        r.resume_signals.iter().any(|s| s.source_type == "engine")
    });
    HalfMet = "a suspension has met one of two", |state| any(state, |r| {
        matches!(&r.phase, Phase::Suspended(open) if open.matchers.iter().any(|m| m.1.is_some()))
    });
    Satisfied = "buffered signals satisfy a suspension at once",
        |state| any(state, |r| !r.satisfied.is_empty());
    Escalated = "a suspension escalates", |state| any(state, |r| {
        matches!(&r.phase, Phase::Suspended(open) if open.escalated)
    });
    Asked = "a running execution is asked to stop", |state| any(state, |r| r.cancel.is_some());
    Replayed = "a replay runs", |state| any(state, |r| {
        r.replays > 0 && matches!(r.phase, Phase::Active(_))
    });
    Granted = "a grant is open", |state| any(state, |r| matches!(r.phase, Phase::Granted { .. }));
    Lapsed = "a grant lapses", |state| any(state, |r| {
        r.last_grant.is_some() && r.attempts == 0 && matches!(r.phase, Phase::Ready { .. })
    });
    TakenOver = "a lost lease is taken over by a grant", |state| any(state, |r| {
        r.last_grant.is_some() && r.reclaims > 0 && matches!(r.phase, Phase::Active(_))
    });
    Removed = "a finished execution is removed", |state: &State| {
        state.store.records.is_empty() && state.made.claims > 0
    };
    TwoUnderOneKey = "a key is free again after its window",
        |state: &State| state.store.records.len() == 2;
    Written = "two frames are written", |state| any(state, |r| r.frames.count > 1);
}

fn any(state: &State, seen: impl Fn(&Execution) -> bool) -> bool {
    state.store.records.values().any(|record| seen(record))
}

fn ended_as(record: &Execution, outcome: TerminalOutcome) -> bool {
    ended(record).is_some_and(|(how, _)| how == outcome)
}

fn ended_by(record: &Execution, operation: TurnOperation) -> bool {
    record.last_turn().is_some_and(|turn| turn.operation == operation)
}

fn goes_on_elsewhere(record: &Execution) -> bool {
    let (Phase::Active(lease), Some(turn)) = (&record.phase, record.last_turn()) else {
        return false;
    };
    Some(turn.attempt_id) == record.attempt_id
        && turn.worker_instance_id != lease.worker_instance_id
}

fn both_work(state: &State) -> bool {
    let [first, second] = &state.workers;
    !first.tasks.is_empty() && !second.tasks.is_empty()
}

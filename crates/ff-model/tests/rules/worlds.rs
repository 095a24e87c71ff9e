//! The worlds: each small enough to be explored to the end, together every operation.

use crate::explore;
use crate::sight::Sight;
use crate::state::Counts;
use crate::world::HolderOp::*;
use crate::world::{OperatorOp, SuspendPlan, World, after, policy};
use ff_core::policy::ExecutionPolicy;
use ff_core::state::TimeoutBehavior;

/// Two workers, every end of a turn, a timeout of the attempt.
#[test]
fn leases_and_ends() {
    let mut world = World::new(ExecutionPolicy { attempt_timeout_ms: Some(6_000), ..policy() });
    world.holder = vec![Complete, Fail, GiveUp, Cancel, Delay, DelayPast, Release, WaitChildren];
    world.bounds = Counts { claims: 3, moves: 2, odd: 1, ..Counts::default() };
    world.sights = vec![
        Sight::Success,
        Sight::Failure,
        Sight::Cancelled,
        Sight::LostLease,
        Sight::Heir,
        Sight::BothWork,
        Sight::LateRefused,
    ];
    explore(world);
}

/// Leases that are lost, renewed and timed out, over more time.
#[test]
fn leases_over_time() {
    let mut world = World::new(ExecutionPolicy { attempt_timeout_ms: Some(6_000), ..policy() });
    world.holder = vec![Renew, Complete];
    world.pause_ms = 2_000;
    world.bounds = Counts { claims: 3, moves: 4, odd: 1, small: 2, ..Counts::default() };
    world.sights = vec![Sight::Poisoned, Sight::TimedOut, Sight::LostLease, Sight::Success];
    explore(world);
}

/// Two calls that come late or twice.
#[test]
fn crossed_calls() {
    let mut world = World::new(policy());
    world.holder = vec![Complete, Cancel, Release];
    world.operator = vec![OperatorOp::Cancel];
    world.bounds = Counts { claims: 3, moves: 1, odd: 2, operator: 1, ..Counts::default() };
    world.sights = vec![Sight::LateRefused, Sight::LostLease, Sight::BothWork];
    explore(world);
}

/// Two executions that one claim may take together.
#[test]
fn two_executions() {
    let mut world = World::new(policy()).and_another();
    world.holder = vec![Complete, Release];
    world.claim_count = 2;
    world.bounds = Counts { claims: 3, moves: 1, odd: 1, crashes: 1, ..Counts::default() };
    world.sights = vec![Sight::AllSucceed, Sight::BothWork, Sight::LostLease];
    explore(world);
}

/// Output, over claims of one attempt and of the next.
#[test]
fn streams() {
    let mut world = World::new(policy());
    world.holder = vec![Append, Progress, Release, Fail];
    world.bounds = Counts { claims: 2, moves: 1, odd: 1, small: 4, ..Counts::default() };
    world.sights = vec![Sight::Written, Sight::Heir, Sight::LostLease];
    explore(world);
}

/// Waitpoints opened ahead, signals before and after the suspension that waits for them.
#[test]
fn early_signals() {
    let mut world = World::new(policy());
    world.holder = vec![Open(0), Suspend(0), Suspend(1), Suspend(2), Complete];
    world.waitpoints = vec![("early", 3_000)];
    world.suspends = vec![
        SuspendPlan { names: &["go"], key: Some("early"), timeout: None },
        SuspendPlan { names: &[], key: None, timeout: None },
        SuspendPlan { names: &["", "go"], key: None, timeout: None },
    ];
    world.signals = vec![("go", None), ("stop", None)];
    world.bounds = Counts {
        claims: 2,
        moves: 1,
        odd: 1,
        suspends: 2,
        waitpoints: 1,
        signals: 2,
        ..Counts::default()
    };
    world.sights = vec![Sight::Resumed, Sight::Satisfied, Sight::HalfMet, Sight::Success];
    explore(world);
}

/// Two waitpoints open at a time, and signals under an idempotency key.
#[test]
fn two_waitpoints() {
    let mut world = World::new(policy());
    world.holder = vec![Open(0), Open(1), Suspend(0), Suspend(1)];
    world.waitpoints = vec![("one", 3_000), ("two", 5_000)];
    world.suspends = vec![
        SuspendPlan { names: &["go"], key: Some("one"), timeout: None },
        SuspendPlan { names: &["go"], key: None, timeout: None },
    ];
    world.signals = vec![("go", Some("key"))];
    world.bounds = Counts {
        claims: 2,
        moves: 1,
        odd: 1,
        suspends: 1,
        waitpoints: 2,
        signals: 2,
        ..Counts::default()
    };
    world.sights = vec![Sight::Resumed, Sight::Satisfied];
    explore(world);
}

/// A suspension of two matchers that times out.
fn timeouts(behaviour: TimeoutBehavior, sight: Sight) -> World {
    let mut world = World::new(ExecutionPolicy { attempt_timeout_ms: Some(9_000), ..policy() });
    world.holder = vec![Suspend(0), Fail];
    let timeout = Some((2_000, behaviour));
    world.suspends = vec![
        SuspendPlan { names: &["go", "on"], key: None, timeout },
        SuspendPlan { names: &["go"], key: Some("early"), timeout },
    ];
    world.signals = vec![("go", None), ("on", None)];
    world.bounds =
        Counts { claims: 2, moves: 3, odd: 1, suspends: 2, signals: 2, ..Counts::default() };
    world.sights = vec![sight, Sight::HalfMet, Sight::Resumed];
    world
}

#[test]
fn timeouts_that_fail() {
    explore(timeouts(TimeoutBehavior::Fail, Sight::Failure));
}

#[test]
fn timeouts_that_cancel() {
    explore(timeouts(TimeoutBehavior::Cancel, Sight::Cancelled));
}

#[test]
fn timeouts_that_expire() {
    explore(timeouts(TimeoutBehavior::Expire, Sight::Expired));
}

#[test]
fn timeouts_that_resume() {
    let mut world = timeouts(TimeoutBehavior::AutoResume, Sight::ResumedByTime);
    world.waitpoints = vec![("early", 3_000)];
    world.holder.extend([Open(0), Suspend(1)]);
    world.bounds = Counts { moves: 2, suspends: 1, waitpoints: 1, ..world.bounds };
    explore(world);
}

#[test]
fn timeouts_that_escalate() {
    explore(timeouts(TimeoutBehavior::Escalate, Sight::Escalated));
}

/// Operators who cancel and replay, a deadline, and the end of the retention.
#[test]
fn operators_and_deadlines() {
    let mut world = World::new(ExecutionPolicy { deadline: after(5_000), ..policy() });
    world.holder = vec![Complete, Delay, Suspend(0)];
    world.suspends = vec![SuspendPlan { names: &[], key: None, timeout: None }];
    world.operator = vec![OperatorOp::Cancel, OperatorOp::CancelWithGrace, OperatorOp::Replay];
    world.bounds =
        Counts { claims: 2, moves: 3, odd: 1, suspends: 1, operator: 2, ..Counts::default() };
    world.sights =
        vec![Sight::Expired, Sight::Cancelled, Sight::Asked, Sight::Replayed, Sight::Removed];
    explore(world);
}

/// Operators who cancel what is cancelled, and replay it meanwhile.
#[test]
fn operators_in_each_others_way() {
    let mut world = World::new(policy());
    world.holder = vec![Complete];
    world.operator = vec![OperatorOp::Cancel, OperatorOp::CancelWithGrace, OperatorOp::Replay];
    world.bounds = Counts { claims: 1, moves: 1, odd: 1, operator: 4, ..Counts::default() };
    world.sights = vec![Sight::Cancelled, Sight::Asked, Sight::Replayed];
    explore(world);
}

/// Grants beside claims from the ready index, for new attempts, resumes and lost leases.
#[test]
fn grants() {
    let mut world = World::new(policy());
    world.holder = vec![Complete, Release, Fail];
    world.bounds = Counts { claims: 2, moves: 3, odd: 1, grants: 2, ..Counts::default() };
    world.sights = vec![Sight::Granted, Sight::Lapsed, Sight::TakenOver, Sight::Heir];
    explore(world);
}

/// Submissions under one idempotency key, with a start that lies ahead.
#[test]
fn submissions() {
    let start = ExecutionPolicy { start: after(1_000), ..policy() };
    let mut world = World::new(start).and_another().under_one_key(3_000);
    world.holder = vec![Complete, Release];
    world.operator = vec![OperatorOp::Cancel];
    world.bounds = Counts { claims: 1, moves: 4, odd: 1, operator: 1, ..Counts::default() };
    world.sights = vec![Sight::TwoUnderOneKey, Sight::Success, Sight::Cancelled];
    explore(world);
}

//! Deadlines, whatever the execution is doing.

use crate::prelude::*;

const DEADLINE_MS: u64 = 10_000;

fn by_deadline(policy: &mut ExecutionPolicy) {
    policy.deadline = Some(When::After(DEADLINE_MS));
}

async fn expires(world: &World, execution_id: ExecutionId, before: PublicState) {
    let deadline = world.info(execution_id).await.deadline_at.expect("a deadline");
    world.advance(deadline.since_ms(world.now()) - 1).await;
    assert_eq!(world.info(execution_id).await.public_state, before);
    world.advance(3).await;
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Expired);
    assert_eq!(info.terminal_outcome, TerminalOutcome::Expired);
    assert_eq!((info.ended_at, info.end_reason.as_deref()), (Some(deadline), Some("deadline")));
    assert_eq!((info.lease, info.grant, info.suspension), (None, None, None));
    assert!(world.claim_ids(10).await.is_empty());
}

pub async fn a_deadline_ends_ready_work(world: &World) {
    let execution_id = world.submit_with(by_deadline).await;
    expires(world, execution_id, PublicState::Waiting).await;
}

pub async fn a_deadline_ends_delayed_work(world: &World) {
    let execution_id = world
        .submit_with(|policy| {
            by_deadline(policy);
            policy.start = Some(When::After(DEADLINE_MS * 2));
        })
        .await;
    expires(world, execution_id, PublicState::Delayed).await;
    world.advance(DEADLINE_MS * 2).await;
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn a_deadline_ends_granted_work(world: &World) {
    let execution_id = world.submit_with(by_deadline).await;
    let request = IssueGrant {
        ttl_ms: DEADLINE_MS * 2,
        ..issue(&grant(execution_id, &worker("w"), GrantKind::Claim))
    };
    world.issue_grant(request).await.expect("a grant");
    expires(world, execution_id, PublicState::Blocked).await;
}

pub async fn a_deadline_ends_running_work(world: &World) {
    let handle = world.started_with(by_deadline).await.handle;
    let deadline = world.after(DEADLINE_MS);
    expires(world, handle.execution_id(), PublicState::Active).await;
    let turn = world.last_turn(handle.execution_id()).await;
    assert_eq!((turn.operation, turn.outcome), (TurnOperation::Deadline, TurnOutcome::Expired));
    assert_eq!(turn.ended_at, deadline);
}

pub async fn a_deadline_ends_suspended_work_and_closes_its_waitpoint(world: &World) {
    let handle = world.started_with(by_deadline).await.handle;
    let address = world.suspend(suspend(&handle)).await;
    expires(world, handle.execution_id(), PublicState::Suspended).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    assert_eq!(world.turns(handle.execution_id()).await.len(), 1);
}

pub async fn a_deadline_ends_work_that_waits_for_its_retry(world: &World) {
    let handle = world
        .started_with(|policy| {
            by_deadline(policy);
            policy.retry = Some(retries(3, DEADLINE_MS * 2));
        })
        .await
        .handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    expires(world, handle.execution_id(), PublicState::Delayed).await;
}

pub async fn a_deadline_wins_over_a_retry_due_with_it(world: &World) {
    let handle = world
        .started_with(|policy| {
            by_deadline(policy);
            policy.retry = Some(retries(3, DEADLINE_MS));
        })
        .await
        .handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(DEADLINE_MS).await;
    assert!(world.claim_ids(1).await.is_empty());
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Expired);
}

pub async fn a_deadline_wins_over_a_suspension_timeout_due_with_it(world: &World) {
    let handle = world.started_with(by_deadline).await.handle;
    world.suspend(suspend_until(&handle, DEADLINE_MS, TimeoutBehavior::Cancel)).await;
    world.advance(DEADLINE_MS).await;
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.public_state, PublicState::Expired);
    assert_eq!(info.end_reason.as_deref(), Some("deadline"));
}

pub async fn an_execution_that_ended_in_time_does_not_expire(world: &World) {
    let handle = world.started_with(by_deadline).await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.advance(DEADLINE_MS).await;
    world.tick_all().await;
    assert_eq!(world.info(handle.execution_id()).await.public_state, PublicState::Completed);
}

pub async fn complete_at_the_deadline_is_too_late_and_before_it_is_not(world: &World) {
    let late = world.started_with(by_deadline).await.handle;
    let early = world.started_with(by_deadline).await.handle;
    world.advance(DEADLINE_MS - 1).await;
    world.complete_execution(complete(&early)).await.expect("an end");
    world.advance(1).await;
    let refusal = world.refuses(world.complete_execution(complete(&late))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::ExecutionNotActive {
            terminal_outcome: TerminalOutcome::Expired,
            ..
        })
    );
}

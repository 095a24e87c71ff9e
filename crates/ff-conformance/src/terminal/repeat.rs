//! Ends that are made again because their reply was lost.

use crate::prelude::*;

/// The executions that ended their first turn, each with what should be answered again.
async fn ends_again(world: &World, handle: &Handle, operation: TurnOperation) {
    match operation {
        TurnOperation::Complete => {
            let again = world.unchanged(world.complete_execution(complete(handle))).await;
            assert_eq!(again, TurnEnded { outcome: (), next: None });
        }
        TurnOperation::Cancel => {
            let again = world.unchanged(world.cancel_execution(cancel(handle))).await;
            assert_eq!(again, ExecutionCancelled::Ended);
        }
        TurnOperation::Delay => {
            let request = delay(handle, world.after(60_000));
            world.unchanged(world.delay_execution(request)).await;
        }
        TurnOperation::Release => {
            world.unchanged(world.release_execution(release(handle))).await;
        }
        TurnOperation::WaitChildren => {
            let request = wait_children(handle);
            world.unchanged(world.move_to_waiting_children(request)).await;
        }
        other => panic!("{other} has a behaviour of its own"),
    }
}

pub async fn complete_repeated_answers_the_same(world: &World) {
    let handle = world.finished().await;
    ends_again(world, &handle, TurnOperation::Complete).await;
    world.advance(RETENTION_MS_DEFAULT - 1).await;
    ends_again(world, &handle, TurnOperation::Complete).await;
}

pub async fn complete_repeated_from_elsewhere_answers_the_same(world: &World) {
    let handle = world.finished().await;
    ends_again(&world.elsewhere().await, &handle, TurnOperation::Complete).await;
}

pub async fn complete_repeated_keeps_the_first_result(world: &World) {
    let handle = world.started().await.handle;
    world.complete_execution(complete_with(&handle, "first")).await.expect("an end");
    world.unchanged(world.complete_execution(complete_with(&handle, "second"))).await;
    let read = world.read_result(handle.execution_id()).await.expect("the result");
    assert_eq!(read.result.as_deref(), Some(&b"first"[..]));
}

pub async fn complete_repeated_after_a_replay_answers_the_same(world: &World) {
    let handle = world.finished().await;
    world.replay_execution(replay(handle.execution_id())).await.expect("a replay");
    ends_again(world, &handle, TurnOperation::Complete).await;
    world.claim_one().await;
    ends_again(world, &handle, TurnOperation::Complete).await;
}

pub async fn fail_repeated_answers_the_real_retry_time(world: &World) {
    let handle = world.started().await.handle;
    let first = world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS / 2).await;
    assert_eq!(world.unchanged(world.fail_execution(fail(&handle, "io"))).await, first);
    world.advance(BACKOFF_MS).await;
    assert_eq!(world.unchanged(world.fail_execution(fail(&handle, "io"))).await, first);
}

pub async fn fail_repeated_after_the_retry_was_claimed_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let first = world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    let second = world.claim_one().await.handle;
    assert_eq!(world.unchanged(world.fail_execution(fail(&handle, "io"))).await, first);
    world.complete_execution(complete(&second)).await.expect("an end");
    assert_eq!(world.unchanged(world.fail_execution(fail(&handle, "io"))).await, first);
}

pub async fn fail_repeated_after_the_end_answers_the_same(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    let first = world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    assert_eq!(world.unchanged(world.fail_execution(fail(&handle, "io"))).await, first);
}

pub async fn cancel_repeated_by_the_holder_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    world.cancel_execution(cancel(&handle)).await.expect("a cancel");
    ends_again(world, &handle, TurnOperation::Cancel).await;
}

pub async fn delay_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = delay(&handle, world.after(7_000));
    world.delay_execution(request).await.expect("a delay");
    ends_again(world, &handle, TurnOperation::Delay).await;
    assert_eq!(world.info(handle.execution_id()).await.delay_until, Some(world.after(7_000)));
    world.advance(7_000).await;
    world.claim_one().await;
    ends_again(world, &handle, TurnOperation::Delay).await;
}

pub async fn release_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    ends_again(world, &handle, TurnOperation::Release).await;
    world.claim_one().await;
    ends_again(world, &handle, TurnOperation::Release).await;
}

pub async fn wait_for_children_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    world.move_to_waiting_children(wait_children(&handle)).await.expect("a wait");
    ends_again(world, &handle, TurnOperation::WaitChildren).await;
    world.claim_one().await;
    ends_again(world, &handle, TurnOperation::WaitChildren).await;
}

pub async fn ends_are_told_apart_by_their_turn(world: &World) {
    let first = world.started().await.handle;
    world.release_execution(release(&first)).await.expect("a release");
    let second = world.claim_one().await.handle;
    world.delay_execution(delay(&second, world.after(10))).await.expect("a delay");
    world.advance(10).await;
    let third = world.claim_one().await.handle;
    ends_again(world, &first, TurnOperation::Release).await;
    ends_again(world, &second, TurnOperation::Delay).await;
    let refusal = world.refuses(world.release_execution(release(&second))).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
    world.complete_execution(complete(&third)).await.expect("an end");
    ends_again(world, &first, TurnOperation::Release).await;
}

pub async fn an_end_is_forgotten_once_many_turns_have_passed(world: &World) {
    let first = world.started().await.handle;
    let mut last = first.clone();
    for _ in 0..TURNS_KEPT_MAX {
        world.release_execution(release(&last)).await.expect("a release");
        last = world.claim_one().await.handle;
    }
    ends_again(world, &first, TurnOperation::Release).await;
    world.release_execution(release(&last)).await.expect("a release");
    let refusal = world.refuses(world.release_execution(release(&first))).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
    let turns = world.list_turns(first.execution_id()).await.expect("the turns");
    assert_eq!(turns.len(), TURNS_KEPT_MAX);
    assert_eq!(turns[0].lease_epoch, LeaseEpoch(2));
}

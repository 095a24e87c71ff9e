//! What is kept of a finished execution, and for how long.

use crate::prelude::*;

pub async fn a_finished_execution_is_kept_until_its_retention_ends(world: &World) {
    let handle =
        world.started_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)).await.handle;
    world.complete_execution(complete_with(&handle, "done")).await.expect("an end");
    let execution_id = handle.execution_id();
    world.advance(RETENTION_MS_MIN - 1).await;
    assert_eq!(world.info(execution_id).await.public_state, PublicState::Completed);
    world.advance(1).await;
    for ticked in [false, true] {
        if ticked {
            world.tick_all().await;
        }
        let missing = EngineError::execution_not_found(execution_id);
        assert!(world.refuses(world.describe_execution(execution_id)).await.same_as(&missing));
        assert!(world.refuses(world.read_result(execution_id)).await.same_as(&missing));
        assert!(world.refuses(world.list_turns(execution_id)).await.same_as(&missing));
        assert!(world.refuses(world.read_stream(read(execution_id, 0))).await.same_as(&missing));
    }
}

pub async fn retention_leaves_nothing_behind(world: &World) {
    let item = SubmitExecution {
        input: bytes_of(1_000),
        ..world.item_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN))
    };
    let execution_id = world.submit_item(item).await;
    let first = world.claim_one().await.handle;
    world.append_frame(append(&first, 0, &["a", "b"])).await.expect("frames");
    world.update_progress(progress(&first, 10)).await.expect("progress");
    let opened = world.create_pending_waitpoint(waitpoint(&first, "door")).await.expect("one");
    let address = Address::of_pending(execution_id, &opened);
    world.deliver_signal(signal_keyed(&address, "no", "k")).await.expect("a signal");
    let request = suspend_for(&first, &["go"]);
    let address = world.suspend(request).await;
    let second = world.resumed(&address, "go").await.handle;
    world.fail_execution(fail(&second, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    let third = world.claim_one().await.handle;
    world.append_frame(append(&third, 0, &["c"])).await.expect("a frame");
    world.complete_execution(complete_with(&third, bytes_of(1_000))).await.expect("an end");
    assert!(world.dump().await.contains(&execution_id.uuid().to_string()));
    world.advance(DAY_MS).await;
    world.tick_all().await;
    // The slot's memory of its last claim goes with its next one.
    world.started().await;
    let left = world.dump().await;
    assert!(!left.contains(&execution_id.uuid().to_string()), "{left}");
}

pub async fn an_id_may_be_used_again_once_its_execution_is_gone(world: &World) {
    let item = world.item_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN));
    let execution_id = world.submit_item(item.clone()).await;
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    world.advance(RETENTION_MS_MIN).await;
    let other = SubmitExecution { input: "something else".into(), ..item };
    let outcome = world.submit_execution(other).await.expect("a submission");
    assert_eq!(outcome, ExecutionSubmitted::Created { execution_id });
    let handle = world.claim_one().await.handle;
    assert_eq!((handle.attempt_index(), handle.lease_epoch()), (AttemptIndex(0), LeaseEpoch(1)));
}

pub async fn every_kind_of_end_is_retained_and_then_removed(world: &World) {
    let retained = |policy: &mut ExecutionPolicy| {
        policy.retention_ms = Some(RETENTION_MS_MIN);
        policy.retry = Some(RetryPolicy::none());
    };
    let failed = world.started_with(retained).await.handle;
    world.fail_execution(fail(&failed, "io")).await.expect("a failure");
    let cancelled = world.started_with(retained).await.handle;
    world.cancel_execution(cancel(&cancelled)).await.expect("a cancel");
    let expired = world
        .submit_with(|policy| {
            retained(policy);
            policy.deadline = Some(When::After(1));
        })
        .await;
    world.advance(RETENTION_MS_MIN).await;
    assert_eq!(world.info(expired).await.retained_until, Some(world.after(1)));
    for handle in [failed, cancelled] {
        let gone = world.describe_execution(handle.execution_id()).await;
        assert_matches!(gone, Err(EngineError::NotFound { .. }));
    }
    world.advance(1).await;
    let gone = world.describe_execution(expired).await;
    assert_matches!(gone, Err(EngineError::NotFound { .. }));
}

pub async fn a_removed_execution_takes_no_signals(world: &World) {
    let handle =
        world.started_with(|policy| policy.retention_ms = Some(RETENTION_MS_MIN)).await.handle;
    let address = world.suspend(suspend(&handle)).await;
    let request = cancel_by_operator(handle.execution_id(), 0);
    world.cancel_execution(request).await.expect("a cancel");
    world.advance(RETENTION_MS_MIN).await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::NotFound { .. });
}

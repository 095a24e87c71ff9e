//! Each operation loses its first reply.

use crate::prelude::*;
use std::fmt::Debug;

/// Makes a call whose reply is lost after the commit, and then the identical call again: that one
/// must be answered, and must change nothing. Returns the answer.
async fn answered_again<T: Debug>(
    world: &World,
    operation: &'static str,
    call: impl AsyncFn(&World) -> EngineResult<T>,
) -> T {
    let faults = LostReplies::new(world.backend());
    let lossy = world.through(faults.clone());
    faults.lose_next_of(operation, 1);
    let lost = call(&lossy).await.expect_err("the reply was to be lost");
    assert_matches!(lost, EngineError::Transport { .. });
    assert_eq!(lost.class(), ErrorClass::Retryable);
    let again = world.unchanged(call(&lossy)).await;
    assert_eq!(faults.lost(), [operation]);
    again
}

pub async fn a_lost_reply_of_submit_makes_one_execution(world: &World) {
    let items = vec![world.item(), world.item()];
    let request = SubmitExecutions { items };
    let results = answered_again(world, "submit_executions", async |world| {
        world.submit_executions(request.clone()).await
    })
    .await;
    for (item, result) in request.items.iter().zip(results) {
        let execution_id = item.execution_id;
        assert_eq!(result.expect("a submission"), ExecutionSubmitted::Created { execution_id });
    }
    assert_eq!(world.claim_ids(10).await.len(), 2);
}

pub async fn a_lost_reply_of_claim_takes_nothing_more(world: &World) {
    for _ in 0..4 {
        world.submit().await;
    }
    let request = world.claim_up_to(2);
    let claimed = answered_again(world, "claim_execution", async |world| {
        world.claim_execution(request.clone()).await
    })
    .await;
    assert_eq!(claimed.executions.len(), 2);
    assert_eq!(claimed.executions[1].handle.lease_id(), request.claim_id.lease_id(1));
    assert_eq!(world.claim_ids(10).await.len(), 2);
}

pub async fn a_lost_reply_of_claim_by_grant_keeps_the_grant_used(world: &World) {
    let execution_id = world.submit().await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Claim).await;
    let request = world.claim_by_grant(&grant, &worker("w"));
    let claimed = answered_again(world, "claim_execution", async |world| {
        world.claim_execution(request.clone()).await
    })
    .await;
    assert_eq!(ids(&claimed), [execution_id]);
}

pub async fn a_lost_reply_of_a_takeover_keeps_the_grant_used(world: &World) {
    let handle = world.started().await.handle;
    world.advance(LEASE_TTL_MS).await;
    let execution_id = handle.execution_id();
    let grant = world.granted(execution_id, &worker("heir"), GrantKind::Reclaim).await;
    let request = world.take_over(&grant, &worker("heir"));
    let claimed = answered_again(world, "claim_resumed_execution", async |world| {
        world.claim_resumed_execution(request.clone()).await
    })
    .await;
    assert_eq!(claimed.executions[0].handle.lease_epoch(), LeaseEpoch(2));
}

pub async fn a_lost_reply_of_issue_grant_grants_once(world: &World) {
    let execution_id = world.submit().await;
    let request = issue(&grant(execution_id, &worker("w"), GrantKind::Claim));
    let issued = answered_again(world, "issue_grant", async |world| {
        world.issue_grant(request.clone()).await
    })
    .await;
    assert_eq!(issued.expires_at, world.after(10_000));
}

pub async fn a_lost_reply_of_renew_is_harmless(world: &World) {
    let handle = world.started().await.handle;
    world.advance(1_000).await;
    let renewed = answered_again(world, "renew_lease", async |world| {
        world.renew_one(renew(&[&handle])).await
    })
    .await;
    assert_eq!(renewed.expires_at, world.after(LEASE_TTL_MS));
}

pub async fn a_lost_reply_of_progress_is_harmless(world: &World) {
    let handle = world.started().await.handle;
    answered_again(world, "update_progress", async |world| {
        world.update_progress(progress(&handle, 55)).await
    })
    .await;
    assert_eq!(world.info(handle.execution_id()).await.progress, Some((55, None)));
}

pub async fn a_lost_reply_of_complete_completes_once(world: &World) {
    let handle = world.started().await.handle;
    let ended = answered_again(world, "complete_execution", async |world| {
        world.complete_execution(complete_with(&handle, "done")).await
    })
    .await;
    assert_eq!(ended, TurnEnded { outcome: (), next: None });
    assert_eq!(world.turns(handle.execution_id()).await.len(), 1);
}

pub async fn a_lost_reply_of_a_fused_end_takes_nothing_more(world: &World) {
    let handle = world.started().await.handle;
    world.submit().await;
    world.submit().await;
    let next = Some(world.claim_request());
    let ended = answered_again(world, "complete_execution", async |world| {
        let request = CompleteExecution { next: next.clone(), ..complete(&handle) };
        world.complete_execution(request).await
    })
    .await;
    assert_eq!(ended.next.expect("a claim").executions.len(), 1);
    assert_eq!(world.claim_ids(10).await.len(), 1);
}

pub async fn a_lost_reply_of_fail_counts_one_retry(world: &World) {
    let handle = world.started().await.handle;
    let failed = answered_again(world, "fail_execution", async |world| {
        world.fail_execution(fail(&handle, "io")).await
    })
    .await;
    let delay_until = world.after(BACKOFF_MS);
    assert_eq!(failed.outcome, FailOutcome::RetryScheduled { delay_until });
    assert_eq!(world.info(handle.execution_id()).await.retries, 1);
}

pub async fn a_lost_reply_of_a_last_failure_is_answered(world: &World) {
    let handle = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    let failed = answered_again(world, "fail_execution", async |world| {
        world.fail_execution(fail(&handle, "io")).await
    })
    .await;
    assert_eq!(failed.outcome, FailOutcome::TerminalFailed);
}

pub async fn a_lost_reply_of_cancel_is_answered(world: &World) {
    let mine = world.started().await.handle;
    let by_holder = answered_again(world, "cancel_execution", async |world| {
        world.cancel_execution(cancel(&mine)).await
    })
    .await;
    assert_eq!(by_holder, ExecutionCancelled::Ended);
    let other = world.started().await.handle;
    let request = cancel_by_operator(other.execution_id(), 5_000);
    let by_operator = answered_again(world, "cancel_execution", async |world| {
        world.cancel_execution(request.clone()).await
    })
    .await;
    assert_matches!(by_operator, ExecutionCancelled::Requested(_));
}

pub async fn a_lost_reply_of_delay_is_answered(world: &World) {
    let handle = world.started().await.handle;
    let until = world.after(9_000);
    answered_again(world, "delay_execution", async |world| {
        world.delay_execution(delay(&handle, until)).await
    })
    .await;
    assert_eq!(world.info(handle.execution_id()).await.delay_until, Some(until));
}

pub async fn a_lost_reply_of_release_is_answered(world: &World) {
    let handle = world.started().await.handle;
    answered_again(world, "release_execution", async |world| {
        world.release_execution(release(&handle)).await
    })
    .await;
    assert_eq!(world.turns(handle.execution_id()).await.len(), 1);
}

pub async fn a_lost_reply_of_wait_for_children_is_answered(world: &World) {
    let handle = world.started().await.handle;
    answered_again(world, "move_to_waiting_children", async |world| {
        world.move_to_waiting_children(wait_children(&handle)).await
    })
    .await;
    assert_eq!(world.turns(handle.execution_id()).await.len(), 1);
}

pub async fn a_lost_reply_of_replay_counts_one_replay(world: &World) {
    let handle = world.finished().await;
    let request = replay(handle.execution_id());
    let replayed = answered_again(world, "replay_execution", async |world| {
        world.replay_execution(request.clone()).await
    })
    .await;
    assert_eq!(replayed.attempt_index, AttemptIndex(1));
    assert_eq!(world.info(handle.execution_id()).await.replays, 1);
}

pub async fn a_lost_reply_of_suspend_answers_the_token(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend_for(&handle, &["go"]);
    let suspended = answered_again(world, "suspend_execution", async |world| {
        world.suspend_execution(request.clone()).await
    })
    .await;
    let ExecutionSuspended::Suspended(suspension) = suspended else {
        panic!("nothing could have met the matchers: {suspended:?}");
    };
    let address = Address::of(handle.execution_id(), &suspension);
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_lost_reply_of_a_satisfied_suspend_is_answered(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    world.signal(&Address::of_pending(handle.execution_id(), &opened), "go").await;
    let request = suspend(&handle);
    let suspended = answered_again(world, "suspend_execution", async |world| {
        world.suspend_execution(request.clone()).await
    })
    .await;
    assert_matches!(suspended, ExecutionSuspended::AlreadySatisfied { .. });
}

pub async fn a_lost_reply_of_create_waitpoint_answers_the_token(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = answered_again(world, "create_pending_waitpoint", async |world| {
        world.create_pending_waitpoint(request.clone()).await
    })
    .await;
    let address = Address::of_pending(handle.execution_id(), &opened);
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::Accepted { .. });
}

pub async fn a_lost_reply_of_reissue_answers_the_token(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    let request = ReissueWaitpointToken {
        execution_id: handle.execution_id(),
        waitpoint_id: address.waitpoint_id,
    };
    let token = answered_again(world, "reissue_waitpoint_token", async |world| {
        world.reissue_waitpoint_token(request.clone()).await
    })
    .await;
    let address = Address { token, ..address };
    assert_matches!(world.signal(&address, "go").await, SignalOutcome::TriggeredResume { .. });
}

pub async fn a_lost_reply_of_a_signal_counts_it_once(world: &World) {
    let (handle, address) = world.suspended(&["go", "go"]).await;
    let first = signal(&address, "go");
    let kept = answered_again(world, "deliver_signal", async |world| {
        world.deliver_signal(first.clone()).await
    })
    .await;
    assert_matches!(kept, SignalOutcome::Accepted { effect: SignalEffect::Appended, .. });
    let second = signal(&address, "go");
    let resumed = answered_again(world, "deliver_signal", async |world| {
        world.deliver_signal(second.clone()).await
    })
    .await;
    assert_matches!(resumed, SignalOutcome::TriggeredResume { .. });
    assert_eq!(world.info(handle.execution_id()).await.signals, 2);
}

pub async fn a_lost_reply_of_append_appends_once(world: &World) {
    let handle = world.started().await.handle;
    let request = append(&handle, 0, &["a", "b"]);
    let appended = answered_again(world, "append_frame", async |world| {
        world.append_frame(request.clone()).await
    })
    .await;
    assert_eq!(appended.frame_count, 2);
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!(stream.frames.len(), 2);
}

pub async fn a_lost_reply_of_usage_counts_it_once(world: &World) {
    let handle = world.started().await.handle;
    let budget_id = world.budget(budget(None, Some(5))).await;
    let request = usage(budget_id, &handle, &[("tokens", 8)]);
    let reported = answered_again(world, "report_usage_and_check", async |world| {
        world.report_usage_and_check(request.clone()).await
    })
    .await;
    assert_matches!(reported, ReportUsageResult::HardBreach { current_usage: 8, .. });
}

pub async fn a_lost_reply_of_an_admin_operation_is_harmless(world: &World) {
    let request = budget(None, Some(5));
    answered_again(world, "create_budget", async |world| {
        world.create_budget(request.clone()).await
    })
    .await;
    let rotation = RotateKeyring {
        add: Some((KeyId::new("next").expect("a legal key id"), Secret::generate())),
        grace_ms: Some(1_000),
        revoke: Vec::new(),
    };
    answered_again(world, "rotate_keyring", async |world| {
        world.rotate_keyring(rotation.clone()).await
    })
    .await;
    let configuration = ConfigureLane {
        namespace: Namespace::default(),
        lane: lane("default"),
        defaults: LaneDefaults::default(),
    };
    answered_again(world, "configure_lane", async |world| {
        world.configure_lane(configuration.clone()).await
    })
    .await;
    let registration =
        RegisterWorker { worker: worker("w"), lanes: vec![lane("default")], ttl_ms: 10_000 };
    answered_again(world, "register_worker", async |world| {
        world.register_worker(registration.clone()).await
    })
    .await;
    answered_again(world, "prepare", async |world| world.prepare().await).await;
}

/// Repeats a call until its reply arrives.
async fn insist<T>(call: impl AsyncFn() -> EngineResult<T>) -> EngineResult<T> {
    loop {
        match call().await {
            Err(EngineError::Transport { .. }) => {}
            reply => return reply,
        }
    }
}

pub async fn a_life_in_which_every_reply_is_lost_thrice_is_as_any_other(world: &World) {
    let faults = LostReplies::new(world.backend());
    let lossy = world.through(faults.clone());
    let item = world.item();
    let execution_id = item.execution_id;
    faults.lose_next(3);
    insist(async || lossy.submit_execution(item.clone()).await).await.expect("a submission");
    let claim = lossy.claim_request();
    faults.lose_next(3);
    let claimed = insist(async || lossy.claim_execution(claim.clone()).await).await;
    let handle = claimed.expect("a claim").executions.remove(0).handle;
    faults.lose_next(3);
    let frames = append(&handle, 0, &["a"]);
    insist(async || lossy.append_frame(frames.clone()).await).await.expect("a frame");
    faults.lose_next(3);
    let pause = suspend_for(&handle, &["go"]);
    let suspended = insist(async || lossy.suspend_execution(pause.clone()).await).await;
    let Ok(ExecutionSuspended::Suspended(suspension)) = suspended else {
        panic!("nothing could have met the matchers: {suspended:?}");
    };
    let go = signal(&Address::of(execution_id, &suspension), "go");
    faults.lose_next(3);
    let resumed = insist(async || lossy.deliver_signal(go.clone()).await).await;
    assert_matches!(resumed, Ok(SignalOutcome::TriggeredResume { .. }));
    let claim = lossy.claim_request();
    faults.lose_next(3);
    let claimed = insist(async || lossy.claim_execution(claim.clone()).await).await;
    let handle = claimed.expect("a claim").executions.remove(0).handle;
    faults.lose_next(3);
    insist(async || lossy.fail_execution(fail(&handle, "io")).await).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    let claim = lossy.claim_request();
    faults.lose_next(3);
    let claimed = insist(async || lossy.claim_execution(claim.clone()).await).await;
    let handle = claimed.expect("a claim").executions.remove(0).handle;
    faults.lose_next(3);
    let end = complete_with(&handle, "done");
    insist(async || lossy.complete_execution(end.clone()).await).await.expect("an end");
    assert_eq!(faults.lost().len(), 27);
    let info = world.info(execution_id).await;
    assert_eq!((info.public_state, info.retries, info.signals), (PublicState::Completed, 1, 1));
    let story: Vec<TurnOperation> =
        world.turns(execution_id).await.into_iter().map(|(operation, _)| operation).collect();
    assert_eq!(story, [TurnOperation::Suspend, TurnOperation::Fail, TurnOperation::Complete]);
    assert_eq!(world.doctor(false).await.expect("a diagnosis").findings, []);
}

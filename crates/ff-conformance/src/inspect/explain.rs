//! Why something is not running, in a sentence.

use crate::prelude::*;

async fn says(world: &World, execution_id: ExecutionId, mover: NextMover, words: &[&str]) {
    let explained = world.explain_execution(execution_id).await.expect("an explanation");
    assert_eq!(explained.next_mover, mover, "{}", explained.sentence);
    assert_eq!(explained.public_state, world.info(execution_id).await.public_state);
    for word in words {
        assert!(explained.sentence.contains(word), "{word:?} in {:?}", explained.sentence);
    }
}

async fn registered(world: &World, name: &str, tokens: &[&str]) {
    let request = RegisterWorker {
        worker: worker_offering(name, tokens),
        lanes: vec![lane("default")],
        ttl_ms: 60_000,
    };
    world.register_worker(request).await.expect("a registration");
}

pub async fn explain_tells_that_no_worker_serves_the_lane(world: &World) {
    let execution_id = world.submit().await;
    says(world, execution_id, NextMover::Worker, &["no live worker serves that lane"]).await;
}

pub async fn explain_tells_which_capability_is_missing(world: &World) {
    registered(world, "w", &["eu"]).await;
    let required = capabilities(&["eu", "gpu"]);
    let execution_id = world.submit_with(|p| p.required_capabilities = required).await;
    says(world, execution_id, NextMover::Worker, &["of 1 live worker there", "none offers gpu"])
        .await;
}

pub async fn explain_tells_how_many_are_ahead(world: &World) {
    registered(world, "w", &[]).await;
    for _ in 0..3 {
        world.submit().await;
    }
    let execution_id = world.submit().await;
    says(world, execution_id, NextMover::Worker, &["3 ahead", "1 live worker can take"]).await;
}

pub async fn explain_tells_when_a_delay_is_over(world: &World) {
    let later = world.submit_with(|p| p.start = Some(When::After(90_000))).await;
    says(world, later, NextMover::Timer, &["start later", "in 90 s"]).await;
    let handle = world.started().await.handle;
    world.fail_execution(fail(&handle, "rate_limited")).await.expect("a failure");
    let words = ["failed (rate_limited)", "retry 1", "in 1 s"];
    says(world, handle.execution_id(), NextMover::Timer, &words).await;
    let handle = world.started().await.handle;
    world.delay_execution(delay(&handle, world.after(5_000))).await.expect("a delay");
    says(world, handle.execution_id(), NextMover::Timer, &["put it off", "in 5 s"]).await;
}

pub async fn explain_tells_who_holds_a_grant(world: &World) {
    let execution_id = world.submit().await;
    world.granted(execution_id, &worker("chosen"), GrantKind::Claim).await;
    says(world, execution_id, NextMover::GrantedWorker, &["granted", "chosen", "in 10 s"]).await;
}

pub async fn explain_tells_who_runs_it(world: &World) {
    let handle = world.started().await.handle;
    let words = ["running", "attempt 0", "instance w", "in 30 s"];
    says(world, handle.execution_id(), NextMover::LeaseHolder, &words).await;
    let request = cancel_by_operator(handle.execution_id(), 5_000);
    world.cancel_execution(request).await.expect("a cancel");
    let words = ["cancel was requested", "in 5 s"];
    says(world, handle.execution_id(), NextMover::LeaseHolder, &words).await;
}

pub async fn explain_tells_what_a_suspension_waits_for(world: &World) {
    let handle = world.started().await.handle;
    let request = SuspendExecution {
        timeout_ms: Some(5_000),
        timeout_behavior: TimeoutBehavior::Escalate,
        ..suspend_for(&handle, &["a", "b"])
    };
    let address = world.suspend(request).await;
    world.signal(&address, "a").await;
    let waitpoint = address.waitpoint_id.to_string();
    let words = ["suspended (needs_approval)", "waits for b", &waitpoint, "escalate in 5 s"];
    says(world, handle.execution_id(), NextMover::Signaller, &words).await;
    world.advance(5_000).await;
    says(world, handle.execution_id(), NextMover::Signaller, &["escalated"]).await;
}

pub async fn explain_tells_how_it_ended(world: &World) {
    let completed = world.finished().await.execution_id();
    says(world, completed, NextMover::Nobody, &["ended: completed"]).await;
    let handle = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    world.fail_execution(fail(&handle, "bad_input")).await.expect("a failure");
    let words = ["ended: failed", "bad_input", "it broke"];
    says(world, handle.execution_id(), NextMover::Nobody, &words).await;
}

pub async fn explain_counts_what_is_due_as_done(world: &World) {
    let execution_id = world.submit_with(|p| p.deadline = Some(When::After(10))).await;
    world.advance(10).await;
    says(world, execution_id, NextMover::Nobody, &["ended: expired", "deadline"]).await;
}

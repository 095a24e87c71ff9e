//! Suspends and waitpoints that are made again because their reply was lost.

use crate::prelude::*;

pub async fn suspend_repeated_answers_the_first_token(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend_for(&handle, &["go"]);
    let first = world.suspend_execution(request.clone()).await.expect("a suspend");
    world.advance(10).await;
    assert_eq!(world.unchanged(world.suspend_execution(request)).await, first);
}

pub async fn suspend_repeated_after_the_resume_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend_for(&handle, &["go"]);
    let first = world.suspend_execution(request.clone()).await.expect("a suspend");
    let ExecutionSuspended::Suspended(suspension) = &first else {
        panic!("nothing could have met the matchers: {first:?}");
    };
    let address = Address::of(handle.execution_id(), suspension);
    world.signal(&address, "go").await;
    assert_eq!(world.unchanged(world.suspend_execution(request.clone())).await, first);
    let resumed = world.claim_one().await.handle;
    assert_eq!(world.unchanged(world.suspend_execution(request.clone())).await, first);
    world.complete_execution(complete(&resumed)).await.expect("an end");
    assert_eq!(world.unchanged(world.suspend_execution(request)).await, first);
}

pub async fn suspend_repeated_after_a_second_suspension_answers_the_first(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend(&handle);
    let first = world.suspend_execution(request.clone()).await.expect("a suspend");
    let ExecutionSuspended::Suspended(suspension) = &first else {
        panic!("nothing could have met the matchers: {first:?}");
    };
    let address = Address::of(handle.execution_id(), suspension);
    let resumed = world.resumed(&address, "go").await.handle;
    world.suspend(suspend(&resumed)).await;
    assert_eq!(world.unchanged(world.suspend_execution(request)).await, first);
}

pub async fn suspend_repeated_after_adoption_answers_the_adopted_token(world: &World) {
    let handle = world.started().await.handle;
    world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("a waitpoint");
    let request = suspend(&handle);
    let first = world.suspend_execution(request.clone()).await.expect("a suspend");
    assert_eq!(world.unchanged(world.suspend_execution(request)).await, first);
}

pub async fn suspend_under_another_suspension_id_is_no_repeat(world: &World) {
    let handle = world.started().await.handle;
    let request = suspend(&handle);
    world.suspend(request.clone()).await;
    let other = SuspendExecution { suspension_id: SuspensionId::generate(), ..request };
    let refusal = world.refuses(world.suspend_execution(other)).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::ExecutionNotActive {
            lifecycle_phase: LifecyclePhase::Suspended,
            ..
        })
    );
}

pub async fn an_already_satisfied_suspend_repeated_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    world.signal(&Address::of_pending(handle.execution_id(), &opened), "go").await;
    let request = suspend(&handle);
    let first = world.suspend_execution(request.clone()).await.expect("a suspend");
    assert_matches!(&first, ExecutionSuspended::AlreadySatisfied { .. });
    world.advance(10).await;
    assert_eq!(world.unchanged(world.suspend_execution(request)).await, first);
}

pub async fn each_satisfied_suspend_of_a_turn_is_remembered(world: &World) {
    let handle = world.started().await.handle;
    let mut answers = Vec::new();
    for name in ["door", "window"] {
        let opened = world.create_pending_waitpoint(waitpoint(&handle, name)).await.expect("one");
        world.signal(&Address::of_pending(handle.execution_id(), &opened), name).await;
        let request = suspend_on(&handle, name);
        let outcome = world.suspend_execution(request.clone()).await.expect("a suspend");
        assert_matches!(&outcome, ExecutionSuspended::AlreadySatisfied { .. });
        answers.push((request, outcome));
    }
    for (request, outcome) in answers {
        assert_eq!(world.unchanged(world.suspend_execution(request)).await, outcome);
    }
}

pub async fn create_waitpoint_repeated_answers_the_first_token(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let first = world.create_pending_waitpoint(request.clone()).await.expect("a waitpoint");
    assert_eq!(first.expires_at, world.after(WAITPOINT_TTL_MS));
    world.advance(10).await;
    assert_eq!(world.unchanged(world.create_pending_waitpoint(request)).await, first);
}

pub async fn a_waitpoint_keeps_its_first_token_when_the_key_is_rotated(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let first = world.create_pending_waitpoint(request.clone()).await.expect("a waitpoint");
    let rotation = RotateKeyring {
        add: Some((KeyId::new("next").expect("a legal key id"), Secret::generate())),
        grace_ms: None,
        revoke: Vec::new(),
    };
    world.rotate_keyring(rotation).await.expect("a rotation");
    assert_eq!(world.unchanged(world.create_pending_waitpoint(request)).await, first);
    let address = world.suspend(suspend(&handle)).await;
    assert_eq!(address.token, first.waitpoint_token);
}

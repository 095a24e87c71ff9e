//! Signals that are sent twice.

use crate::prelude::*;

pub async fn deliver_signal_repeated_answers_the_same(world: &World) {
    let (handle, address) = world.suspended(&["a", "b"]).await;
    let (noise, first, last) =
        (signal(&address, "noise"), signal(&address, "a"), signal(&address, "b"));
    let mut answers = Vec::new();
    for request in [&noise, &first, &last] {
        answers.push(world.deliver_signal(request.clone()).await.expect("a delivery"));
    }
    for _ in 0..2 {
        for (request, answer) in [&noise, &first, &last].into_iter().zip(&answers) {
            let again = world.unchanged(world.deliver_signal(request.clone())).await;
            assert_eq!(again, *answer);
        }
        world.claimed(world.claim_request()).await;
    }
    assert_eq!(world.info(handle.execution_id()).await.signals, 3);
}

pub async fn deliver_signal_repeated_after_the_end_answers_the_same(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    let request = signal(&address, "go");
    let first = world.deliver_signal(request.clone()).await.expect("a delivery");
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    assert_eq!(world.unchanged(world.deliver_signal(request)).await, first);
}

pub async fn a_buffered_signal_repeated_after_the_suspend_answers_the_same(world: &World) {
    let handle = world.started().await.handle;
    let request = waitpoint(&handle, "door");
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    let request = signal(&Address::of_pending(handle.execution_id(), &opened), "go");
    let first = world.deliver_signal(request.clone()).await.expect("a delivery");
    world.suspend_execution(suspend(&handle)).await.expect("a suspend");
    assert_eq!(world.unchanged(world.deliver_signal(request)).await, first);
}

pub async fn a_second_signal_with_the_key_is_a_duplicate(world: &World) {
    let (_, address) = world.suspended(&["a", "b"]).await;
    let first = signal_keyed(&address, "a", "order-7");
    world.deliver_signal(first.clone()).await.expect("a delivery");
    let second = signal_keyed(&address, "b", "order-7");
    let outcome = world.unchanged(world.deliver_signal(second)).await;
    let existing_signal_id = first.signal_id;
    assert_eq!(outcome, SignalOutcome::Duplicate { existing_signal_id });
}

pub async fn a_duplicate_is_told_after_the_resume_too(world: &World) {
    let (_, address) = world.suspended(&["a"]).await;
    let first = signal_keyed(&address, "a", "order-7");
    world.deliver_signal(first.clone()).await.expect("a delivery");
    let second = signal_keyed(&address, "a", "order-7");
    let outcome = world.unchanged(world.deliver_signal(second)).await;
    let existing_signal_id = first.signal_id;
    assert_eq!(outcome, SignalOutcome::Duplicate { existing_signal_id });
}

pub async fn an_empty_key_is_no_key(world: &World) {
    let (_, address) = world.suspended(&["a", "a"]).await;
    world.deliver_signal(signal_keyed(&address, "a", "")).await.expect("a delivery");
    let outcome = world.deliver_signal(signal_keyed(&address, "a", "")).await;
    assert_matches!(outcome, Ok(SignalOutcome::TriggeredResume { .. }));
}

pub async fn a_key_belongs_to_its_waitpoint(world: &World) {
    let (_, first) = world.suspended(&["a"]).await;
    world.deliver_signal(signal_keyed(&first, "a", "order-7")).await.expect("a delivery");
    let handle = world.claim_one().await.handle;
    let second = world.suspend(suspend_for(&handle, &["a"])).await;
    let outcome = world.deliver_signal(signal_keyed(&second, "a", "order-7")).await;
    assert_matches!(outcome, Ok(SignalOutcome::TriggeredResume { .. }));
}

pub async fn a_signal_id_belongs_to_its_waitpoint(world: &World) {
    let (_, first) = world.suspended(&["a"]).await;
    let sent = signal(&first, "a");
    world.deliver_signal(sent.clone()).await.expect("a delivery");
    let handle = world.claim_one().await.handle;
    let second = world.suspend(suspend_for(&handle, &["a"])).await;
    let request = DeliverSignal { signal_id: sent.signal_id, ..signal(&second, "a") };
    let refusal = world.refuses(world.deliver_signal(request)).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::IdTaken { .. }));
}

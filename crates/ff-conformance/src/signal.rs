//! Signal: what a delivery does, and who may make one.

mod bounds;
mod repeat;
mod token;

pub use bounds::*;
pub use repeat::*;
pub use token::*;

use crate::prelude::*;

fn names(signals: &[ResumeSignal]) -> Vec<&str> {
    signals.iter().map(|signal| signal.signal_name.as_str()).collect()
}

async fn effect(world: &World, address: &Address, name: &str) -> SignalEffect {
    match world.signal(address, name).await {
        SignalOutcome::Accepted { effect, .. } => effect,
        other => panic!("expected {name} to be kept, got {other:?}"),
    }
}

pub async fn a_matching_signal_resumes(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    let request = signal(&address, "go");
    let outcome = world.deliver_signal(request.clone()).await.expect("a delivery");
    let signal_id = request.signal_id;
    assert_eq!(outcome, SignalOutcome::TriggeredResume { signal_id });
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.signals), (PublicState::Waiting, 1));
}

pub async fn a_resumed_worker_gets_the_signal_as_it_was_sent(world: &World) {
    let (_, address) = world.suspended(&["go"]).await;
    world.advance(70).await;
    let mut request = signal(&address, "go");
    request.signal.payload = Some(every_byte());
    request.signal.correlation_id = Some("ticket 7, \"urgent\"".to_owned());
    world.deliver_signal(request.clone()).await.expect("a delivery");
    let accepted_at = world.now();
    world.advance(30).await;
    let resumed = world.claim_one().await;
    let expected = ResumeSignal {
        signal_id: request.signal_id,
        signal_name: request.signal.signal_name,
        signal_category: request.signal.signal_category,
        source_type: request.signal.source_type,
        source_identity: request.signal.source_identity,
        correlation_id: request.signal.correlation_id,
        accepted_at,
        payload: request.signal.payload,
    };
    assert_eq!(resumed.resume_signals, [expected]);
}

pub async fn without_matchers_any_signal_resumes(world: &World) {
    let (_, address) = world.suspended(&[]).await;
    assert_eq!(world.resumed(&address, "whatever").await.resume_signals.len(), 1);
}

pub async fn a_signal_of_another_name_is_kept_without_effect(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    assert_eq!(effect(world, &address, "stop").await, SignalEffect::NoOp);
    let info = world.info(handle.execution_id()).await;
    assert_eq!((info.public_state, info.signals), (PublicState::Suspended, 1));
    let resumed = world.resumed(&address, "go").await;
    assert_eq!(names(&resumed.resume_signals), ["go"]);
}

pub async fn all_matchers_must_be_met(world: &World) {
    let (handle, address) = world.suspended(&["a", "b", "c"]).await;
    assert_eq!(effect(world, &address, "c").await, SignalEffect::Appended);
    assert_eq!(effect(world, &address, "a").await, SignalEffect::Appended);
    let info = world.info(handle.execution_id()).await;
    let open: Vec<bool> = info
        .suspension
        .expect("a suspension")
        .matchers
        .iter()
        .map(|(_, met)| met.is_none())
        .collect();
    assert_eq!(open, [false, true, false]);
    let resumed = world.resumed(&address, "b").await;
    assert_eq!(names(&resumed.resume_signals), ["a", "b", "c"]);
}

pub async fn each_matcher_needs_a_signal_of_its_own(world: &World) {
    let (_, address) = world.suspended(&["go", "go"]).await;
    assert_eq!(effect(world, &address, "go").await, SignalEffect::Appended);
    let resumed = world.resumed(&address, "go").await;
    assert_eq!(resumed.resume_signals.len(), 2);
}

pub async fn a_matcher_of_the_name_takes_a_signal_before_one_of_any_name(world: &World) {
    let (_, address) = world.suspended(&["", "go"]).await;
    assert_eq!(effect(world, &address, "go").await, SignalEffect::Appended);
    let resumed = world.resumed(&address, "stop").await;
    assert_eq!(names(&resumed.resume_signals), ["stop", "go"]);
}

pub async fn a_matcher_of_any_name_takes_what_no_other_takes(world: &World) {
    let (_, address) = world.suspended(&["go", ""]).await;
    assert_eq!(effect(world, &address, "stop").await, SignalEffect::Appended);
    assert_eq!(effect(world, &address, "stop").await, SignalEffect::NoOp);
    let resumed = world.resumed(&address, "go").await;
    assert_eq!(names(&resumed.resume_signals), ["go", "stop"]);
}

pub async fn a_waitpoint_closes_with_the_resume(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    world.signal(&address, "go").await;
    let refusal = world.refuses(world.deliver_signal(signal(&address, "go"))).await;
    assert_matches!(refusal, EngineError::State(StateKind::WaitpointClosed { .. }));
    assert_eq!(world.info(handle.execution_id()).await.signals, 1);
}

pub async fn signals_that_race_resume_once(world: &World) {
    let (handle, address) = world.suspended(&["go"]).await;
    let other = world.elsewhere().await;
    let (one, two) = futures::join!(
        world.deliver_signal(signal(&address, "go")),
        other.deliver_signal(signal(&address, "go"))
    );
    assert!(one.is_ok() != two.is_ok(), "{one:?} {two:?}");
    assert_eq!(world.claim_ids(10).await, [handle.execution_id()]);
}

pub async fn signal_bytes_arrive_as_they_were_sent(world: &World) {
    for payload in [every_byte(), bytes_of(65), bytes_of(SIGNAL_PAYLOAD_BYTES_MAX)] {
        let (_, address) = world.suspended(&["go"]).await;
        let mut request = signal(&address, "go");
        request.signal.payload = Some(payload.clone());
        world.deliver_signal(request).await.expect("a delivery");
        let resumed = world.claim_one().await;
        assert!(resumed.resume_signals[0].payload.as_ref() == Some(&payload));
    }
}

pub async fn signals_without_effect_make_room_for_those_that_have_one(world: &World) {
    let (_, address) = world.suspended(&["a", "b"]).await;
    assert_eq!(effect(world, &address, "a").await, SignalEffect::Appended);
    for _ in 0..SIGNALS_PER_EXECUTION_MAX + 1 {
        assert_eq!(effect(world, &address, "noise").await, SignalEffect::NoOp);
    }
    let resumed = world.resumed(&address, "b").await;
    assert_eq!(names(&resumed.resume_signals), ["a", "b"]);
}

pub async fn an_execution_buffers_a_bounded_number_of_signals(world: &World) {
    let handle = world.started().await.handle;
    let request =
        CreatePendingWaitpoint { expires_in_ms: SPAN_MS_MAX, ..waitpoint(&handle, "door") };
    let opened = world.create_pending_waitpoint(request).await.expect("a waitpoint");
    let address = Address::of_pending(handle.execution_id(), &opened);
    let first = signal_keyed(&address, "x", "k");
    world.deliver_signal(first.clone()).await.expect("a signal");
    for _ in 1..SIGNALS_PER_EXECUTION_MAX {
        world.signal(&address, "x").await;
    }
    let refusal = world.refuses(world.deliver_signal(signal(&address, "x"))).await;
    assert_matches!(
        refusal,
        EngineError::State(StateKind::LimitReached { what: Counted::Signals, limit, .. })
            if limit == SIGNALS_PER_EXECUTION_MAX as u64
    );
    world.unchanged(world.deliver_signal(first.clone())).await;
    let duplicate = world.deliver_signal(signal_keyed(&address, "x", "k")).await.expect("one");
    let existing_signal_id = first.signal_id;
    assert_eq!(duplicate, SignalOutcome::Duplicate { existing_signal_id });
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __signal_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            signal {
                a_matching_signal_resumes
                a_resumed_worker_gets_the_signal_as_it_was_sent
                without_matchers_any_signal_resumes
                a_signal_of_another_name_is_kept_without_effect
                all_matchers_must_be_met
                each_matcher_needs_a_signal_of_its_own
                a_matcher_of_the_name_takes_a_signal_before_one_of_any_name
                a_matcher_of_any_name_takes_what_no_other_takes
                a_waitpoint_closes_with_the_resume
                signals_that_race_resume_once
                signal_bytes_arrive_as_they_were_sent
                signals_without_effect_make_room_for_those_that_have_one
                an_execution_buffers_a_bounded_number_of_signals
                deliver_signal_refuses_a_payload_past_its_limit
                deliver_signal_refuses_a_malformed_name
                deliver_signal_refuses_labels_past_their_limit
                deliver_signal_repeated_answers_the_same
                deliver_signal_repeated_after_the_end_answers_the_same
                a_buffered_signal_repeated_after_the_suspend_answers_the_same
                a_second_signal_with_the_key_is_a_duplicate
                a_duplicate_is_told_after_the_resume_too
                an_empty_key_is_no_key
                a_key_belongs_to_its_waitpoint
                a_signal_id_belongs_to_its_waitpoint
                a_malformed_or_truncated_token_is_refused
                a_token_of_another_execution_is_refused
                a_token_of_another_waitpoint_is_refused
                an_unknown_waitpoint_is_refused_as_a_bad_token
                a_token_is_good_on_any_connection
                a_rotated_token_is_good_within_the_grace
                a_rotated_token_has_expired_after_the_grace
                a_rotated_token_without_a_grace_is_good_until_revoked
                a_revoked_token_is_refused_everywhere
                a_token_of_the_new_key_is_good_everywhere_at_once
                no_token_shows_in_a_description
            }
        }
    };
}

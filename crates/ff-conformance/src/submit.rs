//! Submit: what is taken in, once.

mod bounds;
mod idempotency;

pub use bounds::*;
pub use idempotency::*;

use crate::prelude::*;

pub async fn submit_makes_a_ready_execution(world: &World) {
    let item = world.item_with(|policy| {
        policy.priority = 7;
        policy.tags = [("team".to_owned(), "red".to_owned())].into();
        policy.required_capabilities = capabilities(&["gpu", "eu"]);
    });
    let outcome = world.submit_execution(item.clone()).await.expect("a submission");
    let execution_id = item.execution_id;
    assert_eq!(outcome, ExecutionSubmitted::Created { execution_id });
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Waiting);
    assert_eq!(info.lifecycle_phase, LifecyclePhase::Runnable);
    assert_eq!(info.terminal_outcome, TerminalOutcome::None);
    assert_eq!((info.lease_epoch, info.attempt, info.lease), (LeaseEpoch(0), None, None));
    assert_eq!((info.namespace, info.lane, info.kind), (item.namespace, item.lane, item.kind));
    assert_eq!(info.policy, item.policy.resolve(&LaneDefaults::default()));
    assert_eq!((info.created_at, info.updated_at), (world.now(), world.now()));
    assert_eq!((info.retries, info.reclaims, info.replays, info.resumes), (0, 0, 0, false));
    let score = i64::try_from(world.now().as_millis()).expect("a time") - 7 * 1_000;
    assert_eq!(info.ready_score, Some(score));
}

pub async fn submit_repeated_answers_created_again(world: &World) {
    let item = world.item();
    let first = world.submit_execution(item.clone()).await.expect("a submission");
    world.advance(5).await;
    let again = world.unchanged(world.submit_execution(item)).await;
    assert_eq!(again, first);
}

pub async fn submit_repeated_after_the_end_answers_created_again(world: &World) {
    let item = world.item();
    let first = world.submit_execution(item.clone()).await.expect("a submission");
    let handle = world.claim_one().await.handle;
    world.complete_execution(complete(&handle)).await.expect("a completion");
    let again = world.unchanged(world.submit_execution(item)).await;
    assert_eq!(again, first);
    assert!(world.claim_ids(1).await.is_empty());
}

pub async fn submit_refuses_a_known_id_with_other_content(world: &World) {
    let item = world.item();
    let execution_id = world.submit_item(item.clone()).await;
    let mut others = vec![item.clone(), item.clone(), item.clone(), item];
    others[0].input = "something else".into();
    others[1].lane = lane("other");
    others[2].policy.priority = 1;
    others[3].kind = ExecutionKind::new("other").expect("a legal kind");
    for other in others {
        let refusal = world.refuses(world.submit_execution(other)).await;
        assert_matches!(
            refusal,
            EngineError::Conflict(ConflictKind::ExecutionExists { execution_id: id })
                if id == execution_id
        );
    }
}

pub async fn submit_to_start_later_is_delayed_until_then(world: &World) {
    let execution_id = world.submit_with(|policy| policy.start = Some(When::After(500))).await;
    let info = world.info(execution_id).await;
    assert_eq!(info.public_state, PublicState::Delayed);
    assert_eq!(info.delay_reason, Some(DelayReason::Start));
    assert_eq!(info.delay_until, Some(world.after(500)));
    world.advance(499).await;
    assert!(world.claim_ids(1).await.is_empty());
    world.advance(1).await;
    assert_eq!(world.info(execution_id).await.public_state, PublicState::Waiting);
    assert_eq!(world.claim_ids(1).await, [execution_id]);
}

pub async fn submit_to_start_in_the_past_is_ready_at_once(world: &World) {
    let start = TimestampMs::from_millis(world.now().as_millis() - 1);
    for start in [When::At(start), When::At(world.now()), When::After(0)] {
        let execution_id = world.submit_with(|policy| policy.start = Some(start)).await;
        assert_eq!(world.info(execution_id).await.public_state, PublicState::Waiting);
        assert_eq!(world.claim_ids(1).await, [execution_id]);
    }
}

pub async fn submit_refuses_a_deadline_that_does_not_lie_ahead(world: &World) {
    let past = TimestampMs::from_millis(world.now().as_millis() - 1);
    for deadline in [When::At(past), When::At(world.now()), When::After(0)] {
        let item = world.item_with(|policy| policy.deadline = Some(deadline));
        let refusal = world.refuses(world.submit_execution(item)).await;
        assert_matches!(
            refusal,
            EngineError::Validation { kind: ValidationKind::DeadlineInPast, .. }
        );
    }
    world.submit_with(|policy| policy.deadline = Some(When::At(world.after(1)))).await;
}

pub async fn a_batch_answers_each_item_for_itself(world: &World) {
    let known = world.submit_item(world.item()).await;
    let conflicting =
        SubmitExecution { execution_id: known, input: "something else".into(), ..world.item() };
    let too_large = SubmitExecution { input: bytes_of(PAYLOAD_BYTES_MAX + 1), ..world.item() };
    let late = world.item_with(|policy| policy.deadline = Some(When::After(0)));
    let (first, last) = (world.item(), world.item());
    let items = vec![first.clone(), conflicting, too_large, late, last.clone()];
    let results = world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
    assert_eq!(results.len(), 5);
    assert_matches!(&results[0], Ok(ExecutionSubmitted::Created { execution_id })
        if *execution_id == first.execution_id);
    assert_matches!(&results[1], Err(EngineError::Conflict(ConflictKind::ExecutionExists { .. })));
    assert_matches!(
        &results[2],
        Err(EngineError::Validation { kind: ValidationKind::TooLarge, .. })
    );
    assert_matches!(
        &results[3],
        Err(EngineError::Validation { kind: ValidationKind::DeadlineInPast, .. })
    );
    assert_matches!(&results[4], Ok(ExecutionSubmitted::Created { execution_id })
        if *execution_id == last.execution_id);
    assert_eq!(world.claim_ids(10).await, [known, first.execution_id, last.execution_id]);
}

pub async fn a_batch_that_repeats_an_item_makes_it_once(world: &World) {
    let item = world.item();
    let items = vec![item.clone(), item.clone()];
    let results = world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
    for result in results {
        assert_eq!(result.expect("a submission").execution_id(), item.execution_id);
    }
    assert_eq!(world.claim_ids(10).await, [item.execution_id]);
}

pub async fn of_two_items_with_one_id_the_first_wins(world: &World) {
    let late = || world.item_with(|policy| policy.start = Some(When::After(100)));
    for mut pair in [[world.item(), late()], [late(), world.item()]] {
        pair[1].execution_id = pair[0].execution_id;
        let mut items = vec![world.item()];
        items.extend(pair.clone());
        items.push(world.item());
        let results = world.submit_executions(SubmitExecutions { items }).await.expect("a batch");
        let refused: Vec<bool> = results.iter().map(Result::is_err).collect();
        assert_eq!(refused, [false, false, true, false]);
        assert_matches!(
            &results[2],
            Err(EngineError::Conflict(ConflictKind::ExecutionExists { .. }))
        );
        let repeated = world.submit_execution(pair[0].clone()).await.expect("the first was made");
        assert_eq!(repeated.execution_id(), pair[0].execution_id);
    }
}

pub async fn a_batch_repeated_answers_the_same_and_makes_nothing(world: &World) {
    let late = world.item_with(|policy| policy.start = Some(When::After(100)));
    let request = SubmitExecutions { items: vec![world.item(), late, world.item()] };
    world.submit_executions(request.clone()).await.expect("a batch");
    world.advance(50).await;
    let again = world.unchanged(world.submit_executions(request.clone())).await;
    for (item, result) in request.items.iter().zip(again) {
        let execution_id = item.execution_id;
        assert_eq!(result.expect("a submission"), ExecutionSubmitted::Created { execution_id });
    }
}

pub async fn an_empty_batch_answers_nothing(world: &World) {
    let request = SubmitExecutions { items: Vec::new() };
    assert!(world.unchanged(world.submit_executions(request)).await.is_empty());
}

pub async fn a_batch_of_thousands_makes_every_execution_once(world: &World) {
    let count = SUBMIT_CALL_ITEMS_MAX * 2 + 1;
    let items: Vec<SubmitExecution> = (0..count).map(|_| world.item()).collect();
    let request = SubmitExecutions { items };
    let results = world.submit_executions(request).await.expect("a batch");
    assert_eq!(results.len(), count);
    let mut submitted: Vec<ExecutionId> =
        results.into_iter().map(|result| result.expect("created").execution_id()).collect();
    let mut taken = Vec::new();
    loop {
        let page = world.claim_ids(CLAIM_COUNT_MAX).await;
        if page.is_empty() {
            break;
        }
        taken.extend(page);
    }
    submitted.sort();
    taken.sort();
    assert_eq!(taken, submitted);
}

pub async fn input_bytes_arrive_as_they_were_sent(world: &World) {
    for input in [every_byte(), Bytes::new(), bytes_of(65), bytes_of(PAYLOAD_BYTES_MAX)] {
        let item = SubmitExecution { input: input.clone(), ..world.item() };
        world.submit_item(item).await;
        assert!(world.claim_one().await.input == input, "{} bytes differ", input.len());
    }
}

pub async fn two_submitters_of_one_id_make_one_execution(world: &World) {
    let other = world.elsewhere().await;
    let item = world.item();
    let (one, two) =
        futures::join!(world.submit_execution(item.clone()), other.submit_execution(item.clone()));
    assert_eq!(one.expect("a submission"), two.expect("a submission"));
    assert_eq!(world.claim_ids(10).await, [item.execution_id]);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __submit_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            submit {
                submit_makes_a_ready_execution
                submit_repeated_answers_created_again
                submit_repeated_after_the_end_answers_created_again
                submit_refuses_a_known_id_with_other_content
                submit_to_start_later_is_delayed_until_then
                submit_to_start_in_the_past_is_ready_at_once
                submit_refuses_a_deadline_that_does_not_lie_ahead
                a_batch_answers_each_item_for_itself
                a_batch_that_repeats_an_item_makes_it_once
                of_two_items_with_one_id_the_first_wins
                a_batch_repeated_answers_the_same_and_makes_nothing
                an_empty_batch_answers_nothing
                a_batch_of_thousands_makes_every_execution_once
                input_bytes_arrive_as_they_were_sent
                two_submitters_of_one_id_make_one_execution
                submit_refuses_input_past_its_limit
                submit_takes_a_policy_at_its_bounds
                submit_refuses_a_priority_past_its_bounds
                submit_refuses_times_past_their_bounds
                submit_refuses_spans_past_their_bounds
                submit_refuses_a_retry_policy_past_its_bounds
                submit_refuses_too_many_labels
                submit_refuses_malformed_tags
                submit_refuses_a_partition_that_the_store_lacks
                submit_refuses_a_durability_it_cannot_confirm
                submit_refuses_a_batch_past_its_limit
                submit_under_a_known_key_answers_the_first_id
                submit_under_a_known_key_from_elsewhere_answers_the_first_id
                a_key_answers_until_its_window_ends_and_no_longer
                a_duplicate_does_not_prolong_the_window
                a_key_outlives_the_execution_that_it_names
                a_key_belongs_to_its_namespace
                a_batch_under_one_key_makes_the_first_item
                a_refused_submission_does_not_use_up_its_key
                submit_refuses_a_key_or_window_past_its_bounds
                submit_refuses_an_id_outside_the_home_of_its_key
            }
        }
    };
}

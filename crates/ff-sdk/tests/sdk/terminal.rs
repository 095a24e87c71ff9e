//! Ends: what counts as landed, and what the caller holds when nothing has.

use crate::fake::backend::stale;
use crate::fake::{Fake, START, Step, Trace, settle, soon};
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::terminal::*;
use ff_core::error::{EngineError, StateKind, ValidationKind};
use ff_core::limits::REASON_BYTES_MAX;
use ff_core::state::{LifecyclePhase, TerminalOutcome};
use ff_core::time::TimestampMs;
use ff_sdk::SdkError;

#[tokio::test]
async fn complete_sends_the_result_as_it_is_and_ends_the_renewals() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let handle = task.handle().clone();
    task.complete(Some(b"out\xff".to_vec())).await.expect("it lands");
    let sent: Vec<CompleteExecution> = fake.sent("complete_execution");
    let result = Some(bytes::Bytes::from_static(b"out\xff"));
    assert_eq!(sent, [CompleteExecution { handle, result, next: None }]);
    fake.advance(60_000).await;
    assert_eq!(fake.count("renew_lease"), 0);
}

#[tokio::test]
async fn the_accessors_tell_what_was_claimed() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    assert_eq!(task.input_payload(), b"in\xff");
    assert_eq!(task.attempt_index().0, 0);
    assert_eq!(task.lease_epoch().0, 1);
    assert_eq!(task.lease_id().begins_attempt(), task.attempt_id());
    assert_eq!(task.execution_kind().as_str(), "kind");
    assert_eq!(task.lane_id().as_str(), "default");
    assert_eq!(task.tags()["tag"], "value");
    assert!(task.resume_signals().is_empty());
    task.release("done looking").await.expect("it lands");
}

#[tokio::test]
async fn a_lost_reply_is_answered_by_the_identical_request() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let handle = task.handle().clone();
    let delay_until = START.plus_ms(7_000);
    let outcome = FailOutcome::RetryScheduled { delay_until };
    fake.script("fail_execution", Step::Lost);
    fake.script("fail_execution", Step::Lost);
    fake.script("fail_execution", Step::Answer(Box::new(TurnEnded { outcome, next: None })));
    let failed =
        fake.finish(5_000, async move { task.fail("no luck", "rate_limited").await }).await;
    assert_eq!(failed.expect("it lands"), outcome);
    let sent: Vec<FailExecution> = fake.sent("fail_execution");
    let (reason, error_category) = ("no luck".to_owned(), "rate_limited".to_owned());
    assert_eq!(sent, vec![FailExecution { handle, reason, error_category, next: None }; 3]);
}

#[tokio::test]
async fn a_reason_that_is_too_long_is_cut_at_a_character() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    task.fail(&"ü".repeat(REASON_BYTES_MAX), "odd").await.expect("it lands");
    let sent: Vec<FailExecution> = fake.sent("fail_execution");
    assert_eq!(sent[0].reason, "ü".repeat(REASON_BYTES_MAX / 2));
}

#[tokio::test]
async fn the_other_ends_send_what_they_say() {
    let fake = Fake::new();
    let (worker, task) = fake.task().await;
    task.cancel("not needed").await.expect("it lands");
    let until = START.plus_ms(9_000);
    for end in 0..3 {
        fake.offer(0, b"");
        settle().await;
        let task = soon(worker.claim_next()).await.expect("answers").expect("work was offered");
        match end {
            0 => task.delay_execution(until).await,
            1 => task.release("drain").await,
            _ => task.move_to_waiting_children().await,
        }
        .expect("it lands");
    }
    let cancels: Vec<CancelExecution> = fake.sent("cancel_execution");
    assert_eq!(cancels[0].reason, "not needed");
    assert!(matches!(&cancels[0].by, CancelBy::LeaseHolder(_)));
    assert_eq!(fake.sent::<DelayExecution>("delay_execution")[0].delay_until, until);
    assert_eq!(fake.sent::<ReleaseExecution>("release_execution")[0].reason, "drain");
    assert_eq!(fake.count("move_to_waiting_children"), 1);
}

#[tokio::test]
async fn dropping_the_future_of_an_end_does_not_stop_it() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("complete_execution");
    let ending = tokio::spawn(task.complete(None));
    settle().await;
    ending.abort();
    assert!(ending.await.expect_err("it was aborted").is_cancelled());
    let sent_before = fake.count("complete_execution");
    fake.up("complete_execution");
    fake.advance(2_000).await;
    assert_eq!(fake.count("complete_execution"), sent_before + 1);
    fake.advance(60_000).await;
    assert_eq!(fake.count("complete_execution"), sent_before + 1, "it landed");
}

#[tokio::test]
async fn an_end_that_does_not_land_keeps_its_lease_alive_until_it_does() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("complete_execution");
    let ending = tokio::spawn(task.complete(None));
    fake.advance(150_000).await;
    assert!(!ending.is_finished(), "five TTLs later the lease is still renewed");
    assert!(fake.count("renew_lease") >= 14);
    fake.up("complete_execution");
    fake.advance(1_000).await;
    ending.await.expect("no panic").expect("it lands");
    let renewals = fake.count("renew_lease");
    fake.advance(60_000).await;
    assert_eq!(fake.count("renew_lease"), renewals, "renewals end with the landing");
}

#[tokio::test]
async fn an_end_is_not_landed_once_the_lease_has_run_out_and_the_task_comes_back() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let execution_id = task.execution_id();
    fake.down("complete_execution");
    fake.down("renew_lease");
    let error = fake.finish(30_000, task.complete(Some(vec![1]))).await.expect_err("down");
    let SdkError::NotLanded { task, source } = error else { panic!("not landed: {error}") };
    assert!(matches!(*source, EngineError::Transport { .. }));
    assert_eq!(task.execution_id(), execution_id);
    let waited = fake.times("complete_execution").last().copied().unwrap_or(0);
    assert!((29_000..=30_000).contains(&waited), "gave up at {waited}");

    fake.up("complete_execution");
    task.complete(Some(vec![1])).await.expect("the repeat is recognised");
    let sent: Vec<CompleteExecution> = fake.sent("complete_execution");
    assert!(sent.windows(2).all(|pair| pair[0] == pair[1]), "all requests are identical");
}

#[tokio::test]
async fn a_call_that_hangs_does_not_outlive_the_lease() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("complete_execution", Step::Hang);
    fake.down("renew_lease");
    let error = fake.finish(30_000, task.complete(None)).await.expect_err("it hangs");
    assert!(matches!(error, SdkError::NotLanded { .. }), "{error}");
}

#[tokio::test]
async fn another_end_that_won_is_told_with_its_details() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let won = StateKind::ExecutionNotActive {
        execution_id: task.execution_id(),
        terminal_outcome: TerminalOutcome::Cancelled,
        lease_epoch: task.lease_epoch(),
        lifecycle_phase: LifecyclePhase::Terminal,
        attempt_id: Some(task.attempt_id()),
    };
    fake.script("complete_execution", Step::Refuse(won.clone().into()));
    let error = task.complete(None).await.expect_err("the cancel won");
    let SdkError::Engine(source) = error else { panic!("an engine error: {error}") };
    assert!(source.same_as(&won.into()));
    fake.advance(60_000).await;
    assert_eq!(fake.count("renew_lease"), 0);
}

#[tokio::test]
async fn a_refused_end_gives_the_task_back_with_its_lease_renewed() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let refusal = || EngineError::validation(ValidationKind::Argument, "no");
    fake.script("delay_execution", Step::Refuse(refusal()));
    let far = TimestampMs::from_millis(u64::MAX);
    let error = task.delay_execution(far).await.expect_err("refused");
    assert!(error.engine_error().is_some_and(|e| e.same_as(&refusal())));
    let task = error.into_task().expect("the lease is still held");
    fake.advance(25_000).await;
    assert_eq!(fake.count("renew_lease"), 2);
    task.complete(None).await.expect("the task goes on");
}

#[tokio::test]
async fn an_end_that_never_lands_tells_why() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    for _ in 0..100 {
        let full = EngineError::Unavailable { op: "complete_execution", reason: "full".to_owned() };
        fake.script("complete_execution", Step::Refuse(full));
    }
    fake.down("renew_lease");
    let error = fake.finish(60_000, task.complete(None)).await.expect_err("it cannot land");
    assert!(matches!(error, SdkError::NotLanded { .. }), "{error}");
    assert!(error.to_string().contains("full"), "{error}");
}

#[tokio::test]
async fn an_unavailable_store_is_asked_again() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let busy = EngineError::Unavailable { op: "complete_execution", reason: "full".to_owned() };
    fake.script("complete_execution", Step::Refuse(busy));
    fake.finish(1_000, task.complete(None)).await.expect("it lands the second time");
}

#[tokio::test]
async fn a_task_dropped_without_an_end_logs_one_warning_and_is_renewed_no_more() {
    let (trace, _guard) = Trace::start();
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let execution_id = task.execution_id();
    drop(task);
    let warnings = trace.lines("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].contains(&execution_id.to_string()));
    fake.advance(60_000).await;
    assert_eq!(fake.count("renew_lease"), 0);
}

#[tokio::test]
async fn an_ended_task_is_dropped_without_a_word() {
    let (trace, _guard) = Trace::start();
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    task.complete(None).await.expect("it lands");
    assert_eq!(trace.lines("WARN"), [""; 0]);
}

#[tokio::test]
async fn a_complete_that_landed_unheard_is_found_although_its_lease_looks_lost() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("complete_execution", Step::Lost);
    for _ in 0..14 {
        fake.script("complete_execution", Step::Refuse(crate::fake::lost("complete")));
    }
    fake.state().stale.insert(task.execution_id());
    fake.finish(30_000, task.complete(None)).await.expect("the repeat answers");
    let renewals: Vec<RenewLease> = fake.sent("renew_lease");
    assert_eq!(renewals.len(), 1, "a lease that is lost is renewed once");
}

#[tokio::test]
async fn a_stale_lease_on_an_end_is_final() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let error = stale(task.execution_id());
    fake.script("complete_execution", Step::Lost);
    fake.script("complete_execution", Step::Refuse(error));
    let error = fake.finish(1_000, task.complete(None)).await.expect_err("stale");
    assert!(matches!(error, SdkError::Engine(_)), "{error}");
    assert_eq!(fake.count("complete_execution"), 2);
}

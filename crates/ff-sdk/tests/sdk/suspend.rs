//! Suspensions, waitpoints, signals and usage.

use crate::fake::backend::suspension;
use crate::fake::{Fake, START, Step};
use ff_core::contracts::budget::{ReportUsageAndCheck, ReportUsageResult};
use ff_core::contracts::signal::{DeliverSignal, ResumeSignal, Signal};
use ff_core::contracts::suspend::*;
use ff_core::error::StateKind;
use ff_core::ids::{BudgetId, ExecutionId, SignalId, WaitpointId};
use ff_core::name::Dimension;
use ff_core::partition::{BudgetPartition, Partition};
use ff_core::state::TimeoutBehavior;
use ff_core::token::WaitpointToken;
use ff_sdk::{ClaimedTask, SdkError, SuspendOutcome};

async fn suspend(task: ClaimedTask) -> Result<SuspendOutcome, SdkError> {
    let matchers = [ConditionMatcher::named("approve")];
    task.suspend("needs_approval", &matchers, Some(60_000), TimeoutBehavior::Escalate).await
}

fn signal() -> Signal {
    Signal {
        signal_name: "approve".to_owned(),
        signal_category: "human".to_owned(),
        payload: Some(bytes::Bytes::from_static(b"\xff")),
        source_type: "webhook".to_owned(),
        source_identity: "ada".to_owned(),
        correlation_id: None,
        idempotency_key: None,
        waitpoint_token: WaitpointToken::from_text("k.token"),
    }
}

#[tokio::test]
async fn a_suspend_releases_the_lease_and_hands_out_the_token() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let SuspendOutcome::Suspended(opened) = suspend(task).await.expect("it lands") else {
        panic!("nothing was buffered");
    };
    let sent: Vec<SuspendExecution> = fake.sent("suspend_execution");
    assert_eq!(opened, suspension(&sent[0]));
    assert_eq!(sent[0].reason_code, "needs_approval");
    assert_eq!(sent[0].timeout_ms, Some(60_000));
    assert_eq!(sent[0].timeout_behavior, TimeoutBehavior::Escalate);
    fake.advance(60_000).await;
    assert_eq!(fake.count("renew_lease"), 0);
}

#[tokio::test]
async fn a_suspension_that_is_met_already_hands_the_task_back_with_its_signals() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let signal = ResumeSignal {
        signal_id: SignalId::generate(),
        signal_name: "approve".to_owned(),
        signal_category: String::new(),
        source_type: String::new(),
        source_identity: String::new(),
        correlation_id: None,
        accepted_at: START,
        payload: None,
    };
    let request = SuspendExecution {
        handle: task.handle().clone(),
        suspension_id: ff_core::ids::SuspensionId::generate(),
        waitpoint_id: WaitpointId::generate(),
        reason_code: String::new(),
        matchers: Vec::new(),
        timeout_ms: None,
        timeout_behavior: TimeoutBehavior::Fail,
    };
    let met = ExecutionSuspended::AlreadySatisfied {
        suspension: suspension(&request),
        resume_signals: vec![signal.clone()],
    };
    fake.script("suspend_execution", Step::Answer(Box::new(met)));
    let outcome = suspend(task).await.expect("it lands");
    let SuspendOutcome::AlreadySatisfied { task, .. } = outcome else {
        panic!("the signal was buffered");
    };
    assert_eq!(task.resume_signals(), [signal]);
    fake.advance(10_000).await;
    assert_eq!(fake.count("renew_lease"), 1, "the lease is kept");
    let _ = suspend(*task).await.expect("it lands");
    let sent: Vec<SuspendExecution> = fake.sent("suspend_execution");
    assert_ne!(sent[0].suspension_id, sent[1].suspension_id, "the next is another suspension");
}

#[tokio::test]
async fn a_suspend_that_is_called_again_after_it_did_not_land_is_the_same_suspension() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.down("suspend_execution");
    fake.down("renew_lease");
    let error = fake.finish(30_000, suspend(task)).await.expect_err("down");
    let task = error.into_task().expect("the task comes back");
    fake.up("suspend_execution");
    let _ = suspend(task).await.expect("it lands");
    let sent: Vec<SuspendExecution> = fake.sent("suspend_execution");
    assert!(sent.len() > 2 && sent.windows(2).all(|pair| pair[0] == pair[1]));
}

#[tokio::test]
async fn an_ambiguous_waitpoint_leaves_the_task_to_go_on() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let execution_id = task.execution_id();
    let ambiguous = StateKind::WaitpointAmbiguous { execution_id, open: 2 };
    fake.script("suspend_execution", Step::Refuse(ambiguous.into()));
    let error = suspend(task).await.expect_err("two are pending");
    let task = error.into_task().expect("the lease is still held");
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_pending_waitpoint_is_made_once_whatever_replies_are_lost() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    fake.script("create_pending_waitpoint", Step::Lost);
    let (created, task) =
        fake.finish(1_000, async move {
            (task.create_pending_waitpoint("approval", 60_000).await, task)
        })
        .await;
    let (waitpoint_id, token) = created.expect("created");
    let sent: Vec<CreatePendingWaitpoint> = fake.sent("create_pending_waitpoint");
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
    assert_eq!(sent[0].waitpoint_id, waitpoint_id);
    assert_eq!(token.expose(), "k.token");
    let error = task.create_pending_waitpoint("a b", 1).await.expect_err("no key");
    assert!(matches!(error, SdkError::Config { field: "waitpoint_key", .. }));
    task.complete(None).await.expect("it lands");
}

#[tokio::test]
async fn a_signal_keeps_its_id_over_lost_replies_and_gets_a_new_one_each_call() {
    let fake = Fake::new();
    let worker = fake.worker().await;
    let execution_id = ExecutionId::generate(Partition::new_unchecked(0));
    let waitpoint_id = WaitpointId::generate();
    fake.script("deliver_signal", Step::Lost);
    fake.finish(1_000, async move {
        for _ in 0..2 {
            worker.deliver_signal(&execution_id, &waitpoint_id, signal()).await.expect("delivered");
        }
    })
    .await;
    let sent: Vec<DeliverSignal> = fake.sent("deliver_signal");
    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[1].signal_id, sent[2].signal_id);
    assert_eq!(sent[0].signal, signal());
}

#[tokio::test]
async fn usage_is_reported_once_a_call_and_an_empty_key_is_none() {
    let fake = Fake::new();
    let (_worker, task) = fake.task().await;
    let budget_id = BudgetId::generate(BudgetPartition::new_unchecked(0));
    let breach = ReportUsageResult::SoftBreach {
        dimension: Dimension::new("tokens").expect("legal"),
        current_usage: 12,
        soft_limit: 10,
    };
    fake.script("report_usage_and_check", Step::Lost);
    fake.script("report_usage_and_check", Step::Answer(Box::new(breach.clone())));
    let usage = [("tokens", 5), ("calls", 1), ("tokens", 7)];
    let (first, task) = fake
        .finish(1_000, async move { (task.report_usage(&budget_id, &usage, Some("")).await, task) })
        .await;
    assert_eq!(first.expect("counted"), breach);
    let again = task.report_usage(&budget_id, &[("calls", 1)], Some("step-1")).await;
    assert_eq!(again.expect("counted"), ReportUsageResult::Ok);
    let sent: Vec<ReportUsageAndCheck> = fake.sent("report_usage_and_check");
    assert_eq!(sent[0], sent[1]);
    assert_ne!(sent[1].mutation_id, sent[2].mutation_id);
    assert_eq!((sent[0].dedup_key(), sent[2].dedup_key()), (None, Some("step-1")));
    assert_eq!(sent[0].usage.len(), 3, "the caller's order is kept");
    let error = task.report_usage(&budget_id, &[("a b", 1)], None).await.expect_err("no name");
    assert!(matches!(error, SdkError::Config { field: "usage", .. }));
    task.complete(None).await.expect("it lands");
}

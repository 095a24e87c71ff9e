//! The worker loop: fused ends, slots, failures, suspension, drain.

mod drain;
mod stay;
mod together;

use crate::fake::backend::{stale, suspension};
use crate::fake::{Fake, Step, settle, until};
use ff_core::contracts::claim::{ClaimExecution, ClaimSource};
use ff_core::contracts::lease::CancelRequested;
use ff_core::contracts::suspend::{ExecutionSuspended, SuspendExecution};
use ff_core::contracts::terminal::*;
use ff_core::error::{BugKind, EngineError, ValidationKind};
use ff_core::limits::PAYLOAD_BYTES_MAX;
use ff_sdk::{FlowFabricWorker, TaskContext, TaskEnd, TaskError, TaskResult, WorkerConfig};
use std::collections::{BTreeSet, HashMap};
use std::future::{Future, pending};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

fn key(text: &str) -> ff_core::WaitpointKey {
    ff_core::WaitpointKey::new(text).expect("a legal key")
}

/// A worker loop under way.
struct Loop {
    fake: Arc<Fake>,
    worker: Arc<FlowFabricWorker>,
    shutdown: Option<oneshot::Sender<()>>,
    running: JoinHandle<()>,
}

impl Loop {
    async fn start<F>(
        fake: &Arc<Fake>,
        tasks_max: u16,
        handler: impl Fn(TaskContext) -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = TaskResult> + Send + 'static,
    {
        let config = WorkerConfig::builder("w").max_concurrent_tasks(tasks_max).build();
        let worker = Arc::new(fake.worker_with(config.expect("legal")).await);
        let (shutdown, stopped) = oneshot::channel::<()>();
        let running = tokio::spawn({
            let worker = worker.clone();
            async move {
                let stop = async {
                    let _ = stopped.await;
                };
                worker.run(handler, stop).await.expect("the loop ends well");
            }
        });
        settle().await;
        Self { fake: fake.clone(), worker, shutdown: Some(shutdown), running }
    }

    fn shut_down(&mut self) {
        self.shutdown = None;
    }

    async fn stop(mut self) {
        self.shut_down();
        self.fake.advance(1_000).await;
        assert!(self.running.is_finished(), "the loop did not drain");
        self.running.await.expect("the loop does not panic");
    }
}

/// The calls that completed tasks.
fn calls(fake: &Fake) -> Vec<CompleteExecutions> {
    fake.sent("complete_executions")
}

/// What they completed, one after the other.
fn completions(fake: &Fake) -> Vec<Completion> {
    calls(fake).into_iter().flat_map(|call| call.completions).collect()
}

async fn echo(task: TaskContext) -> TaskResult {
    Ok(TaskEnd::result(task.input_payload()))
}

#[tokio::test]
async fn every_task_runs_once_and_its_end_brings_the_next() {
    let fake = Fake::new();
    let mut inputs = HashMap::new();
    for n in 0..20u8 {
        inputs.insert(fake.put(0, &[n]), vec![n]);
    }
    let running = Loop::start(&fake, 4, echo).await;
    let ends = completions(&fake);
    assert_eq!(ends.len(), 20);
    for end in &ends {
        let input = inputs.remove(&end.handle.execution_id()).expect("each ends once");
        assert_eq!(end.result.as_deref(), Some(&*input));
    }
    let claims: Vec<ClaimExecution> = fake.sent("claim_execution");
    assert!(claims.len() <= 6, "{} calls beside the fused ones", claims.len());
    assert!(matches!(claims[0].source, ClaimSource::Ready { count_max: 4, .. }));
    running.stop().await;
    assert_eq!(fake.count("deregister_worker"), 1);
}

#[tokio::test]
async fn each_running_task_claims_in_a_slot_of_its_own() {
    let fake = Fake::new();
    for _ in 0..12 {
        fake.put(0, b"");
    }
    let running = Loop::start(&fake, 3, echo).await;
    let fused = calls(&fake).into_iter().filter_map(|call| call.next);
    let slots: BTreeSet<u16> = fused.map(|claim| claim.slot).collect();
    assert!(slots.iter().all(|slot| (1..=3).contains(slot)), "{slots:?}");
    running.stop().await;
}

#[tokio::test]
async fn no_more_tasks_run_at_a_time_than_there_are_permits() {
    let fake = Fake::new();
    for _ in 0..9 {
        fake.put(0, b"");
    }
    let now_and_most = Arc::new((AtomicUsize::new(0), AtomicUsize::new(0)));
    let counted = now_and_most.clone();
    let running = Loop::start(&fake, 3, move |_| {
        let counted = counted.clone();
        async move {
            let now = counted.0.fetch_add(1, Ordering::SeqCst) + 1;
            counted.1.fetch_max(now, Ordering::SeqCst);
            tokio::task::yield_now().await;
            counted.0.fetch_sub(1, Ordering::SeqCst);
            Ok(TaskEnd::done())
        }
    })
    .await;
    assert_eq!(completions(&fake).len(), 9);
    assert_eq!(now_and_most.1.load(Ordering::SeqCst), 3);
    running.stop().await;
}

#[tokio::test]
async fn a_waiting_loop_is_woken_by_a_notice() {
    let fake = Fake::new();
    let running = Loop::start(&fake, 1, echo).await;
    fake.offer(0, b"");
    until("the task has ended", || completions(&fake).len() == 1).await;
    running.stop().await;
}

#[tokio::test]
async fn an_idle_loop_costs_at_most_three_commands_a_second() {
    for partitions in [1, 64] {
        let fake = Fake::with_partitions(partitions);
        let running = Loop::start(&fake, 8, echo).await;
        fake.advance(5_000).await;
        let before = fake.commands();
        fake.advance(60_000).await;
        let commands = fake.commands() - before;
        let most = if partitions == 1 { 70 } else { 180 };
        assert!(commands <= most, "{commands} commands a minute on {partitions} partitions");
        running.stop().await;
    }
}

#[tokio::test]
async fn an_error_fails_the_attempt_with_its_category() {
    let fake = Fake::new();
    fake.put(0, b"");
    let running =
        Loop::start(&fake, 1, |_| async { Err(TaskError::new("rate_limited", "slow down")) }).await;
    let fails: Vec<FailExecution> = fake.sent("fail_execution");
    assert_eq!(fails[0].error_category, "rate_limited");
    assert_eq!(fails[0].reason, "slow down");
    assert!(fails[0].next.is_some(), "a failure brings the next claim, too");
    running.stop().await;
}

#[tokio::test]
async fn any_error_turns_into_a_failure_with_its_sources() {
    let fake = Fake::new();
    fake.put(0, b"");
    let running = Loop::start(&fake, 1, |task: TaskContext| async move {
        let text = String::from_utf8(b"\xff".to_vec())?;
        task.append_frame("log", text.as_bytes(), None).await?;
        Ok(TaskEnd::done())
    })
    .await;
    let fails: Vec<FailExecution> = fake.sent("fail_execution");
    assert_eq!(fails[0].error_category, "handler_error");
    assert!(fails[0].reason.contains("invalid utf-8"), "{}", fails[0].reason);
    running.stop().await;
}

#[tokio::test]
async fn a_panic_fails_the_attempt_and_the_loop_goes_on() {
    let fake = Fake::new();
    fake.put(0, b"panic");
    fake.put(0, b"");
    let running = Loop::start(&fake, 1, |task: TaskContext| async move {
        assert!(task.input_payload().is_empty(), "boom \u{1b}[1m");
        Ok(TaskEnd::done())
    })
    .await;
    let fails: Vec<FailExecution> = fake.sent("fail_execution");
    assert_eq!((fails[0].error_category.as_str(), fails.len()), ("panic", 1));
    assert_eq!(fails[0].reason, "boom  [1m");
    assert_eq!(completions(&fake).len(), 1);
    running.stop().await;
}

#[tokio::test]
async fn an_error_after_a_cancel_was_requested_cancels() {
    let fake = Fake::new();
    let id = fake.put(0, b"");
    let at = crate::fake::START;
    let cancel = CancelRequested {
        reason: "operator".to_owned(),
        requested_at: at,
        revoke_at: at.plus_ms(5_000),
    };
    fake.state().cancels.insert(id, cancel);
    let running = Loop::start(&fake, 1, |task: TaskContext| async move {
        let cancelled = task.cancelled().await;
        Err(TaskError::new("stopped", cancelled.reason))
    })
    .await;
    let cancels: Vec<CancelExecution> = fake.sent("cancel_execution");
    assert_eq!(cancels[0].reason, "operator");
    assert!(matches!(cancels[0].by, CancelBy::LeaseHolder(_)));
    assert_eq!(fake.count("fail_execution"), 0);
    running.stop().await;
}

#[tokio::test]
async fn the_other_ends_are_returned_as_well() {
    let fake = Fake::new();
    for input in [b"c", b"d", b"r", b"w", b"s"] {
        fake.put(0, input);
    }
    let running = Loop::start(&fake, 5, |task: TaskContext| async move {
        Ok(match task.input_payload() {
            b"c" => TaskEnd::Cancel("not needed".to_owned()),
            b"d" => TaskEnd::Delay(crate::fake::START.plus_ms(9_000)),
            b"r" => TaskEnd::Release("elsewhere".to_owned()),
            b"w" => TaskEnd::WaitChildren,
            _ => TaskEnd::wait_for_signal("needs_approval", key("approval"), "approve"),
        })
    })
    .await;
    for op in [
        "cancel_execution",
        "delay_execution",
        "release_execution",
        "move_to_waiting_children",
        "suspend_execution",
    ] {
        assert_eq!(fake.count(op), 1, "{op}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_suspension_that_is_met_already_runs_the_handler_again() {
    let fake = Fake::new();
    let runs = Arc::new(Mutex::new(Vec::new()));
    let seen = runs.clone();
    let running = Loop::start(&fake, 1, move |task: TaskContext| {
        let seen = seen.clone();
        async move {
            let mut runs = seen.lock().expect("no panic holds this");
            runs.push((task.lease_id(), task.resume_signals().len()));
            Ok(match runs.len() {
                1 => TaskEnd::wait_for_signal("needs_approval", key("approval"), "approve"),
                _ => TaskEnd::done(),
            })
        }
    })
    .await;
    let met = |request: &SuspendExecution| ExecutionSuspended::AlreadySatisfied {
        suspension: suspension(request),
        resume_signals: vec![ff_core::contracts::signal::ResumeSignal {
            signal_id: ff_core::ids::SignalId::generate(),
            signal_name: "approve".to_owned(),
            signal_category: String::new(),
            source_type: String::new(),
            source_identity: String::new(),
            correlation_id: None,
            accepted_at: crate::fake::START,
            payload: None,
        }],
    };
    let handle = {
        let (_worker, task) = Fake::new().task().await;
        let handle = task.handle().clone();
        task.release("only its shape is needed").await.expect("it lands");
        handle
    };
    let shape = SuspendExecution {
        handle,
        suspension_id: ff_core::ids::SuspensionId::generate(),
        waitpoint_id: ff_core::ids::WaitpointId::generate(),
        reason_code: "needs_approval".to_owned(),
        matchers: Vec::new(),
        timeout_ms: None,
        timeout_behavior: ff_core::state::TimeoutBehavior::Fail,
    };
    fake.script("suspend_execution", Step::Answer(Box::new(met(&shape))));
    fake.offer(0, b"");
    until("it has completed", || completions(&fake).len() == 1).await;
    let runs = runs.lock().expect("no panic holds this").clone();
    assert_eq!(runs.iter().map(|run| run.1).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(runs[0].0, runs[1].0, "under the same lease");
    running.stop().await;
}

#[tokio::test]
async fn an_end_that_the_engine_refuses_fails_the_attempt() {
    let fake = Fake::new();
    fake.put(0, b"");
    let running =
        Loop::start(&fake, 1, |_| async { Ok(TaskEnd::result(vec![0; PAYLOAD_BYTES_MAX + 1])) })
            .await;
    let fails: Vec<FailExecution> = fake.sent("fail_execution");
    assert_eq!(fails[0].error_category, "invalid_end");
    assert!(fails[0].reason.contains("the limit is"), "{}", fails[0].reason);
    running.stop().await;
}

#[tokio::test]
async fn an_error_with_a_category_that_is_refused_keeps_its_reason() {
    let fake = Fake::new();
    fake.put(0, b"");
    fake.script(
        "fail_execution",
        Step::Refuse(EngineError::validation(
            ValidationKind::Argument,
            "error_category is not snake case",
        )),
    );
    let running = Loop::start(&fake, 1, |_| async {
        Err(TaskError::new("Not A Category", "the disk is full"))
    })
    .await;
    let fails: Vec<FailExecution> = fake.sent("fail_execution");
    let last = fails.last().expect("it fails");
    assert_eq!(last.error_category, "invalid_end");
    assert!(last.reason.contains("the disk is full"), "{}", last.reason);
    assert!(last.reason.contains("snake case"), "{}", last.reason);
    running.stop().await;
}

#[tokio::test]
async fn a_fused_end_whose_reply_is_lost_is_repeated_with_its_claim() {
    let fake = Fake::new();
    fake.put(0, b"a");
    fake.put(0, b"b");
    fake.script("complete_executions", Step::Lost);
    let running = Loop::start(&fake, 1, echo).await;
    fake.advance(1_000).await;
    let ends = completions(&fake);
    assert_eq!(ends.len(), 3);
    assert_eq!(ends[0], ends[1]);
    assert_eq!(calls(&fake)[0], calls(&fake)[1]);
    assert_eq!(ends[2].result.as_deref(), Some(b"b".as_slice()), "its claim was not lost");
    running.stop().await;
}

#[tokio::test]
async fn a_fused_claim_whose_end_never_landed_is_asked_for_alone() {
    let fake = Fake::new();
    fake.put(0, b"a");
    fake.put(0, b"b");
    let (release, released) = oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(released)));
    let running = Loop::start(&fake, 1, move |task: TaskContext| {
        let gate = gate.lock().expect("no panic holds this").take();
        async move {
            if let Some(gate) = gate {
                let _ = gate.await;
            }
            echo(task).await
        }
    })
    .await;
    fake.down("renew_lease");
    fake.advance(25_000).await;
    fake.script("complete_executions", Step::Hang);
    drop(release);
    settle().await;
    let claims_before = fake.count("claim_execution");
    fake.advance(10_000).await;
    let end = calls(&fake).remove(0);
    let claims: Vec<ClaimExecution> = fake.sent("claim_execution");
    assert_eq!(Some(&claims[claims_before]), end.next.as_ref(), "the identical claim");
    let last = completions(&fake).pop().expect("the second task has ended");
    assert_eq!(last.result.as_deref(), Some(b"b".as_slice()));
    fake.up("renew_lease");
    running.stop().await;
}

#[tokio::test]
async fn a_lost_lease_drops_the_handler_and_frees_its_place() {
    let fake = Fake::new();
    let id = fake.put(0, b"stuck");
    let running = Loop::start(&fake, 1, |task: TaskContext| async move {
        if task.input_payload() == b"stuck" {
            pending::<()>().await;
        }
        Ok(TaskEnd::done())
    })
    .await;
    fake.state().stale.insert(id);
    fake.advance(10_000).await;
    fake.offer(0, b"");
    until("the next task has ended", || completions(&fake).len() == 1).await;
    assert_eq!(fake.count("fail_execution"), 0, "nothing is sent for a lease that is gone");
    running.stop().await;
}

#[tokio::test]
async fn a_lease_lost_at_the_end_is_no_failure_of_the_loop() {
    let fake = Fake::new();
    let id = fake.put(0, b"");
    fake.script("complete_executions", Step::Refuse(stale(id)));
    let running = Loop::start(&fake, 1, echo).await;
    fake.offer(0, b"");
    until("the next task has ended", || completions(&fake).len() == 2).await;
    running.stop().await;
}

#[tokio::test]
async fn one_partition_does_not_keep_all_places_while_another_has_work() {
    let fake = Fake::with_partitions(2);
    let running = Loop::start(&fake, 1, |task: TaskContext| async move {
        tokio::task::yield_now().await;
        echo(task).await
    })
    .await;
    for _ in 0..60 {
        fake.put(0, b"busy");
    }
    fake.offer(0, b"busy");
    fake.offer(1, b"other");
    until("the other partition had a turn", || {
        completions(&fake).iter().any(|end| end.result.as_deref() == Some(b"other"))
    })
    .await;
    let order = completions(&fake);
    let turn = order.iter().position(|end| end.result.as_deref() == Some(b"other"));
    assert!(turn.is_some_and(|turn| turn <= 32), "it waited for {turn:?} tasks");
    fake.advance(2_000).await;
    running.stop().await;
}

//! Workers that are killed with SIGKILL at each of their calls: the work ends exactly once, and the
//! turns tell what happened.

use bytes::Bytes;
use ff_core::contracts::signal::Signal;
use ff_core::contracts::suspend::{ConditionMatcher, ReissueWaitpointToken};
use ff_core::delegate_engine_backend;
use ff_core::policy::{Backoff, RetryPolicy};
use ff_core::state::{PublicState, TerminalOutcome, TimeoutBehavior};
use ff_core::turn::TurnOperation;
use ff_core::{EngineBackend, EngineResult, ExecutionId};
use ff_testserver::{Server, ServerVersion};
use flowfabric::*;
use std::future::Future;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Tells a child process which store, which lane, how it ends and at which call it dies.
const VARIABLE: &str = "FF_TEST_KILLED";
const LEASE_TTL_MS: u64 = 1_000;
/// Calls of a child before its end: claim, progress, frame, waitpoint.
const CALLS: u32 = 5;
const ENDS: [&str; 5] = ["complete", "fail", "delay", "release", "suspend"];

/// Kills its process at a call, before it is sent or after it was answered.
#[derive(Debug)]
struct Dying {
    inner: Arc<dyn EngineBackend>,
    calls: AtomicU32,
    at: u32,
    answered: bool,
}

impl Dying {
    async fn around<T>(
        &self,
        operation: &'static str,
        call: impl Future<Output = EngineResult<T>> + Send,
    ) -> EngineResult<T> {
        // Housekeeping comes when it comes; the calls of the work come in order.
        let background = ["subscribe", "tick", "renew_lease", "register_worker", "watch_execution"];
        if background.contains(&operation) {
            return call.await;
        }
        let dies = self.calls.fetch_add(1, Ordering::SeqCst) == self.at;
        if dies && !self.answered {
            die();
        }
        let outcome = call.await;
        if dies {
            die();
        }
        outcome
    }
}

delegate_engine_backend!(Dying, |this| this.inner, Dying::around);

fn die() -> ! {
    let pid = std::process::id().to_string();
    let killed = std::process::Command::new("kill").args(["-9", &pid]).status();
    panic!("still alive after kill -9: {killed:?}");
}

/// The child: claims one task, works on it and ends it, until it dies.
#[tokio::test]
async fn worker_process() {
    let Ok(order) = std::env::var(VARIABLE) else { return };
    let words: Vec<&str> = order.split(' ').collect();
    let [url, lane, end, at, answered] = words[..] else { panic!("bad order {order:?}") };
    let inner = connect(url).await.expect("a backend");
    let dying = Dying {
        inner,
        calls: AtomicU32::new(0),
        at: at.parse().expect("a number"),
        answered: answered == "true",
    };
    let config = WorkerConfig::builder("doomed").lane(lane).lease_ttl_ms(LEASE_TTL_MS);
    let config = config.build().expect("a legal configuration");
    let worker = FlowFabricWorker::connect_with(config, Arc::new(dying)).await.expect("a worker");
    let task = worker.claim_next().await.expect("a claim").expect("a task");
    task.update_progress(50, Some("half way")).await.expect("progress");
    task.append_frame("log", b"\x00\xff", None).await.expect("a frame");
    task.create_pending_waitpoint("early", 60_000).await.expect("a waitpoint");
    match end {
        "complete" => task.complete(Some(b"doomed".to_vec())).await.expect("an end"),
        "fail" => drop(task.fail("broke", "io").await.expect("an end")),
        "delay" => {
            let at = worker.backend().clock().now().plus_ms(50);
            task.delay_execution(at).await.expect("an end");
        }
        "release" => task.release("drain").await.expect("an end"),
        _ => {
            let matchers = [ConditionMatcher::named("go")];
            let behavior = TimeoutBehavior::Fail;
            drop(task.suspend("waiting_for_signal", &matchers, None, behavior).await);
        }
    }
    panic!("it should have died at call {at}");
}

struct Victim {
    id: ExecutionId,
    end: &'static str,
    at: u32,
    answered: bool,
}

/// Starts a child and waits until it is dead.
async fn kill_one(url: &str, client: &FlowFabricClient, end: &'static str, at: u32) -> Vec<Victim> {
    let mut victims = Vec::new();
    for answered in [false, true] {
        let lane = format!("{end}-{at}-{answered}");
        let backoff = Backoff::Fixed { delay_ms: 0 };
        let retry = RetryPolicy { backoff, ..RetryPolicy::default() };
        let request = SubmitRequest::new("work", "input").lane(&lane).retry(retry);
        let id = client.submit(request).await.expect("a submission").execution_id();
        let status = tokio::process::Command::new(std::env::current_exe().expect("a path"))
            .args(["--exact", "worker_process", "--nocapture"])
            .env(VARIABLE, format!("{url} {lane} {end} {at} {answered}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .await
            .expect("a child process");
        assert_eq!(status.code(), None, "{lane} was to be killed");
        victims.push(Victim { id, end, at, answered });
    }
    victims
}

/// Gives a suspended execution the signal that it waits for.
async fn wake(client: &FlowFabricClient, id: ExecutionId) {
    let info = client.describe(&id).await.expect("a description");
    let Some(suspension) = info.suspension else { return };
    let waitpoint_id = suspension.waitpoint_id;
    let request = ReissueWaitpointToken { execution_id: id, waitpoint_id };
    let token = client.backend().reissue_waitpoint_token(request).await.expect("a token");
    let signal = Signal {
        signal_name: "go".into(),
        signal_category: "test".into(),
        payload: None,
        source_type: "test".into(),
        source_identity: "killer".into(),
        correlation_id: None,
        idempotency_key: None,
        waitpoint_token: token,
    };
    client.signal(&id, &waitpoint_id, signal).await.expect("a signal");
}

async fn check(client: &FlowFabricClient, victim: &Victim) {
    let Victim { id, end, at, answered } = victim;
    let story = format!("{end} at call {at}, answered {answered}");
    let turns = client.backend().list_turns(*id).await.expect("turns");
    let count = |operation| turns.iter().filter(|turn| turn.operation == operation).count();
    assert_eq!(count(TurnOperation::Complete), 1, "{story}: {turns:?}");
    let claimed = *at > 0 || *answered;
    let ended = *at + 1 == CALLS && *answered;
    assert_eq!(count(TurnOperation::LeaseExpired), usize::from(claimed && !ended), "{story}");
    let own = turns.iter().filter(|turn| turn.worker_id.as_str() == "doomed").count();
    assert_eq!(own, usize::from(claimed), "{story}: {turns:?}");
    let result = client.backend().read_result(*id).await.expect("a result");
    let by_doomed = ended && *end == "complete";
    let expected = if by_doomed { "doomed" } else { "healthy" };
    assert_eq!(result.terminal_outcome, TerminalOutcome::Success, "{story}");
    assert_eq!(result.result, Some(Bytes::from_static(expected.as_bytes())), "{story}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_killed_at_any_of_its_calls_loses_nothing_and_ends_nothing_twice() {
    let server = Server::start(ServerVersion::V8).expect("a server");
    let url = server.url();
    let client = FlowFabricClient::new(connect(&url).await.expect("a backend"));
    let mut victims = Vec::new();
    for at in 0..CALLS - 1 {
        victims.extend(kill_one(&url, &client, "complete", at).await);
    }
    for end in ENDS {
        victims.extend(kill_one(&url, &client, end, CALLS - 1).await);
    }
    for victim in &victims {
        wake(&client, victim.id).await;
    }
    let lanes = victims.iter().map(|v| format!("{}-{}-{}", v.end, v.at, v.answered));
    let config = WorkerConfig::builder("healthy").lanes(lanes).max_concurrent_tasks(4);
    let config = config.build().expect("a legal configuration");
    let backend = connect(&url).await.expect("a backend");
    let worker = FlowFabricWorker::connect_with(config, backend).await.expect("a worker");
    let all_ended = async {
        for victim in &victims {
            let deadline = client.backend().clock().now().plus_ms(30_000);
            let ended = client.wait_for_result(&victim.id, deadline).await.expect("an answer");
            let info = client.describe(&victim.id).await.expect("a description");
            assert!(ended.is_some(), "{} at {}: {info:?}", victim.end, victim.at);
            assert_eq!(info.public_state, PublicState::Completed);
        }
    };
    let handler = |_task: TaskContext| async move { Ok(TaskEnd::result("healthy")) };
    worker.run(handler, all_ended).await.expect("a worker that ran");
    for victim in &victims {
        check(&client, victim).await;
    }
    let diagnosis = client.backend().doctor(false).await.expect("a diagnosis");
    assert_eq!(diagnosis.findings, []);
}

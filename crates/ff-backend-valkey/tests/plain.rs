//! The plain way of the function library writes byte for byte what its rules write.

mod support;

use ff_conformance::Fixture;
use ff_core::Handle;
use ff_core::contracts::claim::{ClaimExecution, ExecutionsClaimed};
use ff_core::contracts::lease::RenewLease;
use ff_core::contracts::notice::WatchExecution;
use ff_core::contracts::stream::{AppendFrame, Frame};
use ff_core::contracts::submit::{SubmitExecution, SubmitExecutions};
use ff_core::contracts::terminal::{CompleteExecution, CompleteExecutions, Completion};
use ff_core::policy::{ExecutionPolicy, When};
use ff_testserver::ServerVersion;
use support::fixture::ValkeyFixture;
use support::{claim, item};

/// Two stores that are told the same: one goes the plain way, the other by the rules alone.
struct Pair([ValkeyFixture; 2]);

impl Pair {
    async fn start(version: ServerVersion) -> Self {
        let plain = ValkeyFixture::standalone(version).await;
        let ruled = ValkeyFixture::standalone(version).await;
        ruled.command(&["FCALL", "ff_test_plain", "1", "ff:{meta}", "0"]);
        Self([plain, ruled])
    }

    /// Checks that both hold the same, the secrets of each and the time at which the server itself
    /// lets a key go aside.
    async fn holds_the_same(&self, after: &str) {
        let mut dumps = Vec::new();
        for store in &self.0 {
            let dump = store.dump().await;
            let lines = dump.lines().filter(|line| !line.starts_with("ff:{meta}"));
            let lines = lines.map(|line| line.split(" until ").next().unwrap_or_default());
            dumps.push(lines.map(str::to_owned).collect::<Vec<_>>());
        }
        assert_eq!(dumps[0].len(), dumps[1].len(), "after {after}");
        assert!(!dumps[0].is_empty());
        for (plain, ruled) in dumps[0].iter().zip(&dumps[1]) {
            assert_eq!(plain, ruled, "after {after}");
        }
    }

    async fn submit(&self, items: Vec<SubmitExecution>) {
        for store in &self.0 {
            let request = SubmitExecutions { items: items.clone() };
            let outcomes = store.backend().submit_executions(request).await.expect("a submission");
            assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
        }
        self.holds_the_same("a submission").await;
    }

    async fn claim(&self, request: ClaimExecution) -> ExecutionsClaimed {
        let [plain, ruled] = &self.0;
        let taken = plain.backend().claim_execution(request.clone()).await.expect("a claim");
        let same = ruled.backend().claim_execution(request).await.expect("a claim");
        assert_eq!(taken, same);
        self.holds_the_same("a claim").await;
        taken
    }

    async fn complete(&self, request: CompleteExecutions) {
        for store in &self.0 {
            let ended = store.backend().complete_executions(request.clone()).await.expect("ends");
            assert!(ended.outcomes.iter().all(Result::is_ok), "{ended:?}");
        }
        self.holds_the_same("completions").await;
    }

    async fn append(&self, handle: &Handle, sequence: u64, payloads: &[usize]) {
        let frames = payloads.iter().map(|bytes| Frame {
            frame_type: "log".to_owned(),
            payload: vec![b'f'; *bytes].into(),
            correlation_id: None,
        });
        let frames: Vec<Frame> = frames.collect();
        for store in &self.0 {
            let request = AppendFrame { handle: handle.clone(), sequence, frames: frames.clone() };
            store.backend().append_frame(request).await.expect("frames");
        }
        self.holds_the_same("an append").await;
    }

    async fn advance(&self, span_ms: u64) {
        for store in &self.0 {
            store.advance(span_ms).await;
        }
    }
}

fn with(policy: ExecutionPolicy) -> SubmitExecution {
    SubmitExecution { policy, ..item() }
}

/// Executions of many kinds, plain ones and others.
fn items() -> Vec<SubmitExecution> {
    let late = ExecutionPolicy { deadline: Some(When::After(60_000)), ..Default::default() };
    let timed = ExecutionPolicy { attempt_timeout_ms: Some(5_000), ..Default::default() };
    let urgent = ExecutionPolicy { priority: 3, ..Default::default() };
    let tagged = ExecutionPolicy {
        tags: [("team".to_owned(), "blue green".to_owned())].into(),
        ..Default::default()
    };
    let later = ExecutionPolicy { start: Some(When::After(10)), ..Default::default() };
    vec![
        item(),
        SubmitExecution { input: vec![0xff; 256].into(), ..item() },
        SubmitExecution { input: vec![b'x'; 257].into(), ..item() },
        SubmitExecution { fairness_key: Some("tenant".parse().expect("legal")), ..item() },
        with(late),
        with(timed),
        with(urgent),
        with(tagged),
        with(later),
    ]
}

async fn both_ways(version: ServerVersion) {
    let pair = Pair::start(version).await;
    pair.submit(items()).await;
    pair.advance(20).await;
    let taken = pair.claim(claim(20)).await.executions;
    assert_eq!(taken.len(), items().len());
    pair.advance(7).await;
    let sizes = [0, 1, 255, 256, 5_000, 3, 4, 5, 6];
    let completions = taken.iter().zip(sizes).map(|(one, size)| Completion {
        handle: one.handle.clone(),
        result: (size > 0).then(|| vec![b'r'; size].into()),
    });
    let completions: Vec<Completion> = completions.collect();
    pair.complete(CompleteExecutions { completions: completions.clone(), next: None }).await;
    pair.advance(5).await;
    // Again, which changes nothing.
    pair.complete(CompleteExecutions { completions, next: None }).await;

    // One that waits for the next is claimed with the end of the one before.
    pair.submit(vec![item(), item()]).await;
    let first = pair.claim(claim(1)).await.executions.remove(0);
    let next = Some(claim(1));
    let request = CompleteExecution { handle: first.handle, result: None, next };
    for store in &pair.0 {
        store.backend().complete_execution(request.clone()).await.expect("an end");
    }
    pair.holds_the_same("an end with a claim").await;
    // Frames, the last of them again; then one that a watcher waits for, and the end.
    let talks = pair.claim(claim(1)).await.executions;
    assert!(talks.is_empty(), "{talks:?}");
    pair.submit(vec![item()]).await;
    let talks = pair.claim(claim(1)).await.executions.remove(0).handle;
    for (sequence, payloads) in [(0, &[64][..]), (1, &[0, 5]), (3, &[6]), (3, &[6])] {
        pair.advance(3).await;
        pair.append(&talks, sequence, payloads).await;
    }
    let renewal = RenewLease { handles: vec![talks.clone()], lease_ttl_ms: 30_000 };
    for store in &pair.0 {
        store.backend().renew_lease(renewal.clone()).await.expect("a renewal");
    }
    pair.append(&talks, 4, &[7]).await;
    let watch = WatchExecution { execution_id: talks.execution_id(), ttl_ms: 60_000 };
    for store in &pair.0 {
        store.backend().watch_execution(watch.clone()).await.expect("a watch");
    }
    pair.append(&talks, 5, &[8]).await;
    let completion = Completion { handle: talks, result: Some("talked".into()) };
    pair.complete(CompleteExecutions { completions: vec![completion], next: None }).await;
    // A lease runs out: what is claimed then is plain no more.
    pair.advance(31_000).await;
    let again = pair.claim(claim(1)).await.executions.remove(0);
    let completion = Completion { handle: again.handle, result: Some("late".into()) };
    pair.complete(CompleteExecutions { completions: vec![completion], next: None }).await;
}

/// What a worker does most is plain, whatever its ids and fingerprints look like.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn first_attempts_without_timers_are_never_left_to_the_rules() {
    let store = ValkeyFixture::standalone(ServerVersion::V8).await;
    store.command(&["FCALL", "ff_test_forbid_rules", "1", "ff:{meta}"]);
    let items: Vec<SubmitExecution> = (0..100)
        .map(|number: usize| SubmitExecution { input: vec![b'x'; 4 * number].into(), ..item() })
        .filter(|item| item.input.len() <= 256)
        .collect();
    let count = items.len();
    let submitted = store.backend().submit_executions(SubmitExecutions { items }).await;
    assert!(submitted.expect("a batch").iter().all(Result::is_ok));
    let taken = store.backend().claim_execution(claim(100)).await.expect("a claim").executions;
    assert_eq!(taken.len(), count);
    let completions = taken.into_iter().zip(0..).map(|(one, size)| Completion {
        handle: one.handle,
        result: Some(vec![b'r'; 10 * size].into()),
    });
    let request = CompleteExecutions { completions: completions.collect(), next: None };
    let ended = store.backend().complete_executions(request).await.expect("ends");
    assert!(ended.outcomes.iter().all(Result::is_ok), "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v8_writes_what_the_rules_write() {
    both_ways(ServerVersion::V8).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v9_writes_what_the_rules_write() {
    both_ways(ServerVersion::V9).await;
}

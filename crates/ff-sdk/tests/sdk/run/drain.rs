//! The end of the loop: the drain, and a store that is away.

use super::*;

#[tokio::test]
async fn a_drain_waits_for_its_grace_and_releases_what_is_left() {
    let fake = Fake::new();
    fake.put(0, b"quick");
    fake.put(0, b"stuck");
    fake.put(0, b"never begun");
    let (release, released) = oneshot::channel::<()>();
    let gate = Arc::new(Mutex::new(Some(released)));
    let mut running = Loop::start(&fake, 2, move |task: TaskContext| {
        let gate = gate.clone();
        async move {
            if task.input_payload() == b"quick" {
                let gate = gate.lock().expect("no panic holds this").take();
                let _ = gate.expect("one task is quick").await;
                return Ok(TaskEnd::done());
            }
            pending().await
        }
    })
    .await;
    running.shut_down();
    fake.advance(15_000).await;
    assert_eq!(fake.count("renew_lease"), 1, "leases are renewed while draining");
    drop(release);
    settle().await;
    let ends = calls(&fake);
    assert_eq!((ends.len(), ends[0].next.is_none()), (1, true), "no claim after the shutdown");
    assert_eq!(fake.count("release_execution"), 0, "the grace is not over");
    fake.advance(5_000).await;
    let released: Vec<ReleaseExecution> = fake.sent("release_execution");
    assert_eq!(released.len(), 1);
    assert_eq!(fake.count("deregister_worker"), 1);
    assert!(running.running.is_finished());
    assert_eq!(fake.count("claim_execution"), 1);
}

#[tokio::test]
async fn what_a_claim_takes_during_the_shutdown_is_given_back() {
    let fake = Fake::new();
    let mut running = Loop::start(&fake, 1, echo).await;
    fake.script("claim_execution", Step::Lost);
    fake.offer(0, b"");
    settle().await;
    running.shut_down();
    running.stop().await;
    assert_eq!(fake.count("release_execution"), 1);
    assert_eq!(completions(&fake).len(), 0);
}

#[tokio::test]
async fn a_store_that_is_away_does_not_end_the_loop() {
    let fake = Fake::new();
    let malformed = EngineError::validation(ValidationKind::Argument, "no");
    fake.script("claim_execution", Step::Refuse(malformed));
    fake.put(0, b"");
    let running = Loop::start(&fake, 1, echo).await;
    fake.advance(1_000).await;
    assert_eq!(completions(&fake).len(), 1);
    assert_eq!(running.worker.config().max_concurrent_tasks(), 1);
    running.stop().await;
}

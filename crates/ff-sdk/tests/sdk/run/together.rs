//! Ends that travel together.

use super::*;

/// Completes with the input, once that is released.
async fn echo_once(mut released: watch::Receiver<bool>, task: TaskContext) -> TaskResult {
    let _ = released.wait_for(|released| *released).await;
    echo(task).await
}

#[tokio::test]
async fn tasks_that_complete_together_travel_together() {
    let fake = Fake::new();
    for _ in 0..40 {
        fake.put(0, b"");
    }
    let running = Loop::start(&fake, 8, echo).await;
    let calls = calls(&fake);
    assert_eq!(completions(&fake).len(), 40);
    assert!(calls.len() <= 20, "{} calls for 40 ends", calls.len());
    for call in &calls {
        let count = u32::try_from(call.completions.len()).expect("few");
        let next = call.next.as_ref().expect("a claim for every place that became free");
        assert!(matches!(next.source, ClaimSource::Ready { count_max, .. } if count_max == count));
    }
    running.stop().await;
}

#[tokio::test]
async fn one_lease_lost_at_the_end_does_not_touch_the_ends_beside_it() {
    let fake = Fake::new();
    let lost = fake.put(0, b"lost");
    fake.put(0, b"kept");
    let (release, released) = watch::channel(false);
    let running = Loop::start(&fake, 2, move |task| echo_once(released.clone(), task)).await;
    fake.state().stale.insert(lost);
    fake.put(0, b"next");
    release.send_replace(true);
    until("the next task has ended", || completions(&fake).len() == 3).await;
    assert_eq!(calls(&fake)[0].completions.len(), 2);
    let ended: Vec<_> = completions(&fake).into_iter().filter_map(|end| end.result).collect();
    assert_eq!(ended[2].as_ref(), b"next");
    assert_eq!(fake.count("fail_execution"), 0);
    running.stop().await;
}

#[tokio::test]
async fn what_one_end_does_to_a_call_does_not_touch_the_others() {
    let fake = Fake::new();
    let (release, released) = watch::channel(false);
    for input in [b"a", b"b"] {
        fake.put(0, input);
    }
    let running = Loop::start(&fake, 2, move |task| echo_once(released.clone(), task)).await;
    let poison = BugKind::Invariant("one of them".to_owned());
    fake.script("complete_executions", Step::Refuse(poison.into()));
    fake.put(0, b"next");
    release.send_replace(true);
    until("the next task has ended", || completions(&fake).len() == 5).await;
    let sizes: Vec<usize> = calls(&fake).iter().map(|call| call.completions.len()).collect();
    assert_eq!(sizes, [2, 1, 1, 1], "the two together, each alone, the next");
    assert_eq!(fake.count("fail_execution"), 0);
    running.stop().await;
}

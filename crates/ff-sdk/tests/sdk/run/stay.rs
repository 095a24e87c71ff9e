//! Where the loop takes its tasks from when they lie in many partitions.

use super::*;
use ff_core::partition::Partition;
use ff_core::time::Clock;

/// Tasks at a time in the tests that count calls.
const AT_A_TIME: u16 = 8;

/// Runs what was put to its end and returns how many calls ended and claimed it.
async fn calls_for(partitions: u16, tasks_each: usize) -> usize {
    let fake = Fake::with_partitions(partitions);
    for partition in 0..partitions {
        for _ in 0..tasks_each {
            fake.put(partition, b"");
        }
    }
    let running = Loop::start(&fake, AT_A_TIME, echo).await;
    completed(&fake, usize::from(partitions) * tasks_each).await;
    let count = calls(&fake).len() + fake.count("claim_execution");
    running.stop().await;
    count
}

/// Lets the loop go on until it has completed so many tasks.
async fn completed(fake: &Fake, count: usize) {
    let mut before = usize::MAX;
    while completions(fake).len() < count {
        let now = completions(fake).len();
        assert_ne!(now, before, "the loop stands still");
        before = now;
        settle().await;
    }
}

fn partitions(fake: &Fake) -> Vec<u16> {
    completions(fake).iter().map(|end| end.handle.execution_id().partition().number()).collect()
}

#[tokio::test]
async fn tasks_of_many_partitions_share_calls_as_those_of_one() {
    let one = calls_for(1, 1_600).await;
    for (partitions, tasks_each) in [(4, 400), (16, 100)] {
        let many = calls_for(partitions, tasks_each).await;
        assert!(10 * many <= 13 * one, "{many} calls on {partitions} partitions, {one} on one");
    }
}

#[tokio::test]
async fn no_partition_starves_beside_others_that_never_run_dry() {
    let (count, at_a_time) = (4, 2);
    let fake = Fake::with_partitions(count);
    for partition in 0..count {
        for _ in 0..8 {
            fake.put(partition, b"");
        }
    }
    let refilled = fake.clone();
    let running = Loop::start(&fake, at_a_time, move |task: TaskContext| {
        refilled.offer(task.execution_id().partition().number(), b"");
        echo(task)
    })
    .await;
    let bound = usize::from(count * 17 * at_a_time);
    completed(&fake, 4 * bound).await;
    let order = partitions(&fake);
    for partition in 0..count {
        let turns: Vec<usize> = order
            .iter()
            .enumerate()
            .filter_map(|(at, number)| (*number == partition).then_some(at))
            .collect();
        let waits = turns.windows(2).map(|pair| pair[1] - pair[0]);
        let longest = waits.chain(turns.first().copied()).max();
        assert!(longest.is_some_and(|tasks| tasks <= bound), "{partition} waited {longest:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn places_of_long_tasks_go_round_with_every_task() {
    let fake = Fake::with_partitions(3);
    for partition in [0, 1, 2] {
        for _ in 0..3 {
            fake.put(partition, b"");
        }
    }
    let clock = fake.clock.clone();
    let running = Loop::start(&fake, 1, move |task: TaskContext| {
        let clock = clock.clone();
        async move {
            clock.sleep_until(clock.now().plus_ms(100)).await;
            echo(task).await
        }
    })
    .await;
    fake.advance(900).await;
    let order = partitions(&fake);
    assert_eq!(order.len(), 9);
    for round in order.chunks(3) {
        assert_eq!(round.iter().collect::<BTreeSet<_>>().len(), 3, "{order:?}");
    }
    running.stop().await;
}

#[tokio::test]
async fn a_lone_task_begins_with_the_first_claim_while_a_place_is_free() {
    let fake = Fake::with_partitions(64);
    fake.put(3, b"long");
    let running = Loop::start(&fake, 2, |task: TaskContext| async move {
        if task.input_payload() == b"long" {
            pending::<()>().await;
        }
        echo(task).await
    })
    .await;
    let before = fake.count("claim_execution");
    fake.offer(17, b"lone");
    until("the task has ended", || completions(&fake).len() == 1).await;
    let claims: Vec<ClaimExecution> = fake.sent("claim_execution");
    assert_eq!(claims[before].partition, Partition::new_unchecked(17));
    assert_eq!(claims.len(), before + 1);
    running.running.abort();
}

#[tokio::test]
async fn places_that_one_partition_cannot_fill_are_filled_by_the_others() {
    let fake = Fake::with_partitions(16);
    for partition in 0..8 {
        fake.put(partition, b"");
    }
    let begun = Arc::new(AtomicUsize::new(0));
    let counted = begun.clone();
    let running = Loop::start(&fake, 8, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        pending()
    })
    .await;
    assert_eq!(begun.load(Ordering::SeqCst), 8);
    running.running.abort();
}

#[tokio::test]
async fn a_worker_of_many_tasks_stays_in_several_partitions() {
    let fake = Fake::with_partitions(3);
    for partition in 0..3 {
        for _ in 0..500 {
            fake.put(partition, b"");
        }
    }
    let running = Loop::start(&fake, 128, |_| pending()).await;
    let claims: Vec<ClaimExecution> = fake.sent("claim_execution");
    let asked: Vec<_> = claims.iter().map(|claim| &claim.source).collect();
    assert_eq!(claims.len(), 2);
    assert!(
        asked.iter().all(|source| matches!(source, ClaimSource::Ready { count_max: 64, .. })),
        "{asked:?}"
    );
    assert_ne!(claims[0].partition, claims[1].partition);
    running.running.abort();
}

#[tokio::test]
async fn a_fused_claim_in_doubt_is_repeated_where_it_was_made() {
    let fake = Fake::with_partitions(2);
    for partition in [0, 1] {
        for _ in 0..3 {
            fake.put(partition, b"");
        }
    }
    fake.script("complete_executions", Step::Lost);
    let running = Loop::start(&fake, 1, echo).await;
    // By then the stay is over and the other partition waits.
    fake.advance(1_000).await;
    let calls = calls(&fake);
    let claim = calls[0].next.as_ref().expect("its partition has more");
    assert_eq!(claim.partition, calls[0].completions[0].handle.execution_id().partition());
    assert_eq!(calls[0], calls[1]);
    assert_eq!(partitions(&fake).len(), 7, "each once, and the repeat");
    running.stop().await;
}

#[tokio::test]
async fn an_end_carries_no_claim_when_its_place_is_filled_elsewhere() {
    let fake = Fake::with_partitions(2);
    fake.put(0, b"");
    fake.put(1, b"");
    let running = Loop::start(&fake, 1, echo).await;
    let fused: Vec<bool> = calls(&fake).iter().map(|call| call.next.is_some()).collect();
    assert_eq!(fused, [false, true], "the other has work, then none has");
    running.stop().await;
}

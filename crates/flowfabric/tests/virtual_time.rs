//! Time that a test moves: what takes days passes in a moment, and in order.

use ff_backend_embedded::VirtualTime;
use ff_core::partition::PartitionMap;
use ff_core::policy::{Backoff, RetryPolicy};
use ff_core::{Clock, TimestampMs};
use flowfabric::*;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::oneshot;

const NOON: TimestampMs = TimestampMs::from_millis(1_735_732_800_000);
const HOUR_MS: u64 = 3_600_000;

type Log = Arc<Mutex<Vec<(u64, String)>>>;

fn note(log: &Log, clock: &dyn Clock, text: &str) {
    let hours = clock.now().since_ms(NOON) / HOUR_MS;
    log.lock().expect("a log").push((hours, text.to_owned()));
}

#[tokio::test]
async fn days_of_waits_pass_in_a_moment_and_in_order() {
    let time = VirtualTime::new(NOON, PartitionMap::new(1).expect("one"));
    let backend: Arc<dyn EngineBackend> = Arc::new(time.backend().clone());
    let log = Log::default();
    let (clock, told) = (time.clock().clone(), log.clone());
    let handler = move |task: TaskContext| {
        let (clock, log) = (clock.clone(), told.clone());
        async move {
            let input = String::from_utf8_lossy(task.input_payload()).into_owned();
            note(&log, &*clock, &format!("{input} begins"));
            if input == "fails" && task.attempt_index().0 == 0 {
                return Err(TaskError::new("rate_limited", "try again tomorrow"));
            }
            // Far longer than its lease, which is renewed on the way.
            clock.sleep_until(clock.now().plus_ms(5 * HOUR_MS)).await;
            note(&log, &*clock, &format!("{input} ends"));
            Ok(TaskEnd::done())
        }
    };
    let config = WorkerConfig::builder("w").max_concurrent_tasks(4).idle_poll_ceiling_ms(60_000);
    let config = config.build().expect("legal");
    let worker = FlowFabricWorker::connect_with(config, backend.clone()).await.expect("a worker");
    let (stop, stopped) = oneshot::channel::<()>();
    let run = tokio::spawn(async move {
        worker.run(handler, async move { stopped.await.unwrap_or(()) }).await
    });

    let client = FlowFabricClient::new(backend);
    let tomorrow = RetryPolicy {
        backoff: Backoff::Fixed { delay_ms: 24 * HOUR_MS },
        jitter_pct: 0,
        ..RetryPolicy::default()
    };
    let requests = [
        SubmitRequest::new("work", "now"),
        SubmitRequest::new("work", "later").delay_ms(48 * HOUR_MS),
        SubmitRequest::new("work", "fails").retry(tomorrow),
    ];
    let mut ids = Vec::new();
    for request in requests {
        ids.push(client.submit(request).await.expect("submitted").execution_id());
    }
    time.advance(Duration::from_secs(4 * 86_400)).await.expect("four days");

    let expected = [
        (0, "now begins"),
        (0, "fails begins"),
        (5, "now ends"),
        (24, "fails begins"),
        (29, "fails ends"),
        (48, "later begins"),
        (53, "later ends"),
    ];
    let log = log.lock().expect("a log").clone();
    let log: Vec<(u64, &str)> = log.iter().map(|(at, text)| (*at, text.as_str())).collect();
    assert_eq!(log, expected);
    // A day after its end each is gone.
    for id in ids {
        assert!(client.describe(&id).await.is_err(), "its retention is over");
    }
    stop.send(()).ok();
    let stopped = time.advance(Duration::from_secs(60));
    let (stopped, ran) = tokio::join!(stopped, run);
    stopped.expect("a minute");
    ran.expect("no panic").expect("a clean end");
}

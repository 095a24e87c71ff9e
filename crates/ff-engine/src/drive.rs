//! The loop itself: sleep, tick what is due, listen to notices.

use crate::Shared;
use ff_core::contracts::claim::{Tick, Ticked};
use ff_core::contracts::notice::{Notice, NoticeReceiver};
use ff_core::error::EngineResult;
use ff_core::partition::Partition;
use ff_core::time::TimestampMs;
use futures::StreamExt;
use futures::stream::FuturesUnordered;
use std::future::pending;
use std::sync::Arc;
use tokio::sync::oneshot;

/// Most partitions that are ticked at a time.
const TICKS_IN_FLIGHT_MAX: usize = 16;
/// Timers handled by one tick.
const TIMERS_PER_TICK: u32 = 256;
/// First wait after a subscription failed; it doubles.
const SUBSCRIBE_RETRY_MS_MIN: u64 = 200;
/// Longest wait after a subscription failed.
const SUBSCRIBE_RETRY_MS_MAX: u64 = 10_000;

pub(crate) async fn drive(shared: Arc<Shared>, mut stopped: oneshot::Receiver<()>) {
    let (attempted, first_attempt) = oneshot::channel();
    let listener = tokio::spawn(listen(shared.clone(), attempted));
    // What changes before the subscription stands is seen by the first look after it.
    tokio::select! {
        _ = first_attempt => run(&shared, &mut stopped).await,
        _ = &mut stopped => {}
    }
    listener.abort();
}

async fn run(shared: &Shared, stopped: &mut oneshot::Receiver<()>) {
    let mut ticks = FuturesUnordered::new();
    loop {
        let room = TICKS_IN_FLIGHT_MAX - ticks.len();
        let (begun, wake_at) = plan(shared, room);
        ticks.extend(begun.into_iter().map(|partition| tick(shared, partition)));
        tokio::select! {
            _ = &mut *stopped => break,
            Some((partition, result)) = ticks.next() => note(shared, partition, result),
            () = shared.wake.notified() => {}
            () = sleep(shared, wake_at) => {}
        }
        shared.lock().wakes_at = None;
    }
    while ticks.next().await.is_some() {}
}

/// Takes what is due and says when to wake next; `None` waits for ticks or notices alone.
fn plan(shared: &Shared, room: usize) -> (Vec<Partition>, Option<TimestampMs>) {
    let now = shared.clock.now();
    let mut state = shared.lock();
    let begun = state.schedule.begin(now, room);
    let full = begun.len() == room;
    let wake_at = state.schedule.wake_at().filter(|_| !full);
    state.wakes_at = wake_at;
    (begun, wake_at)
}

async fn sleep(shared: &Shared, wake_at: Option<TimestampMs>) {
    match wake_at {
        Some(at) => shared.clock.sleep_until(at).await,
        None => pending().await,
    }
}

async fn tick(shared: &Shared, partition: Partition) -> (Partition, EngineResult<Ticked>) {
    let limit = TIMERS_PER_TICK;
    let ticked = shared.backend.tick(Tick { partition, limit }).await;
    (partition, ticked)
}

fn note(shared: &Shared, partition: Partition, result: EngineResult<Ticked>) {
    let now = shared.clock.now();
    let mut state = shared.lock();
    match result {
        Ok(ticked) => state.schedule.ticked(partition, ticked, now),
        Err(error) => {
            if state.schedule.failed(partition, now) {
                tracing::warn!(%partition, %error, "a tick failed; trying again until it works");
            }
        }
    }
}

/// Subscribes, however often it takes, and passes the notices on. Says when the first attempt is
/// over, so that the first look comes after the subscription when that works.
async fn listen(shared: Arc<Shared>, attempted: oneshot::Sender<()>) {
    let mut attempted = Some(attempted);
    let mut wait_ms = SUBSCRIBE_RETRY_MS_MIN;
    loop {
        let partitions = shared.backend.partitions().iter().collect();
        match shared.backend.subscribe(partitions).await {
            Ok(notices) => {
                if let Some(attempted) = attempted.take() {
                    let _ = attempted.send(());
                } else {
                    shared.lagged();
                }
                return forward(&shared, notices).await;
            }
            Err(error) => {
                if let Some(attempted) = attempted.take() {
                    tracing::warn!(%error, "no notices yet; trying again, timers may be late");
                    let _ = attempted.send(());
                }
            }
        }
        let at = shared.clock.now().plus_ms(wait_ms);
        shared.clock.sleep_until(at).await;
        wait_ms = (wait_ms * 2).min(SUBSCRIBE_RETRY_MS_MAX);
    }
}

async fn forward(shared: &Shared, mut notices: Box<dyn NoticeReceiver>) {
    loop {
        match notices.receive().await {
            Notice::Due { partition, at } => shared.saw_next_due(partition, Some(at)),
            Notice::Lagged => shared.lagged(),
            Notice::Ready(_) | Notice::Done(_) | Notice::Frame(_) | Notice::Cancel(_) => {}
        }
    }
}

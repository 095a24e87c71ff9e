//! Notices: hints that it is worth looking again.

use crate::prelude::*;
use std::time::Duration;

/// How long a notice may take on the wire before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(10);

async fn subscribed(world: &World) -> Box<dyn NoticeReceiver> {
    world.subscribe(vec![world.partition()]).await.expect("a subscription")
}

/// Waits for this notice; others may come before it.
async fn arrives(receiver: &mut dyn NoticeReceiver, expected: Notice) {
    let waited = tokio::time::timeout(PATIENCE, async {
        loop {
            let notice = receiver.receive().await;
            if notice == expected || notice == Notice::Lagged {
                return;
            }
        }
    });
    waited.await.unwrap_or_else(|_| panic!("{expected:?} never came"));
}

async fn watched(world: &World, execution_id: ExecutionId) {
    let request = WatchExecution { execution_id, ttl_ms: 60_000 };
    world.watch_execution(request).await.expect("a watch");
}

pub async fn a_submission_is_noticed(world: &World) {
    let elsewhere = world.elsewhere().await;
    let mut receiver = subscribed(&elsewhere).await;
    world.submit().await;
    arrives(&mut *receiver, Notice::Ready(world.partition())).await;
}

pub async fn work_given_back_is_noticed(world: &World) {
    let handle = world.started().await.handle;
    let mut receiver = subscribed(world).await;
    world.release_execution(release(&handle)).await.expect("a release");
    arrives(&mut *receiver, Notice::Ready(world.partition())).await;
}

pub async fn an_earlier_timer_is_noticed(world: &World) {
    world.submit_with(|policy| policy.start = Some(When::After(50_000))).await;
    let mut receiver = subscribed(world).await;
    world.submit_with(|policy| policy.start = Some(When::After(10_000))).await;
    let at = world.now().plus_ms(10_000);
    arrives(&mut *receiver, Notice::Due { partition: world.partition(), at }).await;
}

pub async fn a_requested_cancel_is_noticed(world: &World) {
    let handle = world.started().await.handle;
    let mut receiver = subscribed(world).await;
    let request = cancel_by_operator(handle.execution_id(), 5_000);
    world.cancel_execution(request).await.expect("a cancel");
    arrives(&mut *receiver, Notice::Cancel(handle.execution_id())).await;
}

pub async fn the_end_of_a_watched_execution_is_noticed(world: &World) {
    let handle = world.started().await.handle;
    let mut receiver = subscribed(world).await;
    watched(world, handle.execution_id()).await;
    world.complete_execution(complete(&handle)).await.expect("an end");
    arrives(&mut *receiver, Notice::Done(handle.execution_id())).await;
}

pub async fn frames_and_progress_of_a_watched_execution_are_noticed(world: &World) {
    let handle = world.started().await.handle;
    let mut receiver = subscribed(world).await;
    watched(world, handle.execution_id()).await;
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    arrives(&mut *receiver, Notice::Frame(handle.execution_id())).await;
    world.update_progress(progress(&handle, 1)).await.expect("progress");
    arrives(&mut *receiver, Notice::Frame(handle.execution_id())).await;
}

pub async fn watch_execution_refuses_what_is_not_there_or_past_its_bounds(world: &World) {
    let unknown = ExecutionId::generate(world.partition());
    let request = |execution_id, ttl_ms| WatchExecution { execution_id, ttl_ms };
    let refusal = world.refuses(world.watch_execution(request(unknown, 1_000))).await;
    assert_matches!(refusal, EngineError::NotFound { .. });
    let known = world.submit().await;
    for ttl_ms in [0, WATCH_TTL_MS_MAX + 1] {
        let refusal = world.refuses(world.watch_execution(request(known, ttl_ms))).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn the_clock_tells_the_time_of_the_store(world: &World) {
    let clock = world.clock();
    assert_eq!(clock.now(), world.now());
    world.advance(12_345).await;
    assert_eq!(clock.now(), world.now());
    clock.sleep_until(world.now()).await;
    let at = world.after(10);
    let ((), ()) = futures::join!(clock.sleep_until(at), world.advance(10));
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __notice_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            notice {
                a_submission_is_noticed
                work_given_back_is_noticed
                an_earlier_timer_is_noticed
                a_requested_cancel_is_noticed
                the_end_of_a_watched_execution_is_noticed
                frames_and_progress_of_a_watched_execution_are_noticed
                watch_execution_refuses_what_is_not_there_or_past_its_bounds
                the_clock_tells_the_time_of_the_store
            }
        }
    };
}

//! Progress, which is overwritten and never streamed.

use crate::prelude::*;

pub async fn update_progress_overwrites_what_was_there(world: &World) {
    let handle = world.started().await.handle;
    let first = UpdateProgress { message: Some("half-way".to_owned()), ..progress(&handle, 50) };
    world.update_progress(first).await.expect("progress");
    let info = world.info(handle.execution_id()).await;
    assert_eq!(info.progress, Some((50, Some("half-way".to_owned()))));
    world.update_progress(progress(&handle, 20)).await.expect("progress");
    assert_eq!(world.info(handle.execution_id()).await.progress, Some((20, None)));
}

pub async fn update_progress_repeated_changes_nothing(world: &World) {
    let handle = world.started().await.handle;
    world.update_progress(progress(&handle, 50)).await.expect("progress");
    world.unchanged(world.update_progress(progress(&handle, 50))).await;
}

pub async fn update_progress_extends_no_lease(world: &World) {
    let handle = world.started().await.handle;
    let expires_at = world.after(LEASE_TTL_MS);
    world.advance(100).await;
    world.update_progress(progress(&handle, 1)).await.expect("progress");
    let lease = world.info(handle.execution_id()).await.lease.expect("a lease");
    assert_eq!(lease.expires_at, expires_at);
}

pub async fn progress_never_shows_in_the_stream(world: &World) {
    let handle = world.started().await.handle;
    world.update_progress(progress(&handle, 1)).await.expect("progress");
    let stream = world.read_stream(read(handle.execution_id(), 0)).await.expect("a stream");
    assert_eq!(stream, StreamFrames::default());
}

pub async fn progress_stays_while_the_attempt_goes_on(world: &World) {
    let handle = world.started().await.handle;
    world.update_progress(progress(&handle, 30)).await.expect("progress");
    world.release_execution(release(&handle)).await.expect("a release");
    world.claim_one().await;
    assert_eq!(world.info(handle.execution_id()).await.progress, Some((30, None)));
}

pub async fn progress_is_cleared_when_a_new_attempt_begins(world: &World) {
    let handle = world.started().await.handle;
    world.update_progress(progress(&handle, 30)).await.expect("progress");
    world.reclaimed().await;
    assert_eq!(world.info(handle.execution_id()).await.progress, None);
}

pub async fn update_progress_refuses_values_past_their_bounds(world: &World) {
    let handle = world.started().await.handle;
    world.update_progress(progress(&handle, 100)).await.expect("progress");
    let refusal = world.refuses(world.update_progress(progress(&handle, 101))).await;
    assert_matches!(refusal, EngineError::Validation { .. });
    for message in ["x".repeat(REASON_BYTES_MAX + 1), "\u{1b}[2J".to_owned()] {
        let request = UpdateProgress { message: Some(message), ..progress(&handle, 1) };
        let refusal = world.refuses(world.update_progress(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

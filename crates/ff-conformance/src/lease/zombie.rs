//! Two workers with one lease: the one that lost it can change nothing.

use crate::fenced::Fenced;
use crate::prelude::*;

async fn a_zombie_is_refused(world: &World, operation: Fenced) {
    let zombie = world.started().await.handle;
    let heir = world.reclaimed().await.handle;
    assert_eq!(heir.execution_id(), zombie.execution_id());
    let refusal = operation.is_refused(world, &zombie).await;
    assert_matches!(
        refusal,
        EngineError::Conflict(ConflictKind::StaleLease {
            held: LeaseEpoch(1),
            current: LeaseEpoch(2),
            ..
        })
    );
    world.complete_execution(complete_with(&heir, "mine")).await.expect("the heir completes");
    let refusal = operation.is_refused(world, &zombie).await;
    assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
}

pub async fn a_zombie_cannot_complete(world: &World) {
    a_zombie_is_refused(world, Fenced::Complete).await;
}

pub async fn a_zombie_cannot_fail(world: &World) {
    a_zombie_is_refused(world, Fenced::Fail).await;
}

pub async fn a_zombie_cannot_cancel(world: &World) {
    a_zombie_is_refused(world, Fenced::Cancel).await;
}

pub async fn a_zombie_cannot_delay(world: &World) {
    a_zombie_is_refused(world, Fenced::Delay).await;
}

pub async fn a_zombie_cannot_release(world: &World) {
    a_zombie_is_refused(world, Fenced::Release).await;
}

pub async fn a_zombie_cannot_wait_for_children(world: &World) {
    a_zombie_is_refused(world, Fenced::WaitChildren).await;
}

pub async fn a_zombie_cannot_suspend(world: &World) {
    a_zombie_is_refused(world, Fenced::Suspend).await;
}

pub async fn a_zombie_cannot_renew(world: &World) {
    a_zombie_is_refused(world, Fenced::Renew).await;
}

pub async fn a_zombie_cannot_update_progress(world: &World) {
    a_zombie_is_refused(world, Fenced::Progress).await;
}

pub async fn a_zombie_cannot_append(world: &World) {
    a_zombie_is_refused(world, Fenced::Append).await;
}

pub async fn a_zombie_cannot_create_a_waitpoint(world: &World) {
    a_zombie_is_refused(world, Fenced::CreateWaitpoint).await;
}

pub async fn a_zombie_cannot_suspend_over_the_suspension_of_its_heir(world: &World) {
    let zombie = world.started().await.handle;
    let heir = world.reclaimed().await.handle;
    world.suspend(suspend(&heir)).await;
    for operation in Fenced::ALL {
        let refusal = operation.is_refused(world, &zombie).await;
        assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
    }
}

pub async fn a_zombie_whose_heir_has_not_come_yet_is_told_that_its_lease_expired(world: &World) {
    let zombie = world.started().await.handle;
    let at = world.after(LEASE_TTL_MS);
    world.advance(LEASE_TTL_MS + 1).await;
    for ticked in [false, true] {
        if ticked {
            world.tick_all().await;
        }
        for operation in Fenced::ALL {
            let refusal = operation.is_refused(world, &zombie).await;
            assert_matches!(
                refusal,
                EngineError::State(StateKind::LeaseExpired { expired_at, .. }) if expired_at == at
            );
        }
    }
}

pub async fn a_worker_that_gave_its_work_back_is_a_zombie_too(world: &World) {
    let before = world.started().await.handle;
    world.release_execution(release(&before)).await.expect("a release");
    world.claim_one_by(&worker("heir")).await;
    for operation in Fenced::ALL {
        if operation != Fenced::Release {
            let refusal = operation.is_refused(world, &before).await;
            assert_matches!(refusal, EngineError::Conflict(ConflictKind::StaleLease { .. }));
        }
    }
}

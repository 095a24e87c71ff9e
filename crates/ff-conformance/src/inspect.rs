//! Inspect: see what is there, and why.

mod explain;
mod list;

pub use explain::*;
pub use list::*;

use crate::prelude::*;

pub async fn describe_execution_changes_nothing(world: &World) {
    let handle = world.started().await.handle;
    for wait_ms in [0, LEASE_TTL_MS, DAY_MS] {
        world.advance(wait_ms).await;
        let execution_id = handle.execution_id();
        world.unchanged(world.describe_execution(execution_id)).await;
        world.unchanged(world.list_turns(execution_id)).await;
        world.unchanged(world.read_result(execution_id)).await;
        world.unchanged(world.explain_execution(execution_id)).await;
        world.unchanged(world.list_lanes(Namespace::default())).await;
        world.unchanged(world.doctor(false)).await;
    }
}

pub async fn every_change_is_dated(world: &World) {
    let handle = world.started().await.handle;
    let execution_id = handle.execution_id();
    let is_dated = async |what: &str| {
        let info = world.info(execution_id).await;
        assert_eq!(info.updated_at, world.now(), "{what}");
        world.advance(10).await;
    };
    is_dated("claim").await;
    world.renew_one(renew(&[&handle])).await.expect("a renewal");
    is_dated("renew").await;
    world.update_progress(progress(&handle, 1)).await.expect("progress");
    is_dated("progress").await;
    world.append_frame(append(&handle, 0, &["a"])).await.expect("a frame");
    is_dated("append").await;
    let opened = world.create_pending_waitpoint(waitpoint(&handle, "door")).await.expect("one");
    is_dated("create waitpoint").await;
    let address = Address::of_pending(execution_id, &opened);
    world.signal(&address, "early").await;
    is_dated("buffered signal").await;
    world.suspend(suspend_for(&handle, &["go"])).await;
    is_dated("suspend").await;
    world.signal(&address, "go").await;
    is_dated("signal").await;
    let grant = world.granted(execution_id, &worker("w"), GrantKind::Reclaim).await;
    is_dated("grant").await;
    let request = world.take_over(&grant, &worker("w"));
    let claimed = world.claim_resumed_execution(request).await.expect("a takeover");
    is_dated("takeover").await;
    let handle = &claimed.executions[0].handle;
    let request = cancel_by_operator(execution_id, 60_000);
    world.cancel_execution(request).await.expect("a cancel");
    is_dated("requested cancel").await;
    world.complete_execution(complete(handle)).await.expect("an end");
    is_dated("complete").await;
    world.replay_execution(replay(execution_id)).await.expect("a replay");
    is_dated("replay").await;
}

pub async fn describe_execution_is_the_same_elsewhere(world: &World) {
    let (handle, address) = world.suspended(&["a", "b"]).await;
    world.signal(&address, "a").await;
    let execution_id = handle.execution_id();
    assert_eq!(world.elsewhere().await.info(execution_id).await, world.info(execution_id).await);
}

pub async fn read_result_of_live_work_is_empty(world: &World) {
    let execution_id = world.started().await.handle.execution_id();
    let read = world.read_result(execution_id).await.expect("the result");
    let expected = ExecutionResult {
        terminal_outcome: TerminalOutcome::None,
        result: None,
        failure_category: None,
        end_reason: None,
    };
    assert_eq!(read, expected);
}

pub async fn the_turns_tell_the_whole_story(world: &World) {
    let submitted = world.submit().await;
    assert!(world.turns(submitted).await.is_empty());
    let handle = world.claim_one().await.handle;
    world.release_execution(release(&handle)).await.expect("a release");
    let handle = world.claim_one().await.handle;
    let address = world.suspend(suspend(&handle)).await;
    let handle = world.resumed(&address, "go").await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    world.advance(BACKOFF_MS).await;
    world.claim_one().await;
    let handle = world.reclaimed().await.handle;
    world.complete_execution(complete(&handle)).await.expect("an end");
    let turns = world.list_turns(submitted).await.expect("the turns");
    let story: Vec<_> =
        turns.iter().map(|t| (t.attempt_index.0, t.lease_epoch.0, t.operation)).collect();
    assert_eq!(
        story,
        [
            (0, 1, TurnOperation::Release),
            (0, 2, TurnOperation::Suspend),
            (0, 3, TurnOperation::Fail),
            (1, 4, TurnOperation::LeaseExpired),
            (2, 5, TurnOperation::Complete)
        ]
    );
    assert!(turns.windows(2).all(|pair| pair[0].ended_at <= pair[1].started_at));
    assert_eq!(turns[4].worker_id, worker("heir").worker_id);
}

/// The table of this capability: every behaviour of this file and its folder.
#[doc(hidden)]
#[macro_export]
macro_rules! __inspect_behaviours {
    ([$($callback:tt)+] $($given:tt)*) => {
        $($callback)+! {
            $($given)*;
            inspect {
                describe_execution_changes_nothing
                every_change_is_dated
                describe_execution_is_the_same_elsewhere
                read_result_of_live_work_is_empty
                the_turns_tell_the_whole_story
                explain_tells_that_no_worker_serves_the_lane
                explain_tells_which_capability_is_missing
                explain_tells_how_many_are_ahead
                explain_tells_when_a_delay_is_over
                explain_tells_who_holds_a_grant
                explain_tells_who_runs_it
                explain_tells_what_a_suspension_waits_for
                explain_tells_how_it_ended
                explain_counts_what_is_due_as_done
                list_executions_walks_all_of_them_once
                list_executions_shows_each_where_it_is
                a_row_tells_what_a_description_tells
                a_listing_keeps_to_its_lane_and_namespace
                list_executions_refuses_a_limit_of_none_and_one_above_the_cap
                list_executions_refuses_a_cursor_that_it_did_not_make
                list_lanes_counts_by_owner_index
            }
        }
    };
}

//! Listings, page by page.

use crate::prelude::*;

fn listing(state: PublicState, limit: u32) -> ListExecutions {
    ListExecutions {
        namespace: Namespace::default(),
        lane: lane("default"),
        state,
        cursor: None,
        limit,
    }
}

/// Walks every page; returns the ids in the order they came.
async fn walked(world: &World, mut request: ListExecutions) -> Vec<ExecutionId> {
    let mut all = Vec::new();
    loop {
        let page = world.list_executions(request.clone()).await.expect("a page");
        assert!(page.executions.len() <= request.limit as usize);
        assert!(page.executions.iter().all(|row| row.public_state == request.state));
        all.extend(page.executions.iter().map(|row| row.execution_id));
        request.cursor = page.next;
        if request.cursor.is_none() {
            return all;
        }
    }
}

pub async fn list_executions_walks_all_of_them_once(world: &World) {
    let partitions: Vec<Partition> = world.partitions().iter().collect();
    let mut submitted = Vec::new();
    for n in 0..23 {
        let item = SubmitExecution {
            execution_id: ExecutionId::generate(partitions[n % partitions.len()]),
            ..world.item()
        };
        submitted.push(world.submit_item(item).await);
        world.advance((n % 3) as u64).await;
    }
    submitted.sort();
    for limit in [1, 2, 7, 23, LIST_LIMIT_MAX] {
        let mut listed = walked(world, listing(PublicState::Waiting, limit)).await;
        listed.sort();
        assert_eq!(listed, submitted, "pages of {limit}");
    }
}

pub async fn list_executions_shows_each_where_it_is(world: &World) {
    let delayed = world.submit_with(|p| p.start = Some(When::After(9_000))).await;
    let blocked = world.submit().await;
    world.granted(blocked, &worker("w"), GrantKind::Claim).await;
    let (suspended, _) = world.suspended(&["go"]).await;
    let completed = world.finished().await.execution_id();
    let failed = world.started_with(|policy| policy.retry = Some(RetryPolicy::none())).await.handle;
    world.fail_execution(fail(&failed, "io")).await.expect("a failure");
    let cancelled = world.started().await.handle;
    world.cancel_execution(cancel(&cancelled)).await.expect("a cancel");
    let expired = world.started_with(|p| p.deadline = Some(When::After(10))).await.handle;
    world.advance(10).await;
    world.tick_all().await;
    let active = world.started().await.handle;
    let waiting = world.submit().await;
    let cases = [
        (PublicState::Waiting, vec![waiting]),
        (PublicState::Delayed, vec![delayed]),
        (PublicState::Blocked, vec![blocked]),
        (PublicState::WaitingChildren, vec![]),
        (PublicState::Active, vec![active.execution_id()]),
        (PublicState::Suspended, vec![suspended.execution_id()]),
        (PublicState::Completed, vec![completed]),
        (PublicState::Failed, vec![failed.execution_id()]),
        (PublicState::Cancelled, vec![cancelled.execution_id()]),
        (PublicState::Expired, vec![expired.execution_id()]),
        (PublicState::Skipped, vec![]),
    ];
    for (state, expected) in cases {
        assert_eq!(walked(world, listing(state, 10)).await, expected, "{state}");
    }
}

pub async fn a_row_tells_what_a_description_tells(world: &World) {
    let handle = world.started().await.handle;
    world.fail_execution(fail(&handle, "io")).await.expect("a failure");
    let page = world.list_executions(listing(PublicState::Delayed, 10)).await.expect("a page");
    let info = world.info(handle.execution_id()).await;
    let expected = ExecutionSummary {
        execution_id: info.execution_id,
        kind: info.kind,
        public_state: PublicState::Delayed,
        attempts: 1,
        created_at: info.created_at,
        updated_at: info.updated_at,
    };
    assert_eq!(page.executions, [expected]);
}

pub async fn a_listing_keeps_to_its_lane_and_namespace(world: &World) {
    world.submit().await;
    let elsewhere = [
        ListExecutions { lane: lane("other"), ..listing(PublicState::Waiting, 10) },
        ListExecutions {
            namespace: Namespace::new("tenant").expect("a legal namespace"),
            ..listing(PublicState::Waiting, 10)
        },
    ];
    for request in elsewhere {
        assert!(walked(world, request).await.is_empty());
    }
}

pub async fn list_executions_refuses_a_limit_of_none_and_one_above_the_cap(world: &World) {
    for limit in [0, LIST_LIMIT_MAX + 1] {
        let request = listing(PublicState::Waiting, limit);
        let refusal = world.refuses(world.list_executions(request)).await;
        assert_matches!(refusal, EngineError::Validation { .. });
    }
}

pub async fn list_executions_refuses_a_cursor_that_it_did_not_make(world: &World) {
    world.submit().await;
    for text in ["", "x", "1-1-1-1", "\u{0}", "{fp:0}", "$"] {
        let request = ListExecutions {
            cursor: Some(ListCursor(text.to_owned())),
            ..listing(PublicState::Waiting, 10)
        };
        let refusal = world.refuses(world.list_executions(request)).await;
        assert_matches!(refusal, EngineError::Validation { kind: ValidationKind::Cursor, .. });
    }
}

pub async fn list_lanes_counts_by_owner_index(world: &World) {
    let namespace = Namespace::default;
    assert!(world.list_lanes(namespace()).await.expect("the lanes").is_empty());
    world.submit_with(|p| p.start = Some(When::After(9_000))).await;
    world.suspended(&["go"]).await;
    world.finished().await;
    world.started().await;
    world.submit().await;
    world.submit().await;
    let item = SubmitExecution { lane: lane("also"), ..world.item() };
    world.submit_item(item).await;
    let lanes = world.list_lanes(namespace()).await.expect("the lanes");
    assert_eq!((lanes.len(), &lanes[0].lane, &lanes[1].lane), (2, &lane("also"), &lane("default")));
    let indexes: Vec<OwnerIndex> = lanes[1].counts.iter().map(|(index, _)| *index).collect();
    assert_eq!(indexes, OwnerIndex::ALL);
    let count = |index| lanes[1].counts.iter().find(|(i, _)| *i == index).map(|(_, n)| *n);
    assert_eq!(count(OwnerIndex::Ready), Some(2));
    assert_eq!(count(OwnerIndex::Blocked), Some(0));
    for index in [OwnerIndex::Delayed, OwnerIndex::Active, OwnerIndex::Suspended, OwnerIndex::Done]
    {
        assert_eq!(count(index), Some(1), "{index}");
    }
    let tenant = Namespace::new("tenant").expect("a legal namespace");
    assert!(world.list_lanes(tenant).await.expect("the lanes").is_empty());
}

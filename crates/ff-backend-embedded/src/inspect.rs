//! Inspect: see what is there, and why.

use crate::EmbeddedBackend;
use crate::listing::Place;
use crate::store::{PartitionRoom, Room, Store};
use ff_core::contracts::InspectBackend;
use ff_core::contracts::inspect::*;
use ff_core::explain::{Explanation, explain};
use ff_core::partition::Partition;
use ff_core::turn::EndedTurn;
use ff_core::{EngineError, EngineResult, ExecutionId, Namespace, TimestampMs};
use ff_lifecycle::{PartitionStore, inspect};

/// Entries of an index that are read at a time.
const ENTRIES_PER_STEP: usize = 256;

/// Adds the rows of one partition to a page; tells whether the page is full.
fn fill(
    partition: &impl PartitionRoom,
    number: u16,
    request: &ListExecutions,
    mut after: Option<(i64, ExecutionId)>,
    page: &mut ExecutionPage,
    now: TimestampMs,
) -> bool {
    let lane = (request.namespace.clone(), request.lane.clone());
    let index = request.state.owner_index();
    loop {
        let entries = partition.entries(&lane, index, after, ENTRIES_PER_STEP);
        for (score, id) in &entries {
            if page.executions.len() == request.limit as usize {
                return true;
            }
            let row = partition.get(*id).and_then(|found| inspect::summary(&found, now).ok());
            if let Some(row) = row.filter(|row| row.public_state == request.state) {
                page.executions.push(row);
                page.next = Some(Place::cursor(number, *score, *id));
            }
        }
        match entries.last() {
            Some(last) if entries.len() == ENTRIES_PER_STEP => after = Some(*last),
            _ => return false,
        }
    }
}

#[async_trait::async_trait]
impl<S: Store> InspectBackend for EmbeddedBackend<S> {
    async fn describe_execution(&self, execution_id: ExecutionId) -> EngineResult<ExecutionInfo> {
        self.look("describe_execution", execution_id, inspect::describe).await
    }

    async fn list_turns(&self, execution_id: ExecutionId) -> EngineResult<Vec<EndedTurn>> {
        self.look("list_turns", execution_id, inspect::turns).await
    }

    async fn read_result(&self, execution_id: ExecutionId) -> EngineResult<ExecutionResult> {
        self.look("read_result", execution_id, inspect::result).await
    }

    async fn list_executions(&self, request: ListExecutions) -> EngineResult<ExecutionPage> {
        request.check()?;
        let place = Place::parse(request.cursor.as_ref())?;
        let map = self.store.map();
        let list = move |room: &mut S::Room, now| {
            let mut page = ExecutionPage::default();
            for number in place.partition..map.count() {
                let partition = room.partition(Partition::new(number)?)?;
                let after = place.after.filter(|_| number == place.partition);
                if fill(partition, number, &request, after, &mut page, now) {
                    return Ok(page);
                }
            }
            page.next = None;
            Ok(page)
        };
        self.store.read("list_executions", list).await
    }

    async fn list_lanes(&self, namespace: Namespace) -> EngineResult<Vec<LaneInfo>> {
        let list = move |room: &mut S::Room, _| {
            let counts = room.lane_counts(&namespace).into_iter();
            let info = |(lane, counts): (_, std::collections::BTreeMap<_, _>)| LaneInfo {
                namespace: namespace.clone(),
                lane,
                counts: counts.into_iter().collect(),
            };
            Ok(counts.map(info).collect())
        };
        self.store.read("list_lanes", list).await
    }

    async fn explain_execution(&self, execution_id: ExecutionId) -> EngineResult<Explanation> {
        let explain = move |room: &mut S::Room, now| {
            let partition = room.partition(execution_id.partition())?;
            let found = partition.get(execution_id);
            let found = found.ok_or(EngineError::execution_not_found(execution_id))?;
            let info = inspect::describe(&found, now)?;
            let lane = (info.namespace.clone(), info.lane.clone());
            let ahead = info.ready_score.map_or(0, |score| {
                partition.ahead(&lane, &info.policy.route(), (score, execution_id))
            });
            let mut workers = room.workers(&info.namespace);
            workers.retain(|worker| worker.expires_at > now);
            Ok(explain(&info, &workers, ahead, now))
        };
        self.store.read("explain_execution", explain).await
    }
}

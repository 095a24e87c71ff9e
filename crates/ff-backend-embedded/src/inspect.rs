//! Inspect: see what is there, and why.

use crate::MemoryBackend;
use crate::memory::{LaneKey, MemoryPartition};
use ff_core::contracts::inspect::*;
use ff_core::contracts::{ClaimBackend, InspectBackend};
use ff_core::error::ValidationKind;
use ff_core::explain::{Explanation, explain};
use ff_core::partition::Partition;
use ff_core::state::{OwnerIndex, PublicState};
use ff_core::turn::EndedTurn;
use ff_core::{EngineError, EngineResult, ExecutionId, Namespace};
use ff_lifecycle::PartitionStore;
use std::collections::BTreeMap;

/// A place in a listing: partition, and score and id of the row before.
struct Place {
    partition: u16,
    after: Option<(i64, ExecutionId)>,
}

impl Place {
    fn parse(cursor: Option<&ListCursor>) -> EngineResult<Self> {
        let Some(cursor) = cursor else { return Ok(Self { partition: 0, after: None }) };
        let mut parts = cursor.0.splitn(3, '|');
        let mut part = || parts.next();
        (|| {
            let partition = part()?.parse().ok()?;
            let score = part()?.parse().ok()?;
            let id = part()?.parse().ok()?;
            Some(Self { partition, after: Some((score, id)) })
        })()
        .ok_or_else(|| {
            EngineError::validation(
                ValidationKind::Cursor,
                format!("{:?} is not a cursor of this listing", cursor.0),
            )
        })
    }
}

fn index_of(state: PublicState) -> OwnerIndex {
    match state {
        PublicState::Waiting => OwnerIndex::Ready,
        PublicState::Delayed => OwnerIndex::Delayed,
        PublicState::Blocked | PublicState::WaitingChildren => OwnerIndex::Blocked,
        PublicState::Active => OwnerIndex::Active,
        PublicState::Suspended => OwnerIndex::Suspended,
        _ => OwnerIndex::Done,
    }
}

/// Lists the entries of an index of a lane, by score and id.
fn rows(store: &MemoryPartition, lane: &LaneKey, index: OwnerIndex) -> Vec<(i64, ExecutionId)> {
    if index != OwnerIndex::Ready {
        return store.owned_of(lane, index).into_iter().flatten().copied().collect();
    }
    let routes = store.ready_of(lane).into_iter().flat_map(|routes| routes.values());
    let mut entries: Vec<_> = routes.flatten().copied().collect();
    entries.sort_unstable();
    entries
}

#[async_trait::async_trait]
impl InspectBackend for MemoryBackend {
    async fn describe_execution(&self, execution_id: ExecutionId) -> EngineResult<ExecutionInfo> {
        self.read(execution_id, ff_lifecycle::inspect::describe)
    }

    async fn list_turns(&self, execution_id: ExecutionId) -> EngineResult<Vec<EndedTurn>> {
        self.read(execution_id, ff_lifecycle::inspect::turns)
    }

    async fn read_result(&self, execution_id: ExecutionId) -> EngineResult<ExecutionResult> {
        self.read(execution_id, ff_lifecycle::inspect::result)
    }

    async fn list_executions(&self, request: ListExecutions) -> EngineResult<ExecutionPage> {
        request.check()?;
        let place = Place::parse(request.cursor.as_ref())?;
        let lane = (request.namespace.clone(), request.lane.clone());
        let index = index_of(request.state);
        let limit = request.limit as usize;
        let mut page = ExecutionPage::default();
        for partition in place.partition..self.map().count() {
            let partition = Partition::new_unchecked(partition);
            let full = self.within(partition, |store, now| {
                for (score, id) in rows(store, &lane, index) {
                    let here = partition.number() == place.partition;
                    let passed = place.after.is_some_and(|after| (score, id) <= after);
                    if here && passed {
                        continue;
                    }
                    if page.executions.len() == limit {
                        return Ok(true);
                    }
                    let Some(execution) = store.get(id) else {
                        continue;
                    };
                    let row = ff_lifecycle::inspect::summary(&execution, now);
                    if let Some(row) = row.ok().filter(|row| row.public_state == request.state) {
                        page.executions.push(row);
                        let cursor = format!("{}|{score}|{id}", partition.number());
                        page.next = Some(ListCursor(cursor));
                    }
                }
                Ok(false)
            })?;
            if full {
                return Ok(page);
            }
        }
        page.next = None;
        Ok(page)
    }

    async fn list_lanes(&self, namespace: Namespace) -> EngineResult<Vec<LaneInfo>> {
        let state = self.lock();
        let mut lanes: BTreeMap<LaneKey, BTreeMap<OwnerIndex, u64>> = BTreeMap::new();
        for store in &state.partitions {
            for lane in store.lanes().filter(|(lane_namespace, _)| *lane_namespace == namespace) {
                let counts = lanes.entry(lane.clone()).or_default();
                for index in OwnerIndex::ALL {
                    *counts.entry(*index).or_default() += rows(store, lane, *index).len() as u64;
                }
            }
        }
        let info = |((namespace, lane), counts): (LaneKey, BTreeMap<OwnerIndex, u64>)| LaneInfo {
            namespace,
            lane,
            counts: counts.into_iter().collect(),
        };
        Ok(lanes.into_iter().map(info).collect())
    }

    async fn explain_execution(&self, execution_id: ExecutionId) -> EngineResult<Explanation> {
        let info = self.describe_execution(execution_id).await?;
        let workers = self.list_workers(info.namespace.clone()).await?;
        let ahead = self.within(execution_id.partition(), |store, _| {
            let lane = (info.namespace.clone(), info.lane.clone());
            let route = info.policy.route();
            let entries = store.ready_of(&lane).and_then(|routes| routes.get(&route));
            let before = entries.into_iter().flatten().take_while(|(_, id)| *id != execution_id);
            Ok(before.count() as u64)
        })?;
        Ok(explain(&info, &workers, ahead, self.now()))
    }
}

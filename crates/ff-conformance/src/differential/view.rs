//! Everything that a backend shows, as text.

use super::Sight;
use super::plan::{LANES, Plan};
use ff_core::contracts::inspect::ListExecutions;
use ff_core::contracts::stream::{ReadStream, StreamCursor};
use ff_core::state::PublicState;
use ff_core::{AttemptIndex, EngineBackend, EngineResult, LaneId, Namespace};
use std::fmt::{Debug, Write as _};

fn show<T: Debug>(text: &mut String, what: &str, result: EngineResult<T>) {
    // Writing to a string cannot fail.
    let _ = match result {
        Ok(value) => writeln!(text, "{what} {value:?}"),
        Err(error) => writeln!(text, "{what} {error:?}"),
    };
}

/// Writes out what a backend shows of a history's executions, lanes and budgets.
pub(super) async fn of(backend: &dyn EngineBackend, plan: &Plan, sight: Sight) -> String {
    let mut text = String::new();
    for id in plan.executions() {
        let info = backend.describe_execution(*id).await;
        let attempts = info.as_ref().map_or(0, |i| i.attempt.map_or(0, |(index, _)| index.0 + 1));
        show(&mut text, "execution", info);
        show(&mut text, "turns", backend.list_turns(*id).await);
        show(&mut text, "result", backend.read_result(*id).await);
        for attempt in attempts.saturating_sub(2)..attempts {
            let request = ReadStream {
                execution_id: *id,
                attempt_index: AttemptIndex(attempt),
                from: StreamCursor::Start,
                after: false,
                to: StreamCursor::End,
                count_limit: 100,
            };
            show(&mut text, "stream", backend.read_stream(request).await);
        }
    }
    for budget in plan.budgets() {
        show(&mut text, "budget", backend.describe_budget(*budget).await);
    }
    show(&mut text, "doctor", backend.doctor(false).await.map(|found| found.findings_total));
    if sight == Sight::All {
        indexes(&mut text, backend).await;
    }
    text
}

async fn indexes(text: &mut String, backend: &dyn EngineBackend) {
    for lane in LANES {
        let Ok(lane) = LaneId::new(lane) else { continue };
        for state in PublicState::ALL {
            let request = ListExecutions {
                namespace: Namespace::default(),
                lane: lane.clone(),
                state: *state,
                cursor: None,
                limit: 100,
            };
            let page = backend.list_executions(request).await.map(|page| page.executions);
            // The order of active and ended executions is each backend's own.
            let page = page.map(|mut rows| {
                if *state == PublicState::Active || state.is_terminal() {
                    rows.sort_by_key(|row| row.execution_id);
                }
                rows
            });
            show(text, "list", page);
        }
    }
    show(text, "lanes", backend.list_lanes(Namespace::default()).await);
}

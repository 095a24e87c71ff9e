//! The pure rules, explored exhaustively in small worlds.
//!
//! A state holds a partition of records, what two workers think that they hold, calls that may
//! still arrive (late, or once more), and what an onlooker has seen ([`state`]). From each state
//! everything goes on that may happen ([`action`]): workers and operators call, posted calls
//! arrive, a worker forgets all, the clock jumps to the next time at which anything changes, and
//! one overdue timer is handled or not. Every answer comes from the rules of `ff-lifecycle`
//! themselves; the model only asks, and judges.
//!
//! Laws about a step compare the store before and after, the call, the answer and what was seen
//! before ([`law`]); laws about a state hold everywhere ([`holds`]). What an onlooker sees comes
//! from calls and answers alone ([`see`]), so a rule that forgets a lease or a signal in the
//! record does not also forget it there. That every live execution can end is shown by walking one
//! way to the end from each state ([`ending`]). A world also names what must be seen at least once
//! ([`sight`]), so that a law is not kept for want of cases.
//!
//! What bounds a world ([`worlds`]): how often each kind of thing happens. Within the bounds the
//! exploration is complete. Assumed is that no call arrives `RETENTION_MS_MIN` or more after it was
//! sent, that ids are made as the contract says, and that the two workers are alike.
//!
//! A failure prints the steps that lead to it; in a trace, numbers are places, not ids.

mod action;
mod call;
mod ending;
mod holds;
mod law;
mod see;
mod sight;
mod state;
mod step;
mod store;
mod world;
mod worlds;

use action::Action;
use state::State;
use stateright::{Checker, HasDiscoveries, Model, Property};
use world::World;

impl Model for World {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![self.begin()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.extend(self.next_actions(state));
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        Some(self.after(last, action))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let mut properties = law::properties();
        properties.extend(holds::properties());
        properties.extend(self.sights.iter().map(|sight| sight.property()));
        properties
    }
}

/// Explores a world to its bounds; fails with the steps that lead to a broken law, or with a sight
/// that was never seen.
fn explore(world: World) {
    let sights: Vec<&str> = world.sights.iter().map(|sight| sight.property().name).collect();
    let checker = world.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let mut found = checker.discoveries();
    let unseen: Vec<&&str> = sights.iter().filter(|name| found.remove(**name).is_none()).collect();
    let mut laws: Vec<&str> = found.keys().copied().collect();
    laws.sort_unstable();
    if let Some((_, path)) = found.into_iter().min_by_key(|(_, path)| path.clone().into_vec().len())
    {
        let state = path.last_state().clone();
        let steps = path.into_actions();
        panic!("broken: {}\nby {steps:#?}\nwhich leads to {state:#?}", laws.join("; "));
    }
    let (states, steps) = (checker.unique_state_count(), checker.state_count());
    eprintln!("{states} states, {steps} steps, depth {}", checker.max_depth());
    assert!(unseen.is_empty(), "never seen: {unseen:?}");
}

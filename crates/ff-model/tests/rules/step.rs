//! Performs an action: lets a call arrive, moves the clock, forgets a worker.

use crate::action::{Action, Travel};
use crate::call::{Answer, Call, Reply};
use crate::law;
use crate::see::see;
use crate::state::{Posted, State, Task, Worker};
use crate::world::World;
use ff_core::contracts::suspend::ExecutionSuspended;
use ff_core::limits::RETENTION_MS_MIN;
use ff_lifecycle::claim::tick;

impl World {
    /// Returns the state after an action; what it broke is written down there.
    pub fn after(&self, last: &State, action: Action) -> State {
        let mut state = last.clone();
        match action {
            Action::Jump => {
                state.made.moves += 1;
                state.now = last.next_time().expect("a jump has somewhere to go");
                state.forget_posted();
            }
            Action::Pause => {
                state.made.moves += 1;
                state.now = last.now.plus_ms(self.pause_ms);
                state.forget_posted();
            }
            Action::Tick => {
                tick(&mut state.store, 1, state.now);
                state.broken.extend(law::of_tick(last, &state));
                see(&mut state, &last.store, None);
            }
            Action::Crash(worker) => {
                state.made.crashes += 1;
                state.workers[worker] = Worker::default();
            }
            Action::Arrive(at) => state.arrive_again(at),
            _ => self.send(&mut state, action),
        }
        state
    }

    fn send(&self, state: &mut State, action: Action) {
        let mut made = state.made;
        let call = self.call(state, action, &mut made).expect("every other action is a call");
        let travel = action.travel();
        made.odd += u8::from(travel != Travel::Once);
        state.made = made;
        let worker = action.worker();
        let mut answer = None;
        if travel != Travel::Late {
            let first = state.arrive(&call, None);
            state.learn(worker, &call, &first);
            answer = Some(first);
        }
        if let (Call::Grant(request), None | Some(Ok(_))) = (&call, &answer) {
            state.grants.push(request.grant.clone());
        }
        if travel != Travel::Once {
            let left = if answer.is_some() { 1 } else { 2 };
            state.posted.push(Posted { call, worker, answer, left, sent_at: state.now });
        }
    }
}

impl State {
    /// No call is repeated later than the shortest retention.
    fn forget_posted(&mut self) {
        let now = self.now;
        self.posted.retain(|posted| now.since_ms(posted.sent_at) < RETENTION_MS_MIN);
    }

    fn arrive_again(&mut self, at: usize) {
        let Posted { call, worker, answer, left, sent_at } = self.posted.remove(at);
        let again = self.arrive(&call, answer.as_ref());
        // A worker that lost the answer to a claim asks until it has one.
        if call.claims() && worker.is_some_and(|w| self.workers[w].tasks.is_empty()) {
            self.learn(worker, &call, &again);
        }
        if left > 1 {
            let answer = answer.or(Some(again));
            self.posted.insert(at, Posted { call, worker, answer, left: left - 1, sent_at });
        }
    }

    fn arrive(&mut self, call: &Call, first: Option<&Answer>) -> Answer {
        let before = self.store.clone();
        let answer = call.arrive(&mut self.store, self.now);
        let broken = law::of_call(self, &before, call, &answer, first);
        self.broken.extend(broken);
        see(self, &before, Some((call, &answer)));
        answer
    }

    /// Tells the worker what its call was answered.
    fn learn(&mut self, worker: Option<usize>, call: &Call, answer: &Answer) {
        let Some(worker) = worker.map(|w| &mut self.workers[w]) else {
            return;
        };
        if let Ok(Reply::Claimed(claimed)) = answer {
            let task = |handle: &ff_core::Handle| Task { handle: handle.clone(), frames: 0 };
            worker.tasks = claimed.iter().map(|claimed| task(&claimed.handle)).collect();
            return;
        }
        let Some(handle) = call.handle() else {
            return;
        };
        let over = match answer {
            Ok(Reply::Suspended(ExecutionSuspended::AlreadySatisfied { .. })) => false,
            Ok(_) => call.ends_a_turn(),
            Err(refusal) => refusal.0.is_lease_lost(),
        };
        if over {
            worker.tasks.retain(|task| task.handle != *handle);
        }
        if let Ok(Reply::Appended(_)) = answer {
            let tasks = worker.tasks.iter_mut().filter(|task| task.handle == *handle);
            tasks.for_each(|task| task.frames += 1);
        }
    }
}

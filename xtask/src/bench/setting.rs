//! What all scenarios share: the settings, the peers, and the figures that came out so far.

use super::Arguments;
use super::figures::Figures;
use super::load::Load;
use super::machine::Machine;
use super::peer::{self, Peer};
use super::{ROUNDS_DEFAULT, TASKS_DEFAULT, TASKS_QUICK};
use crate::error::XtaskError;

/// How long finished work stays in a store that is not the bench's own.
const RETENTION_MS: u64 = 600_000;

/// A run of the bench.
#[derive(Debug)]
pub(super) struct Bench {
    pub(super) arguments: Arguments,
    pub(super) machine: Machine,
    pub(super) figures: Figures,
    pub(super) peers: Vec<Peer>,
}

impl Bench {
    /// Looks at the machine and makes the peers ready, if they are asked for.
    pub(super) fn new(arguments: Arguments) -> Result<Self, XtaskError> {
        let peers = if arguments.peers { peer::start()? } else { Vec::new() };
        let machine = Machine::look(&peers, &arguments)?;
        Ok(Self { arguments, machine, figures: Figures::default(), peers })
    }

    /// Returns whether the figures are of little worth anyway.
    pub(super) fn quick(&self) -> bool {
        self.arguments.quick
    }

    /// Returns one number in a hurry and another with time.
    pub(super) fn pick<T>(&self, quick: T, full: T) -> T {
        if self.quick() { quick } else { full }
    }

    /// Returns how much is done in a round.
    pub(super) fn load(&self) -> Load {
        let tasks = self.arguments.tasks.unwrap_or(self.pick(TASKS_QUICK, TASKS_DEFAULT));
        let retention_ms = self.arguments.url.is_some().then_some(RETENTION_MS);
        Load { tasks, payload: self.arguments.payload as usize, retention_ms }
    }

    /// Returns the rounds to run, saying on the error output which one begins.
    pub(super) fn rounds(&self, what: &'static str) -> impl Iterator<Item = u16> + use<> {
        self.rounds_as(what, |rounds| rounds)
    }

    /// Returns the rounds to run where it takes fewer or more of them.
    pub(super) fn rounds_as(
        &self,
        what: &'static str,
        rounds: fn(u16) -> u16,
    ) -> impl Iterator<Item = u16> + use<> {
        let rounds = rounds(self.arguments.rounds.unwrap_or(self.pick(1, ROUNDS_DEFAULT)));
        (1..=rounds).inspect(move |round| eprintln!("{what}: round {round} of {rounds}"))
    }
}

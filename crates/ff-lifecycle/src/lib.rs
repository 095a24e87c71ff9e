//! The rules of an execution as pure functions over records: every transition, no I/O, no clock of
//! its own.
//!
//! A rule takes the record as it stands, the request and the time, and answers either a refusal
//! (and then nothing has changed, because nothing could) or the record as it is to be. What a
//! record's indexes are is a function of the record ([`Execution::owner`], [`Execution::due`]), so
//! a store that applies the difference on every put cannot let them drift. Rules over many
//! records (claims, ticks, submissions) run over a small [`PartitionStore`].
//!
//! `docs/state-machine.md` says the same in words, `lua/` in Lua.

mod execution;
mod fence;
mod settle;

pub mod budget;
pub mod claim;
pub mod inspect;
pub mod lease;
pub mod signal;
pub mod stream;
pub mod submit;
pub mod suspend;
pub mod terminal;

pub mod store;

pub use execution::{
    AcceptedSignal, Decision, Definition, Execution, FrameState, Lease, MutationOutcome, NextTurn,
    OpenSuspension, Owner, Phase, Waitpoint,
};
pub use settle::settle;
pub use store::{BudgetStore, PartitionStore};

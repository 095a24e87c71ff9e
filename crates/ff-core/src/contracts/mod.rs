//! What a backend owes: one trait a capability, summed up as [`EngineBackend`].
//!
//! Rules that hold for every method, stated here once:
//!
//! * **A refusal changes nothing.** An `Err` other than [`Transport`] means that the store is as it
//!   was.
//! * **An equal request is the same operation.** Requests carry the ids that make them unique. A
//!   repeated request answers what the first one answered, so after a [`Transport`] error the
//!   caller repeats the identical request.
//! * **Fencing.** A request that carries a [`Handle`](crate::Handle) is refused once another claim
//!   took the execution over (`StaleLease`), once the lease ran out (`LeaseExpired`) or ended
//!   (`ExecutionNotActive`).
//! * **No outcome depends on a tick.** Timers that are due count as fired, whether or not anybody
//!   has handled them.
//! * **Bounds.** Requests past a limit of [`limits`](crate::limits) are `Validation` errors, found
//!   before any I/O by the request's `check`.
//!
//! [`Transport`]: crate::EngineError::Transport

pub mod admin;
pub mod budget;
pub mod claim;
pub mod inspect;
pub mod lease;
pub mod notice;
pub mod signal;
pub mod stream;
pub mod submit;
pub mod suspend;
pub mod terminal;

pub mod delegate;

mod ext;

pub use admin::AdminBackend;
pub use budget::BudgetBackend;
pub use claim::ClaimBackend;
pub use ext::{EngineBackendExt, tail_stream};
pub use inspect::InspectBackend;
pub use lease::LeaseBackend;
pub use notice::NoticeBackend;
pub use signal::SignalBackend;
pub use stream::StreamBackend;
pub use submit::SubmitBackend;
pub use suspend::SuspendBackend;
pub use terminal::TerminalBackend;

/// A whole engine: the sum of the capabilities. Implemented for whatever implements them all;
/// `Arc<dyn EngineBackend>` upcasts to `Arc<dyn StreamBackend>` and the like.
pub trait EngineBackend:
    NoticeBackend
    + SubmitBackend
    + ClaimBackend
    + LeaseBackend
    + TerminalBackend
    + SuspendBackend
    + SignalBackend
    + StreamBackend
    + BudgetBackend
    + InspectBackend
    + AdminBackend
{
}

impl<T> EngineBackend for T where
    T: NoticeBackend
        + SubmitBackend
        + ClaimBackend
        + LeaseBackend
        + TerminalBackend
        + SuspendBackend
        + SignalBackend
        + StreamBackend
        + BudgetBackend
        + InspectBackend
        + AdminBackend
        + ?Sized
{
}

//! What every file of behaviours uses.

pub(crate) use crate::faults::LostReplies;
pub(crate) use crate::given::*;
pub(crate) use crate::world::*;
pub(crate) use bytes::Bytes;
pub(crate) use ff_core::contracts::admin::*;
pub(crate) use ff_core::contracts::budget::*;
pub(crate) use ff_core::contracts::claim::*;
pub(crate) use ff_core::contracts::inspect::*;
pub(crate) use ff_core::contracts::lease::*;
pub(crate) use ff_core::contracts::notice::*;
pub(crate) use ff_core::contracts::signal::*;
pub(crate) use ff_core::contracts::stream::*;
pub(crate) use ff_core::contracts::submit::*;
pub(crate) use ff_core::contracts::suspend::*;
pub(crate) use ff_core::contracts::terminal::*;
pub(crate) use ff_core::contracts::{StreamBackend, tail_stream};
pub(crate) use ff_core::error::*;
pub(crate) use ff_core::explain::NextMover;
pub(crate) use ff_core::limits::*;
pub(crate) use ff_core::partition::*;
pub(crate) use ff_core::policy::*;
pub(crate) use ff_core::state::*;
pub(crate) use ff_core::token::*;
pub(crate) use ff_core::turn::*;
pub(crate) use ff_core::*;

/// Compares a value with a pattern and shows both when they differ.
macro_rules! assert_matches {
    ($value:expr, $pattern:pat $(if $guard:expr)? $(,)?) => {
        match $value {
            $pattern $(if $guard)? => {}
            other => panic!("expected {}, got {other:?}", stringify!($pattern $(if $guard)?)),
        }
    };
}
pub(crate) use assert_matches;

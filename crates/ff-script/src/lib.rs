//! The wire of the Valkey backend, without a client: the function library's source, the list of
//! its functions, the decoder of its replies and the table of its error codes.
//!
//! `docs/wire.md` says what travels. A backend builds the arguments, sends the call with its
//! client library, turns what came into a [`Value`] and reads it with [`Reply::decode`].

pub mod functions;
pub mod library;
pub mod version;

pub mod codes;
pub mod pack;
pub mod record;
pub mod reply;

pub use codes::Subject;
pub use functions::{Function, Group, Signature};
pub use record::Record;
pub use reply::{Fields, Refusal, Reply, Success, Value};
pub use version::{CONTENT_HASH, VERSION};

//! The version of the function library, and the hash that tells when it must be raised.

/// The version that `ff_describe` answers. Raise it with every change of a released library, and
/// `command.version` in `lua/lib/command.lua` with it: a server that runs an older one is then
/// upgraded on connect.
pub const VERSION: u32 = 3;

/// SHA-256 of [`SOURCE`](crate::library::SOURCE), in hexadecimal digits.
pub const CONTENT_HASH: &str = "20fe0b1e61a8cfc81800e70faccc5bc9c869e3249040a211d6bad12eaa05448f";

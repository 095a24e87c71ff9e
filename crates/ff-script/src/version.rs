//! The version of the function library, and the hash that tells when it must be raised.

/// The version that `ff_describe` answers. Raise it with every change of a released library, and
/// `command.version` in `lua/lib/command.lua` with it: a server that runs an older one is then
/// upgraded on connect.
pub const VERSION: u32 = 1;

/// SHA-256 of [`SOURCE`](crate::library::SOURCE), in hexadecimal digits.
pub const CONTENT_HASH: &str = "b91ab675e8c35c7dd8897929299311612089f33d67a77e91dd30b80d1f67e6d4";

//! The version of the function library, and the hash that tells when it must be raised.

/// The version that `ff_describe` answers. Raise it with every change of a released library, and
/// `command.version` in `lua/lib/command.lua` with it: a server that runs an older one is then
/// upgraded on connect.
pub const VERSION: u32 = 6;

/// SHA-256 of [`SOURCE`](crate::library::SOURCE), in hexadecimal digits.
pub const CONTENT_HASH: &str = "f3fb57a4de5c8d00945784ef383e360834ab3111a9440a6a505ac363a017609a";

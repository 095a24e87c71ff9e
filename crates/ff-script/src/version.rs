//! The version of the function library, and the hash that tells when it must be raised.

/// The version that `ff_describe` answers. Raise it with every change of a released library, and
/// `command.version` in `lua/lib/command.lua` with it: a server that runs an older one is then
/// upgraded on connect.
pub const VERSION: u32 = 3;

/// SHA-256 of [`SOURCE`](crate::library::SOURCE), in hexadecimal digits.
pub const CONTENT_HASH: &str = "1b155988f90cb45f4866781dcbbba86aaf2dbaeae352f5e1f2d78fcd3ee57647";

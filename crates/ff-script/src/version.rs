//! The version of the function library, and the hash that tells when it must be raised.

/// The version that `ff_describe` answers. Raise it with every change of a released library, and
/// `command.version` in `lua/lib/command.lua` with it: a server that runs an older one is then
/// upgraded on connect.
pub const VERSION: u32 = 1;

/// SHA-256 of [`SOURCE`](crate::library::SOURCE), in hexadecimal digits.
pub const CONTENT_HASH: &str = "4f437d8981be8693e277740f18c7aad5f5a2382dbd2962284a4ebb863d783e59";

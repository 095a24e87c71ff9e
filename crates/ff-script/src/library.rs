//! The source of the function library, put together when this crate is compiled.
//!
//! Each file but the first is wrapped in `do ... end`, because a chunk may hold 200 locals and no
//! more. A marker stands before it, so that a line number in a server's error leads back to file
//! and line.

/// The name of the library on the server.
pub const NAME: &str = "flowfabric";

/// How the line before a file begins; the file's name follows.
const MARKER: &str = "do --@ ";
/// How the server names the chunk in an error, before the line number.
const CHUNK: &str = "user_function:";

macro_rules! assemble {
    ($first:literal, $($file:literal),* $(; $extra:literal)?) => {
        concat!(
            include_str!(concat!("../lua/", $first)), "\n",
            $("do --@ ", $file, "\n", include_str!(concat!("../lua/", $file)), "\nend\n",)*
            $("do --@ ", $extra, "\n", include_str!(concat!("../lua/", $extra)), "\nend\n",)?
        )
    };
}

/// Names the files in the order in which they are loaded, as `lua/manifest.txt` does.
macro_rules! library {
    ($($file:literal),* $(,)?) => {
        /// The files, in order.
        pub const FILES: &[&str] = &[$($file),*];

        /// The source that servers load.
        pub const SOURCE: &str = assemble!($($file),*);

        /// The source for tests: its clock stands still until it is moved.
        pub const TEST_SOURCE: &str = assemble!($($file),*; "test/clock.lua");
    };
}

library! {
    "lib/modules.lua",
    "lib/limits.lua",
    "lib/reply.lua",
    "lib/pack.lua",
    "lib/store.lua",
    "lib/clock.lua",
    "lib/check.lua",
    "lib/command.lua",
    "lib/keys.lua",
    "lib/policy.lua",
    "lib/index.lua",
    "lib/turn.lua",
    "lib/waitpoint.lua",
    "lib/origin.lua",
    "lib/record.lua",
    "lib/execution.lua",
    "lib/transition.lua",
    "lib/settle.lua",
    "lib/fence.lua",
    "lib/batch.lua",
    "lib/plain.lua",
    "lib/intake.lua",
    "lib/source.lua",
    "lib/slot.lua",
    "lib/take.lua",
    "lib/ending.lua",
    "lib/view.lua",
    "lib/doctor.lua",
    "submit.lua",
    "claim.lua",
    "lease.lua",
    "terminal.lua",
    "suspend.lua",
    "signal.lua",
    "stream.lua",
    "budget.lua",
    "inspect.lua",
    "admin.lua",
    "worker.lua",
}

/// Tells from which file, and which line of it, a line of [`SOURCE`] or [`TEST_SOURCE`] comes.
/// Lines count from 1.
pub fn locate(line: usize) -> Option<(&'static str, usize)> {
    // The first file is not wrapped: its first line must be the first of all.
    let mut file = (FILES[0], 0);
    for (number, text) in (1..).zip(TEST_SOURCE.lines()) {
        if let Some(name) = text.strip_prefix(MARKER) {
            file = (name, number);
        }
        if number == line {
            let (name, begins) = file;
            return (line > begins).then(|| (name, line - begins));
        }
    }
    None
}

/// Rewrites a server's error message so that it names files and their lines.
pub fn located(message: &str) -> String {
    let mut text = String::with_capacity(message.len());
    let mut rest = message;
    while let Some(at) = rest.find(CHUNK) {
        let digits_at = at + CHUNK.len();
        let digits: String = rest[digits_at..].chars().take_while(char::is_ascii_digit).collect();
        text.push_str(&rest[..at]);
        match digits.parse().ok().and_then(locate) {
            Some((file, line)) => text.push_str(&format!("lua/{file}:{line}")),
            None => text.push_str(&rest[at..digits_at + digits.len()]),
        }
        rest = &rest[digits_at + digits.len()..];
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
#[path = "library_tests.rs"]
mod tests;

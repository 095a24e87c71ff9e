//! The store in one file: SQLite, one thread that writes, readers beside it.

mod checkpoint;
mod config;
mod definitions;
mod doctor;
mod dump;
mod error;
mod kept;
mod open;
mod owner;
mod partition;
mod readers;
mod record;
mod room;
mod row;
mod sql;
mod turn;
mod write;
mod writer;

pub use config::{Access, Durability, FileConfig};

use crate::EmbeddedBackend;
use crate::store::{NOTICES_QUEUED_MAX, Store};
use checkpoint::Checkpoints;
use error::cannot_open;
use ff_core::contracts::notice::Notice;
use ff_core::error::ValidationKind;
use ff_core::partition::PartitionMap;
use ff_core::{Clock, EngineError, EngineResult, TimestampMs};
use open::Opened;
use owner::Ownership;
use readers::Readers;
use room::FileRoom;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::broadcast;
use turn::Turn;
use writer::{Desk, Others, Writer};

/// A whole engine over one file: what it acknowledged survives the process.
///
/// One process owns the file and runs workers, claims and timers on it; any other may open it as a
/// guest ([`Access`]) to read, submit, signal, cancel and replay. The file is an ordinary SQLite
/// database, so `sqlite3 ff.db "select * from work"` shows what is there.
///
/// ```
/// use ff_backend_embedded::{FileBackend, FileConfig};
/// use ff_core::contracts::AdminBackend;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> ff_core::EngineResult<()> {
/// # let folder = std::env::temp_dir().join(format!("ff-doc-{}", std::process::id()));
/// # std::fs::create_dir_all(&folder).expect("a folder");
/// let backend = FileBackend::open(FileConfig::new(folder.join("ff.db"))).await?;
/// assert_eq!(backend.doctor(false).await?.findings_total, 0);
/// # drop(backend);
/// # std::fs::remove_dir_all(&folder).expect("removed");
/// # Ok(())
/// # }
/// ```
pub type FileBackend = EmbeddedBackend<FileStore>;

/// Records in a file.
#[derive(Debug)]
pub struct FileStore {
    // Dropped first: the last write is kept before anybody else may own the file.
    writer: Writer,
    readers: Readers,
    ownership: Option<Ownership>,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    map: PartitionMap,
    notices: broadcast::Sender<Notice>,
}

impl FileBackend {
    /// Opens a file, and makes it if it is missing.
    ///
    /// A file that is damaged, foreign, of a newer schema, owned by another process or not to be
    /// written is refused with `Validation(Connection)`, and left as it is.
    pub async fn open(config: FileConfig) -> EngineResult<Self> {
        let opening = tokio::task::spawn_blocking(move || FileStore::open(config));
        let opened = opening
            .await
            .map_err(|error| EngineError::Unavailable { op: "open", reason: error.to_string() })?;
        opened.map(Self::over)
    }

    /// Writes out everything the file holds, secrets aside, in an order that does not vary.
    pub async fn dump(&self) -> EngineResult<String> {
        self.store.write("dump", |room, now| Ok(room.dump(now))).await
    }
}

impl FileStore {
    fn open(config: FileConfig) -> EngineResult<Self> {
        let Opened { path, sql, map, ownership } = open::open(&config)?;
        let clock = Arc::clone(&config.clock);
        let (notices, _) = broadcast::channel(NOTICES_QUEUED_MAX);
        let desk = Desk {
            room: FileRoom::new(sql, map),
            clock: Arc::clone(&clock),
            notices: notices.clone(),
            path: path.clone(),
            owns: ownership.is_some(),
            turn: Turn::open(&path, ownership.is_some())?,
            checkpoints: ownership.is_some().then(|| Checkpoints::new(config.at(&path))),
            forgotten_at: TimestampMs::default(),
            others: Others::new(),
        };
        let writer = Writer::start(desk).map_err(|error| cannot_open(&path, error))?;
        let readers = Readers::new(path.clone(), map, Arc::clone(&clock));
        Ok(Self { writer, readers, ownership, path, clock, map, notices })
    }
}

impl Store for FileStore {
    type Room = FileRoom;

    fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    fn map(&self) -> PartitionMap {
        self.map
    }

    fn notices(&self) -> &broadcast::Sender<Notice> {
        &self.notices
    }

    fn place(&self) -> String {
        let role = if self.ownership.is_some() { "owner" } else { "guest" };
        format!("{} ({role})", self.path.display())
    }

    fn works(&self, operation: &'static str) -> EngineResult<()> {
        if self.ownership.is_some() {
            return Ok(());
        }
        let detail = format!(
            "{operation} is for the owner of {}, and this process opened it as a guest: guests \
             read, submit, signal, cancel and replay",
            self.path.display()
        );
        Err(EngineError::validation(ValidationKind::Connection, detail))
    }

    async fn write<T: Send + 'static>(
        &self,
        operation: &'static str,
        rule: impl Fn(&mut FileRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        self.writer.write(operation, rule).await
    }

    async fn read<T: Send + 'static>(
        &self,
        operation: &'static str,
        rule: impl Fn(&mut FileRoom, TimestampMs) -> EngineResult<T> + Send + 'static,
    ) -> EngineResult<T> {
        self.readers.read(operation, rule).await
    }
}

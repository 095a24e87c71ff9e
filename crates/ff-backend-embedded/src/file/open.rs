//! Opening: find out what the file is before anything is written to it; make it if it is missing.

use super::config::{Access, Durability, FileConfig};
use super::error::{cannot_open, not_opened};
use super::owner::Ownership;
use super::sql::Sql;
use super::turn::Turn;
use ff_core::partition::PartitionMap;
use ff_core::token::{Keyring, Secret};
use ff_core::{EngineResult, KeyId};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Marks the files of FlowFabric among those of SQLite: "FFAB".
const APPLICATION_ID: i32 = 0x4646_4142;
/// How the schema became what it is: one step a version.
const MIGRATIONS: &[&str] = &[include_str!("schema/1.sql"), include_str!("schema/2.sql")];
/// How long a call waits for another process that is writing.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// A file up to this size is checked whole when its owner opens it.
const CHECKED_BYTES_MAX: u64 = 32 * 1024 * 1024;
/// Pages that a connection keeps in memory, in KiB.
const CACHE_KIB: i64 = 8 * 1024;
/// Pages of the log after which it is written back to the file.
const CHECKPOINT_PAGES: i64 = 12_000;
/// Bytes that the log keeps once it is written back.
const LOG_BYTES_KEPT: i64 = 64 * 1024 * 1024;

/// Returns the version of the schema that this program works with.
pub(crate) fn newest_schema() -> i32 {
    i32::try_from(MIGRATIONS.len()).unwrap_or(i32::MAX)
}

/// An opened file.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) path: PathBuf,
    pub(crate) sql: Sql,
    pub(crate) map: PartitionMap,
    pub(crate) ownership: Option<Ownership>,
}

/// Opens the file for the thread that writes.
pub(crate) fn open(config: &FileConfig) -> EngineResult<Opened> {
    let path = &resolve(&config.path)?;
    let ownership = match config.access {
        Access::Owner => Some(Ownership::take(path)?),
        Access::Guest => None,
    };
    if is_missing(path)? {
        make_missing(path, config)?;
    }
    let version = examine(path)?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let opened = (|| {
        if connection.is_readonly("main")? {
            return Ok(Err(cannot_open(path, "it cannot be written by this user")));
        }
        if ownership.is_some() {
            check_pages(path, &connection)?;
            migrate(&connection, version)?;
        } else if version < newest_schema() {
            let text = format!(
                "its schema is version {version}; let its owner open it first, with this program"
            );
            return Ok(Err(cannot_open(path, text)));
        }
        set_up(config, &connection)?;
        Ok(Ok(stored_map(&connection)?))
    })();
    let map = opened.map_err(|error| not_opened(path, &error))??;
    let map = PartitionMap::new(map)?;
    Ok(Opened { path: path.clone(), sql: Sql::new(connection), map, ownership })
}

/// Opens the file for reads.
pub(crate) fn open_reader(path: &Path) -> Result<Sql, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    Ok(Sql::new(connection))
}

/// Opens the file for writing its log back.
pub(crate) fn open_checkpointer(config: &FileConfig) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(&config.path, flags)?;
    set_up(config, &connection)?;
    Ok(connection)
}

/// Returns the path that the file really has, so that two names of it share one lock.
fn resolve(path: &Path) -> EngineResult<PathBuf> {
    if let Ok(found) = fs::canonicalize(path) {
        return Ok(found);
    }
    let name = path.file_name().ok_or_else(|| cannot_open(path, "it names no file"))?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = folder.unwrap_or(Path::new("."));
    let found = fs::canonicalize(folder).map_err(|error| {
        cannot_open(path, format!("its folder {} is not there: {error}", folder.display()))
    })?;
    Ok(found.join(name))
}

fn is_missing(path: &Path) -> EngineResult<bool> {
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Err(cannot_open(path, "it is a folder")),
        Ok(found) => Ok(found.len() == 0),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(true),
        Err(error) => Err(cannot_open(path, error)),
    }
}

/// Makes the file, unless somebody else has by the time that this process gets its turn.
fn make_missing(path: &Path, config: &FileConfig) -> EngineResult<()> {
    let turn = Turn::open(path, false)?;
    let taken = turn.take();
    if !is_missing(path)? {
        return Ok(());
    }
    if !taken.is_sole() {
        return Err(cannot_open(path, "another process is making it and does not get done"));
    }
    make(path, config)
}

/// Makes the file whole under another name and puts it in its place, so that there is never half
/// a file. The caller has the turn.
fn make(path: &Path, config: &FileConfig) -> EngineResult<()> {
    let new = FileConfig::beside(path, "-new");
    let refuse = |error: std::io::Error| cannot_open(path, error);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(refuse(error)),
        _ => {}
    }
    refuse_leftovers(path)?;
    private_file(&new).map_err(refuse)?;
    let made = (|| {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
        let connection = Connection::open_with_flags(&new, flags)?;
        connection.pragma_update(None, "synchronous", "full")?;
        connection.pragma_update(None, "application_id", APPLICATION_ID)?;
        migrate(&connection, 0)?;
        let kid = KeyId::new(crate::FIRST_KID).expect("the first key id is a legal name");
        let keyring = serde_json::to_string(&Keyring::new(kid, Secret::generate()))
            .expect("a keyring has string keys alone");
        let insert = "insert into meta (name, value) values ('partitions', ?), ('keyring', ?)";
        connection.execute(insert, (config.partitions.count().to_string(), keyring))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        connection.close().map_err(|(_, error)| error)
    })();
    made.map_err(|error: rusqlite::Error| not_opened(path, &error))?;
    fs::rename(&new, path).map_err(refuse)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    let folder = fs::File::open(folder.unwrap_or(Path::new("."))).map_err(refuse)?;
    folder.sync_all().map_err(refuse)
}

/// Refuses to make a file where the log of another still lies: it may hold what was acknowledged,
/// and SQLite would take it for the new file's own.
fn refuse_leftovers(path: &Path) -> EngineResult<()> {
    for suffix in ["-wal", "-journal"] {
        let log = FileConfig::beside(path, suffix);
        if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
            let text = format!(
                "it is missing but its log {} is there: put the file back beside its log, or \
                 take the log away as well",
                log.display()
            );
            return Err(cannot_open(path, text));
        }
        let _ = fs::remove_file(&log);
    }
    let _ = fs::remove_file(FileConfig::beside(path, "-shm"));
    Ok(())
}

/// Makes an empty file that its user alone may read: it will hold the keyring.
fn private_file(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// Finds out what a file is without writing to it: the version of its schema, or why it is not
/// ours to open.
fn examine(path: &Path) -> EngineResult<i32> {
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let number = |pragma| connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
    let application = number("application_id").map_err(|error| not_opened(path, &error))?;
    if application != APPLICATION_ID {
        return Err(cannot_open(path, "it is a SQLite file of another program"));
    }
    let version = number("user_version").map_err(|error| not_opened(path, &error))?;
    let newest = newest_schema();
    if version > newest {
        let text = format!(
            "its schema is version {version}, this program knows up to {newest}: use a newer one"
        );
        return Err(cannot_open(path, text));
    }
    Ok(version)
}

fn connect(path: &Path, flags: OpenFlags) -> EngineResult<Connection> {
    let open = || {
        let connection =
            Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        connection.busy_timeout(BUSY_WAIT)?;
        Ok(connection)
    };
    open().map_err(|error| not_opened(path, &error))
}

/// Brings the schema up to date, a version at a time, each whole or not at all.
fn migrate(connection: &Connection, from: i32) -> Result<(), rusqlite::Error> {
    let done = usize::try_from(from).unwrap_or(0);
    // A table that others refer to can be made anew while nobody looks at references.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    for (version, step) in (1..).zip(MIGRATIONS).skip(done) {
        connection.execute_batch(&format!(
            "begin immediate; {step} pragma user_version = {version}; commit;"
        ))?;
    }
    Ok(())
}

/// Reads a small file from end to end, so that damage is found before anybody builds on it.
fn check_pages(path: &Path, connection: &Connection) -> Result<(), rusqlite::Error> {
    let bytes = fs::metadata(path).map_or(0, |found| found.len());
    if bytes > CHECKED_BYTES_MAX {
        return Ok(());
    }
    let answer: String = connection.query_row("pragma quick_check(1)", [], |row| row.get(0))?;
    if answer == "ok" {
        return Ok(());
    }
    let code = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    Err(rusqlite::Error::SqliteFailure(code, Some(answer)))
}

fn set_up(config: &FileConfig, connection: &Connection) -> Result<(), rusqlite::Error> {
    let synchronous = match config.durability {
        Durability::File => "full",
        Durability::Fast => "normal",
    };
    connection.pragma_update(None, "synchronous", synchronous)?;
    // Where a sync of the system reaches the disk's own memory only (macOS).
    connection.pragma_update(None, "fullfsync", config.durability == Durability::File)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_KEPT)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    // The code writes what belongs together, and the doctor looks for what does not.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_FKEY, false)?;
    if let Some(bytes) = config.size_bytes_max {
        let page: i64 = connection.pragma_query_value(None, "page_size", |row| row.get(0))?;
        let pages = i64::try_from(bytes).unwrap_or(i64::MAX) / page.max(1);
        connection.pragma_update(None, "max_page_count", pages)?;
    }
    Ok(())
}

fn stored_map(connection: &Connection) -> Result<u16, rusqlite::Error> {
    let select = "select cast(value as integer) from meta where name = 'partitions'";
    connection.query_row(select, [], |row| row.get(0))
}

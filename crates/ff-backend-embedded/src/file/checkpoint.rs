//! Writing the log back to the file, beside the thread that writes: what SQLite does at the end of
//! a commit, for as long as that takes, is then the little that is left over.

use super::config::FileConfig;
use super::open::open_checkpointer;
use super::sql::Sql;
use std::thread::JoinHandle;

/// Transactions between two looks at the log.
const LOOK_EVERY: u32 = 32;
/// Pages that wait in the log until they are written back.
const PAGES_WAITING: i64 = 4_000;

#[derive(Debug)]
pub(super) struct Checkpoints {
    config: FileConfig,
    transactions: u32,
    running: Option<JoinHandle<()>>,
}

impl Checkpoints {
    pub(super) const fn new(config: FileConfig) -> Self {
        Self { config, transactions: 0, running: None }
    }

    /// Notes a commit of this connection, and now and then begins to write the log back.
    pub(super) fn committed(&mut self, sql: &Sql) {
        self.transactions += 1;
        if self.transactions < LOOK_EVERY {
            return;
        }
        self.transactions = 0;
        let busy = self.running.as_ref().is_some_and(|running| !running.is_finished());
        if busy || pages_waiting(sql) < PAGES_WAITING {
            return;
        }
        self.settle();
        let config = self.config.clone();
        // Without it the log is written back by the commit that makes it too long.
        let thread = std::thread::Builder::new().name("flowfabric-log".to_owned());
        self.running = thread.spawn(move || write_back(&config)).ok();
    }

    /// Waits until nothing is being written back.
    pub(super) fn settle(&mut self) {
        if let Some(running) = self.running.take() {
            // A thread that panicked has said so itself.
            let _ = running.join();
        }
    }
}

/// Returns how many pages of the log are still to be written back; none if that cannot be told.
fn pages_waiting(sql: &Sql) -> i64 {
    let count = || {
        let mut look = sql.connection().prepare_cached("pragma wal_checkpoint(noop)")?;
        look.query_row([], |row| Ok(row.get::<_, i64>(1)? - row.get::<_, i64>(2)?))
    };
    count().unwrap_or(0)
}

/// Writes back what the log holds by now. It waits for nobody, and nobody waits for it.
fn write_back(config: &FileConfig) {
    // If it fails, the commit that makes the log too long tries again, and hears why it cannot.
    if let Ok(connection) = open_checkpointer(config) {
        let _ = connection.execute_batch("pragma wal_checkpoint(passive)");
    }
}

#[cfg(test)]
mod tests {
    use super::super::open::{Opened, open};
    use super::*;
    use ff_core::MutationId;

    /// A file whose log holds more pages than are left waiting.
    fn with_a_long_log(test: impl FnOnce(&Sql, Checkpoints)) {
        let folder = std::env::temp_dir().join(format!("ff-log-{}", MutationId::generate()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let config = FileConfig::new(folder.join("ff.db"));
        let Opened { sql, .. } = open(&config).expect("opened");
        let bytes = 4_096 * (PAGES_WAITING + 8);
        sql.run("insert into meta (name, value) values ('long', zeroblob(?))", [bytes]);
        assert!(pages_waiting(&sql) > PAGES_WAITING);
        test(&sql, Checkpoints::new(config));
        drop(sql);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn a_long_log_is_written_back_within_some_commits() {
        with_a_long_log(|sql, mut checkpoints| {
            (0..LOOK_EVERY).for_each(|_| checkpoints.committed(sql));
            checkpoints.settle();
            assert_eq!(pages_waiting(sql), 0);
        });
    }

    #[test]
    fn a_log_is_not_looked_at_after_every_commit() {
        with_a_long_log(|sql, mut checkpoints| {
            (1..LOOK_EVERY).for_each(|_| checkpoints.committed(sql));
            checkpoints.settle();
            assert!(pages_waiting(sql) > PAGES_WAITING);
        });
    }

    #[test]
    fn a_file_that_went_away_is_no_fault() {
        with_a_long_log(|sql, mut checkpoints| {
            checkpoints.config = FileConfig::new("/nowhere/ff.db");
            (0..LOOK_EVERY).for_each(|_| checkpoints.committed(sql));
            checkpoints.settle();
            assert!(pages_waiting(sql) > PAGES_WAITING);
        });
    }
}

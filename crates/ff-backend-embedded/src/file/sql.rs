//! A connection whose methods cannot fail: the first fault is remembered, and the transaction that
//! it happened in is undone before anybody hears of an outcome.

use ff_core::ExecutionId;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OptionalExtension, Params, Row};
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::cell::RefCell;
use std::fmt::Display;

/// Statements that a connection keeps prepared; there are fewer.
const STATEMENTS_KEPT: usize = 96;

/// Bytes that a document is expected to take at most; a longer one grows.
const DOCUMENT_BYTES: usize = 768;

/// Why a transaction cannot stand.
#[derive(Debug)]
pub(crate) enum Fault {
    /// SQLite said no.
    Sqlite(rusqlite::Error),
    /// What the file holds is not what was ever written there.
    Damaged(String),
    /// The record of an execution cannot be read.
    Record(ExecutionId),
    /// Another process has brought the schema to a version that this one does not know.
    Newer(i32),
    /// A rule panicked.
    Panicked,
}

impl From<rusqlite::Error> for Fault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

#[derive(Debug)]
pub(crate) struct Sql {
    connection: Connection,
    fault: RefCell<Option<Fault>>,
}

impl Sql {
    pub(crate) fn new(connection: Connection) -> Self {
        connection.set_prepared_statement_cache_capacity(STATEMENTS_KEPT);
        // Else SQLite plans the statements that look at a partial index anew for each new value. If
        // this fails they are slower, and no less right.
        let _ = connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true);
        Self { connection, fault: RefCell::new(None) }
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// Returns the first fault since this was asked last.
    pub(crate) fn take_fault(&self) -> Option<Fault> {
        self.fault.borrow_mut().take()
    }

    /// Remembers a fault, unless there is one.
    pub(crate) fn blame(&self, fault: impl Into<Fault>) {
        self.fault.borrow_mut().get_or_insert(fault.into());
    }

    /// Tells whether the transaction is lost. SQLite may then have undone it by itself, and what
    /// came after would stand alone: so nothing does.
    fn is_lost(&self) -> bool {
        self.fault.borrow().is_some()
    }

    /// Takes a value out of a result; a fault in its place is remembered.
    pub(crate) fn sound<T>(&self, result: Result<T, impl Into<Fault>>) -> Option<T> {
        result.map_err(|fault| self.blame(fault)).ok()
    }

    /// Reads one row, if there is one.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Option<T> {
        if self.is_lost() {
            return None;
        }
        let row = || self.connection.prepare_cached(sql)?.query_row(params, read).optional();
        self.sound(row()).flatten()
    }

    /// Reads rows.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: impl Params,
        read: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Vec<T> {
        if self.is_lost() {
            return Vec::new();
        }
        let rows = || self.connection.prepare_cached(sql)?.query_map(params, read)?.collect();
        self.sound(rows()).unwrap_or_default()
    }

    /// Writes; returns the number of rows that changed.
    pub(crate) fn run(&self, sql: &str, params: impl Params) -> usize {
        if self.is_lost() {
            return 0;
        }
        let run = || self.connection.prepare_cached(sql)?.execute(params);
        self.sound(run()).unwrap_or_default()
    }

    /// Reads a document.
    pub(crate) fn parsed<T: DeserializeOwned>(&self, what: &str, json: &str) -> Option<T> {
        self.sound(serde_json::from_str(json).map_err(|error| damaged(what, error)))
    }

    /// Writes a document.
    pub(crate) fn document(&self, what: &str, value: &impl Serialize) -> String {
        let mut json = Vec::with_capacity(DOCUMENT_BYTES);
        let written = serde_json::to_writer(&mut json, value);
        self.sound(written.map_err(|error| damaged(what, error)))
            .and_then(|()| self.sound(String::from_utf8(json).map_err(|e| damaged(what, e))))
            .unwrap_or_default()
    }
}

pub(crate) fn damaged(what: &str, error: impl Display) -> Fault {
    Fault::Damaged(format!("{what}: {error}"))
}

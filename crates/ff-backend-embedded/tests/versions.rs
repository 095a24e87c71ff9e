//! Files of schemas before this one.

mod support;

use ff_backend_embedded::{Access, Durability, FileBackend, FileConfig};
use ff_conformance::given::complete_with;
use ff_core::EngineError;
use ff_core::contracts::*;
use support::Folder;
use support::work::{claim, submit};

fn config(folder: &Folder) -> FileConfig {
    FileConfig::new(folder.file()).durability(Durability::Fast)
}

#[tokio::test]
async fn an_owner_brings_a_file_of_the_first_schema_up_to_date() {
    let folder = Folder::fresh();
    let backend = FileBackend::open(config(&folder)).await.expect("the owner opens");
    let (done, waiting) = (submit(&backend, "a").await, submit(&backend, "b").await);
    let handle = claim(&backend).await.expect("a claim").remove(0);
    backend.complete_execution(complete_with(&handle, "result")).await.expect("an end");
    drop(backend);
    let new = folder.path().join("new.db");
    std::fs::rename(folder.file(), &new).expect("moved");
    let old = rusqlite::Connection::open(folder.file()).expect("a database");
    old.execute_batch(include_str!("../src/file/schema/1.sql")).expect("the first schema");
    let copy = format!(
        "attach '{}' as new; pragma foreign_keys = off; insert into meta select * from new.meta; \
         insert into lanes select * from new.lanes; \
         insert into executions select * from new.executions; \
         insert into definitions select * from new.definitions; \
         insert into claims select * from new.claims; \
         pragma application_id = 0x46464142; pragma user_version = 1; \
         pragma journal_mode = wal;",
        new.display()
    );
    old.execute_batch(&copy).expect("a file of the first schema");
    drop(old);

    let why = match FileBackend::open(config(&folder).access(Access::Guest)).await {
        Err(EngineError::Validation { detail, .. }) => detail,
        other => panic!("a guest opened it: {other:?}"),
    };
    assert!(why.contains("version 1"), "{why}");
    let backend = FileBackend::open(config(&folder)).await.expect("the owner opens");
    let result = backend.read_result(done.expect("an id")).await.expect("a result");
    assert_eq!(result.result.as_deref(), Some(&b"result"[..]));
    let handle = claim(&backend).await.expect("a claim").remove(0);
    assert_eq!(handle.execution_id(), waiting.expect("an id"));
    assert_eq!(backend.doctor(false).await.expect("a diagnosis").findings_total, 0);
}

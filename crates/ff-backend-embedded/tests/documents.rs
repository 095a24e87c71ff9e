//! The page of the file against the file.

mod support;

use ff_backend_embedded::{Durability, FileBackend, FileConfig};
use std::collections::BTreeSet;
use support::Folder;
use support::work::submit;

const PAGE: &str = include_str!("../../../docs/file.md");

async fn database() -> (Folder, rusqlite::Connection) {
    let folder = Folder::fresh();
    let config = FileConfig::new(folder.file()).durability(Durability::Fast);
    let backend = FileBackend::open(config).await.expect("a file");
    submit(&backend, "input").await.expect("an id");
    drop(backend);
    let connection = rusqlite::Connection::open(folder.file()).expect("a database");
    (folder, connection)
}

#[tokio::test]
async fn every_query_of_the_page_runs() {
    let (_folder, connection) = database().await;
    let queries: Vec<&str> =
        PAGE.split("```sql\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(queries.len() >= 5, "{queries:?}");
    for query in queries {
        let run = || {
            let mut statement = connection.prepare(query)?;
            let mut rows = statement.query([])?;
            while rows.next()?.is_some() {}
            Ok::<_, rusqlite::Error>(())
        };
        run().unwrap_or_else(|error| panic!("{error} in {query}"));
    }
}

#[tokio::test]
async fn the_view_has_a_row_an_execution() {
    let (_folder, connection) = database().await;
    let row = connection.query_row("select lane, state, input_bytes from work", [], |row| {
        Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get::<_, i64>(2)?))
    });
    assert_eq!(row.expect("a row"), ("default".to_owned(), "waiting".to_owned(), 5));
}

#[tokio::test]
async fn the_page_names_every_table() {
    let (_folder, connection) = database().await;
    let select = "select name from sqlite_schema where type = 'table' and name not like 'sqlite_%'";
    let mut statement = connection.prepare(select).expect("a statement");
    let tables = statement.query_map([], |row| row.get::<_, String>(0)).expect("rows");
    let tables: BTreeSet<String> = tables.map(|name| name.expect("a name")).collect();
    let section = PAGE.split("## The tables").nth(1).expect("the section");
    let cells = section.lines().filter_map(|line| line.strip_prefix("| `")?.split('|').next());
    let named: BTreeSet<String> = cells
        .flat_map(|cell| cell.split(','))
        .map(|name| name.trim().trim_matches('`').to_owned())
        .collect();
    assert_eq!(named, tables);
}

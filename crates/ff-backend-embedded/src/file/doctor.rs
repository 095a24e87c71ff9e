//! Doctor: every column against the record that it is derived from, and the file itself.

use super::partition::FilePartition;
use super::row::{Columns, Row, select_rows};
use ff_core::ExecutionId;
use ff_core::contracts::admin::{Diagnosis, Finding};
use ff_core::limits::DOCTOR_FINDINGS_MAX;
use ff_core::partition::PartitionMap;
use ff_lifecycle::{Execution, PartitionStore};
use rusqlite::params;
use std::collections::BTreeMap;

/// Records that are read at a time.
const RECORDS_PER_STEP: u32 = 256;

pub(super) fn examine(partition: &mut FilePartition, map: PartitionMap, fix: bool) -> Diagnosis {
    let mut diagnosis = Diagnosis::default();
    // What is mended is what the file holds, not what is remembered of it.
    partition.forget();
    integrity(partition, fix, &mut diagnosis);
    let mut live: BTreeMap<(i64, String), i64> = BTreeMap::new();
    let mut after = 0;
    loop {
        let step = select_rows!("where seq > ? order by seq limit ?");
        let rows = partition.sql.rows(step, params![after, RECORDS_PER_STEP], |row| {
            Ok((row.get::<_, i64>(0)?, Row::read(row)?))
        });
        let Some(last) = rows.last() else { break };
        after = last.0;
        for (_, row) in rows {
            examine_row(partition, map, fix, row, &mut live, &mut diagnosis);
        }
    }
    routes(partition, fix, &live, &mut diagnosis);
    orphans(partition, fix, &mut diagnosis);
    diagnosis
}

fn tell(diagnosis: &mut Diagnosis, id: Option<ExecutionId>, problem: String, fixed: bool) {
    diagnosis.findings_total += 1;
    if diagnosis.findings.len() < DOCTOR_FINDINGS_MAX {
        diagnosis.findings.push(Finding { execution_id: id, problem, fixed });
    }
}

/// Asks SQLite whether its pages and indexes are whole.
fn integrity(partition: &FilePartition, fix: bool, diagnosis: &mut Diagnosis) {
    let check = format!("pragma integrity_check({DOCTOR_FINDINGS_MAX})");
    let ask = || partition.sql.rows(&check, [], |row| row.get::<_, String>(0));
    let problems: Vec<String> = ask().into_iter().filter(|line| line != "ok").collect();
    if problems.is_empty() {
        return;
    }
    let mut mended = false;
    if fix {
        partition.sql.run("reindex", []);
        mended = ask().iter().all(|line| line == "ok");
    }
    for problem in problems {
        tell(diagnosis, None, format!("the file: {problem}"), mended);
    }
}

fn examine_row(
    partition: &mut FilePartition,
    map: PartitionMap,
    fix: bool,
    row: Row,
    live: &mut BTreeMap<(i64, String), i64>,
    diagnosis: &mut Diagnosis,
) {
    diagnosis.executions += 1;
    let (seq, lane, found) = (row.seq, row.lane, row.columns.clone());
    diagnosis.index_entries += 1 + u64::from(found.due_at.is_some());
    let text = partition
        .sql
        .row("select id from executions where seq = ?", [seq], |row| row.get::<_, String>(0));
    let text = text.unwrap_or_default();
    let Ok(id) = text.parse::<ExecutionId>() else {
        tell(diagnosis, None, format!("row {seq} has the id {text:?}"), false);
        return;
    };
    if id.partition().number() >= map.count() {
        let problem = format!("it lies outside the {} partitions of the file", map.count());
        tell(diagnosis, Some(id), problem, false);
        return;
    }
    let execution = match partition.join(id, row) {
        Ok(execution) => execution,
        Err(problem) => {
            tell(diagnosis, Some(id), format!("its record is damaged: {problem}"), false);
            return;
        }
    };
    count(&execution, lane, live);
    let owed = Columns::of(&execution);
    if owed == found {
        return;
    }
    if fix {
        partition.number = id.partition().number();
        partition.begin();
        partition.put(execution);
    }
    tell(diagnosis, Some(id), format!("belongs in {owed:?}, stands in {found:?}"), fix);
}

fn count(execution: &Execution, lane: i64, live: &mut BTreeMap<(i64, String), i64>) {
    let route = &execution.definition.route;
    if execution.is_live() && !route.is_empty() {
        *live.entry((lane, route.clone())).or_default() += 1;
    }
}

/// Compares the counts of live executions a route.
fn routes(
    partition: &FilePartition,
    fix: bool,
    live: &BTreeMap<(i64, String), i64>,
    diagnosis: &mut Diagnosis,
) {
    let rows = partition.sql.rows("select lane, route, live from routes", [], |row| {
        Ok(((row.get::<_, i64>(0)?, row.get::<_, String>(1)?), row.get::<_, i64>(2)?))
    });
    let counted: BTreeMap<_, _> = rows.into_iter().collect();
    if counted == *live {
        return;
    }
    if fix {
        partition.sql.run("delete from routes", []);
        for ((lane, route), count) in live {
            let insert = "insert into routes (lane, route, live) values (?, ?, ?)";
            partition.sql.run(insert, params![lane, route, count]);
        }
        partition.forget();
    }
    let problem = "the counts of live executions a route are wrong".to_owned();
    tell(diagnosis, None, problem, fix);
}

/// Looks for rows that belong to no execution.
fn orphans(partition: &FilePartition, fix: bool, diagnosis: &mut Diagnosis) {
    for table in ["definitions", "signals", "frames"] {
        let which = format!("from {table} where seq not in (select seq from executions)");
        let count = format!("select count(*) {which}");
        let found: Option<i64> = partition.sql.row(&count, [], |row| row.get(0));
        let found = found.unwrap_or(0);
        if found == 0 {
            continue;
        }
        if fix {
            partition.sql.run(&format!("delete {which}"), []);
        }
        tell(diagnosis, None, format!("{found} {table} belong to no execution"), fix);
    }
}

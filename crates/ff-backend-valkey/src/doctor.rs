//! Doctor: every record against its indexes, every index against its records, and the library on
//! every primary. Memory is bounded by a page, however large the store is.

use crate::args::text;
use crate::backend::ValkeyBackend;
use crate::error::call_error;
use crate::nodes::Node;
use bytes::Bytes;
use ff_core::contracts::admin::{Diagnosis, Finding};
use ff_core::error::{BugKind, EngineResult};
use ff_core::ids::ExecutionId;
use ff_core::keys::{PREFIX, partition_base};
use ff_core::limits::{DOCTOR_FINDINGS_MAX, LIST_LIMIT_MAX};
use ff_core::partition::Partition;
use ff_script::functions::{CHECK_EXECUTIONS, CHECK_INDEXES};
use ff_script::{Fields, Subject, VERSION, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Keys that one step of a scan looks at.
const SCAN_COUNT: &[u8] = b"1000";
/// The keys of records, of every partition; what belongs to a record has a longer name.
const RECORDS: &[u8] = b"ff:{fp:*}:x:*";
/// What stands between the partition and the id in the key of a record.
const RECORD_INFIX: &str = ":x:";

impl ValkeyBackend {
    /// Checks everything; `fix_flag` is `fix` as it is written on the wire.
    pub(crate) async fn diagnose(&self, fix: bool, fix_flag: Bytes) -> EngineResult<Diagnosis> {
        let mut diagnosis = Diagnosis::default();
        self.check_libraries(fix, &mut diagnosis).await?;
        self.check_evictions(&mut diagnosis).await?;
        for node in self.caller.nodes.all() {
            self.check_records_of(&node, &fix_flag, &mut diagnosis).await?;
        }
        for partition in self.partitions.iter() {
            self.check_indexes_of(partition, &fix_flag, &mut diagnosis).await?;
        }
        Ok(diagnosis)
    }

    async fn check_libraries(&self, fix: bool, diagnosis: &mut Diagnosis) -> EngineResult<()> {
        let mut broken = Vec::new();
        for node in self.caller.nodes.all() {
            let found = self.caller.library.describe_at(&self.caller, &node).await?;
            match found {
                None => broken.push(format!("{node} lacks the function library")),
                Some(found) if found.version < VERSION => broken
                    .push(format!("{node} runs library {}, older than {VERSION}", found.version)),
                Some(_) => {}
            }
        }
        if fix && !broken.is_empty() {
            self.caller.library.ensure(&self.caller).await?;
        }
        for problem in broken {
            note(diagnosis, Finding { execution_id: None, problem, fixed: fix });
        }
        Ok(())
    }

    /// Looks whether a primary may throw keys away when its memory is full: that is work lost
    /// without a word. Only its operator can change that.
    async fn check_evictions(&self, diagnosis: &mut Diagnosis) -> EngineResult<()> {
        for node in self.caller.nodes.all() {
            let section = vec![Bytes::from_static(b"memory")];
            let memory = self.caller.command_at(&node, "INFO", section).await;
            let memory = memory.map_err(|error| call_error("ff_info", error))?;
            let memory = Fields::new("INFO", vec![memory]).text("memory")?;
            let policy = memory.lines().find_map(|line| line.strip_prefix("maxmemory_policy:"));
            if let Some(policy) = policy.map(str::trim).filter(|policy| *policy != "noeviction") {
                let problem = format!(
                    "{node} has maxmemory-policy {policy} and may throw work away when its memory \
                     is full: set it to noeviction"
                );
                note(diagnosis, Finding { execution_id: None, problem, fixed: false });
            }
        }
        Ok(())
    }

    /// Walks the records of one primary, page by page.
    async fn check_records_of(
        &self,
        node: &Node,
        fix: &Bytes,
        diagnosis: &mut Diagnosis,
    ) -> EngineResult<()> {
        let mut cursor = Bytes::from_static(b"0");
        loop {
            let arguments = vec![
                cursor,
                Bytes::from_static(b"MATCH"),
                Bytes::from_static(RECORDS),
                Bytes::from_static(b"COUNT"),
                Bytes::from_static(SCAN_COUNT),
            ];
            let page = self.caller.command_at(node, "SCAN", arguments).await;
            let (next, keys) = scanned(page.map_err(|error| call_error("ff_scan", error))?)?;
            let mut by_partition: BTreeMap<Partition, BTreeSet<ExecutionId>> = BTreeMap::new();
            for id in keys.iter().filter_map(record_of) {
                by_partition.entry(id.partition()).or_default().insert(id);
            }
            for (partition, ids) in by_partition {
                self.check_records(partition, &ids, fix, diagnosis).await?;
            }
            if next == "0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn check_records(
        &self,
        partition: Partition,
        ids: &BTreeSet<ExecutionId>,
        fix: &Bytes,
        diagnosis: &mut Diagnosis,
    ) -> EngineResult<()> {
        let base = partition_base(partition);
        let groups: Vec<Bytes> = ids.iter().map(|id| crate::args::execution(*id)).collect();
        for call in groups.chunks(CHECK_EXECUTIONS.group.max) {
            let arguments = [fix.clone()];
            let mut fields =
                self.caller.ok(&CHECK_EXECUTIONS, &base, arguments, call, &Subject::NONE).await?;
            diagnosis.executions += fields.u64("checked")?;
            take_findings(&mut fields, partition, diagnosis)?;
        }
        Ok(())
    }

    async fn check_indexes_of(
        &self,
        partition: Partition,
        fix: &Bytes,
        diagnosis: &mut Diagnosis,
    ) -> EngineResult<()> {
        let base = partition_base(partition);
        let mut cursor = String::new();
        loop {
            let arguments = [text(&cursor), text(LIST_LIMIT_MAX), fix.clone()];
            let mut fields =
                self.caller.ok(&CHECK_INDEXES, &base, arguments, &[], &Subject::NONE).await?;
            let next = fields.optional_text("next")?;
            diagnosis.index_entries += fields.u64("checked")?;
            take_findings(&mut fields, partition, diagnosis)?;
            match next {
                Some(next) if next == cursor => {
                    let problem = format!("the check of {partition} does not move past {next:?}");
                    return Err(BugKind::Invariant(problem).into());
                }
                Some(next) => cursor = next,
                None => return Ok(()),
            }
        }
    }
}

/// Reads one step of a scan.
fn scanned(value: Value) -> EngineResult<(Bytes, Vec<Bytes>)> {
    let Value::Array(values) = value else {
        return Err(ff_script::reply::parse("SCAN", "reply", "an array", &value));
    };
    let mut fields = Fields::new("SCAN", values);
    let cursor = fields.bytes("cursor")?;
    let keys = fields.each("keys", |keys| keys.bytes("key"))?;
    Ok((cursor, keys))
}

/// Returns the execution whose record a key holds; `None` for a key of another family.
fn record_of(key: &Bytes) -> Option<ExecutionId> {
    let text = std::str::from_utf8(key).ok()?.strip_prefix(PREFIX)?;
    let (partition, uuid) = text.split_once(RECORD_INFIX)?;
    format!("{partition}:{uuid}").parse().ok()
}

fn take_findings(
    fields: &mut Fields,
    partition: Partition,
    diagnosis: &mut Diagnosis,
) -> EngineResult<()> {
    let findings = fields.list("findings", |row| {
        let execution = row.optional_text("execution")?;
        // What an index holds may be no id at all; then it is part of the problem.
        let execution_id =
            execution.as_ref().and_then(|id| format!("{partition}:{id}").parse().ok());
        let problem = row.text("problem")?;
        let problem = match (&execution_id, execution) {
            (None, Some(entry)) => format!("{entry:?} in {partition}: {problem}"),
            _ => problem,
        };
        Ok(Finding { execution_id, problem, fixed: row.flag("fixed")? })
    })?;
    findings.into_iter().for_each(|finding| note(diagnosis, finding));
    Ok(())
}

/// Counts a finding, and keeps it if it is among the first.
fn note(diagnosis: &mut Diagnosis, finding: Finding) {
    diagnosis.findings_total += 1;
    if diagnosis.findings.len() < DOCTOR_FINDINGS_MAX {
        diagnosis.findings.push(finding);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_record_is_taken_for_one() {
        let id = ExecutionId::generate(Partition::new(7).expect("legal"));
        let key = ff_core::keys::execution(id);
        assert_eq!(record_of(&Bytes::from(key.clone())), Some(id));
        for other in [format!("{key}:in"), format!("{key}:s:0"), "ff:{meta}:store".to_owned()] {
            assert_eq!(record_of(&Bytes::from(other.clone())), None, "{other}");
        }
    }

    #[test]
    fn findings_are_counted_past_those_that_are_kept() {
        let mut diagnosis = Diagnosis::default();
        for n in 0..DOCTOR_FINDINGS_MAX + 5 {
            let problem = n.to_string();
            note(&mut diagnosis, Finding { execution_id: None, problem, fixed: false });
        }
        assert_eq!(diagnosis.findings.len(), DOCTOR_FINDINGS_MAX);
        assert_eq!(diagnosis.findings_total, DOCTOR_FINDINGS_MAX as u64 + 5);
    }
}

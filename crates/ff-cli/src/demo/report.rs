//! What happened, and whether it was right.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::time::Duration;

use flowfabric::FlowFabricClient;
use flowfabric::ff_core::contracts::inspect::ExecutionResult;
use flowfabric::ff_core::ids::ExecutionId;
use flowfabric::ff_core::state::{OwnerIndex, PublicState, TerminalOutcome};
use flowfabric::ff_core::turn::{EndedTurn, TurnOperation};

use super::files::{Folder, extension, sha256};
use super::gather::{Told, gather, read};
use super::show::count_of;
use super::submit::Batch;
use super::summary::SummaryResult;
use super::{summary, worker};
use crate::error::CliError;
use crate::out::Out;
use crate::text::{grouped, span, table};

/// Problems that are told in full.
const PROBLEMS_SHOWN_MAX: usize = 20;

/// Columns of a path in the table of what happened.
const PATH_COLUMNS_MAX: usize = 30;

/// What a run came to.
#[derive(Debug)]
pub(super) struct Report<'a> {
    pub(super) folder: &'a Folder,
    pub(super) batch: &'a Batch,
    pub(super) summary: ExecutionId,
    pub(super) summary_end: &'a ExecutionResult,
    /// The execution whose worker was killed.
    pub(super) killed: ExecutionId,
    /// The frames that tails saw of the last attempts.
    pub(super) seen: HashMap<ExecutionId, u64>,
    /// The frames that tails saw of all attempts.
    pub(super) frames: u64,
    pub(super) took: Duration,
}

/// Something that was checked.
#[derive(Debug, Default)]
struct Verdict {
    good: Vec<String>,
    bad: Vec<String>,
}

/// Reads everything back, prints what happened, and fails if it was not right.
pub(super) async fn print_report(
    client: &FlowFabricClient,
    report: Report<'_>,
    out: Out,
) -> Result<(), CliError> {
    let ids: Vec<_> = report.batch.files.iter().map(|file| file.execution_id).collect();
    let told = gather(client, &ids).await?;
    let summary = read(client, report.summary).await?;
    out.say(format!("\n{}", history(&report, &told, &summary)));
    out.say(format!("\n{}", by_kind(&report, &told)));
    out.say(format!("\n{}", totals(&report, &told)));
    let mut verdict = report.judge(&told, &summary);
    judge_lanes(client, &report, &mut verdict).await?;
    let page = report.summary_result().map(|result| result.page);
    if out.is_json() {
        out.document(&serde_json::json!({
            "files": told.len(),
            "attempts": told.iter().map(Told::attempts).sum::<u32>(),
            "frames": report.frames,
            "took_ms": u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX),
            "ok": verdict.good,
            "wrong": verdict.bad,
            "page": page,
        }))?;
    } else {
        verdict.print(page.as_deref(), out);
    }
    match verdict.bad.len() {
        0 => Ok(()),
        count => Err(CliError::No(format!("{count} checks failed, see above"))),
    }
}

/// Lists the turns of whatever did not end with its first.
fn history(report: &Report<'_>, told: &[Told], summary: &Told) -> String {
    let mut rows = Vec::new();
    let files = report.batch.files.iter().zip(told);
    for (file, told) in files.filter(|(_, told)| told.turns.len() != 1) {
        rows.extend(turns(&file.file.path, told, None));
    }
    let result = report.summary_result();
    let approver = result.as_ref().map(|result| result.approved_by.as_str());
    rows.extend(turns("(summary)", summary, approver));
    let head = ["what happened", "attempt", "worker", "ended by", "after", "and then"];
    table(&head, &[false, true, false, false, true, false], &rows)
}

fn turns(name: &str, told: &Told, approver: Option<&str>) -> Vec<Vec<String>> {
    let row = |(index, turn): (usize, &EndedTurn)| {
        let next = told.turns.get(index + 1);
        let pause = next.map(|next| span(next.started_at.since_ms(turn.ended_at)));
        let pause = pause.unwrap_or_else(|| "never".to_owned());
        let then = match turn.operation {
            TurnOperation::Fail => {
                let category = turn.category.as_deref().unwrap_or("no category");
                format!("{category}, retried after {pause}")
            }
            TurnOperation::LeaseExpired => format!("lost, taken over after {pause}"),
            TurnOperation::Suspend => match approver {
                Some(by) => format!("approved by {by} after {pause}"),
                None => format!("resumed after {pause}"),
            },
            _ => turn.reason.clone().unwrap_or_default(),
        };
        vec![
            if index == 0 { tail_of(name) } else { String::new() },
            turn.attempt_index.to_string(),
            turn.worker_id.to_string(),
            turn.operation.to_string(),
            span(turn.ended_at.since_ms(turn.started_at)),
            then,
        ]
    };
    told.turns.iter().enumerate().map(row).collect()
}

/// Keeps the end of a path, which tells more than its beginning.
fn tail_of(path: &str) -> String {
    let left = path.chars().count().saturating_sub(PATH_COLUMNS_MAX);
    if left == 0 {
        return path.to_owned();
    }
    let kept: String = path.chars().skip(left + 1).collect();
    format!("…{kept}")
}

#[derive(Debug, Default)]
struct Kind {
    files: u64,
    attempts: u64,
    retries: u64,
    reclaims: u64,
    lines: u64,
    words: u64,
    ran_ms: Vec<u64>,
}

fn by_kind(report: &Report<'_>, told: &[Told]) -> String {
    let mut kinds: BTreeMap<&str, Kind> = BTreeMap::new();
    for (file, told) in report.batch.files.iter().zip(told) {
        let kind = kinds.entry(extension(&file.file.path)).or_default();
        kind.files += 1;
        kind.attempts += u64::from(told.attempts());
        kind.retries += u64::from(told.info.retries);
        kind.reclaims += u64::from(told.info.reclaims);
        if let Some(found) = told.file() {
            kind.lines += found.analysis.lines;
            kind.words += found.analysis.words;
        }
        kind.ran_ms.extend(told.ran_ms());
    }
    let rows: Vec<Vec<String>> = kinds.into_iter().map(|(name, kind)| kind.row(name)).collect();
    let head =
        ["kind", "files", "attempts", "retried", "reclaimed", "lines", "words", "p50", "max"];
    let numbers = [false, true, true, true, true, true, true, true, true];
    table(&head, &numbers, &rows)
}

impl Kind {
    fn row(mut self, name: &str) -> Vec<String> {
        self.ran_ms.sort_unstable();
        let half = self.ran_ms.get(self.ran_ms.len() / 2).copied().unwrap_or(0);
        let counts =
            [self.files, self.attempts, self.retries, self.reclaims, self.lines, self.words];
        let mut row = vec![name.to_owned()];
        row.extend(counts.map(grouped));
        row.extend([span(half), span(self.ran_ms.last().copied().unwrap_or(0))]);
        row
    }
}

fn totals(report: &Report<'_>, told: &[Told]) -> String {
    let attempts: u32 = told.iter().map(Told::attempts).sum();
    let turns = told.iter().flat_map(|told| &told.turns);
    let smooth = told.iter().filter(|told| told.turns.len() == 1);
    let first = turns.clone().map(|turn| turn.started_at).min().unwrap_or_default();
    let last = smooth.clone().filter_map(|told| told.turns.last()).map(|turn| turn.ended_at).max();
    let busy_ms = last.map_or(0, |last| last.since_ms(first)).max(1);
    let smooth = smooth.count() as u64;
    let all = told.len();
    let plural = if all == 1 { "" } else { "s" };
    let took = span(u64::try_from(report.took.as_millis()).unwrap_or(u64::MAX));
    let frames = grouped(report.frames);
    let mut text = format!(
        "  {all} file{plural} in {attempts} attempts, {frames} frames; the run took {took}"
    );
    if smooth > 0 {
        let rate = grouped(smooth * 1_000 / busy_ms);
        let (smooth, busy) = (grouped(smooth), span(busy_ms));
        text.push_str(&format!("\n  {smooth} without a mishap, {rate} a second over {busy}"));
    }
    text
}

impl Report<'_> {
    fn summary_result(&self) -> Option<SummaryResult> {
        serde_json::from_slice(self.summary_end.result.as_ref()?).ok()
    }

    fn judge(&self, told: &[Told], summary: &Told) -> Verdict {
        let mut verdict = Verdict::default();
        let all = told.len();
        let mut counts = [0; 3];
        for (file, told) in self.batch.files.iter().zip(told) {
            let checks = [
                completed_once(told),
                self.right_checksum(&file.file.path, &file.file.sha256, told),
                self.all_frames(told),
            ];
            for (count, check) in counts.iter_mut().zip(checks) {
                match check {
                    Ok(()) => *count += 1,
                    Err(why) => verdict.bad.push(format!("{}: {why}", file.file.path)),
                }
            }
        }
        let [once, checksums, frames] = counts;
        verdict.good.push(format!("{once} of {all} files completed, each exactly once"));
        verdict.good.push(format!(
            "{checksums} of {all} checksums equal those that were computed directly"
        ));
        verdict.good.push(format!("{frames} of {all} files: every frame arrived through its tail"));
        let known = self.batch.known_again;
        verdict.put(known == all, format!("{known} of {all} known when the batch was sent again"));
        self.judge_mishaps(told, summary, &mut verdict);
        verdict
    }

    fn judge_mishaps(&self, told: &[Told], summary: &Told, verdict: &mut Verdict) {
        let reclaimed = told.iter().find(|told| told.info.execution_id == self.killed);
        let reclaims = reclaimed.map_or(0, |told| told.info.reclaims);
        let retries: u32 = told.iter().map(|told| told.info.retries).sum();
        verdict.put(reclaims == 1, format!("{reclaims} lease taken over from the lost worker"));
        verdict.put(retries == 1, format!("{retries} attempt failed on purpose and was retried"));
        let end = self.summary_end;
        let why = end.end_reason.as_deref().unwrap_or("");
        let same_attempt = summary.attempts() == 1 && completed_once(summary).is_ok();
        let text = match end.terminal_outcome {
            TerminalOutcome::Success => "the summary resumed in the attempt that suspended".into(),
            outcome => format!("the summary ended {outcome}: {why}"),
        };
        verdict.put(same_attempt, text);
    }

    fn right_checksum(&self, path: &str, before: &str, told: &Told) -> Result<(), String> {
        let Some(found) = told.file() else {
            return Err("it has no result".to_owned());
        };
        let seen = found.analysis.sha256;
        if seen == before {
            return Ok(());
        }
        // A file may have been edited while the demo ran.
        let now = fs::read(self.folder.root.join(path)).map(|content| sha256(&content));
        match now {
            Ok(now) if now == seen => Ok(()),
            _ => Err(format!("its checksum is {before}, the worker found {seen}")),
        }
    }

    fn all_frames(&self, told: &Told) -> Result<(), String> {
        let sent = told.file().map_or(0, |file| file.frames);
        let kept = told.info.frame_count;
        let seen = self.seen.get(&told.info.execution_id).copied().unwrap_or(0);
        if sent == kept && kept == seen {
            return Ok(());
        }
        Err(format!("{sent} frames were sent, {kept} kept, {seen} seen by its tail"))
    }
}

impl Verdict {
    fn print(&self, page: Option<&str>, out: Out) {
        out.say("");
        self.good.iter().for_each(|line| out.say(format!("  ok     {line}")));
        let shown = self.bad.iter().take(PROBLEMS_SHOWN_MAX);
        shown.for_each(|line| out.say(format!("  WRONG  {line}")));
        if let Some(page) = page.filter(|_| self.bad.is_empty()) {
            out.say(format!("\nThe index: {page}"));
        }
    }

    fn put(&mut self, good: bool, text: String) {
        if good { self.good.push(text) } else { self.bad.push(text) }
    }
}

fn completed_once(told: &Told) -> Result<(), String> {
    let (state, count) = (told.info.public_state, told.completions());
    if state == PublicState::Completed && count == 1 {
        return Ok(());
    }
    let why = told.info.end_reason.as_deref().map_or_else(String::new, |why| format!(": {why}"));
    Err(format!("it is {state} and was completed {count} times{why}"))
}

/// Checks that the lanes hold what was submitted, ended, and nothing more.
async fn judge_lanes(
    client: &FlowFabricClient,
    report: &Report<'_>,
    verdict: &mut Verdict,
) -> Result<(), CliError> {
    let lanes = client.backend().list_lanes(client.namespace().clone()).await?;
    let wanted = [(worker::LANE, report.batch.files.len() as u64), (summary::LANE, 1)];
    for (name, count) in wanted {
        let lane = lanes.iter().find(|lane| lane.lane.as_str() == name);
        let counts = lane.map(|lane| lane.counts.clone()).unwrap_or_default();
        let done = count_of(&counts, OwnerIndex::Done);
        let all: u64 = counts.iter().map(|(_, count)| count).sum();
        if (done, all) != (count, count) {
            let text = format!("lane {name} holds {all} executions, {done} ended; {count} are due");
            verdict.put(false, text);
        }
    }
    let extra = lanes.len().saturating_sub(wanted.len());
    verdict.put(extra == 0, "nothing else is left in the lanes".to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::super::files::SourceFile;
    use super::super::submit::submit_files;
    use super::*;
    use crate::out::Format;

    #[tokio::test]
    async fn work_that_nobody_finished_counts_as_lost() {
        let backend = flowfabric::connect("memory:").await.expect("a store in memory");
        let client = FlowFabricClient::new(backend);
        let file = SourceFile { path: "a.md".to_owned(), bytes: 0, sha256: sha256(b"") };
        let folder = Folder {
            root: PathBuf::from("."),
            name: "none".to_owned(),
            files: vec![file],
            skipped: Vec::new(),
        };
        let batch = submit_files(&client, &folder).await.expect("submitted");
        let id = batch.files[0].execution_id;
        let end = client.backend().read_result(id).await.expect("there");
        let report = Report {
            folder: &folder,
            batch: &batch,
            summary: id,
            summary_end: &end,
            killed: id,
            seen: HashMap::new(),
            frames: 0,
            took: Duration::ZERO,
        };
        let out = Out::new(Format::Table);
        let error = print_report(&client, report, out).await.expect_err("nothing was done");
        assert_eq!(error.exit_code(), 1);
        assert!(error.to_string().contains("checks failed"), "{error}");
    }
}

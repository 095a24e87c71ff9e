//! The index of a folder: `index.html` for people, `index.json` for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::Path;

use flowfabric::ff_core::time::system_now;
use serde::Serialize;

use super::analyse::Analysis;
use super::files::extension;
use super::gather::Told;
use crate::text::{grouped, kilobytes};

/// The page, with places to fill in.
const TEMPLATE: &str = include_str!("page.html");
/// Headings that the page shows of one file.
const HEADINGS_SHOWN_MAX: usize = 40;
/// Digits of a checksum that the page shows.
const DIGITS_SHOWN: usize = 12;

/// What was found in a folder, and how it came about.
#[derive(Debug, Serialize)]
pub(super) struct Index {
    folder: String,
    approved_by: String,
    /// Milliseconds since the Unix epoch.
    written_at: u64,
    totals: Totals,
    kinds: BTreeMap<String, Totals>,
    files: Vec<FileEntry>,
    /// Executions that brought no result.
    missing: Vec<String>,
}

#[derive(Debug, Default, Serialize)]
struct Totals {
    files: u64,
    bytes: u64,
    lines: u64,
    words: u64,
    headings: u64,
    links: u64,
    attempts: u64,
}

#[derive(Debug, Serialize)]
struct FileEntry {
    path: String,
    execution_id: String,
    attempts: u32,
    retries: u32,
    reclaims: u32,
    worker: String,
    waited_ms: Option<u64>,
    ran_ms: Option<u64>,
    frames: u64,
    #[serde(flatten)]
    analysis: Analysis,
}

impl Index {
    /// Collects what executions came to.
    pub(super) fn new(folder: &str, approved_by: &str, told: &[Told]) -> Self {
        let mut index = Self {
            folder: folder.to_owned(),
            approved_by: approved_by.to_owned(),
            written_at: system_now().as_millis(),
            totals: Totals::default(),
            kinds: BTreeMap::new(),
            files: Vec::new(),
            missing: Vec::new(),
        };
        for told in told {
            match told.file() {
                Some(file) => {
                    let entry = FileEntry {
                        path: file.path,
                        execution_id: told.info.execution_id.to_string(),
                        attempts: told.attempts(),
                        retries: told.info.retries,
                        reclaims: told.info.reclaims,
                        worker: told.completed_by().unwrap_or_default().to_owned(),
                        waited_ms: told.waited_ms(),
                        ran_ms: told.ran_ms(),
                        frames: file.frames,
                        analysis: file.analysis,
                    };
                    index.totals.add(&entry);
                    let kind = extension(&entry.path).to_owned();
                    index.kinds.entry(kind).or_default().add(&entry);
                    index.files.push(entry);
                }
                None => index.missing.push(told.info.execution_id.to_string()),
            }
        }
        index.files.sort_by(|a, b| a.path.cmp(&b.path));
        index
    }
}

impl Totals {
    fn add(&mut self, entry: &FileEntry) {
        self.files += 1;
        self.bytes += entry.analysis.bytes;
        self.lines += entry.analysis.lines;
        self.words += entry.analysis.words;
        self.headings += entry.analysis.headings_total;
        self.links += entry.analysis.links_total;
        self.attempts += u64::from(entry.attempts);
    }
}

/// Writes both files into a folder, making it, and returns where the page is.
pub(super) async fn write_index(output: &Path, index: &Index) -> io::Result<String> {
    tokio::fs::create_dir_all(output).await?;
    let json = serde_json::to_vec_pretty(index).map_err(io::Error::other)?;
    tokio::fs::write(output.join("index.json"), json).await?;
    let page = output.join("index.html");
    tokio::fs::write(&page, html(index)).await?;
    Ok(page.display().to_string())
}

fn html(index: &Index) -> String {
    let values = [
        ("folder", escaped(&index.folder)),
        ("files", grouped(index.totals.files)),
        ("approved_by", escaped(&index.approved_by)),
        ("written_at", index.written_at.to_string()),
        ("tiles", tiles(&index.totals)),
        ("story", story(index)),
        ("kinds", kinds(index)),
        ("rows", index.files.iter().map(row).collect()),
    ];
    let mut page = String::with_capacity(TEMPLATE.len() * 4);
    let mut rest = TEMPLATE;
    // One pass: what a file holds is never taken for a place to fill in.
    while let Some((before, after)) = rest.split_once("{{") {
        let (name, after) = after.split_once("}}").unwrap_or((after, ""));
        page.push_str(before);
        let value = values.iter().find(|(known, _)| *known == name);
        page.push_str(value.map_or("", |(_, value)| value));
        rest = after;
    }
    page.push_str(rest);
    page
}

fn tiles(totals: &Totals) -> String {
    let tiles = [
        (grouped(totals.files), "files"),
        (grouped(totals.lines), "lines"),
        (grouped(totals.words), "words"),
        (grouped(totals.headings), "headings"),
        (grouped(totals.links), "links"),
        (kilobytes(totals.bytes), "read"),
        (grouped(totals.attempts), "attempts"),
    ];
    let tile =
        |(value, name)| format!("<div class=\"tile\"><b>{value}</b><span>{name}</span></div>");
    tiles.map(tile).concat()
}

fn story(index: &Index) -> String {
    let mut items = String::new();
    // Writing to a String cannot fail.
    for file in &index.files {
        let (path, worker) = (escaped(&file.path), escaped(&file.worker));
        if file.retries > 0 {
            let _ = write!(
                items,
                "<li><span class=\"path\">{path}</span> failed {} and was tried again after a \
                 backoff; {worker} completed it</li>",
                times(file.retries)
            );
        }
        if file.reclaims > 0 {
            let _ = write!(
                items,
                "<li><span class=\"path\">{path}</span> lost its worker {}; {worker} took it over \
                 once the lease had run out</li>",
                times(file.reclaims)
            );
        }
    }
    for id in &index.missing {
        let _ = write!(items, "<li>execution <code>{}</code> brought no result</li>", escaped(id));
    }
    let by = escaped(&index.approved_by);
    let _ = write!(items, "<li>the summary stood still until {by} approved it</li>");
    items
}

fn kinds(index: &Index) -> String {
    let most = index.kinds.values().map(|kind| kind.words).max().unwrap_or(1).max(1);
    let mut kinds: Vec<_> = index.kinds.iter().collect();
    kinds.sort_by_key(|(_, totals)| std::cmp::Reverse(totals.words));
    let row = |(name, totals): (&String, &Totals)| {
        format!(
            "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td style=\"width:30%\">\
             <span class=\"bar\" style=\"width:{}%\"></span></td></tr>",
            escaped(name),
            grouped(totals.files),
            grouped(totals.lines),
            grouped(totals.words),
            grouped(totals.bytes),
            totals.words * 100 / most,
        )
    };
    kinds.into_iter().map(row).collect()
}

fn row(file: &FileEntry) -> String {
    let found = &file.analysis;
    let longest = found.longest.first().map_or(0, |line| line.columns);
    let digits = found.sha256.get(..DIGITS_SHOWN).unwrap_or(&found.sha256);
    format!(
        "<tr><td data-value=\"{path}\">{}</td>{}{}{}{}{}{}\
         <td><code title=\"{}\">{digits}</code></td></tr>",
        outline(file),
        number(found.lines),
        number(found.words),
        number(found.headings_total),
        number(found.links_total),
        number(longest),
        number(file.attempts.into()),
        found.sha256,
        path = escaped(&file.path),
    )
}

fn number(value: u64) -> String {
    format!("<td data-value=\"{value}\">{}</td>", grouped(value))
}

/// The path and what befell it, which opens to show the headings.
fn outline(file: &FileEntry) -> String {
    let mut path = format!("<span class=\"path\">{}</span>", escaped(&file.path));
    let known = [(file.retries, "retried"), (file.reclaims, "taken over")];
    for (_, note) in known.iter().filter(|(count, _)| *count > 0) {
        let _ = write!(path, "<span class=\"note\">{note}</span>");
    }
    let headings = &file.analysis.headings;
    if headings.is_empty() {
        return path;
    }
    let shown = headings.iter().take(HEADINGS_SHOWN_MAX);
    let items: String =
        shown.map(|heading| format!("<li>{}</li>", escaped(&heading.text))).collect();
    let total = usize::try_from(file.analysis.headings_total).unwrap_or(usize::MAX);
    let left = total.saturating_sub(HEADINGS_SHOWN_MAX);
    let more = if left > 0 { format!("<p>and {left} more</p>") } else { String::new() };
    format!("<details><summary>{path}</summary><ol>{items}</ol>{more}</details>")
}

fn times(count: u32) -> String {
    if count == 1 { "once".to_owned() } else { format!("{count} times") }
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            other => out.push(other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_files_hold_is_shown_as_text() {
        let index = Index::new("<b>&\"{{rows}}", "nobody", &[]);
        let page = html(&index);
        assert!(page.contains("<h1>&lt;b&gt;&amp;&quot;{{rows}}</h1>"));
        assert!(!page.contains("{{files}}"));
    }
}

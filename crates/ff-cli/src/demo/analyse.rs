//! What a worker finds out about a file: words, headings, links, longest lines, a checksum.

use serde::{Deserialize, Serialize};

use super::files::{extension, sha256};

/// Headings and links that a result keeps; all are counted.
const KEPT_MAX: usize = 300;
/// Longest lines that a result keeps.
const LONGEST_MAX: usize = 3;
/// Characters kept of a heading, a link or a line.
const TEXT_CHARS_MAX: usize = 160;
/// Words that begin an item of Rust at the margin.
const RUST_ITEMS: [&str; 8] =
    ["fn", "struct", "enum", "trait", "impl", "mod", "type", "macro_rules!"];

/// What was found in a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Analysis {
    pub(super) bytes: u64,
    pub(super) binary: bool,
    pub(super) lines: u64,
    pub(super) words: u64,
    pub(super) headings_total: u64,
    pub(super) headings: Vec<Heading>,
    pub(super) links_total: u64,
    pub(super) links: Vec<Link>,
    pub(super) longest: Vec<LongLine>,
    pub(super) sha256: String,
}

/// A heading of a text, or an item of a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Heading {
    pub(super) line: u64,
    pub(super) level: u8,
    pub(super) text: String,
}

/// A link and where it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Link {
    pub(super) line: u64,
    pub(super) target: String,
}

/// One of the longest lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct LongLine {
    pub(super) line: u64,
    pub(super) columns: u64,
    pub(super) text: String,
}

/// Reads a file line by line.
#[derive(Debug)]
pub(super) struct Analyst {
    extension: String,
    fenced: bool,
    found: Analysis,
}

impl Analyst {
    /// Begins with a file of this content.
    pub(super) fn new(path: &str, content: &[u8]) -> Self {
        let found = Analysis {
            bytes: content.len() as u64,
            binary: content.contains(&0),
            sha256: sha256(content),
            ..Analysis::default()
        };
        Self { extension: extension(path).to_owned(), fenced: false, found }
    }

    /// Reads the next line and returns the heading that it is.
    pub(super) fn read(&mut self, line: &str) -> Option<Heading> {
        self.found.lines += 1;
        self.found.words += line.split_whitespace().count() as u64;
        self.note_length(line);
        for target in links(line) {
            self.found.links_total += 1;
            if self.found.links.len() < KEPT_MAX {
                let link = Link { line: self.found.lines, target: cut(target) };
                self.found.links.push(link);
            }
        }
        let (level, text) = self.heading(line)?;
        let heading = Heading { line: self.found.lines, level, text: cut(&text) };
        self.found.headings_total += 1;
        if self.found.headings.len() < KEPT_MAX {
            self.found.headings.push(heading.clone());
        }
        Some(heading)
    }

    /// Returns what has been found so far.
    pub(super) fn found(&self) -> &Analysis {
        &self.found
    }

    fn heading(&mut self, line: &str) -> Option<(u8, String)> {
        match self.extension.as_str() {
            "md" => self.markdown_heading(line),
            "rs" => rust_item(line).map(|text| (1, text)),
            "lua" => {
                let named = line.starts_with("function ") || line.starts_with("local function ");
                named.then(|| (1, line.trim_end().to_owned()))
            }
            "toml" => {
                let table = line.starts_with('[') && line.trim_end().ends_with(']');
                table.then(|| (1, line.trim_end().to_owned()))
            }
            _ => None,
        }
    }

    fn markdown_heading(&mut self, line: &str) -> Option<(u8, String)> {
        if line.trim_start().starts_with("```") {
            self.fenced = !self.fenced;
        }
        let level = line.bytes().take_while(|byte| *byte == b'#').count();
        let text = line.get(level..)?.strip_prefix(' ')?;
        let level = u8::try_from(level).ok().filter(|level| (1..=6).contains(level))?;
        (!self.fenced).then(|| (level, text.trim().to_owned()))
    }

    fn note_length(&mut self, line: &str) {
        let columns = line.chars().count() as u64;
        let longest = &mut self.found.longest;
        let shortest = longest.last().map_or(0, |line| line.columns);
        if columns == 0 || (longest.len() == LONGEST_MAX && columns <= shortest) {
            return;
        }
        longest.push(LongLine { line: self.found.lines, columns, text: cut(line.trim()) });
        longest.sort_by_key(|line| (std::cmp::Reverse(line.columns), line.line));
        longest.truncate(LONGEST_MAX);
    }
}

fn rust_item(line: &str) -> Option<String> {
    let rest = line.strip_prefix("pub").map_or(line, |rest| match rest.split_once(") ") {
        Some((scope, rest)) if scope.starts_with('(') => rest,
        _ => rest.trim_start(),
    });
    let mut words = rest.split_whitespace().filter(|word| !matches!(*word, "async" | "const"));
    let at_margin = !line.starts_with(char::is_whitespace);
    let begins_item = |word: &str| RUST_ITEMS.contains(&word) || word.starts_with("impl<");
    let is_item = at_margin && words.next().is_some_and(begins_item);
    let end = line.find(['{', ';', '(']).unwrap_or(line.len());
    // The scope of `pub(crate)` is no parameter list.
    let end = if line.starts_with("pub(") {
        let scope = line.find(')').map_or(0, |at| at + 1);
        line[scope..].find(['{', ';', '(']).map_or(line.len(), |at| scope + at)
    } else {
        end
    };
    is_item.then(|| line[..end].trim_end().to_owned())
}

/// Finds the targets of Markdown links, and addresses that stand by themselves.
fn links(line: &str) -> Vec<&str> {
    let mut found = Vec::new();
    let mut rest = line;
    while let Some(at) = rest.find("](") {
        let target = &rest[at + 2..];
        let end = target.find(')').unwrap_or(target.len());
        if end > 0 {
            found.push(&target[..end]);
        }
        rest = &target[end..];
    }
    let bare = line.match_indices("http").filter(|(at, _)| {
        let address = &line[*at..];
        let whole = address.starts_with("http://") || address.starts_with("https://");
        whole && !line[..*at].ends_with("](")
    });
    for (at, _) in bare {
        let address = &line[at..];
        let ends = |c: char| c.is_whitespace() || "\"'<>)]`".contains(c);
        found.push(&address[..address.find(ends).unwrap_or(address.len())]);
    }
    found
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn analyse(path: &str, text: &str) -> Analysis {
        let mut analyst = Analyst::new(path, text.as_bytes());
        for line in text.lines() {
            analyst.read(line);
        }
        analyst.found().clone()
    }

    fn headings(path: &str, text: &str) -> Vec<String> {
        analyse(path, text).headings.into_iter().map(|heading| heading.text).collect()
    }

    #[test]
    fn headings_in_code_blocks_are_none() {
        assert_eq!(headings("a.md", "# One\n```\n# two\n```\n## Three"), ["One", "Three"]);
    }

    #[test]
    fn items_of_rust_are_its_headings() {
        let text = "pub(crate) async fn a<T>(b: T) {\n    fn inner() {}\n}\nstruct B;\nlet c = 1;";
        assert_eq!(headings("a.rs", text), ["pub(crate) async fn a<T>", "struct B"]);
    }

    #[test]
    fn each_link_counts_once() {
        let found = analyse("a.md", "[a](https://a.b/c) and <https://d.e> or [f](g.md)");
        let targets: Vec<_> = found.links.iter().map(|link| link.target.as_str()).collect();
        assert_eq!(targets, ["https://a.b/c", "g.md", "https://d.e"]);
    }

    #[test]
    fn the_longest_lines_come_first() {
        let found = analyse("a", "four\nsevenxx\n\nfive!\nsix");
        let lines: Vec<_> = found.longest.iter().map(|line| (line.line, line.columns)).collect();
        assert_eq!(lines, [(2, 7), (4, 5), (1, 4)]);
        assert_eq!((found.lines, found.words), (5, 4));
    }
}

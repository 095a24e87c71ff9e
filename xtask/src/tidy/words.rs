//! Words that do not belong into the sources. The table spells them in halves, because this file
//! is checked, too.

use super::{SourceFile, Violation};

/// A word, where it is banned, and what to do instead.
struct Banned {
    word: &'static str,
    matching: Matching,
    place: Place,
    hint: &'static str,
}

#[derive(Clone, Copy)]
enum Matching {
    /// Anywhere in a line.
    Part,
    /// With no letter, digit or underscore beside it.
    Whole,
    /// In any case, with a digit after it.
    Numbered,
}

#[derive(Clone, Copy)]
enum Place {
    Everywhere,
    Rust,
    /// Integration tests and the conformance suite.
    Tests,
}

const FINISH: &str = "finish it, or say it in the issue tracker";
const HISTORY: &str = "give the reason itself; history belongs to git and the decision records";
const WAIT: &str = "wait on an event with a deadline, or move the clock";

const BANNED: [Banned; 9] = [
    Banned {
        word: concat!("TO", "DO"),
        matching: Matching::Whole,
        place: Place::Everywhere,
        hint: FINISH,
    },
    Banned {
        word: concat!("FIX", "ME"),
        matching: Matching::Whole,
        place: Place::Everywhere,
        hint: FINISH,
    },
    Banned {
        word: concat!("XX", "X"),
        matching: Matching::Whole,
        place: Place::Everywhere,
        hint: FINISH,
    },
    Banned {
        word: concat!("rf", "c-"),
        matching: Matching::Numbered,
        place: Place::Everywhere,
        hint: HISTORY,
    },
    Banned {
        word: concat!("iss", "ue #"),
        matching: Matching::Numbered,
        place: Place::Everywhere,
        hint: HISTORY,
    },
    Banned {
        word: concat!("#[", "ignore"),
        matching: Matching::Part,
        place: Place::Rust,
        hint: "make the test pass or remove it",
    },
    Banned {
        word: concat!("thread::", "sleep("),
        matching: Matching::Part,
        place: Place::Tests,
        hint: WAIT,
    },
    Banned {
        word: concat!("time::", "sleep("),
        matching: Matching::Part,
        place: Place::Tests,
        hint: WAIT,
    },
    Banned {
        word: concat!("allow(", "dead_code)"),
        matching: Matching::Part,
        place: Place::Rust,
        hint: "remove what nothing uses",
    },
];

/// Finds the banned words.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for file in files {
        let banned: Vec<&Banned> =
            BANNED.iter().filter(|banned| banned.place.covers(&file.path)).collect();
        for (number, line) in file.lines() {
            for banned in banned.iter().filter(|banned| banned.stands_in(line)) {
                let hint = format!("`{}`: {}", banned.word, banned.hint);
                violations.push(file.violation(number, hint));
            }
        }
    }
    violations
}

impl Place {
    fn covers(self, path: &str) -> bool {
        let rust = path.ends_with(".rs");
        match self {
            Self::Everywhere => true,
            Self::Rust => rust,
            Self::Tests => {
                rust && (path.contains("/tests/") || path.starts_with("crates/ff-conformance/"))
            }
        }
    }
}

impl Banned {
    fn stands_in(&self, line: &str) -> bool {
        let beside = |c: char| c.is_alphanumeric() || c == '_';
        match self.matching {
            Matching::Part => line.contains(self.word),
            Matching::Whole => line.match_indices(self.word).any(|(at, word)| {
                !line[..at].ends_with(beside) && !line[at + word.len()..].starts_with(beside)
            }),
            Matching::Numbered => {
                let line = line.to_ascii_lowercase();
                line.match_indices(self.word).any(|(at, word)| {
                    line[at + word.len()..].starts_with(|c: char| c.is_ascii_digit())
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        check(&[file(path, text)]).len()
    }

    #[test]
    fn each_word_is_found_where_it_is_banned() {
        for banned in &BANNED {
            let path = match banned.place {
                Place::Everywhere => "docs/a.md",
                Place::Rust => "crates/a/src/lib.rs",
                Place::Tests => "crates/ff-conformance/src/lease.rs",
            };
            let text = format!("fine\n  {}7 left", banned.word);
            let spaced = format!("fine\n  {} left", banned.word);
            let text = match banned.matching {
                Matching::Numbered => text,
                Matching::Part | Matching::Whole => spaced,
            };
            let violations = check(&[file(path, &text)]);
            assert_eq!(violations.len(), 1, "{}", banned.word);
            assert_eq!(violations[0].line, 2);
        }
    }

    #[test]
    fn a_word_within_a_word_passes() {
        let text = format!("MAS{}N mktemp.{}", concat!("TO", "DO"), "X".repeat(6));
        assert_eq!(found("a.md", &text), 0);
    }

    #[test]
    fn a_standard_without_a_hyphen_passes() {
        assert_eq!(found("a.md", "dates as in RFC 3339"), 0);
    }

    #[test]
    fn numbers_are_found_in_any_case() {
        assert_eq!(found("a.lua", &format!("-- see {}042", concat!("RF", "C-"))), 1);
        assert_eq!(found("a.rs", &format!("// see {}12", concat!("Iss", "ue #"))), 1);
    }

    #[test]
    fn waiting_is_banned_in_tests_only() {
        let line = format!("std::{}ms);", concat!("thread::", "sleep("));
        assert_eq!(found("crates/a/tests/b.rs", &line), 1);
        assert_eq!(found("crates/a/src/b.rs", &line), 0);
    }
}

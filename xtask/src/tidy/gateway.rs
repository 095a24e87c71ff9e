//! The Valkey backend calls functions of the library from one file alone.

use super::{SourceFile, Violation};

/// The folder that may hold one file with the call.
const FOLDER: &str = "crates/ff-backend-valkey/src/";
/// The call, in lower case.
const CALL: &str = "fcall";

/// Finds the calls outside the file that has most of them. Comments may speak of it anywhere.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let mut callers: Vec<(&SourceFile, Vec<usize>)> = files
        .iter()
        .filter(|file| file.path.starts_with(FOLDER))
        .map(|file| (file, calls(file)))
        .filter(|(_, lines)| !lines.is_empty())
        .collect();
    callers.sort_by_key(|(_, lines)| std::cmp::Reverse(lines.len()));
    let Some(((gateway, _), others)) = callers.split_first() else {
        return Vec::new();
    };
    let hint = format!("calls a function; only {} may", gateway.path);
    others
        .iter()
        .flat_map(|(file, lines)| lines.iter().map(|&line| file.violation(line, hint.as_str())))
        .collect()
}

fn calls(file: &SourceFile) -> Vec<usize> {
    file.lines()
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .filter(|(_, line)| line.to_lowercase().contains(CALL))
        .map(|(number, _)| number)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn one_file_may_call() {
        let files = [
            file("crates/ff-backend-valkey/src/call.rs", "client.fcall(a);\nclient.fcall_ro(b);"),
            file("crates/ff-backend-valkey/src/lease.rs", "// one FCALL\ncall(a);"),
            file("crates/ff-backend-valkey/tests/calls.rs", "cmdstat_fcall"),
        ];
        assert_eq!(check(&files), []);
    }

    #[test]
    fn a_second_file_is_found() {
        let files = [
            file("crates/ff-backend-valkey/src/call.rs", "client.fcall(a);\nclient.fcall(b);"),
            file("crates/ff-backend-valkey/src/lease.rs", "\ncustom(\"FCALL\");"),
        ];
        let violations = check(&files);
        assert_eq!(violations.len(), 1);
        assert_eq!((violations[0].path.as_str(), violations[0].line), (files[1].path.as_str(), 2));
    }
}

//! How long files and lines may be.

use super::{SourceFile, Violation};

/// The most lines of a file, by its extension.
const FILE_LINES_MAX: [(&str, usize); 2] = [(".rs", 500), (".lua", 300)];
/// The most columns of a line in those files.
const LINE_COLUMNS_MAX: usize = 100;

/// Finds the files and the lines that are too long.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    files.iter().flat_map(check_file).collect()
}

fn check_file(file: &SourceFile) -> Vec<Violation> {
    let limit = FILE_LINES_MAX.iter().find(|(extension, _)| file.path.ends_with(extension));
    let Some(&(_, lines_max)) = limit else {
        return Vec::new();
    };
    let mut violations = Vec::new();
    let count = file.lines().count();
    if count > lines_max {
        let hint = format!("{count} lines, {lines_max} allowed; split the file by topic");
        violations.push(file.violation(lines_max + 1, hint));
    }
    for (number, line) in file.lines() {
        let columns = line.chars().count();
        if columns > LINE_COLUMNS_MAX {
            let hint = format!("{columns} columns, {LINE_COLUMNS_MAX} allowed; break the line");
            violations.push(file.violation(number, hint));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    #[test]
    fn files_at_the_limit_pass() {
        let files = [
            file("a.rs", &"x\n".repeat(500)),
            file("a.lua", &"x\n".repeat(300)),
            file("a.md", &"x\n".repeat(501)),
        ];
        assert_eq!(check(&files), []);
    }

    #[test]
    fn longer_files_are_found_at_the_first_line_too_many() {
        let files = [file("a.rs", &"x\n".repeat(501)), file("a.lua", &"x\n".repeat(301))];
        let lines: Vec<usize> = check(&files).iter().map(|found| found.line).collect();
        assert_eq!(lines, [501, 301]);
    }

    #[test]
    fn lines_are_counted_in_characters() {
        let wide = "é".repeat(100);
        assert_eq!(check(&[file("a.rs", &wide)]), []);
        let violations = check(&[file("a.rs", &format!("ok\n{wide}x"))]);
        assert_eq!(violations[0].line, 2);
    }

    #[test]
    fn long_lines_of_prose_pass() {
        assert_eq!(check(&[file("a.md", &"x".repeat(200))]), []);
    }
}

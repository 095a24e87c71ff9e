//! Every capability has a file of its name in every layer that exists.

use super::{SourceFile, Violation};

/// The capabilities.
const CAPABILITIES: [&str; 10] = [
    "submit", "claim", "lease", "terminal", "suspend", "signal", "stream", "budget", "inspect",
    "admin",
];

/// The layers: the folder, and the extension of the files in it.
const LAYERS: [(&str, &str); 4] = [
    ("crates/ff-core/src/contracts", "rs"),
    ("lua", "lua"),
    ("crates/ff-backend-valkey/src", "rs"),
    ("crates/ff-conformance/src", "rs"),
];

/// Finds the files that are missing.
pub(super) fn check(files: &[SourceFile]) -> Vec<Violation> {
    let has = |path: &str| files.iter().any(|file| file.path == path);
    let mut violations = Vec::new();
    for (folder, extension) in LAYERS {
        let below = format!("{folder}/");
        let exists = files
            .iter()
            .any(|file| file.path.starts_with(&below) && file.path.ends_with(extension));
        if !exists {
            continue;
        }
        for name in CAPABILITIES {
            let path = format!("{folder}/{name}.{extension}");
            if !has(&path) && !has(&format!("{folder}/{name}/mod.{extension}")) {
                let hint = format!("missing; the capability {name} needs a file in each layer");
                let line = 1;
                violations.push(Violation { path, line, hint });
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn layer(folder: &str, extension: &str) -> Vec<SourceFile> {
        CAPABILITIES.iter().map(|name| file(&format!("{folder}/{name}.{extension}"), "")).collect()
    }

    #[test]
    fn layers_that_do_not_exist_are_not_asked_for() {
        assert_eq!(check(&[file("crates/ff-core/src/lib.rs", "")]), []);
    }

    #[test]
    fn a_whole_layer_passes() {
        assert_eq!(check(&layer("lua", "lua")), []);
    }

    #[test]
    fn a_missing_file_is_named() {
        let mut files = layer("lua", "lua");
        files.retain(|file| file.path != "lua/lease.lua");
        let violations = check(&files);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].path, "lua/lease.lua");
    }

    #[test]
    fn a_capability_may_be_a_folder() {
        let folder = "crates/ff-conformance/src";
        let mut files = layer(folder, "rs");
        files.retain(|file| !file.path.ends_with("/stream.rs"));
        files.push(file(&format!("{folder}/stream/mod.rs"), ""));
        assert_eq!(check(&files), []);
    }
}

//! Which crate may depend on which, and which outside crates belong to one crate alone.

use serde_json::Value;

use super::{SourceFile, Violation};
use crate::error::XtaskError;
use crate::run::{cargo, read, root};

/// What a crate may depend on within the workspace, tests aside.
const EDGES: [(&str, Allowed); 13] = [
    ("ff-core", Allowed::Only(&[])),
    ("ff-script", Allowed::Only(&["ff-core"])),
    ("ff-lifecycle", Allowed::Only(&["ff-core"])),
    ("ff-backend-valkey", Allowed::Only(&["ff-core", "ff-script"])),
    ("ff-backend-embedded", Allowed::Only(&["ff-core", "ff-lifecycle"])),
    ("ff-engine", Allowed::Only(&["ff-core"])),
    ("ff-conformance", Allowed::Only(&["ff-core"])),
    ("ff-sdk", Allowed::Only(&["ff-core", "ff-engine"])),
    (
        "flowfabric",
        Allowed::Only(&["ff-core", "ff-sdk", "ff-backend-valkey", "ff-backend-embedded"]),
    ),
    ("ff-cli", Allowed::Only(&["flowfabric"])),
    // Tests alone.
    ("ff-model", Allowed::Only(&[])),
    ("ff-testserver", Allowed::Only(&[])),
    ("xtask", Allowed::Any),
];

/// Outside crates that one crate alone may use, tests aside.
const OWNED: [(&str, &str); 2] =
    [("fred", "ff-backend-valkey"), ("rusqlite", "ff-backend-embedded")];

#[derive(Debug, Clone, Copy)]
enum Allowed {
    Only(&'static [&'static str]),
    Any,
}

/// A crate of the workspace and what it depends on, tests aside.
#[derive(Debug)]
pub(super) struct Package {
    name: String,
    /// The path of its `Cargo.toml` from the folder of the workspace.
    manifest: String,
    dependencies: Vec<String>,
}

/// Asks cargo for the crates of the workspace.
pub(super) fn packages() -> Result<Vec<Package>, XtaskError> {
    let metadata = read(&mut cargo(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata = serde_json::from_slice(&metadata)?;
    Ok(parse(&metadata, &root().to_string_lossy()))
}

/// Finds the dependencies that the tables do not allow.
pub(super) fn check(packages: &[Package], files: &[SourceFile]) -> Vec<Violation> {
    let mut violations = Vec::new();
    for package in packages {
        let edges = EDGES.iter().find(|(name, _)| *name == package.name);
        let Some((_, allowed)) = edges else {
            let hint = format!("{} is not in the table of crate edges; add it", package.name);
            violations.push(at(package, None, files, hint));
            continue;
        };
        for dependency in &package.dependencies {
            let internal = packages.iter().any(|other| other.name == *dependency);
            if internal && !allows(*allowed, dependency) {
                let hint = format!(
                    "{} must not depend on {dependency}; move what it needs, or make it a \
                     dev-dependency",
                    package.name
                );
                violations.push(at(package, Some(dependency), files, hint));
            }
            let owner = OWNED.iter().find(|(owned, _)| owned == dependency);
            if let Some((_, owner)) = owner.filter(|(_, owner)| *owner != package.name) {
                let hint = format!("{dependency} belongs to {owner} alone; go through its API");
                violations.push(at(package, Some(dependency), files, hint));
            }
        }
    }
    violations
}

fn allows(allowed: Allowed, dependency: &str) -> bool {
    match allowed {
        Allowed::Only(names) => names.contains(&dependency),
        Allowed::Any => true,
    }
}

/// Points to the line of a manifest that names `dependency`, else to its first.
fn at(
    package: &Package,
    dependency: Option<&str>,
    files: &[SourceFile],
    hint: String,
) -> Violation {
    let line = dependency.and_then(|dependency| {
        let manifest = files.iter().find(|file| file.path == package.manifest)?;
        let names = |line: &str| {
            line.trim_matches('"')
                .strip_prefix(dependency)
                .is_some_and(|rest| rest.starts_with([' ', '.', '=', '"']))
        };
        manifest.lines().find(|(_, line)| names(line)).map(|(number, _)| number)
    });
    Violation { path: package.manifest.clone(), line: line.unwrap_or(1), hint }
}

fn parse(metadata: &Value, root: &str) -> Vec<Package> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let package = |package: &Value| Package {
        name: text(&package["name"]),
        manifest: text(&package["manifest_path"])
            .trim_start_matches(root)
            .trim_start_matches('/')
            .to_owned(),
        dependencies: list(&package["dependencies"])
            .iter()
            .filter(|dependency| dependency["kind"] != "dev")
            .map(|dependency| text(&dependency["name"]))
            .collect(),
    };
    list(&metadata["packages"]).iter().map(package).collect()
}

#[cfg(test)]
mod tests {
    use super::super::file;
    use super::*;

    fn package(name: &str, dependencies: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            manifest: format!("crates/{name}/Cargo.toml"),
            dependencies: dependencies.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    fn hints(packages: &[Package]) -> Vec<String> {
        check(packages, &[]).into_iter().map(|violation| violation.hint).collect()
    }

    #[test]
    fn parse_leaves_tests_aside() {
        let metadata = serde_json::json!({"packages": [{
            "name": "ff-sdk",
            "manifest_path": "/w/crates/ff-sdk/Cargo.toml",
            "dependencies": [
                {"name": "ff-core", "kind": null},
                {"name": "ff-testserver", "kind": "dev"},
                {"name": "cc", "kind": "build"},
            ],
        }]});
        let packages = parse(&metadata, "/w");
        assert_eq!(packages[0].manifest, "crates/ff-sdk/Cargo.toml");
        assert_eq!(packages[0].dependencies, ["ff-core", "cc"]);
    }

    #[test]
    fn edges_of_the_table_pass() {
        let packages = [
            package("ff-core", &["serde"]),
            package("ff-script", &["ff-core"]),
            package("ff-backend-valkey", &["ff-core", "ff-script", "fred"]),
            package("ff-testserver", &[]),
            package("xtask", &["ff-testserver", "ff-core"]),
        ];
        assert_eq!(hints(&packages), Vec::<String>::new());
    }

    #[test]
    fn an_edge_upward_is_found_where_it_stands() {
        let packages = [package("ff-core", &["ff-sdk"]), package("ff-sdk", &["ff-core"])];
        let manifest = "[dependencies]\nserde = \"1\"\nff-sdk.workspace = true\n";
        let files = [file("crates/ff-core/Cargo.toml", manifest)];
        let violations = check(&packages, &files);
        assert_eq!(violations.len(), 1);
        assert_eq!(violations[0].line, 3);
    }

    #[test]
    fn the_test_servers_are_for_tests() {
        let packages = [package("ff-sdk", &["ff-testserver"]), package("ff-testserver", &[])];
        assert!(hints(&packages)[0].contains("dev-dependency"));
    }

    #[test]
    fn an_owned_crate_has_one_user() {
        let packages = [package("ff-sdk", &["fred"]), package("ff-engine", &["rusqlite"])];
        let hints = hints(&packages);
        assert!(hints[0].contains("ff-backend-valkey"), "{hints:?}");
        assert!(hints[1].contains("ff-backend-embedded"), "{hints:?}");
    }

    #[test]
    fn an_unknown_crate_is_asked_for() {
        assert!(hints(&[package("ff-new", &[])])[0].contains("add it"));
    }
}

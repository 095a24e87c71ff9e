//! `cargo xtask test`: finds or fetches the servers, starts a cluster, runs the tests.

use std::env;
use std::process::Command;

use clap::ValueEnum;
use ff_testserver::{CLUSTER_VARIABLE, Cluster, SHARED_CLUSTER_VERSION, ServerVersion, find};

use crate::error::XtaskError;
use crate::run::{cargo, show, stage, succeeds};

/// What to test, and what to tell the test runner.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Which part to test.
    #[arg(value_enum, default_value_t = Selection::All)]
    selection: Selection,
    /// Goes to the test runner as it is, such as a part of a test's name.
    #[arg(last = true)]
    runner: Vec<String>,
}

impl Arguments {
    /// Returns the arguments that leave nothing out.
    pub(crate) fn everything() -> Self {
        Self { selection: Selection::All, runner: Vec::new() }
    }
}

/// A part of the tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Selection {
    /// Everything but the backends and what runs on them.
    Core,
    /// The embedded backend, and the model of its rules.
    Embedded,
    /// The Valkey backend on standalone servers, and the whole on top of it.
    Valkey,
    /// The Valkey backend on a cluster.
    Cluster,
    /// Everything.
    All,
}

/// Runs the selected tests; fails with the exit code of the test runner.
pub(crate) fn run(arguments: &Arguments) -> Result<(), XtaskError> {
    let selection = arguments.selection;
    let mut variables = Vec::new();
    if selection.needs_servers() {
        stage("servers");
        for version in ServerVersion::ALL {
            let program = find(version)?;
            println!("valkey {}: {}", version.major(), program.display());
            variables.push((version.variable(), program.into_os_string()));
        }
    }
    // Dropped, and with it the servers stopped, when the tests have run.
    let mut _cluster = None;
    if selection.needs_cluster() && env::var_os(CLUSTER_VARIABLE).is_none() {
        let cluster = Cluster::start(SHARED_CLUSTER_VERSION)?;
        println!("cluster: {}", cluster.url());
        variables.push((CLUSTER_VARIABLE, cluster.url().into()));
        _cluster = Some(cluster);
    }
    // Documentation tests first, so that the last lines are the summary of the larger part.
    let documented = match selection.doctests(&arguments.runner) {
        Some(mut doctests) => {
            stage("documentation tests");
            show(doctests.envs(variables.iter().cloned()))
        }
        None => Ok(()),
    };
    stage("tests");
    let mut tests = if succeeds(&mut cargo(["nextest", "--version"])) {
        selection.nextest(&arguments.runner)
    } else {
        println!("cargo-nextest is not installed, so cargo test runs the tests");
        selection.cargo_test(&arguments.runner)
    };
    show(tests.envs(variables)).and(documented)
}

impl Selection {
    fn needs_servers(self) -> bool {
        self != Self::Embedded
    }

    fn needs_cluster(self) -> bool {
        matches!(self, Self::Cluster | Self::All)
    }

    /// Returns the packages as arguments of cargo.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Self::Core => &[
                "--workspace",
                "--exclude",
                "ff-backend-*",
                "--exclude",
                "flowfabric",
                "--exclude",
                "ff-cli",
                "--exclude",
                "ff-model",
            ],
            Self::Embedded => &["--package", "ff-backend-embedded", "--package", "ff-model"],
            Self::Valkey => &[
                "--package",
                "ff-backend-valkey",
                "--package",
                "flowfabric",
                "--package",
                "ff-cli",
            ],
            Self::Cluster => &["--package", "ff-backend-valkey", "--package", "ff-cli"],
            Self::All => &["--workspace"],
        }
    }

    /// Returns the filter of nextest; cluster tests stand in modules or files of that name.
    fn filterset(self) -> Option<&'static str> {
        match self {
            Self::Core | Self::Embedded | Self::All => None,
            Self::Valkey => Some("not (test(/(^|::)cluster::/) | binary(/^cluster$/))"),
            Self::Cluster => Some("test(/(^|::)cluster::/) | binary(/^cluster$/)"),
        }
    }

    /// Returns the run of the documentation tests. Tests picked by name leave them out.
    fn doctests(self, runner: &[String]) -> Option<Command> {
        if self == Self::Cluster || !runner.is_empty() {
            return None;
        }
        let mut command = cargo(["test", "--doc"]);
        command.args(self.packages());
        Some(command)
    }

    fn nextest(self, runner: &[String]) -> Command {
        let mut command = cargo(["nextest", "run"]);
        command.args(self.packages());
        if let Some(filterset) = self.filterset() {
            command.args(["--filterset", filterset]);
        }
        command.args(runner);
        command
    }

    fn cargo_test(self, runner: &[String]) -> Command {
        let mut command = cargo(["test", "--tests"]);
        command.args(self.packages());
        match self {
            Self::Valkey => command.args(["--", "--skip", "cluster::"]),
            Self::Cluster => command.args(["--", "cluster::"]),
            Self::Core | Self::Embedded | Self::All => command.arg("--"),
        };
        command.args(runner);
        command
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(command: &Command) -> String {
        let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
        words.join(" ")
    }

    #[test]
    fn all_leaves_nothing_out() {
        assert_eq!(words(&Selection::All.nextest(&[])), "nextest run --workspace");
    }

    #[test]
    fn valkey_and_cluster_split_one_package() {
        let valkey = words(&Selection::Valkey.nextest(&[]));
        let cluster = words(&Selection::Cluster.nextest(&[]));
        let filter = Selection::Cluster.filterset().expect("a filter");
        assert!(valkey.ends_with(&format!("not ({filter})")), "{valkey}");
        assert!(cluster.ends_with(filter), "{cluster}");
    }

    #[test]
    fn words_for_the_runner_come_last() {
        let runner = ["renew_lease".to_owned()];
        assert!(words(&Selection::Valkey.nextest(&runner)).ends_with(" renew_lease"));
        let fallback = words(&Selection::Valkey.cargo_test(&runner));
        assert!(fallback.ends_with("-- --skip cluster:: renew_lease"), "{fallback}");
    }

    #[test]
    fn documentation_tests_run_with_whole_parts_only() {
        assert!(Selection::All.doctests(&[]).is_some());
        assert!(Selection::All.doctests(&["lease".to_owned()]).is_none());
        assert!(Selection::Cluster.doctests(&[]).is_none());
    }
}

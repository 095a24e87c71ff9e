//! `cargo xtask ci`: every check and every test; goes on after a failure to report them all.

use std::time::Instant;

use ff_cli::text::chain;

use crate::error::XtaskError;
use crate::run::{cargo, show, stage};
use crate::test::{self, Arguments};
use crate::{lua_check, tidy};

type Stage = (&'static str, fn() -> Result<(), XtaskError>);

/// The stages. The tests come last, so that their summary ends the output of a good run.
const STAGES: [Stage; 7] = [
    ("fmt", fmt),
    ("tidy", tidy::run),
    ("lua-check", lua_check::run),
    ("clippy", clippy),
    ("doc", doc),
    ("bench", bench),
    ("test", tests),
];

/// Runs all stages and fails if one failed.
pub(crate) fn run() -> Result<(), XtaskError> {
    let mut failed = Vec::new();
    for (name, check) in STAGES {
        stage(&format!("ci: {name}"));
        let started = Instant::now();
        let done = check();
        let seconds = started.elapsed().as_secs_f32();
        match done {
            Ok(()) => println!("ci: {name} passed in {seconds:.1} s"),
            Err(error) => {
                println!("ci: {name} failed in {seconds:.1} s: {}", chain(&error));
                failed.push(name);
            }
        }
    }
    if failed.is_empty() {
        return Ok(());
    }
    Err(XtaskError::Stages(failed))
}

fn fmt() -> Result<(), XtaskError> {
    show(&mut cargo(["fmt", "--all", "--check"]))
}

fn clippy() -> Result<(), XtaskError> {
    let words = "clippy --workspace --all-targets -- -D warnings";
    show(&mut cargo(words.split(' ')))
}

fn doc() -> Result<(), XtaskError> {
    let mut command = cargo(["doc", "--no-deps", "--workspace"]);
    show(command.env("RUSTDOCFLAGS", "-D warnings"))
}

/// Shows that every scenario of the bench works. No time is asserted.
fn bench() -> Result<(), XtaskError> {
    show(&mut cargo(["run", "--quiet", "--package", "xtask", "--", "bench", "--quick"]))
}

fn tests() -> Result<(), XtaskError> {
    test::run(&Arguments::everything())
}

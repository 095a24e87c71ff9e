//! `ff completions`: what a shell needs to complete commands and options.

use clap_complete::Shell;

use crate::error::CliError;
use crate::out::raw;

/// What the help ends with.
const EXAMPLES: &str = "\
Examples:
  ff completions bash > ~/.local/share/bash-completion/completions/ff
  ff completions zsh > ~/.zfunc/_ff
  ff completions fish > ~/.config/fish/completions/ff.fish";

/// For which shell.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The shell.
    shell: Shell,
}

/// Prints the script.
pub(crate) fn run(arguments: &Arguments) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut crate::command(), "ff", &mut script);
    raw(&script)
}

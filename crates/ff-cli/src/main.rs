//! The program `ff`. Everything is in the library, so that tests and documents can ask it.

fn main() -> std::process::ExitCode {
    ff_cli::main()
}

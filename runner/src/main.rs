//! The program: parse, run, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    runner::commands::run(runner::cli::parse()).into()
}

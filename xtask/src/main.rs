//! `cargo xtask`: the one list of chores. What continuous integration runs is what anyone runs here.

mod check;
mod chore;
mod command;
mod components;
mod end_to_end;
mod kubernetes;
mod report;
mod schema;
mod suite;
mod test;
mod toolchain;
mod wasm_target;
mod workspace;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    match chore::Chore::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => match error.downcast_ref::<kubernetes::Unable>() {
            Some(unable) => {
                unable.report();
                ExitCode::from(kubernetes::Unable::EXIT_CODE)
            }
            None => report::failure(&error),
        },
    }
}

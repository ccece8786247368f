//! All that xtask says, on stderr: stdout belongs to the tools it starts, and to what another program is to read.

#![expect(clippy::print_stderr, reason = "the one place of xtask that talks to the person at the terminal")]
#![expect(clippy::print_stdout, reason = "the one place of xtask that answers a program")]

use std::{
    io::{IsTerminal, stderr},
    process::ExitCode,
};

const BOLD: &str = "1";
const LOUD: &str = "1;33";
const RED: &str = "1;31";

/// Names the step that begins.
pub(crate) fn step(text: &str) {
    eprintln!("{}", styled(BOLD, &format!("==> {text}")));
}

/// Says what happened, in passing.
pub(crate) fn note(text: &str) {
    eprintln!("    {text}");
}

/// Says in one line that something was not looked at, so that nobody takes silence for success.
pub(crate) fn left_out(what: &str, why: &str, get: &str) {
    eprintln!("{}", styled(LOUD, &format!("!!! LEFT OUT {what}: {why}; {get}")));
}

/// What was asked for, on stdout.
pub(crate) fn answer(text: &str) {
    println!("{text}");
}

/// A line of the closing table: as it is.
pub(crate) fn row(text: &str) {
    eprintln!("{text}");
}

/// Prints the chain of causes; the exit code of a chore that failed.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    eprintln!("{} {error:#}", styled(RED, "error:"));
    ExitCode::FAILURE
}

fn styled(style: &str, text: &str) -> String {
    let plain = !stderr().is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    if plain { text.to_owned() } else { format!("\x1b[{style}m{text}\x1b[0m") }
}

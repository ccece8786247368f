//! `runner completions`: a script for a shell.

use crate::cli::Shell;
use crate::report::{ExitCode, Streams};

pub(super) fn run(shell: Shell, streams: Streams) -> ExitCode {
    streams.data(&String::from_utf8_lossy(&crate::cli::completions(shell)))
}

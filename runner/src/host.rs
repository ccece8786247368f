//! Programs on this machine: command steps and conditions.
//!
//! A program is a process group of its own without input. It sees the environment of this program and the variables it is
//! given, is stopped as a group, and everything that it prints is handed on as it comes. Nothing here knows steps, logs or
//! policies; whoever starts a program asked before.

mod end;
mod error;
mod program;
mod signal;

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use bytes::Bytes;
use process_group::Group;
use tokio::net::unix::pipe;
use tokio::process::{Child, Command};

pub use end::{AFTER_END, End};
pub use error::StartError;
pub use process_group::{Identity, Signal};
pub use program::{Program, Shell};
pub use signal::signal_named;

/// Which stream a piece of output comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stream {
    /// Standard output; with [`Streams::Together`] both.
    Output,
    /// Standard error.
    Error,
}

/// A piece of what a program prints, cut anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// Where it comes from.
    pub stream: Stream,
    /// At most 64 KiB.
    pub bytes: Bytes,
}

/// How the two streams of a program come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Streams {
    /// As one, in the order in which they were written.
    Together,
    /// Each by itself. Between them the order is that in which they are seen.
    Apart,
}

/// A program and what it runs with.
#[derive(Debug)]
pub struct Launch {
    /// What runs.
    pub program: Program,
    /// The folder it runs in.
    pub folder: PathBuf,
    /// Variables, on top of the environment of this program.
    pub environment: BTreeMap<String, String>,
    /// How its output comes.
    pub streams: Streams,
}

/// A program that runs. It is killed, with its group, when this is dropped.
#[derive(Debug)]
pub struct Process {
    /// The first field is dropped first: the group is killed before the child gives its number away.
    group: Group,
    child: Child,
    output: pipe::Receiver,
    error: Option<pipe::Receiver>,
    /// The script, as long as it runs.
    _program: Program,
}

impl Launch {
    /// Starts the program. Needs a runtime of tokio with its drivers.
    ///
    /// # Errors
    /// Why it cannot be started; then nothing runs.
    pub fn start(self) -> Result<Process, StartError> {
        let Launch { program, folder, environment, streams } = self;
        let (name, arguments) = program.words().split_first().ok_or(StartError::Nothing)?;
        if !folder.is_dir() {
            return Err(StartError::folder(&folder));
        }
        let failed = |source: io::Error| StartError::program(name, &folder, &environment, source);
        let (output, output_end) = pipe().map_err(failed)?;
        let (error, error_end) = match streams {
            Streams::Together => (None, output_end.try_clone().map_err(failed)?),
            Streams::Apart => {
                let (error, error_end) = pipe().map_err(failed)?;
                (Some(error), error_end)
            }
        };
        let mut command = Command::new(name);
        command
            .args(arguments)
            .current_dir(&folder)
            .envs(&environment)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output_end)
            .stderr(error_end);
        let child = command.spawn().map_err(failed)?;
        // It holds the ends of the pipes that the program writes to; with them they would never close.
        drop(command);
        let group = Group::of(&child).map_err(failed)?;
        Ok(Process { group, child, output, error, _program: program })
    }
}

impl Process {
    /// What a later process needs to stop it, should this one be killed.
    pub fn identity(&self) -> Identity {
        self.group.identity()
    }
}

fn pipe() -> io::Result<(pipe::Receiver, io::PipeWriter)> {
    let (reader, writer) = io::pipe()?;
    Ok((pipe::Receiver::from_owned_fd(reader.into())?, writer))
}

#[cfg(test)]
mod tests;

//! `runner runs`: what became of runs, and what may still be done about them.

mod cancel;
mod gc;
mod list;
mod logs;
mod resume;
mod show;
mod sweep;

use std::path::{Path, PathBuf};

use model::names::RunId;

use crate::cli::{Runs, State};
use crate::journal::{FolderError, OpenError, Opened, state_folder};
use crate::report::{ExitCode, Failed, Streams};

pub(super) fn run(command: Runs, streams: Streams) -> ExitCode {
    let done = match command {
        Runs::List(arguments) => list::run(arguments, streams),
        Runs::Show(arguments) => show::run(arguments, streams),
        Runs::Logs(arguments) => logs::run(arguments, streams),
        Runs::Resume(arguments) => resume::run(arguments, streams),
        Runs::Cancel(arguments) => cancel::run(arguments, streams),
        Runs::Gc(arguments) => gc::run(arguments, streams),
    };
    done.unwrap_or_else(|refused| {
        streams.error(&refused.failed);
        refused.code
    })
}

/// Why a command does nothing.
struct Refused {
    failed: Failed,
    code: ExitCode,
}

impl From<Failed> for Refused {
    fn from(failed: Failed) -> Refused {
        Refused { failed, code: ExitCode::Invalid }
    }
}

impl From<OpenError> for Refused {
    fn from(error: OpenError) -> Refused {
        Failed::new(&error, error.help()).into()
    }
}

impl From<FolderError> for Refused {
    fn from(error: FolderError) -> Refused {
        Failed::new(&error, error.help()).into()
    }
}

impl State {
    fn folder(&self) -> Result<PathBuf, FolderError> {
        state_folder(self.state_dir.clone())
    }
}

/// A run that the user names.
fn named(state: &Path, run: &str) -> Result<(RunId, Opened), Refused> {
    let id: RunId = run.parse().map_err(|error| {
        let help = "`runner runs list` shows the ids of runs".to_owned();
        Failed::of(format!("`{run}` is no run id: {error}"), Some(help))
    })?;
    let opened = Opened::read(state, &id)?;
    Ok((id, opened))
}

/// The command that takes a run up, if that can be done.
fn resume_command(run: &RunId, opened: &Opened, state: &State) -> Option<String> {
    opened.can_be_resumed().then(|| super::resume_command(run, state.state_dir.as_deref()))
}

//! `runner runs show`: the steps of a run, as its end showed them.

use super::{Refused, named, resume_command};
use crate::cli::{Format, RunsShow};
use crate::report::{ExitCode, Streams, run_document, show_run};

pub(super) fn run(arguments: RunsShow, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsShow { run, state, format } = arguments;
    let (id, opened) = named(&state.folder()?, &run)?;
    let resume = resume_command(&id, &opened, &state);
    Ok(match format {
        Format::Human => show_run(&opened, resume, streams),
        Format::Json => streams.json(&run_document(&opened, resume)),
    })
}

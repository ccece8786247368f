//! `runner runs list`: all runs, newest first.

use jiff::Timestamp;

use super::Refused;
use crate::cli::{Format, RunsList};
use crate::journal::{Opened, RunFolder, runs};
use crate::report::{ExitCode, Failed, Listed, Streams, run_table};

pub(super) fn run(arguments: RunsList, streams: Streams) -> Result<ExitCode, Refused> {
    let RunsList { state, format } = arguments;
    let state = state.folder()?;
    let now = Timestamp::now();
    let ids =
        runs(&state).map_err(|error| Failed::of(format!("`{}` cannot be read: {error}", state.display()), None))?;
    let mut listed: Vec<Listed> = ids
        .into_iter()
        .map(|id| match Opened::read(&state, &id) {
            Ok(opened) => Listed::of(id.to_string(), &opened, now),
            Err(error) => {
                let holder = RunFolder::holder(&RunFolder::path_of(&state, &id));
                let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
                Listed::unreadable(id.to_string(), holder, format!("{error}{cause}"))
            }
        })
        .collect();
    // Those that cannot be read come first: somebody should look at them.
    listed.sort_by(|a, b| (a.started.is_some(), b.started, &b.run).cmp(&(b.started.is_some(), a.started, &a.run)));
    for error in listed.iter().filter_map(|run| run.error.as_deref()) {
        streams.warning(error);
    }
    Ok(match format {
        Format::Json => streams.json(&listed),
        Format::Human if listed.is_empty() => {
            streams.words(&format!("no runs in {}\n", state.display()));
            ExitCode::Success
        }
        Format::Human => streams.coloured(&run_table(&listed)),
    })
}

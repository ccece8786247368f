//! `runner check`: every problem of the files.

use crate::cli::{Check, CheckFormat, Format};
use crate::plan::plan;
use crate::report::{CheckReport, Checked, ExitCode, Failed, Streams, github, junit, sarif, show_problems, summary};
use crate::sources::Sources;

pub(super) fn run(arguments: Check, streams: Streams) -> ExitCode {
    let Check { files, rules, format } = arguments;
    let (set, base, params) = match super::in_force(rules) {
        Ok(rules) => rules,
        Err(failures) => return failed(failures, format, streams),
    };
    let mut checked = Checked::under(&set);
    for file in files {
        let sources = Sources::read(&base, &file, params.clone());
        match plan(&sources, &set) {
            Ok(planned) => checked.add(sources.texts(), planned.report),
            Err(error) => return failed(vec![Failed::new(&error, error.help())], format, streams),
        }
    }
    match format {
        CheckFormat::Human | CheckFormat::Github => streams.policies(&set),
        CheckFormat::Json | CheckFormat::Sarif | CheckFormat::Junit => streams.warnings(&set),
    }
    let written = match format {
        CheckFormat::Human => {
            let problems: Vec<_> = checked.problems().cloned().collect();
            let written = streams.coloured(&show_problems(&problems, checked.sources()));
            streams.words(&summary(&problems).unwrap_or_default());
            written
        }
        CheckFormat::Json => {
            let problems: Vec<_> = checked.problems().cloned().collect();
            streams.json(&CheckReport { version: 1, policies: checked.policies().to_vec(), problems: &problems })
        }
        CheckFormat::Sarif | CheckFormat::Github | CheckFormat::Junit => document(&checked, format, streams),
    };
    checked.code().max(written)
}

/// Tells why nothing could be judged, in the form that was asked for.
fn failed(failures: Vec<Failed>, format: CheckFormat, streams: Streams) -> ExitCode {
    match format {
        CheckFormat::Human => super::refuse(failures, Format::Human, streams),
        CheckFormat::Json => super::refuse(failures, Format::Json, streams),
        CheckFormat::Sarif | CheckFormat::Github | CheckFormat::Junit => {
            for failure in &failures {
                streams.error(failure);
            }
            let checked = Checked::failed(failures);
            checked.code().max(document(&checked, format, streams))
        }
    }
}

/// Writes one of the forms that other programs define.
fn document(checked: &Checked, format: CheckFormat, streams: Streams) -> ExitCode {
    match format {
        CheckFormat::Sarif => streams.json(&sarif(checked)),
        CheckFormat::Github => streams.data(&github(checked)),
        CheckFormat::Junit => match junit(checked) {
            Ok(report) => streams.data(&report),
            Err(error) => super::refuse(vec![Failed::new(&error, None)], Format::Human, streams),
        },
        CheckFormat::Human | CheckFormat::Json => ExitCode::Success,
    }
}

//! `runner render`: the Jobs that would be created, of attempt 1, in file order, handlers last.

use std::collections::BTreeMap;

use model::names::RunId;
use model::report::Report;

use crate::admission::{Admission, preview};
use crate::cli::Render;
use crate::interpolate::Scope;
use crate::manifest::{self, Identity};
use crate::plan::plan;
use crate::report::{ExitCode, Streams, render, show_problems, summary};
use crate::sources::Sources;

/// The run id in rendered Jobs: no run has it.
const RUN_ID: &str = "render";

pub(super) fn run(arguments: Render, streams: Streams) -> ExitCode {
    let Render { file, rules, format, more_params } = arguments;
    let (set, base, params) = match super::rules(rules, more_params, streams) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let sources = Sources::read(&base, &file, params);
    let tell = |report: &Report| {
        streams.words(&show_problems(&report.problems, sources.texts()));
        streams.words(&summary(&report.problems).unwrap_or_default());
    };
    let fail = |error: &dyn std::error::Error| {
        streams.error(error, None);
        ExitCode::Invalid
    };
    let planned = match plan(&sources, &set) {
        Ok(planned) => planned,
        Err(error) => return fail(&error),
    };
    streams.policies(&set);
    let code = ExitCode::from(planned.report.verdict);
    let effective = match planned.effective {
        Some(effective) if code == ExitCode::Success => effective,
        _ => {
            tell(&planned.report);
            return code;
        }
    };
    let run_id = match RUN_ID.parse::<RunId>() {
        Ok(run_id) => run_id,
        Err(error) => return fail(&error),
    };
    let scope = Scope::of_run(effective.workflow(), RUN_ID, host());
    let previews = match preview(&set, &effective, &scope) {
        Ok(Admission::Admitted(previews, report)) => {
            tell(&report);
            previews
        }
        Ok(Admission::Refused(report)) => {
            tell(&report);
            return report.verdict.into();
        }
        Err(error) => return fail(&error),
    };
    let manifests: Vec<_> = previews
        .iter()
        .map(|preview| {
            let identity = Identity {
                run_id: run_id.clone(),
                workflow: effective.workflow().name.clone(),
                step: preview.step().to_owned(),
                attempt: 1,
            };
            manifest::preview(preview, &identity)
        })
        .collect();
    match render(&manifests, format) {
        Ok(text) => streams.data(&text),
        Err(error) => return fail(&std::io::Error::other(error)),
    }
    code
}

/// The environment of this machine, which `env` of the workflow may read.
fn host() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

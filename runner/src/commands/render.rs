//! `runner render`: the Jobs that would be created, of attempt 1, in file order, handlers last.

use model::names::RunId;
use model::report::Report;

use crate::admission::{Admission, preview};
use crate::cli::{Format, Render};
use crate::interpolate::Scope;
use crate::manifest;
use crate::plan::plan_jobs;
use crate::report::{CheckReport, ExitCode, Failed, PolicyInForce, Streams, render, show_problems, summary};
use crate::sources::Sources;

/// The run id in rendered Jobs: no run has it.
const RUN_ID: &str = "render";

pub(super) fn run(arguments: Render, streams: Streams) -> ExitCode {
    let Render { file, rules, format } = arguments;
    let (set, base, params) = match super::rules(rules, format, streams) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let sources = Sources::read(&base, &file, params);
    let tell = |report: &Report| {
        streams.words(&show_problems(&report.problems, sources.texts()));
        streams.words(&summary(&report.problems).unwrap_or_default());
    };
    let refuse = |report: &Report| {
        tell(report);
        if format == Format::Json {
            let policies = PolicyInForce::list(&set);
            let report = CheckReport { version: 1, policies, problems: &report.problems };
            let _ = streams.json(&report);
        }
        ExitCode::from(report.verdict)
    };
    let planned = match plan_jobs(&sources, &set) {
        Ok(planned) => planned,
        Err(error) => return super::unanswered(&error, format, streams),
    };
    streams.policies(&set);
    let code = ExitCode::from(planned.report.verdict);
    let effective = match planned.effective {
        Some(effective) if code == ExitCode::Success => effective,
        _ => return refuse(&planned.report),
    };
    let run_id = match RUN_ID.parse::<RunId>() {
        Ok(run_id) => run_id,
        Err(error) => return super::refuse(vec![Failed::new(&error, None)], format, streams),
    };
    let scope = Scope::of_run(effective.workflow(), RUN_ID, super::host());
    let previews = match preview(&set, &effective, &scope, &run_id) {
        Ok(Admission::Admitted(previews, report)) => {
            tell(&report);
            previews
        }
        Ok(Admission::Refused(report)) => {
            return refuse(&report);
        }
        Err(error) => return super::unanswered(&error, format, streams),
    };
    let manifests: Vec<_> = previews.iter().map(manifest::preview).collect();
    match render(&manifests, format) {
        Ok(text) => code.max(streams.data(&text)),
        Err(error) => super::refuse(vec![Failed::of(error, None)], format, streams),
    }
}

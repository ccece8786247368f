//! `runner check`: every problem of the files.

use crate::cli::{Check, Format};
use crate::plan::plan;
use crate::report::{CheckReport, ExitCode, PolicyInForce, Streams, show_problems, summary};
use crate::sources::{Source, Sources};
use crate::wasm::Role;

pub(super) fn run(arguments: Check, streams: Streams) -> ExitCode {
    let Check { files, rules, format } = arguments;
    let (set, base, params) = match super::rules(rules, format, streams) {
        Ok(rules) => rules,
        Err(code) => return code,
    };
    let mut problems = Vec::new();
    let mut shown: Vec<Source> = Vec::new();
    let mut code = ExitCode::Success;
    for file in files {
        let sources = Sources::read(&base, &file, params.clone());
        let planned = match plan(&sources, &set) {
            Ok(planned) => planned,
            Err(error) => return super::unanswered(&error, format, streams),
        };
        code = code.max(planned.report.verdict.into());
        for problem in planned.report.problems {
            // base.yaml is read with each file; what is wrong with it alone is said once.
            let of_base = sources
                .texts()
                .iter()
                .any(|source| source.role == Role::Base && problem.file.as_deref() == Some(source.name.as_str()));
            if !of_base || !problems.contains(&problem) {
                problems.push(problem);
            }
        }
        shown.extend(sources.texts().iter().cloned());
    }
    match format {
        Format::Json => {
            streams.warnings(&set);
            let report = CheckReport { version: 1, policies: PolicyInForce::list(&set), problems: &problems };
            code.max(streams.json(&report))
        }
        Format::Human => {
            streams.policies(&set);
            let written = streams.coloured(&show_problems(&problems, &shown));
            streams.words(&summary(&problems).unwrap_or_default());
            code.max(written)
        }
    }
}

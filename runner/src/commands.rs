//! One module a command; each reads as its plan. Exit codes come from `report`.

mod begin;
mod check;
mod completions;
mod dry_run;
mod exec;
mod explain;
mod local_cluster;
mod man;
mod rbac;
mod render;
mod runs;
mod schema;

use std::collections::BTreeMap;
use std::path::Path;

use model::names::RunId;

use crate::admission::AdmissionError;
use crate::cli::{Cli, Color, Command, Format, Rules};
use crate::cluster::quoted;
use crate::policy_set::{PolicySet, PolicySetError};
use crate::report::{CheckReport, ExitCode, Failed, Streams};
use crate::sources::Base;

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { color, no_color, command } = cli;
    let streams = Streams::new(if no_color { Color::Never } else { color });
    match command {
        Command::Exec(arguments) => exec::run(*arguments, streams),
        Command::LocalCluster(arguments) => local_cluster::run(arguments, streams),
        Command::Check(arguments) => check::run(arguments, streams),
        Command::Render(arguments) => render::run(arguments, streams),
        Command::Explain(arguments) => explain::run(arguments, streams),
        Command::Runs { command } => runs::run(command, streams),
        Command::Rbac(arguments) => rbac::run(arguments, streams),
        Command::Schema => schema::run(streams),
        Command::Completions { shell } => completions::run(shell, streams),
        Command::Man { folder } => man::run(folder.as_deref(), streams),
    }
}

/// What the shared options mean: the rules in force, base.yaml, and the parameters. A failure is told.
fn rules(rules: Rules, format: Format, streams: Streams) -> Result<(PolicySet, Base, Vec<String>), ExitCode> {
    in_force(rules).map_err(|failures| refuse(failures, format, streams))
}

/// The same, and a failure is handed back.
fn in_force(rules: Rules) -> Result<(PolicySet, Base, Vec<String>), Vec<Failed>> {
    let Rules { policies, base, mut params, more_params } = rules;
    params.extend(more_params);
    let set = PolicySet::load(&policies).map_err(|error| failures(&error))?;
    Ok((set, Base::new(base), params))
}

/// The command that takes a run up again.
fn resume_command(run: &RunId, state_dir: Option<&Path>) -> String {
    let state_dir = state_dir.map(|folder| format!(" --state-dir {}", quoted(&folder.display().to_string())));
    format!("runner runs resume {run}{}", state_dir.unwrap_or_default())
}

/// What runs the waiting of a command.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build()
}

/// The environment of this machine, which `env` of the workflow may read.
fn host() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Why the rules cannot be put in force: all reasons.
fn failures(error: &PolicySetError) -> Vec<Failed> {
    match error {
        PolicySetError::Load(failures) => failures.iter().map(|failure| Failed::new(failure, failure.help())).collect(),
        PolicySetError::SameName { .. } => {
            vec![Failed::new(error, Some("give each policy a name of its own, or leave one of the two out"))]
        }
        PolicySetError::Engine(_) => vec![Failed::new(error, None)],
    }
}

/// The rules were asked and gave no usable answer.
fn unanswered(error: &AdmissionError, format: Format, streams: Streams) -> ExitCode {
    refuse(vec![Failed::new(error, error.help())], format, streams)
}

/// Tells why nothing could be judged: in words, and for programs as problems.
fn refuse(failures: Vec<Failed>, format: Format, streams: Streams) -> ExitCode {
    for failure in &failures {
        streams.error(failure);
    }
    if format == Format::Json {
        let problems: Vec<_> = failures.into_iter().map(Failed::problem).collect();
        return ExitCode::Invalid.max(streams.json(&CheckReport {
            version: 1,
            policies: Vec::new(),
            problems: &problems,
        }));
    }
    ExitCode::Invalid
}

//! One module a command; each reads as its plan. Exit codes come from `report`.

mod check;
mod completions;
mod explain;
mod render;
mod schema;

use crate::cli::{Cli, Command, Rules};
use crate::policy_set::{PolicySet, PolicySetError};
use crate::report::{ExitCode, Streams};
use crate::sources::Base;

/// Runs a command.
pub fn run(cli: Cli) -> ExitCode {
    let Cli { color, command } = cli;
    let streams = Streams::new(color);
    match command {
        Command::Check(arguments) => check::run(arguments, streams),
        Command::Render(arguments) => render::run(arguments, streams),
        Command::Explain(arguments) => explain::run(arguments, streams),
        Command::Schema => schema::run(streams),
        Command::Completions { shell } => completions::run(shell, streams),
    }
}

/// What the shared options mean: the rules in force, base.yaml, and the parameters. A failure is told.
fn rules(rules: Rules, more_params: Vec<String>, streams: Streams) -> Result<(PolicySet, Base, Vec<String>), ExitCode> {
    let Rules { policies, base, mut params } = rules;
    params.extend(more_params);
    let set = PolicySet::load(&policies).map_err(|error| refuse(&error, streams))?;
    Ok((set, Base::new(base), params))
}

fn refuse(error: &PolicySetError, streams: Streams) -> ExitCode {
    match error {
        PolicySetError::Load(failures) => {
            for failure in failures {
                streams.error(failure, failure.help());
            }
        }
        PolicySetError::SameName { .. } => {
            streams.error(error, Some("give each policy a name of its own, or leave one of the two out"));
        }
        PolicySetError::Engine(_) => streams.error(error, None),
    }
    ExitCode::Invalid
}

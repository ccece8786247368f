//! Suites: each has a name, what it needs on this machine, and a run.
//!
//! A suite whose needs are not met is left out, loudly. One that fails does not stop the others: all failures are seen
//! in one go.

use std::time::Instant;

use anyhow::{Result, bail};

use crate::{command, report, workspace::Workspace};

/// One thing to check.
pub(crate) struct Suite {
    /// As `--only` calls it.
    pub(crate) name: &'static str,
    /// What it looks at.
    pub(crate) about: &'static str,
    /// Whether its tools are here.
    pub(crate) needs: fn(&Workspace) -> Result<(), Missing>,
    /// Does it.
    pub(crate) run: fn(&Workspace) -> Result<()>,
}

/// Why a suite cannot run here.
#[derive(Debug)]
pub(crate) struct Missing {
    /// What is not there.
    pub(crate) reason: String,
    /// How to get it.
    pub(crate) get: String,
    /// Continuous integration goes on without it: not every machine can have it, whatever is installed there.
    pub(crate) is_excused: bool,
}

/// Which suites to run.
#[derive(Debug, clap::Args)]
pub(crate) struct Selection {
    /// Only the suite of this name; repeatable
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
}

/// How a suite ended.
enum Outcome {
    Passed,
    Failed(anyhow::Error),
    LeftOut(Missing),
}

/// Runs the selected suites in their order.
///
/// # Errors
/// When one failed; with `CI=true` also when one was left out.
pub(crate) fn run(suites: &[Suite], selection: &Selection, workspace: &Workspace) -> Result<()> {
    let names = || suites.iter().map(|suite| suite.name).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = selection.only.iter().find(|name| !suites.iter().any(|suite| suite.name == **name)) {
        bail!("no suite is called `{unknown}`\nhelp: the suites are {}", names());
    }
    let results: Vec<_> = suites
        .iter()
        .filter(|suite| selection.only.is_empty() || selection.only.iter().any(|name| name == suite.name))
        .map(|suite| {
            report::step(&format!("{}: {}", suite.name, suite.about));
            let start = Instant::now();
            let outcome = match (suite.needs)(workspace) {
                Err(missing) => Outcome::LeftOut(missing),
                Ok(()) => (suite.run)(workspace).map_or_else(Outcome::Failed, |()| Outcome::Passed),
            };
            if let Outcome::Failed(error) = &outcome {
                report::failure(error);
            }
            (suite, outcome, start.elapsed())
        })
        .collect();

    report::step("summary");
    for (suite, outcome, time) in &results {
        report::row(&format!("{:20} {:10} {:7.1} s", suite.name, outcome.word(), time.as_secs_f64()));
    }
    for (suite, outcome, _) in &results {
        if let Outcome::LeftOut(Missing { reason, get, .. }) = outcome {
            report::left_out(suite.name, reason, get);
        }
    }
    // A green run in continuous integration must mean that everything was looked at.
    let strict = std::env::var("CI").is_ok_and(|value| value == "true");
    let bad: Vec<_> =
        results.iter().filter(|(_, outcome, _)| outcome.is_bad(strict)).map(|(suite, ..)| suite.name).collect();
    if bad.is_empty() { Ok(()) } else { bail!("not passed: {}", bad.join(", ")) }
}

/// Need of a suite that uses a cargo subcommand.
pub(crate) fn subcommand(name: &str, get: &str) -> Result<(), Missing> {
    if command::succeeds(command::cargo().args([name, "--version"])) {
        return Ok(());
    }
    Err(Missing { reason: format!("`cargo {name}` is not installed"), get: get.to_owned(), is_excused: false })
}

/// Need of a suite that takes only what building takes.
pub(crate) fn nothing(_: &Workspace) -> Result<(), Missing> {
    Ok(())
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed(_) => "FAILED",
            Self::LeftOut(_) => "left out",
        }
    }

    fn is_bad(&self, strict: bool) -> bool {
        match self {
            Self::Passed => false,
            Self::Failed(_) => true,
            Self::LeftOut(missing) => strict && !missing.is_excused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_strict_run_minds_what_was_left_out() {
        let left_out = |is_excused| Outcome::LeftOut(Missing { reason: String::new(), get: String::new(), is_excused });
        assert!(!left_out(false).is_bad(false));
        assert!(left_out(false).is_bad(true));
        assert!(!left_out(true).is_bad(true));
        for strict in [false, true] {
            assert!(!Outcome::Passed.is_bad(strict));
            assert!(Outcome::Failed(anyhow::anyhow!("x")).is_bad(strict));
        }
    }
}

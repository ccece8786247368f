//! `cargo xtask test`: the checks, then all tests. `cargo xtask bless`: the tests, writing golden files.

use anyhow::Result;

use crate::{
    check, command, report,
    suite::{self, Selection, Suite},
    workspace::Workspace,
};

/// What comes after the checks.
const SUITES: [Suite; 1] = [Suite {
    name: "tests",
    about: "unit tests, doc tests, corpus, command line, hostile components, house rules",
    needs: suite::nothing,
    run: |workspace| command::run(&mut cargo_test(workspace)),
}];

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    #[command(flatten)]
    selection: Selection,
}

impl Test {
    /// Runs the checks and the tests.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { selection } = self;
        let suites: Vec<_> = check::SUITES.into_iter().chain(SUITES).collect();
        suite::run(&suites, &selection, workspace)
    }
}

/// Runs the tests so that they write their golden files.
pub(crate) fn bless(workspace: &Workspace) -> Result<()> {
    command::run(cargo_test(workspace).env("BLESS", "1"))?;
    report::note("look at the difference before you commit it: `git diff`");
    Ok(())
}

fn cargo_test(workspace: &Workspace) -> std::process::Command {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--workspace", "--locked", "--no-fail-fast"]);
    cargo
}

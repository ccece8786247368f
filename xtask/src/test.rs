//! `cargo xtask test`: the checks, then all tests. `cargo xtask bless`: the tests, writing golden files.

use anyhow::Result;

use crate::{
    check, command, end_to_end, kubernetes, report,
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

/// What comes last, when it is asked for: nothing else is built meanwhile.
const KUBERNETES: Suite = Suite {
    name: "kubernetes",
    about: "the end-to-end suite on a real Kubernetes",
    needs: |_| kubernetes::can_run(),
    run: |workspace| {
        kubernetes::with_cluster(workspace, |kubeconfig, restart| {
            end_to_end::run(workspace, kubeconfig, Some(restart), &[])
        })
    },
};

/// Options of `test`.
#[derive(Debug, clap::Args)]
pub(crate) struct Test {
    /// Also the end-to-end suite on a real Kubernetes: on the cluster of `kubernetes up`, or on one that goes again
    #[arg(long)]
    kubernetes: bool,
    #[command(flatten)]
    selection: Selection,
}

impl Test {
    /// Runs the checks and the tests.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { kubernetes, selection } = self;
        let suites: Vec<_> = check::SUITES.into_iter().chain(SUITES).chain(kubernetes.then_some(KUBERNETES)).collect();
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

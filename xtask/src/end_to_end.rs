//! `cargo xtask e2e`: the end-to-end suite on a real cluster. On the embedded one `cargo xtask test` runs it.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::{command, workspace::Workspace};

/// Options of `e2e`.
#[derive(Debug, clap::Args)]
pub(crate) struct EndToEnd {
    /// Kubeconfig of somebody who may do everything, on a cluster whose node sees the files of this machine
    #[arg(long, value_name = "FILE")]
    kubeconfig: PathBuf,
    /// Shell command that restarts the API server; without it the test that needs it fails
    #[arg(long, value_name = "COMMAND")]
    restart_apiserver: Option<String>,
    /// For the suite: a part of a test's name, `--skip NAME`, `--list`
    #[arg(last = true)]
    arguments: Vec<String>,
}

impl EndToEnd {
    /// Runs the suite.
    pub(crate) fn run(self, workspace: &Workspace) -> Result<()> {
        let Self { kubeconfig, restart_apiserver, arguments } = self;
        run(workspace, &kubeconfig, restart_apiserver.as_deref(), &arguments)
    }
}

/// Runs the suite on the cluster that a kubeconfig names.
///
/// # Errors
/// When there is no such file, or a test failed.
pub(crate) fn run(
    workspace: &Workspace,
    kubeconfig: &Path,
    restart_apiserver: Option<&str>,
    arguments: &[String],
) -> Result<()> {
    if !kubeconfig.is_file() {
        bail!("there is no kubeconfig `{}`", kubeconfig.display());
    }
    let kubeconfig = std::path::absolute(kubeconfig).context("the kubeconfig has no absolute path")?;
    // The suite runs the program that was built beside it.
    command::run(workspace.cargo().args(["build", "--locked", "-p", "runner"]))?;
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "-p", "tests", "--test", "e2e", "--"]).args(arguments);
    cargo.env("RUNNER_TEST_KUBECONFIG", kubeconfig);
    if let Some(command) = restart_apiserver {
        cargo.env("RUNNER_TEST_RESTART_APISERVER", command);
    }
    command::run(&mut cargo)
}

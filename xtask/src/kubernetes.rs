//! `cargo xtask kubernetes`: a real Kubernetes of one node on this machine, for the tests that must not believe our own.
//!
//! Its parts are processes of this machine, each recorded in the cluster's folder. They outlive xtask and hold nothing of
//! its caller's. `tests/kubernetes/README.md` says what is where and what is left out. Nothing here installs anything: a
//! machine that lacks something is told what, and the exit code is [`Unable::EXIT_CODE`].

mod binary;
mod cluster;
mod configuration;
mod machine;
mod network;
mod part;
mod process;
mod status;
mod teardown;
mod up;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result, anyhow, bail};
use clap::ValueEnum;
use etcetera::BaseStrategy;
use rustix::process::Signal;

use crate::{report, suite::Missing, workspace::Workspace};
use cluster::{Cluster, Held};
use machine::Machine;
use part::Part;
use status::Status;

/// How long a part may take to end when asked to; then it is killed. An API server that is asked to end takes no new
/// connections and keeps the open ones, with their watches, for a minute: tests see the first part of that.
const GRACE: Duration = Duration::from_secs(10);

/// Options of `kubernetes`.
#[derive(Debug, clap::Args)]
pub(crate) struct Kubernetes {
    /// Where the cluster keeps everything [default: `runner-kubernetes` in the XDG state folder]
    #[arg(long, global = true, value_name = "FOLDER")]
    folder: Option<PathBuf>,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Bring the cluster up and print the path of its kubeconfig; what already runs stays
    Up,
    /// End all its processes and remove all it made on this machine
    Down,
    /// Say which parts run, since when, and how the node is
    Status {
        /// For people or for programs
        #[arg(long, value_enum, default_value_t = Format::Text)]
        format: Format,
    },
    /// End one part
    Stop {
        part: Part,
        /// As a crash would: SIGKILL
        #[arg(long)]
        kill: bool,
    },
    /// Start a part that does not run, and wait until it is well
    Start { part: Part },
    /// End one part and start it again
    Restart {
        part: Part,
        /// As a crash would: SIGKILL
        #[arg(long)]
        kill: bool,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Format {
    /// A table
    Text,
    /// One JSON document
    Json,
}

/// This machine cannot run a Kubernetes: not a failure of what was to be tested.
#[derive(Debug)]
pub(crate) struct Unable(Missing);

impl Unable {
    /// What test suites exit with that were skipped (automake, meson): continuous integration tells it from a failure.
    pub(crate) const EXIT_CODE: u8 = 77;

    /// Says so, in one line.
    pub(crate) fn report(&self) {
        report::left_out("kubernetes", &self.0.reason, &self.0.get);
    }
}

impl std::fmt::Display for Unable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "this machine cannot run a Kubernetes: {}", self.0.reason)
    }
}

impl std::error::Error for Unable {}

impl Kubernetes {
    /// Does the action.
    pub(crate) fn run(self) -> Result<()> {
        let Self { folder, action } = self;
        let folder = folder.map_or_else(default_folder, Ok)?;
        let folder = std::path::absolute(&folder).with_context(|| format!("`{}`", folder.display()))?;
        match action {
            Action::Up => {
                let machine = Machine::inspect().map_err(Unable)?;
                up::run(&Workspace::open()?, &machine, &folder)
            }
            Action::Down => down(&folder),
            Action::Status { format } => status(&folder, format),
            Action::Stop { part, kill } => {
                let (cluster, _held) = existing(&folder)?;
                stop(&cluster, part, kill)
            }
            Action::Start { part } => {
                let (cluster, _held) = existing(&folder)?;
                up::start(&cluster, part)
            }
            Action::Restart { part, kill } => {
                let (cluster, _held) = existing(&folder)?;
                stop(&cluster, part, kill)?;
                up::start(&cluster, part)
            }
        }
    }
}

/// Whether this machine runs a cluster, or can.
///
/// # Errors
/// What is missing.
pub(crate) fn can_run() -> Result<(), Missing> {
    Machine::inspect().map(drop)
}

/// Does something with a cluster: the one that is up, or one that comes for it and goes again. It is given the kubeconfig
/// and the shell command that restarts the API server.
pub(crate) fn with_cluster(workspace: &Workspace, use_it: impl FnOnce(&Path, &str) -> Result<()>) -> Result<()> {
    let folder = default_folder()?;
    let was_there = Cluster::open(&folder)?.is_some();
    let machine = Machine::inspect().map_err(Unable)?;
    let used = up::run(workspace, &machine, &folder).and_then(|()| {
        let cluster = Cluster::open(&folder)?.context("the cluster is gone")?;
        let xtask = std::env::current_exe().context("xtask does not know its own path")?;
        let restart = format!("'{}' kubernetes restart apiserver", xtask.display());
        use_it(&cluster.kubeconfig(), &restart)
    });
    if was_there {
        return used;
    }
    match (used, down(&folder)) {
        (Ok(()), ended) => ended,
        (failed, Ok(())) => failed,
        (failed, Err(error)) => {
            report::failure(&error);
            failed
        }
    }
}

fn default_folder() -> Result<PathBuf> {
    let strategy = etcetera::choose_base_strategy().context("no folder to keep a cluster in")?;
    let state = strategy.state_dir().unwrap_or_else(|| strategy.data_dir());
    Ok(state.join("runner-kubernetes"))
}

fn existing(folder: &Path) -> Result<(Cluster, Held)> {
    let missing = || anyhow!("no cluster in `{}`\nhelp: `cargo xtask kubernetes up` makes one", folder.display());
    if Cluster::open(folder)?.is_none() {
        return Err(missing());
    }
    let held = Held::wait(folder)?;
    Ok((Cluster::open(folder)?.ok_or_else(missing)?, held))
}

fn down(folder: &Path) -> Result<()> {
    if !folder.exists() {
        report::note(&format!("no cluster in `{}`", folder.display()));
        return Ok(());
    }
    let _held = Held::wait(folder)?;
    teardown::run(folder, teardown::Folder::Remove)?;
    report::note(&format!("removed `{}` and all that belonged to it", folder.display()));
    Ok(())
}

fn status(folder: &Path, format: Format) -> Result<()> {
    let status = Cluster::open(folder)?.map(|cluster| Status::of(&cluster));
    match (format, status) {
        (Format::Json, status) => report::answer(&serde_json::to_string_pretty(&status)?),
        (Format::Text, Some(status)) => report::answer(&status.table()),
        (Format::Text, None) => report::answer(&format!("no cluster in `{}`", folder.display())),
    }
    Ok(())
}

fn stop(cluster: &Cluster, part: Part, kill: bool) -> Result<()> {
    let Some(process) = cluster.process(part).filter(process::Process::is_running) else {
        report::note(&format!("{part} does not run"));
        return Ok(());
    };
    let signals = if kill { &[Signal::KILL][..] } else { &[Signal::TERM, Signal::KILL] };
    for signal in signals {
        process.signal(*signal);
        if process.has_ended(GRACE) {
            return Ok(());
        }
    }
    bail!("{part} (pid {}) does not end", process.pid)
}

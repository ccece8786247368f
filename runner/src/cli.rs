//! What the user may type: clap types and nothing else. What it means is in `commands/`.

mod pages;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
pub use clap_complete::Shell;

pub use pages::{Page, man_pages};

/// Runs workflow steps on Kubernetes, under your organisation's own rules.
#[derive(Debug, Parser)]
#[command(name = "runner", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// When to use colours; without it on terminals only, and never when NO_COLOR is set.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// The same as `--color never`.
    #[arg(long, global = true, conflicts_with = "color")]
    pub no_color: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless NO_COLOR is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the steps of a workflow file as Kubernetes Jobs.
    ///
    /// Exit codes: 0 succeeded; 1 a step failed; 2 invalid file or usage, nothing ran; 3 denied by a policy; 4 no usable
    /// cluster, nothing ran; 130, 143 interrupted; 131 detached with Ctrl-\: `runs resume` takes the run up again.
    Exec(Box<Exec>),
    /// Show every problem of workflow files: exit 0 when there is none, 2 invalid, 3 denied by a policy.
    Check(Check),
    /// Print the Jobs that would be created, without a cluster.
    Render(Render),
    /// Print the effective config of a step, each value with the layer it comes from.
    Explain(Explain),
    /// Look at past and running runs, take them up again, stop them, clear up after them.
    Runs {
        /// What to do.
        #[command(subcommand)]
        command: Runs,
    },
    /// Print the Role that a run needs, with its ServiceAccount and binding: pipe it to `kubectl apply -f -`.
    Rbac(Rbac),
    /// Print the JSON Schema of the workflow file, for editors.
    Schema,
    /// Serve the embedded cluster on loopback until SIGTERM or Ctrl-C; the first line is the path of a kubeconfig.
    LocalCluster(LocalCluster),
    /// Print the completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
    },
    /// Print the manual page, or write the pages of all commands into a folder.
    Man {
        /// Folder for the pages, as `runner-exec.1`; it is made when it is missing [default: print `runner.1`]
        #[arg(value_name = "DIR")]
        folder: Option<PathBuf>,
    },
}

/// Which rules are in force and what the file is read with.
#[derive(Debug, Args)]
pub struct Rules {
    /// Policy component that must admit every step; repeatable.
    #[arg(long = "policy", value_name = "PATH")]
    pub policies: Vec<PathBuf>,
    /// Defaults that lie under the workflow file [default: runner/base.yaml in the configuration folder, when it exists]
    #[arg(long, value_name = "FILE")]
    pub base: Option<PathBuf>,
    /// Parameter of the workflow; repeatable.
    #[arg(short = 'p', long = "param", value_name = "NAME=VALUE")]
    pub params: Vec<String>,
    /// Further parameters: NAME=VALUE, or positional ones.
    #[arg(last = true, value_name = "PARAM")]
    pub more_params: Vec<String>,
}

/// `runner exec`.
#[derive(Debug, Args)]
pub struct Exec {
    /// Workflow file; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Rules in force.
    #[command(flatten)]
    pub rules: Rules,
    /// Run on an embedded cluster, whose containers are processes of this machine.
    #[arg(long, conflicts_with_all = ["kubeconfig", "context"])]
    pub local: bool,
    /// Manifests of Secrets and ConfigMaps that the embedded cluster shall have.
    #[arg(long, value_name = "FILE", requires = "local")]
    pub local_objects: Option<PathBuf>,
    /// Kubeconfig of the cluster [default: what the config names, else KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context in the kubeconfig [default: what the config names, else its current context]
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// Id of the run: 1 to 64 letters, digits, `-`, `_` [default: a new UUID]
    #[arg(long, value_name = "ID")]
    pub run_id: Option<String>,
    /// Steps that run at once; 0: no limit [default: `max_active_steps` of the file]
    #[arg(long, value_name = "N")]
    pub max_active: Option<usize>,
    /// End with the exit code of this step instead of 0 or 1.
    #[arg(long, value_name = "STEP")]
    pub exit_code_from: Option<String>,
    /// Run this step alone: neither the others, nor handlers; what it depends on counts as done. Repeatable.
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
    /// Show the Jobs and create none: `client` asks the rules, `server` the API server too.
    #[arg(long, value_enum, value_name = "BY")]
    pub dry_run: Option<DryRun>,
    /// How long to wait for something, as `pull=5m`; repeatable. Kinds: api, pod, schedule, pull, config, mount, sidecar,
    /// job, node, silence, drain, delete, cleanup.
    #[arg(long = "wait", value_name = "KIND=DURATION")]
    pub waits: Vec<String>,
    /// How it is shown.
    #[command(flatten)]
    pub shown: Shown,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
}

/// Who is asked about Jobs that are not created.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// The rules of the file and the policies.
    Client,
    /// Those, and the API server, with `dryRun=All`.
    Server,
}

/// How a run is shown.
#[derive(Debug, Args)]
pub struct Shown {
    /// What to show: a live tree on a terminal and lines elsewhere, lines, or a JSON object for each event.
    #[arg(long, value_enum, default_value_t = Output::Auto)]
    pub output: Output,
    /// Show the end of the run only.
    #[arg(long, short)]
    pub quiet: bool,
    /// Write a JUnit report when the run has ended: a test for each step.
    #[arg(long, value_name = "FILE")]
    pub junit: Option<PathBuf>,
}

/// `runner rbac`.
#[derive(Debug, Args)]
pub struct Rbac {
    /// Workflow file: only the rights and namespaces that it needs [default: all that a run may need]
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Namespace in which Jobs are made; repeatable [default: those of the file, else `default`]
    #[arg(short, long = "namespace", value_name = "NAMESPACE")]
    pub namespaces: Vec<String>,
    /// Service account that gets the rights; without its namespace it is in the first one.
    #[arg(long, value_name = "[NAMESPACE:]NAME", default_value = "runner")]
    pub service_account: String,
    /// Rules in force.
    #[command(flatten)]
    pub rules: Rules,
}

/// `runner runs`.
#[derive(Debug, Subcommand)]
pub enum Runs {
    /// Show all runs, newest first: id, workflow, status, when it began, how long it took.
    List(RunsList),
    /// Show the steps of a run: how each ended, why, and what was left in the cluster.
    Show(RunsShow),
    /// Print the logs of a run; those of one step as they were stored, byte for byte.
    Logs(RunsLogs),
    /// Take up a run whose process died or was detached, or of which nobody knows how some steps ended.
    ///
    /// Steps that have ended stay as they are, Jobs that are there are found again. Exit codes: those of `exec`.
    Resume(RunsResume),
    /// Stop a run: its process if that lives, else its Jobs.
    Cancel(RunsCancel),
    /// Delete what runs without a process have left in clusters, then the folders of old runs.
    Gc(RunsGc),
}

/// Where the state of runs is.
#[derive(Debug, Args)]
pub struct State {
    /// Folder for the state of runs: journals and logs [default: runner in the user's state folder]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `runner runs list`.
#[derive(Debug, Args)]
pub struct RunsList {
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// `runner runs show`.
#[derive(Debug, Args)]
pub struct RunsShow {
    /// Id of the run.
    #[arg(value_name = "ID")]
    pub run: String,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// `runner runs logs`.
#[derive(Debug, Args)]
pub struct RunsLogs {
    /// Id of the run.
    #[arg(value_name = "ID")]
    pub run: String,
    /// Only this step; its log is printed as it was stored.
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
    /// Only this attempt, from 1 [default: the last one]
    #[arg(long, value_name = "N", requires = "step")]
    pub attempt: Option<u32>,
    /// Go on while the run does.
    #[arg(long, short)]
    pub follow: bool,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
}

/// `runner runs resume`.
#[derive(Debug, Args)]
pub struct RunsResume {
    /// Id of the run.
    #[arg(value_name = "ID")]
    pub run: String,
    /// Where a policy of the run is now, if it was moved; repeatable. It is known by its digest.
    #[arg(long = "policy", value_name = "PATH")]
    pub policies: Vec<PathBuf>,
    /// How long to wait for something, as `pull=5m`, instead of what the run began with; repeatable.
    #[arg(long = "wait", value_name = "KIND=DURATION")]
    pub waits: Vec<String>,
    /// How it is shown.
    #[command(flatten)]
    pub shown: Shown,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
}

/// `runner runs cancel`.
#[derive(Debug, Args)]
pub struct RunsCancel {
    /// Id of the run.
    #[arg(value_name = "ID")]
    pub run: String,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
}

/// `runner runs gc`.
#[derive(Debug, Args)]
pub struct RunsGc {
    /// Only these runs, however old [default: all that are old enough]
    #[arg(value_name = "ID")]
    pub runs: Vec<String>,
    /// Only runs in which nothing happened for so long, as `36h`.
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    pub older_than: String,
    /// Show what would be deleted, and delete nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Delete also Jobs that steps wanted to keep.
    #[arg(long)]
    pub kept: bool,
    /// Where runs are.
    #[command(flatten)]
    pub state: State,
}

/// What `exec` shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A live tree on a terminal, lines elsewhere.
    Auto,
    /// Lines.
    Plain,
    /// One JSON object a line.
    Json,
}

/// `runner local-cluster`.
#[derive(Debug, Args)]
pub struct LocalCluster {
    /// Port on loopback; 0: a free one.
    #[arg(long, default_value_t = 0, value_name = "PORT")]
    pub port: u16,
    /// Manifests of Secrets and ConfigMaps that the cluster shall have.
    #[arg(long, value_name = "FILE")]
    pub local_objects: Option<PathBuf>,
    /// Folder for the state of the cluster [default: runner in the user's state folder]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// `runner check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Workflow files; `-` reads standard input.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Rules in force.
    #[command(flatten)]
    pub rules: Rules,
    /// How to print.
    #[arg(long, value_enum, default_value_t = CheckFormat::Human)]
    pub format: CheckFormat,
}

/// How `check` prints. All but `human` are documents: standard output holds one and nothing else, at every exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CheckFormat {
    /// For people.
    Human,
    /// For programs: standard output holds the JSON and nothing else.
    Json,
    /// For code scanning and editors: a SARIF 2.1.0 log.
    Sarif,
    /// For GitHub Actions: workflow commands, shown at the lines of a change.
    Github,
    /// For the test reports of CI systems: JUnit XML; an error is a failed test, a warning the output of a passed one.
    Junit,
}

/// `runner render`.
#[derive(Debug, Args)]
pub struct Render {
    /// Workflow file; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Rules in force.
    #[command(flatten)]
    pub rules: Rules,
    /// How to print: YAML documents, or one JSON list.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// `runner explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// Workflow file; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only this step, by name or id.
    #[arg(value_name = "STEP")]
    pub step: Option<String>,
    /// Only this field of its config, as `env[0].value`; its value is printed first.
    #[arg(value_name = "FIELD", requires = "step")]
    pub field: Option<String>,
    /// Rules in force.
    #[command(flatten)]
    pub rules: Rules,
    /// How to print.
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// For programs: standard output holds the JSON and nothing else.
    Json,
}

/// Reads the arguments of this process. Help, version and mistakes end it: 0, 0, 2.
pub fn parse() -> Cli {
    Cli::parse()
}

/// The completion script for a shell.
pub fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "runner", &mut script);
    script
}

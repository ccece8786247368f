//! What the user may type: clap types and nothing else. What it means is in `commands/`.

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};
pub use clap_complete::Shell;

/// Runs workflow steps on Kubernetes, under your organisation's own rules.
#[derive(Debug, Parser)]
#[command(name = "runner", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Cli {
    /// When to use colours; without it on terminals only, and never when NO_COLOR is set.
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
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
    /// Show every problem of workflow files: exit 0 when there is none, 2 invalid, 3 denied by a policy.
    Check(Check),
    /// Print the Jobs that would be created, without a cluster.
    Render(Render),
    /// Print the effective config of a step, each value with the layer it comes from.
    Explain(Explain),
    /// Print the JSON Schema of the workflow file, for editors.
    Schema,
    /// Print the completion script for a shell.
    Completions {
        /// The shell.
        shell: Shell,
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
    #[arg(long, value_enum, default_value_t = Format::Human)]
    pub format: Format,
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

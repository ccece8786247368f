//! The workflow file: its keys, and the workflow that reading it gives.
//!
//! The tables name every key that is known; [`Workflow`] holds what the program acts on: every text as
//! written, variables not yet put in. What a file does not say is absent; defaults are the program's.

mod attempts;
mod condition;
mod keys;
mod parameter;
mod secret;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::layer::Position;
use crate::problem::CoreProblem;

pub use attempts::{ContinueOn, Count, Repeat, RepeatPolicy, RetryPolicy};
pub use condition::{Condition, PATTERN_PREFIX};
pub use keys::*;
pub use parameter::{Definition, Parameter, ParameterType};
pub use secret::{Secret, SecretOptions, SecretProvider};

/// A workflow: what runs, in file order.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Workflow {
    /// Name: 1 to 40 letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// What it is for, shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Group it is shown in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Data about the run, shown, recorded and given to policies; an entry of a mapping is `key=value`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<String>,
    /// Order of the steps.
    #[serde(rename = "type")]
    pub workflow_type: WorkflowType,
    /// Parameters with the values of this run, in file order, positional ones first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Parameter>,
    /// Variables of `env`, unresolved, base.yaml first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// Files with variables, base.yaml's first; absent: the file says nothing, `[]`: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dotenv: Option<Vec<String>>,
    /// Secrets, fetched before the first step.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<Secret>,
    /// Constants, reached as `${consts.NAME}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub consts: BTreeMap<String, String>,
    /// Conditions for the whole run: all must be met.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub preconditions: Vec<Condition>,
    /// Steps that run at once; 0: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_steps: Option<u64>,
    /// Seconds for the whole run without handlers; 0: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<u64>,
    /// Seconds between the stop signal and the kill of a command step.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clean_up_time_sec: Option<u64>,
    /// Bytes of captured output.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_size: Option<u64>,
    /// Folder of command steps, and base of relative paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Shell of command steps as words, the program first; empty: the file names none.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Arguments that follow `shell`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shell_args: Vec<String>,
    /// Folder of log files.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_dir: Option<String>,
    /// How the streams of command steps are logged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub log_output: Option<LogOutput>,
    /// Days that ended runs are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hist_retention_days: Option<u64>,
    /// Number of ended runs that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hist_retention_runs: Option<u64>,
    /// The steps, in file order.
    pub steps: Vec<Step>,
    /// The handlers, in the order in which they would run.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub handlers: Vec<Step>,
}

impl Workflow {
    /// Steps in file order, then handlers.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.handlers)
    }

    /// The step or handler with this name or id.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.all_steps().find(|step| step.name == name || step.id.as_deref() == Some(name))
    }

    /// A problem for each parameter that is required and has no value: in the way of a run, not of a check.
    pub fn missing_parameters(&self) -> Vec<CoreProblem> {
        self.params.iter().filter_map(Parameter::missing).collect()
    }
}

/// Order of the steps of a workflow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum WorkflowType {
    /// A step starts when everything in its `depends` allows it.
    #[default]
    Graph,
    /// Each step waits for the one before it.
    Chain,
}

/// How the streams of a command step are logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum LogOutput {
    /// One log file.
    Merged,
    /// stderr in a file of its own.
    Separate,
}

/// A variable and its unresolved text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Variable {
    /// Its name.
    pub name: String,
    /// Its text, as written.
    pub value: String,
}

/// One step or handler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Step {
    /// Its id, for `depends` and `${id.…}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What it is for, shown to people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its unique name; `onInit`, `onSuccess`, `onFailure`, `onAbort`, `onExit` for handlers.
    pub name: String,
    /// Where it runs.
    pub kind: StepKind,
    /// What it runs; absent: the image's own entry point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub command: Option<Command>,
    /// Names of the steps it waits for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub depends: Vec<String>,
    /// Variables of its own, unresolved; those of `defaults` come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
    /// Conditions that are asked before its first attempt, all must be met; those of `defaults` come first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub preconditions: Vec<Condition>,
    /// Outcomes that do not stop those that depend on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continue_on: Option<ContinueOn>,
    /// Further attempts after a failure; absent for a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_policy: Option<RetryPolicy>,
    /// Further executions after an end; absent for a handler.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeat_policy: Option<RepeatPolicy>,
    /// Seconds for one attempt; 0: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_sec: Option<u64>,
    /// Name of the variable that captures its output, without `$`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// File that gets a copy of the log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdout: Option<String>,
    /// File that gets a copy of the error stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stderr: Option<String>,
    /// How its streams are logged, of a command step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log_output: Option<LogOutput>,
    /// Folder of a command step, and base of its relative paths.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub working_dir: Option<String>,
    /// Shell of a command step as words, the program first; empty: the step names none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell: Vec<String>,
    /// Arguments that follow `shell`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shell_args: Vec<String>,
    /// First signal a command step gets, as `SIGTERM`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signal_on_stop: Option<String>,
    /// Its place in the workflow file, as `steps[0]`.
    pub path: String,
    /// Where it stands.
    pub position: Position,
    /// The place of its config, as `steps[0].config`; absent: it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_path: Option<String>,
    /// Indexes of the layers of its config, lowest first; empty for a command step.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranks: Vec<u32>,
}

impl Step {
    /// A step of which nothing but this is known.
    pub fn new(name: impl Into<String>, kind: StepKind, path: impl Into<String>, position: Position) -> Step {
        Step {
            id: None,
            description: None,
            name: name.into(),
            kind,
            command: None,
            depends: Vec::new(),
            env: Vec::new(),
            preconditions: Vec::new(),
            continue_on: None,
            retry_policy: None,
            repeat_policy: None,
            timeout_sec: None,
            output: None,
            stdout: None,
            stderr: None,
            log_output: None,
            working_dir: None,
            shell: Vec::new(),
            shell_args: Vec::new(),
            signal_on_stop: None,
            path: path.into(),
            position,
            config_path: None,
            ranks: Vec::new(),
        }
    }
}

/// Where a step runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// As a Kubernetes Job.
    Kubernetes,
    /// As a process on the machine of the runner.
    Command,
}

/// What a step runs, as written: variables are put in just before each attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Program and arguments; each word is interpolated on its own.
    Argv(Vec<String>),
    /// Text for the shell of a command step.
    Shell(String),
    /// Text of a script file of a command step.
    Script(String),
}

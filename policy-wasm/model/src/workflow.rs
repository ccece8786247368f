//! The workflow file: its keys, and the workflow that reading it gives.
//!
//! The tables name every key that is known, so that a misspelt one is found; `Workflow` holds what the program acts on.
//! The Kubernetes block is in [`crate::config`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::config::{CONFIG, EffectiveConfig};
use crate::field::{Kind, Word, fixed_text, integer, keys, list, literal, map, text, words};
use crate::layer::Position;

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
    /// Constants, reached as `${consts.NAME}`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub consts: BTreeMap<String, String>,
    /// Steps that run at once; 0: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_active_steps: Option<i64>,
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

/// A parameter with its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Parameter {
    /// Its name; absent: positional.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its literal value; nothing in it is ever resolved.
    pub value: String,
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
    /// Variables of its own, unresolved.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub env: Vec<Variable>,
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

words! {
    /// Words of the root key `type`.
    pub enum WorkflowTypeWord {
        /// A step starts when everything in its `depends` allows it.
        Graph = "graph",
        /// Each step waits for the one before it.
        Chain = "chain",
    }
}

words! {
    /// Words of `log_output`.
    pub enum LogOutput {
        /// One log file.
        Merged = "merged",
        /// stderr in a file of its own.
        Separate = "separate",
    }
}

/// Words of a step's `type`: the ones that make a Kubernetes step, then the ones that make a command step.
pub const STEP_TYPES: &[Word] = &[
    Word { text: "k8s", doc: "Kubernetes step" },
    Word { text: "kubernetes", doc: "Kubernetes step" },
    Word { text: "command", doc: "command step" },
    Word { text: "shell", doc: "command step" },
];

const COUNT: Kind = integer(0, i32::MAX as i64);
const SECONDS: Kind = integer(0, i32::MAX as i64);
const ANY_MAP: Kind = map(&Kind::Any);
/// One text or a list of texts.
const TEXTS: Kind = Kind::OneOf(&[text(), list(&text())]);
/// Variables: a mapping, a list of mappings, or a list of `NAME=value`.
const ENV: Kind = Kind::OneOf(&[ANY_MAP, list(&Kind::OneOf(&[text(), ANY_MAP]))]);
const PARAMS: Kind = Kind::OneOf(&[text(), ANY_MAP, list(&Kind::OneOf(&[text(), ANY_MAP]))]);
const ONE_CONDITION: Kind = Kind::OneOf(&[text(), Kind::Mapping(&CONDITION)]);
const PRECONDITIONS: Kind = Kind::OneOf(&[text(), Kind::Mapping(&CONDITION), list(&ONE_CONDITION)]);
const CONTINUE_ON: Kind = Kind::OneOf(&[literal(), Kind::Mapping(&CONTINUE_ON_BLOCK)]);
const RETRY: Kind = Kind::Mapping(&RETRY_POLICY);
const REPEAT: Kind = Kind::Mapping(&REPEAT_POLICY);
/// A number, or text with one variable.
const NUMBER: Kind = Kind::OneOf(&[COUNT, text()]);
/// `true`, or how much longer each wait is than the one before.
const BACKOFF: Kind = Kind::OneOf(&[Kind::Boolean, COUNT, Kind::Any]);
const CODES: Kind = Kind::OneOf(&[integer(0, 255), list(&integer(0, 255))]);

keys! {
    /// The workflow file.
    pub const WORKFLOW_FILE: "Workflow" {
        /// Name of the workflow: 1 to 40 letters, digits, `-`, `_`, `.`; default: the file name without extension.
        "name": literal();
        /// `graph` (default) or `chain`.
        "type": fixed_text().words(WorkflowTypeWord::WORDS).in_layer();
        /// What the workflow is for.
        "description": literal();
        /// Group it is shown in.
        "group": literal();
        /// Data about the run; not Kubernetes labels.
        "labels": Kind::OneOf(&[literal(), list(&literal()), ANY_MAP]);
        /// Old name of `labels`.
        "tags": Kind::OneOf(&[literal(), list(&literal()), ANY_MAP]);
        /// Defaults of all Kubernetes steps.
        "kubernetes": CONFIG;
        /// Parameters with their defaults.
        "params": PARAMS;
        /// Variables, resolved at the start, top to bottom.
        "env": ENV;
        /// Files with variables.
        "dotenv": TEXTS;
        /// Secrets, fetched before the first step.
        "secrets": list(&Kind::Mapping(&SECRET));
        /// Constants, reached as `${consts.NAME}`.
        "consts": map(&Kind::Any);
        /// Used where a step has no such key.
        "defaults": DEFAULTS;
        /// Conditions for the whole run.
        "preconditions": PRECONDITIONS;
        /// Steps that run at certain moments of the run.
        "handler_on": HANDLERS;
        /// Steps that run at once; 0 (default): no limit.
        "max_active_steps": COUNT;
        /// Seconds for the whole run without handlers; 0 (default): none.
        "timeout_sec": SECONDS;
        /// Seconds between the stop signal and the kill of a command step; default 5.
        "max_clean_up_time_sec": SECONDS;
        /// Bytes of captured output; default 1048576.
        "max_output_size": integer(1, i64::MAX);
        /// Folder of command steps and base of relative paths; default: the folder of the workflow file.
        "working_dir": text();
        /// Shell of command steps; default `sh`.
        "shell": TEXTS;
        /// Arguments of the shell.
        "shell_args": list(&text());
        /// Folder of log files.
        "log_dir": text();
        /// `merged` (default) or `separate`.
        "log_output": word_of(LogOutput::WORDS);
        /// Days that ended runs are kept; default 30.
        "hist_retention_days": COUNT;
        /// Number of ended runs that are kept.
        "hist_retention_runs": COUNT;
        /// The steps.
        "steps": Kind::OneOf(&[list(&Kind::Any), ANY_MAP]), required;
    }
    ignored [
        "schedule", "skip_if_successful", "catchup_window", "overlap_policy", "queue", "max_active_runs",
        "restart_wait_sec", "delay_sec", "retry_policy", "smtp", "mail_on", "error_mail", "info_mail", "wait_mail",
        "otel", "webhook", "run_config", "resources", "registry_auths", "ssh", "s3", "redis", "llm", "harness",
        "harnesses",
    ]
    unsupported ["container", "worker_selector", "tools", "artifacts", "step_types", "actions", "tasks"]
}

keys! {
    /// Outcomes of a step that do not stop those that depend on it.
    pub const CONTINUE_ON_BLOCK: "ContinueOn" {
        /// After a failure.
        "failed": Kind::Boolean;
        /// The same as `failed`.
        "failure": Kind::Boolean;
        /// After it was skipped.
        "skipped": Kind::Boolean;
        /// After a failure with one of these codes.
        "exit_code": CODES;
        /// After a failure when a line of the log holds one of these texts.
        "output": TEXTS;
        /// An excused step counts as succeeded.
        "mark_success": Kind::Boolean;
    }
    ignored []
    unsupported []
}

keys! {
    /// Further attempts after a failure.
    pub const RETRY_POLICY: "RetryPolicy" {
        /// How many.
        "limit": NUMBER, required;
        /// Seconds before each.
        "interval_sec": NUMBER, required;
        /// Only after these codes.
        "exit_code": CODES;
        /// Each wait is longer by this factor; `true` is 2.
        "backoff": BACKOFF;
        /// The longest wait.
        "max_interval_sec": NUMBER;
    }
    ignored []
    unsupported []
}

keys! {
    /// Further executions after an end.
    pub const REPEAT_POLICY: "RepeatPolicy" {
        /// `while` or `until`, or `true`: while it succeeds.
        "repeat": Kind::OneOf(&[Kind::Boolean, fixed_text().words(Repeat::WORDS).in_layer()]);
        /// A condition on the host.
        "condition": text();
        /// What the condition must give.
        "expected": text();
        /// Codes that decide.
        "exit_code": CODES;
        /// Seconds before each execution.
        "interval_sec": NUMBER;
        /// All executions, the first included; 0: no limit.
        "limit": NUMBER;
        /// Each wait is longer by this factor; `true` is 2.
        "backoff": BACKOFF;
        /// The longest wait.
        "max_interval_sec": NUMBER;
    }
    ignored []
    unsupported []
}

words! {
    /// When a step runs again.
    pub enum Repeat {
        /// As long as the condition is met.
        While = "while",
        /// Until the condition is met.
        Until = "until",
    }
}

keys! {
    /// A condition: a command, or a text and what it must be.
    pub const CONDITION: "Condition" {
        /// A shell command on the host, or with `expected` a text.
        "condition": text(), required;
        /// What the text must be: equal, or `re:` and a regular expression.
        "expected": text();
        /// The answer is turned around.
        "negate": Kind::Boolean;
    }
    ignored []
    unsupported ["eval"]
}

keys! {
    /// A secret, fetched before the first step.
    pub const SECRET: "Secret" {
        /// Name of the variable.
        "name": literal().not_blank(), required;
        /// `env`, `file` or `kubernetes`.
        "provider": literal().not_blank(), required;
        /// What the provider looks up.
        "key": text();
        /// Further settings of the provider.
        "options": ANY_MAP;
    }
    ignored []
    unsupported ["ref"]
}

keys! {
    /// Defaults of steps.
    pub const DEFAULTS_BLOCK: "Defaults" {
        /// Used where a step has no such key.
        "continue_on": CONTINUE_ON;
        /// Used where a step has no such key.
        "retry_policy": RETRY;
        /// Used where a step has no such key.
        "repeat_policy": REPEAT;
        /// Used where a step has no such key.
        "timeout_sec": SECONDS;
        /// Used where a step has no such key.
        "signal_on_stop": literal();
        /// Put before the step's own.
        "env": ENV;
        /// Put before the step's own.
        "preconditions": PRECONDITIONS;
    }
    ignored ["mail_on_error"]
    unsupported []
}

/// [`DEFAULTS_BLOCK`] as the kind of a key.
const DEFAULTS: Kind = Kind::Mapping(&DEFAULTS_BLOCK);

keys! {
    /// Handlers: one step each.
    pub const HANDLER_ON: "HandlerOn" {
        /// Before the steps.
        "init": ANY_MAP;
        /// After a run that succeeded, also partially.
        "success": ANY_MAP;
        /// After a run that failed.
        "failure": ANY_MAP;
        /// After a run that was aborted.
        "abort": ANY_MAP;
        /// Always last.
        "exit": ANY_MAP;
    }
    ignored ["wait"]
    unsupported []
}

/// [`HANDLER_ON`] as the kind of a key.
const HANDLERS: Kind = Kind::Mapping(&HANDLER_ON);

/// Keys of `handler_on` with the name that the handler's step has, in the order in which they would run.
pub const HANDLER_NAMES: &[(&str, &str)] =
    &[("init", "onInit"), ("success", "onSuccess"), ("failure", "onFailure"), ("abort", "onAbort"), ("exit", "onExit")];

keys! {
    /// One step.
    pub const STEP: "Step" {
        /// Id for `depends` and `${id.…}`: a letter, then letters, digits, `_`; at most 40.
        "id": literal();
        /// Name; default: the id.
        "name": literal();
        /// What the step is for.
        "description": literal();
        /// Steps it waits for, by id or name.
        "depends": Kind::OneOf(&[literal(), list(&literal())]);
        /// `k8s` or `kubernetes`: a Kubernetes step; absent, `command` or `shell`: a command step.
        "type": literal();
        /// `k8s.run`: the same step with its config and command in `with`.
        "action": literal();
        /// How the step runs on Kubernetes.
        "config": CONFIG;
        /// The same as `config`.
        "with": CONFIG;
        /// What runs: text or a list of words.
        "command": Kind::Any;
        /// The newer word for the `command` of a command step.
        "run": Kind::Any;
        /// Text of a script; command steps only.
        "script": text();
        /// Shell of a command step.
        "shell": TEXTS;
        /// Arguments of the shell.
        "shell_args": list(&text());
        /// Variables of this step; not in the container.
        "env": ENV;
        /// Folder of a command step; not the container's.
        "working_dir": text();
        /// File that gets a copy of the log.
        "stdout": text();
        /// File that gets a copy of the error stream.
        "stderr": text();
        /// `merged` or `separate`.
        "log_output": word_of(LogOutput::WORDS);
        /// Variable that captures the output.
        "output": literal();
        /// Conditions of the step.
        "preconditions": PRECONDITIONS;
        /// Outcomes that do not stop dependents.
        "continue_on": CONTINUE_ON;
        /// Further attempts after a failure.
        "retry_policy": RETRY;
        /// Further executions after an end.
        "repeat_policy": REPEAT;
        /// Seconds for one attempt; 0 (default): none.
        "timeout_sec": SECONDS;
        /// First signal a command step gets.
        "signal_on_stop": literal();
    }
    ignored ["mail_on_error"]
    unsupported [
        "exec", "shell_packages", "container", "call", "params", "parallel", "foreach", "worker_selector", "llm",
        "messages", "approval", "value", "routes", "inputs", "outputs", "output_schema", "dependencies",
    ]
}

const fn word_of(words: &'static [Word]) -> Kind {
    crate::field::word(words)
}

/// The keys of a config, for suggestions when one stands beside `config` instead of in it.
pub const CONFIG_KEYS: &crate::field::Mapping = &EffectiveConfig::MAPPING;

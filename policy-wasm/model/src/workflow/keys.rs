//! The tables of the workflow file's keys: every key that is known, so that a misspelt one is found.
//!
//! The Kubernetes block is in [`crate::config`].

use crate::config::{CONFIG, EffectiveConfig};
use crate::field::{
    Kind, Word, fixed_text, integer, keys, list, literal, map, number, number_above, text, word, words,
};

words! {
    /// Words of the root key `type`.
    pub enum WorkflowTypeWord {
        /// A step starts when everything in its `depends` allows it.
        Graph = "graph",
        /// Each step waits for the one before it.
        Chain = "chain",
    }
}

/// Words of `log_output`.
pub const LOG_OUTPUTS: &[Word] =
    &[Word { text: "merged", doc: "one log file" }, Word { text: "separate", doc: "stderr in a file of its own" }];

/// Words of `continue_on`.
pub const CONTINUE_ON_WORDS: &[Word] = &[
    Word { text: "failed", doc: "dependents may start after a failure" },
    Word { text: "skipped", doc: "dependents may start after the step was skipped" },
];

/// Words of `repeat`.
pub const REPEAT_WORDS: &[Word] = &[
    Word { text: "while", doc: "as long as the condition is met" },
    Word { text: "until", doc: "until the condition is met" },
];

/// Words of a secret's `provider`.
pub const PROVIDERS: &[Word] = &[
    Word { text: "env", doc: "a variable of `env` and dotenv, else of the machine" },
    Word { text: "file", doc: "a file of the machine" },
    Word { text: "kubernetes", doc: "a Secret of the cluster" },
];

/// Words of a parameter's `type`.
pub const PARAMETER_TYPES: &[Word] = &[
    Word { text: "string", doc: "any text" },
    Word { text: "integer", doc: "a whole number" },
    Word { text: "number", doc: "a number" },
    Word { text: "boolean", doc: "`true` or `false`" },
];

/// Makes the words of signals that have no meaning of their own here.
macro_rules! signals {
    ($($name:literal: $doc:literal,)*) => { &[$(Word { text: $name, doc: $doc },)*] };
}

/// Words of `signal_on_stop`: the signals that POSIX knows.
pub const SIGNALS: &[Word] = signals! {
    "SIGTERM": "asks to end",
    "SIGINT": "as Ctrl-C",
    "SIGQUIT": "as Ctrl-\\; usually with a core file",
    "SIGHUP": "the terminal is gone",
    "SIGKILL": "ends at once",
    "SIGUSR1": "means what the program says",
    "SIGUSR2": "means what the program says",
    "SIGABRT": "ends with a core file",
    "SIGALRM": "a timer has ended",
    "SIGVTALRM": "a timer has ended",
    "SIGPROF": "a timer has ended",
    "SIGPIPE": "nobody reads",
    "SIGCONT": "goes on",
    "SIGSTOP": "stands still",
    "SIGTSTP": "as Ctrl-Z",
    "SIGTTIN": "reads from the terminal in the background",
    "SIGTTOU": "writes to the terminal in the background",
    "SIGCHLD": "a child has ended",
    "SIGURG": "urgent data",
    "SIGWINCH": "the window has another size",
    "SIGIO": "data is there",
    "SIGSYS": "no such system call",
    "SIGTRAP": "a breakpoint",
    "SIGXCPU": "too much processor time",
    "SIGXFSZ": "too large a file",
    "SIGILL": "no such instruction",
    "SIGBUS": "no such memory",
    "SIGFPE": "an impossible sum",
    "SIGSEGV": "no such memory",
};

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
/// Parameters: words, a mapping, or a list of words, mappings and definitions. What a mapping is, its keys decide.
const PARAMS: Kind = Kind::OneOf(&[text(), ANY_MAP, list(&Kind::OneOf(&[text(), ANY_MAP, Kind::Mapping(&PARAMETER)]))]);
/// A shell: words or a list of words.
const SHELL: Kind = Kind::OneOf(&[text().not_blank(), list(&text()).length(1, usize::MAX)]);
const ONE_CONDITION: Kind = Kind::OneOf(&[text().not_blank(), Kind::Mapping(&CONDITION)]);
const PRECONDITIONS: Kind = Kind::OneOf(&[text().not_blank(), Kind::Mapping(&CONDITION), list(&ONE_CONDITION)]);
const CONTINUE_ON: Kind = Kind::OneOf(&[word(CONTINUE_ON_WORDS), Kind::Mapping(&CONTINUE_ON_BLOCK)]);
const RETRY: Kind = Kind::Mapping(&RETRY_POLICY);
const REPEAT: Kind = Kind::Mapping(&REPEAT_POLICY);
/// A number, or text with one variable.
const NUMBER: Kind = Kind::OneOf(&[COUNT, text()]);
/// `true`, or how much longer each wait is than the one before.
const BACKOFF: Kind = Kind::OneOf(&[Kind::Boolean, number_above(1)]);
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
        "shell": SHELL;
        /// Arguments of the shell.
        "shell_args": list(&text());
        /// Folder of log files.
        "log_dir": text();
        /// `merged` (default) or `separate`.
        "log_output": word(LOG_OUTPUTS);
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
        "repeat": Kind::OneOf(&[Kind::Boolean, word(REPEAT_WORDS)]);
        /// A condition on the host.
        "condition": text().not_blank();
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

keys! {
    /// A condition: a command, or a text and what it must be.
    pub const CONDITION: "Condition" {
        /// A shell command on the host, or with `expected` a text.
        "condition": text().not_blank(), required;
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
        "provider": literal().not_blank().words(PROVIDERS), required;
        /// What the provider looks up: a name for `env`, a path for `file`, `secret/datakey` for `kubernetes`.
        "key": text().not_blank();
        /// Further settings of the provider `kubernetes`.
        "options": Kind::Mapping(&SECRET_OPTIONS);
    }
    ignored []
    unsupported ["ref"]
}

keys! {
    /// Settings of the secret provider `kubernetes`.
    pub const SECRET_OPTIONS: "SecretOptions" {
        /// Name of the Secret, with `secret_key` in place of `key`.
        "secret_name": text().not_blank();
        /// Key inside the Secret, with `secret_name` in place of `key`.
        "secret_key": text().not_blank();
        /// Namespace of the Secret; default: the one of the root `kubernetes` block.
        "namespace": text();
        /// Path of a kubeconfig; default: the one of the root `kubernetes` block.
        "kubeconfig": text();
        /// Context of the kubeconfig; default: the one of the root `kubernetes` block.
        "context": text();
    }
    ignored []
    unsupported []
}

keys! {
    /// The definition of a parameter.
    pub const PARAMETER: "Parameter" {
        /// Name: a letter or `_`, then letters, digits and `_`.
        "name": literal(), required;
        /// `string` (default), `integer`, `number` or `boolean`.
        "type": word(PARAMETER_TYPES);
        /// Value when none is given.
        "default": Kind::Any;
        /// A value must be given.
        "required": Kind::Boolean;
        /// The allowed values.
        "enum": list(&Kind::Any).length(1, usize::MAX);
        /// Smallest number.
        "minimum": number();
        /// Largest number.
        "maximum": number();
        /// Smallest number of characters.
        "min_length": COUNT;
        /// Largest number of characters.
        "max_length": COUNT;
        /// A regular expression that is found in the value.
        "pattern": literal();
        /// What the parameter is for.
        "description": literal();
    }
    ignored []
    unsupported ["eval"]
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
        "signal_on_stop": word(SIGNALS);
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
        "shell": SHELL;
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
        "log_output": word(LOG_OUTPUTS);
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
        "signal_on_stop": word(SIGNALS);
    }
    ignored ["mail_on_error"]
    unsupported [
        "exec", "shell_packages", "container", "call", "params", "parallel", "foreach", "worker_selector", "llm",
        "messages", "approval", "value", "routes", "inputs", "outputs", "output_schema", "dependencies",
    ]
}

/// The keys of a config, for suggestions when one stands beside `config` instead of in it.
pub const CONFIG_KEYS: &crate::field::Mapping = &EffectiveConfig::MAPPING;

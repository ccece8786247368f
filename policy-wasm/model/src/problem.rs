//! What is wrong, where, and what to do about it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::layer::{Origin, Position};

/// How grave a problem is. The order is that of gravity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// For the record.
    Info,
    /// Shown, stops nothing.
    Warning,
    /// Stops the step, and at load the whole run.
    Error,
}

impl Severity {
    /// The word in messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        }
    }
}

/// The codes of the core policy and of the program: stable, never renamed, never given a new meaning.
pub mod code {
    use super::Severity;

    /// A code and what it says.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub struct Code {
        /// The code, `core/required`.
        pub code: &'static str,
        /// How grave its problems are, unless a policy in mode warn says it.
        pub severity: Severity,
        /// What it says: one sentence.
        pub about: &'static str,
    }

    /// Its sentence is both the doc comment of a code and what programs show of it.
    macro_rules! codes {
        ($($name:ident = $code:literal, $severity:ident, $about:literal;)+) => {
            $(
                #[doc = $about]
                pub const $name: &str = $code;
            )+

            /// All of them.
            pub const ALL: &[Code] = &[$(Code { code: $code, severity: Severity::$severity, about: $about }),+];
        };
    }

    codes! {
        SYNTAX = "core/syntax", Error, "Not readable as one YAML document; too deep, too large, too many aliases.";
        TYPE = "core/type", Error, "Wrong YAML type, or null.";
        UNKNOWN_FIELD = "core/unknown-field", Error, "Key not known in this mapping.";
        REQUIRED = "core/required", Error, "A value is missing or blank.";
        RANGE = "core/range", Error, "Number, length or count outside its bounds; a pair in the wrong relation.";
        ENUM = "core/enum", Error, "Not one of the allowed words.";
        EXCLUSIVE = "core/exclusive", Error, "Keys that cannot stand together, or of which exactly one must stand.";
        DUPLICATE = "core/duplicate", Error, "The same key, name, id, path or value twice.";
        QUANTITY = "core/quantity", Error, "Not a quantity, negative, or too large.";
        FORMAT = "core/format", Error, "Breaks a syntax class, a pattern, a path or a duration rule.";
        REFERENCE = "core/reference", Error, "Names something that does not exist.";
        CYCLE = "core/cycle", Error, "Dependencies form a circle.";
        RESERVED = "core/reserved", Error, "A name that belongs to the runner or to Kubernetes.";
        VARIABLE = "core/variable", Error, "`${VAR}` where none may stand.";
        COMMAND = "core/command", Error, "The command is blank, unbalanced, or several commands.";
        UNSUPPORTED = "core/unsupported", Error, "Refused because leaving it out would change what runs.";
        DOUBTFUL = "core/doubtful", Warning, "Accepted but cannot work, or not everywhere.";
        IGNORED = "core/ignored", Warning, "Belongs to a scheduler or server, has no effect here.";
        NO_SHELL = "core/no-shell", Warning, "The command looks like shell text, no shell will read it.";
        NOT_UPSTREAM = "core/not-upstream", Warning, "Uses the output of a step it does not depend on.";
        SECRET_IN_JOB = "core/secret-in-job", Warning, "A secret value goes into the Job as plain text.";
        DEPRECATED = "core/deprecated", Warning, "An old spelling, still read.";
        OVERRIDDEN = "core/overridden", Info, "A policy's override changed a value of the file.";
        POLICY_FAILED = "policy/failed", Error,
            "The policy could not be asked, or its answer is worth nothing: the step is denied.";
        WAIVED = "policy/waived", Info, "A waiver let an error pass.";
        WAIVER_EXPIRED = "policy/waiver-expired", Warning, "A waiver has expired and lets nothing pass.";
        WAIVER_UNUSED = "policy/waiver-unused", Warning, "A waiver matched nothing.";
    }

    /// What a code says; none: it is a policy's own.
    pub fn find(code: &str) -> Option<&'static Code> {
        ALL.iter().find(|known| known.code == code)
    }
}

/// A raw problem of the core policy, before `report` has placed it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct CoreProblem {
    /// Stable code, `core/required`.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong: a lower-case fragment, values in backticks.
    pub message: String,
    /// Place: with `layer`, or without `position`, inside the config of `step`; else inside the file.
    #[serde(default)]
    pub path: String,
    /// The step it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The layer that holds the value, for a problem of a config.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<Origin>,
    /// Where it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Where it ends; absent: `position.length` bytes further.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Page that explains the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A value that would satisfy the rule at `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Value>,
    /// Other places that belong to it: the other one of a pair, the first of a duplicate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<Related>,
}

impl CoreProblem {
    /// An error without place, help or relatives.
    pub fn error(code: &str, message: impl Into<String>) -> CoreProblem {
        CoreProblem {
            code: code.to_owned(),
            severity: Severity::Error,
            message: message.into(),
            path: String::new(),
            step: None,
            layer: None,
            position: None,
            end: None,
            help: None,
            url: None,
            fix: None,
            related: Vec::new(),
        }
    }

    /// A warning without place, help or relatives.
    pub fn warning(code: &str, message: impl Into<String>) -> CoreProblem {
        CoreProblem { severity: Severity::Warning, ..CoreProblem::error(code, message) }
    }

    /// The same with a place in a document.
    #[must_use]
    pub fn at(mut self, path: impl Into<String>, position: Option<Position>) -> CoreProblem {
        self.path = path.into();
        self.position = position;
        self
    }

    /// The same with advice.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> CoreProblem {
        self.help = Some(help.into());
        self
    }

    /// The same with a value that would do.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<Value>) -> CoreProblem {
        self.fix = Some(fix.into());
        self
    }

    /// The same with another place that belongs to it; nothing when that place is unknown.
    #[must_use]
    pub fn related(mut self, position: Option<Position>, message: impl Into<String>) -> CoreProblem {
        self.related.extend(position.map(|position| Related { position, message: message.into() }));
        self
    }
}

/// Another place that belongs to a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Related {
    /// Where it is.
    pub position: Position,
    /// What is there.
    pub message: String,
}

/// The first place after something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct End {
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in Unicode scalars.
    pub column: u32,
}

/// A problem as it is shown: an item of `check --format json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Problem {
    /// Stable code of the rule.
    pub code: String,
    /// How grave it is.
    pub severity: Severity,
    /// What is wrong.
    pub message: String,
    /// The place in the file as written, `steps[0].config.image`; inside the config for a value of a policy layer.
    pub path: String,
    /// The step it belongs to; the first one in file order, when several inherit the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// The policy that says so; `core` for the rules of the file.
    pub policy: String,
    /// The file that holds the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, from 1, in Unicode scalars.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// The first place after the value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end: Option<End>,
    /// What to do about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// Other places that belong to it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub related: Vec<RelatedPlace>,
    /// Page that explains the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// A value that would satisfy the rule at `path`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<Value>,
}

/// Another place that belongs to a [`Problem`], as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RelatedPlace {
    /// The file.
    pub file: String,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in Unicode scalars.
    pub column: u32,
    /// What is there.
    pub message: String,
}

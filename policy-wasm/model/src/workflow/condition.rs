//! A condition that is asked on the machine of the runner.

use serde::{Deserialize, Serialize};

use crate::field::is_default;

/// What begins a text that is a regular expression.
pub const PATTERN_PREFIX: &str = "re:";

/// A condition: a command whose exit code 0 means met, or with `expected` a text that is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Condition {
    /// A shell command; with `expected` a text in which variables are put in and nothing is executed.
    pub condition: String,
    /// What the text must be: equal, or, behind `re:`, a regular expression that is found anywhere in it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<String>,
    /// The answer is turned around.
    #[serde(skip_serializing_if = "is_default")]
    pub negate: bool,
}

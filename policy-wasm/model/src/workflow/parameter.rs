//! A parameter: its value in this run, and what the file says its values must be.

use serde::{Deserialize, Serialize};

use crate::field::is_default;
use crate::layer::Position;
use crate::problem::{CoreProblem, code};

/// A parameter with its value.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Parameter {
    /// Its name; absent: positional.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its literal value; nothing in it is ever resolved. Empty when there is none.
    pub value: String,
    /// It is required and has no value: the file can be checked, but neither run nor rendered.
    #[serde(skip_serializing_if = "is_default")]
    pub is_missing: bool,
    /// What the file says its values must be; absent: anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub definition: Option<Definition>,
    /// Where the file declares it; absent: no file does, it was given from outside.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Its place in that file, as `params[0]`; empty when no file declares it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub path: String,
}

impl Parameter {
    /// The problem of a parameter that is required and has no value; none: it has one. Whoever runs or renders asks.
    pub fn missing(&self) -> Option<CoreProblem> {
        let name = self.name.as_deref().filter(|_| self.is_missing)?;
        let message = format!("the parameter `{name}` is required and has no value");
        Some(
            CoreProblem::error(code::REQUIRED, message)
                .at(self.path.clone(), self.position)
                .help(format!("give it: `-p {name}=VALUE`, or add a `default`")),
        )
    }
}

/// What the values of a parameter must be.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct Definition {
    /// What a value is.
    #[serde(rename = "type")]
    pub parameter_type: ParameterType,
    /// A value must be given.
    #[serde(skip_serializing_if = "is_default")]
    pub required: bool,
    /// Value when none is given, as written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// The allowed values, as written; absent: any.
    #[serde(rename = "enum", skip_serializing_if = "Option::is_none")]
    pub allowed: Option<Vec<String>>,
    /// Smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub minimum: Option<f64>,
    /// Largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub maximum: Option<f64>,
    /// Smallest number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_length: Option<u64>,
    /// Largest number of characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_length: Option<u64>,
    /// A regular expression that is found in the value.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// What the parameter is for, shown to people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// What the value of a parameter is. It stays text; the type says which text.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ParameterType {
    /// Any text.
    #[default]
    String,
    /// A whole number of 64 bits.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

impl ParameterType {
    /// The word in the file.
    pub fn as_str(self) -> &'static str {
        match self {
            ParameterType::String => "string",
            ParameterType::Integer => "integer",
            ParameterType::Number => "number",
            ParameterType::Boolean => "boolean",
        }
    }
}

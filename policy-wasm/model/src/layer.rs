//! Where a value comes from: positions in the sources, layers of configuration, and the history of a merged value.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A place in a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Position {
    /// Index of the source in the list given to `load`, from 0.
    pub source: u32,
    /// Line, from 1.
    pub line: u32,
    /// Column, from 1, in Unicode scalars.
    pub column: u32,
    /// Offset of the first byte, from 0.
    pub offset: u32,
    /// Length in bytes; 0: nothing is written there.
    pub length: u32,
}

/// Which layer a value comes from. In JSON a text: `policy:NAME`, `base`, `dag`, `step`, `command-line`, `default`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Origin {
    /// Built in: no layer sets the value.
    Default,
    /// `kubernetes:` of base.yaml.
    Base,
    /// `kubernetes:` of the workflow file.
    Dag,
    /// `config:` or `with:` of the step.
    Step,
    /// An option of the command line.
    CommandLine,
    /// Defaults or overrides of the policy with this name.
    Policy(String),
}

impl Origin {
    /// Whether the value stands in a file the user wrote.
    pub fn is_file(&self) -> bool {
        matches!(self, Origin::Base | Origin::Dag | Origin::Step)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => formatter.write_str("default"),
            Origin::Base => formatter.write_str("base"),
            Origin::Dag => formatter.write_str("dag"),
            Origin::Step => formatter.write_str("step"),
            Origin::CommandLine => formatter.write_str("command-line"),
            Origin::Policy(name) => write!(formatter, "policy:{name}"),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> String {
        origin.to_string()
    }
}

impl TryFrom<String> for Origin {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match text.as_str() {
            "default" => Ok(Origin::Default),
            "base" => Ok(Origin::Base),
            "dag" => Ok(Origin::Dag),
            "step" => Ok(Origin::Step),
            "command-line" => Ok(Origin::CommandLine),
            other => match other.strip_prefix("policy:") {
                Some(name) if !name.is_empty() => Ok(Origin::Policy(name.to_owned())),
                _ => Err(format!("no layer is called `{text}`")),
            },
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Origin {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Origin".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "Which layer a value comes from.",
            "type": "string",
            "pattern": "^(default|base|dag|step|command-line|policy:.+)$",
        })
    }
}

/// Where a key and its value stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Place {
    /// The key; absent for an item of a list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Position>,
    /// The value.
    pub value: Position,
}

/// One layer of the Kubernetes block, before merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Layer {
    /// Which layer it is.
    pub origin: Origin,
    /// Its values, well typed, as written. `{}` in `base` and `dag` clears everything below.
    pub value: Value,
    /// Where each value stands, by its path inside the layer; the empty path is the whole block. Empty for a layer that
    /// does not come from a file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, Place>,
    /// Paths whose value is left out of `value` because it is wrong; a problem names each. They count as set.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Paths of texts that hold `${VAR}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
}

/// Which layers make the config of a step: an argument of `merge`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MergeStep {
    /// Name of the step.
    pub step: String,
    /// Indexes into the list of layers, lowest layer first.
    pub ranks: Vec<u32>,
}

/// The effective config of one step: what `merge` answers and `check` takes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Merged {
    /// Name of the step.
    pub step: String,
    /// The effective config in normal form (schema: config.json).
    pub config: Value,
    /// Where each value of `config` comes from, by path: texts, numbers, booleans, lists and their items, and mappings.
    /// A value that was cleared, or is unset because it is blank, keeps its entry though it is not in `config`.
    pub origins: BTreeMap<String, Provenance>,
    /// Paths that are set but left out because the value is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Paths of texts that hold `${VAR}` of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// Problems of the layers that did not come from `load`, and values of the file that a policy overrides.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub problems: Vec<crate::problem::CoreProblem>,
}

impl Merged {
    /// Paths whose value is not final: they hold a variable, or were left out.
    pub fn open(&self) -> Vec<String> {
        self.left_out.iter().chain(&self.variables).cloned().collect()
    }

    /// The provenance of `path`, or of the nearest place above it.
    pub fn nearest(&self, path: &str) -> Option<&Provenance> {
        crate::path::ancestors(path).into_iter().find_map(|path| self.origins.get(path))
    }
}

/// Where a merged value comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Provenance {
    /// The layer that holds the value.
    pub layer: Origin,
    /// Where the value stands; absent when the layer is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
    /// Where its key stands, when the key is the user's own: an entry of an open mapping, as a label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Position>,
    /// What lower layers held here and was overridden or cleared, lowest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Overridden>,
}

/// A value that a higher layer replaced or cleared.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Overridden {
    /// The layer that held it.
    pub layer: Origin,
    /// The value.
    pub value: Value,
    /// Where it stands; absent when the layer is no file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<Position>,
}

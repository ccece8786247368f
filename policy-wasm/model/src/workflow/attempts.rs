//! What follows the end of an attempt: whether dependents may start, and whether the step runs again.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::condition::Condition;
use crate::field::is_default;

/// Outcomes of a step that do not stop those that depend on it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ContinueOn {
    /// Dependents may start after a failure.
    #[serde(skip_serializing_if = "is_default")]
    pub failed: bool,
    /// Dependents may start after the step was skipped.
    #[serde(skip_serializing_if = "is_default")]
    pub skipped: bool,
    /// They may start after a failure with one of these codes. A step without a code matches nothing, also not 0.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub exit_code: Vec<u8>,
    /// They may start after a failure when a line of the log contains one of these texts, or, behind `re:`, matches the
    /// regular expression.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub output: Vec<String>,
    /// A step that is excused counts as succeeded.
    #[serde(skip_serializing_if = "is_default")]
    pub mark_success: bool,
}

/// A whole number from 0, or text with one variable that gives it just before it is needed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Value", into = "Value")]
pub enum Count {
    /// The number.
    Number(u64),
    /// Text as written, as `${RETRIES}`.
    Text(String),
}

impl TryFrom<Value> for Count {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(Count::Text(text)),
            other => match other.as_u64() {
                Some(number) => Ok(Count::Number(number)),
                None => Err(format!("expected a whole number from 0 or text, found {other}")),
            },
        }
    }
}

impl From<Count> for Value {
    fn from(count: Count) -> Value {
        match count {
            Count::Number(number) => Value::from(number),
            Count::Text(text) => Value::String(text),
        }
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for Count {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Count".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "description": "A whole number from 0, or text with one variable that gives it just before it is needed.",
            "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }],
        })
    }
}

/// Further attempts after a failure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RetryPolicy {
    /// How many, the first attempt not included.
    pub limit: Count,
    /// Seconds before the first of them.
    pub interval_sec: Count,
    /// Only after these codes of the container or process; absent: after any failure. No code matches nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Vec<u8>>,
    /// Factor above 1 by which each wait is longer than the one before; absent: all are equal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff: Option<f64>,
    /// The longest wait, in seconds; absent: no bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_interval_sec: Option<Count>,
}

/// When a step runs again after an attempt has ended, retries included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Repeat {
    /// As long as the condition is met, or the code is in the list; with neither: as long as it succeeds.
    While,
    /// Until the condition is met, or the code is in the list.
    Until,
}

/// Further executions after an end.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct RepeatPolicy {
    /// When it runs again, what is not written filled in; absent: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<Repeat>,
    /// The condition that decides; it comes before the codes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<Condition>,
    /// The codes that decide; absent: none are given. No code matches nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<Vec<u8>>,
    /// Seconds before the first repetition; absent: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub interval_sec: Option<Count>,
    /// All executions, the first included; absent or 0: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub limit: Option<Count>,
    /// Factor above 1 by which each wait is longer than the one before; absent: all are equal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<f64>,
    /// The longest wait, in seconds; absent: no bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_interval_sec: Option<Count>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_a_number_or_text_in_json() {
        let policy = RetryPolicy {
            limit: Count::Number(3),
            interval_sec: Count::Text("${WAIT}".to_owned()),
            exit_code: None,
            backoff: Some(1.5),
            max_interval_sec: None,
        };
        let json = serde_json::json!({"limit": 3, "interval_sec": "${WAIT}", "backoff": 1.5});
        assert_eq!(serde_json::to_value(&policy).unwrap(), json);
        assert_eq!(serde_json::from_value::<RetryPolicy>(json).unwrap(), policy);
        assert!(serde_json::from_str::<Count>("-1").is_err());
        assert!(serde_json::from_str::<Count>("1.5").is_err());
    }
}

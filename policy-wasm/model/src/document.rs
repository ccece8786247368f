//! Reading JSON into the types that [`mapping!`](crate::field) makes, without code for every reader.
//!
//! A derived `Deserialize` costs kilobytes a struct and there are forty, in every policy component. Here all go through
//! one JSON value, and on the way the keys that nobody knows are collected.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::path;

/// What reading a document has met.
#[derive(Debug, Default)]
pub struct Reading {
    path: String,
    unknown: Vec<String>,
}

impl Reading {
    /// Places of keys that no field reads.
    pub fn unknown(&self) -> &[String] {
        &self.unknown
    }

    fn wrong(&self, wanted: &str, found: &Value) -> String {
        let found = match found {
            Value::Null => "null",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String(_) => "text",
            Value::Array(_) => "a list",
            Value::Object(_) => "a mapping",
        };
        format!("`{}` must be {wanted}, found {found}", self.path)
    }

    fn inside<T: Document>(&mut self, value: Value, enter: impl FnOnce(&mut String)) -> Result<T, String> {
        let outer = self.path.len();
        enter(&mut self.path);
        let read = T::read(value, self);
        self.path.truncate(outer);
        read
    }

    pub(crate) fn object(&self, value: Value) -> Result<Map<String, Value>, String> {
        match value {
            Value::Object(object) => Ok(object),
            other => Err(self.wrong("a mapping", &other)),
        }
    }

    pub(crate) fn field<T: Document + Default>(
        &mut self,
        object: &mut Map<String, Value>,
        key: &str,
    ) -> Result<T, String> {
        match object.remove(key) {
            Some(value) => self.inside(value, |path| path::push_key(path, key)),
            None => Ok(T::default()),
        }
    }

    pub(crate) fn rest(&mut self, object: &Map<String, Value>) {
        self.unknown.extend(object.keys().map(|key| path::key(&self.path, key)));
    }
}

/// A type that is read from a JSON value.
pub trait Document: Sized {
    /// Reads a value; unknown keys are collected, not refused.
    ///
    /// # Errors
    /// The place and what was expected there, in words.
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String>;
}

impl Document for String {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        match value {
            Value::String(text) => Ok(text),
            other => Err(reading.wrong("text", &other)),
        }
    }
}

impl Document for bool {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| reading.wrong("a boolean", &value))
    }
}

impl Document for i64 {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        value.as_i64().ok_or_else(|| reading.wrong("an integer of 64 bits", &value))
    }
}

impl Document for i32 {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        let number = value.as_i64().and_then(|number| i32::try_from(number).ok());
        number.ok_or_else(|| reading.wrong("an integer of 32 bits", &value))
    }
}

impl<T: Document> Document for Option<T> {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        match value {
            Value::Null => Ok(None),
            value => T::read(value, reading).map(Some),
        }
    }
}

impl<T: Document> Document for Vec<T> {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        match value {
            Value::Array(items) => items
                .into_iter()
                .enumerate()
                .map(|(index, item)| reading.inside(item, |path| path::push_index(path, index)))
                .collect(),
            other => Err(reading.wrong("a list", &other)),
        }
    }
}

impl<T: Document> Document for BTreeMap<String, T> {
    fn read(value: Value, reading: &mut Reading) -> Result<Self, String> {
        reading
            .object(value)?
            .into_iter()
            .map(|(key, value)| {
                let read = reading.inside(value, |path| path::push_key(path, &key))?;
                Ok((key, read))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::EffectiveConfig;
    use serde_json::json;

    #[test]
    fn unknown_keys_are_collected_with_their_places() {
        let mut reading = Reading::default();
        let config = EffectiveConfig::read(
            json!({"image": "a", "new": 1, "env": [{"name": "A", "odd.key": 2}], "labels": {"x": "y"}}),
            &mut reading,
        )
        .unwrap();
        assert_eq!(config.image.as_deref(), Some("a"));
        assert_eq!(config.labels.get("x").map(String::as_str), Some("y"));
        assert_eq!(reading.unknown(), ["env[0][\"odd.key\"]", "new"]);
    }

    #[test]
    fn a_wrong_type_is_told_with_its_place() {
        let read = |value| EffectiveConfig::read(value, &mut Reading::default()).unwrap_err();
        assert_eq!(read(json!({"env": [{"name": 5}]})), "`env[0].name` must be text, found a number");
        assert_eq!(
            read(json!({"backoff_limit": 3_000_000_000_u64})),
            "`backoff_limit` must be an integer of 32 bits, found a number"
        );
    }

    #[test]
    fn what_is_written_is_read_back() {
        let written = json!({
            "image": "a", "backoff_limit": 0, "namespace": "",
            "volumes": [{"name": "v", "empty_dir": {}}],
            "security_context": {"privileged": false, "seccomp_profile": {"type": "Brandnew"}},
            "resources": {"limits": {"cpu": "1.10"}},
        });
        let config: EffectiveConfig = serde_json::from_value(written.clone()).unwrap();
        assert_eq!(serde_json::to_value(&config).unwrap(), written);
    }
}

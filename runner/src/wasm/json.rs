//! JSON that a component promised, read without trust.
//!
//! Depth is bounded by the parser (128 levels), length by the limit on the answer. A key twice is refused: whoever
//! reads the text next may take the other one.

use std::collections::HashSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value};

use super::words::Short;

/// Reads one JSON value.
///
/// # Errors
/// What is wrong with the text, with line and column.
pub(super) fn value(text: &str) -> Result<Value, String> {
    let value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    // A second reading, because the first has already dropped the repetition.
    let mut again = serde_json::Deserializer::from_str(text);
    UniqueKeys.deserialize(&mut again).map_err(|error| error.to_string())?;
    Ok(value)
}

/// Reads one JSON object.
///
/// # Errors
/// As for [`value`], or what stands there in place of an object.
pub(super) fn object(text: &str) -> Result<Map<String, Value>, String> {
    match value(text)? {
        Value::Object(object) => Ok(object),
        other => Err(format!("expected an object, found {}", kind(&other))),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Reads any value, keeps nothing, and fails at the first key that an object has twice.
struct UniqueKeys;

impl<'de> DeserializeSeed<'de> for UniqueKeys {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for UniqueKeys {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(UniqueKeys)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<(), A::Error> {
        let mut keys = HashSet::new();
        while let Some(key) = entries.next_key::<String>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format_args!("the key `{}` stands twice", Short(&key))));
            }
            keys.insert(key);
            entries.next_value_seed(UniqueKeys)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_is_well_formed() {
        assert_eq!(value(r#"{"a": [1, -2, 0.5, "x", null, true, {"a": 1}]}"#).unwrap()["a"][6]["a"], 1);
        assert!(object("{}").unwrap().is_empty());
    }

    #[test]
    fn refuses_with_the_place() {
        let deep = "[".repeat(100_000);
        for (text, words) in [
            ("", "EOF while parsing a value at line 1 column 0"),
            ("{'a': 1}", "key must be a string at line 1 column 2"),
            (r#"{"a": 1, "b": {"c": 1, "c": 2}}"#, "the key `c` stands twice at line 1 column 26"),
            (r#"{"a": 1, "\u0061": 2}"#, "the key `a` stands twice at line 1 column 17"),
            (deep.as_str(), "recursion limit exceeded at line 1 column 128"),
            ("[]", "expected an object, found a list"),
            ("null", "expected an object, found null"),
            ("{} {}", "trailing characters at line 1 column 4"),
        ] {
            assert_eq!(object(text).unwrap_err(), words, "{}", text.get(..20).unwrap_or(text));
        }
    }
}

//! A case of the corpus as the tables see it: what is expected of it, and every value of its files by path.

use std::fs;

use anyhow::{Context as _, Result};
use model::path;
use serde_json::Value;
use tests::root;

use super::shape::{self, Shape};

/// A case.
pub(super) struct Case {
    /// What `expected.json` holds.
    problems: Vec<Value>,
    /// Every value of base.yaml and the workflow file: file, path, value.
    values: Vec<(String, String, Value)>,
}

impl Case {
    /// Reads the case of this name.
    pub(super) fn read(name: &str) -> Result<Case> {
        let folder = root().join("tests/corpus").join(name);
        let text = |file: &str| fs::read_to_string(folder.join(file)).with_context(|| format!("`{name}`: `{file}`"));
        let mut values = Vec::new();
        for file in ["base.yaml", "dag.yaml"] {
            // Not every case is YAML: one that is not has no values.
            let Ok(text) = text(file) else { continue };
            let Ok(mut document) = serde_yaml::from_str::<serde_yaml::Value>(&text) else { continue };
            if document.apply_merge().is_ok() {
                collect(file, "", &plain(&document), &mut values);
            }
        }
        Ok(Case { problems: serde_json::from_str(&text("expected.json")?)?, values })
    }

    /// Whether nothing is wrong with it; warnings and infos are not wrong.
    pub(super) fn is_valid(&self) -> bool {
        !self.problems.iter().any(|problem| problem.get("severity") == Some(&Value::from("error")))
    }

    /// Whether it has this problem, anywhere.
    pub(super) fn has(&self, code: &str) -> bool {
        self.problems.iter().any(|problem| text(problem, "code") == code)
    }

    /// Whether it has this problem at a path of the pattern, of a value that `is_meant`.
    pub(super) fn breaks(&self, code: &str, pattern: &Shape, is_meant: impl Fn(Option<&Value>) -> bool) -> bool {
        self.problems.iter().filter(|problem| text(problem, "code") == code).any(|problem| {
            let (file, path) = (text(problem, "file"), text(problem, "path"));
            let value = self.values.iter().find(|(its, at, _)| its == file && at == path);
            shape::shapes(path).iter().any(|shape| shape::fits(pattern, shape)) && is_meant(value.map(|found| &found.2))
        })
    }

    /// Whether it has a value at a path of the pattern that `is_meant` and has no problem of this code there or below.
    pub(super) fn keeps(&self, code: &str, pattern: &Shape, is_meant: impl Fn(Option<&Value>) -> bool) -> bool {
        self.values.iter().any(|(file, path, value)| {
            let is_broken = self.problems.iter().any(|problem| {
                text(problem, "code") == code
                    && text(problem, "file") == file
                    && path::is_within(text(problem, "path"), path)
            });
            !is_broken && is_meant(Some(value)) && shape::shapes(path).iter().any(|shape| shape::fits(pattern, shape))
        })
    }
}

fn text<'a>(problem: &'a Value, key: &str) -> &'a str {
    problem.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn collect(file: &str, at: &str, value: &Value, values: &mut Vec<(String, String, Value)>) {
    values.push((file.to_owned(), at.to_owned(), value.clone()));
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(file, &path::index(at, index), item, values);
            }
        }
        Value::Object(entries) => {
            for (key, inner) in entries {
                collect(file, &path::key(at, key), inner, values);
            }
        }
        _ => {}
    }
}

/// YAML as JSON, keys as texts.
pub(super) fn plain(value: &serde_yaml::Value) -> Value {
    use serde_yaml::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(value) => Value::from(*value),
        Yaml::Number(number) => serde_json::to_value(number).unwrap_or(Value::Null),
        Yaml::String(text) => Value::from(text.as_str()),
        Yaml::Sequence(items) => items.iter().map(plain).collect(),
        Yaml::Mapping(entries) => {
            let key = |key: &Yaml| key.as_str().map_or_else(|| plain(key).to_string(), str::to_owned);
            Value::Object(entries.iter().map(|(name, value)| (key(name), plain(value))).collect())
        }
        Yaml::Tagged(tagged) => plain(&tagged.value),
    }
}

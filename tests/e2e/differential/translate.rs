//! A second way from a config to its Job, for configs that ours refuses and that never become a Job otherwise.
//!
//! It reads the config by the model's tables, changes the spelling of its keys, and leaves values as they are: what is
//! wrong stays wrong. Wherever ours accepts a config, the test holds this way to the program's own.

use model::config::EffectiveConfig;
use model::field::{Blank, Kind, Mapping, Text};
use serde_json::{Map, Value, json};

/// The spec of the Job.
pub(super) fn spec(config: &Value) -> Value {
    let mut pod = json!({"restartPolicy": "Never"});
    let mut container = json!({"name": "step"});
    let mut spec = json!({"backoffLimit": 0, "podReplacementPolicy": "Failed"});
    for (key, value) in config.as_object().into_iter().flatten() {
        let Some(value) = normal(&EffectiveConfig::MAPPING, key, value) else { continue };
        let (part, name) = match key.as_str() {
            "image" | "working_dir" | "image_pull_policy" | "env" | "env_from" | "resources" | "security_context"
            | "volume_mounts" => (&mut container, camel(key)),
            "service_account" => (&mut pod, "serviceAccountName".to_owned()),
            "pod_security_context" => (&mut pod, "securityContext".to_owned()),
            "image_pull_secrets" => (&mut pod, camel(key)),
            "priority_class_name"
            | "termination_grace_period_seconds"
            | "node_selector"
            | "tolerations"
            | "affinity"
            | "volumes" => (&mut pod, camel(key)),
            "active_deadline" => (&mut spec, "activeDeadlineSeconds".to_owned()),
            "ttl_after_finished" => (&mut spec, "ttlSecondsAfterFinished".to_owned()),
            "backoff_limit" | "pod_failure_policy" => (&mut spec, camel(key)),
            "labels" | "annotations" | "cleanup_policy" | "namespace" | "kubeconfig" | "context" => continue,
            // An unknown key stays one.
            other => (&mut spec, other.to_owned()),
        };
        part[name] = match (key.as_str(), value) {
            ("image_pull_secrets", Value::Array(names)) => {
                Value::Array(names.into_iter().map(|name| json!({"name": name})).collect())
            }
            (_, value) => value,
        };
    }
    pod["containers"] = json!([container]);
    spec["template"] = json!({"spec": pod});
    spec
}

/// The labels or annotations of the user.
pub(super) fn metadata(config: &Value, key: &str) -> Value {
    config.get(key).filter(|value| !is_empty(value)).cloned().unwrap_or_else(|| json!({}))
}

/// A value under a key as the manifest has it; none: it is not written.
fn normal(mapping: &Mapping, key: &str, value: &Value) -> Option<Value> {
    let Some(field) = mapping.field(key) else { return Some(value.clone()) };
    let written = converted(&field.kind, value)?;
    let says_nothing = match (&field.kind, &written) {
        (Kind::Mapping(_), written) => is_empty(written) && !field.keep_empty,
        (Kind::List(_) | Kind::Map(_), written) => is_empty(written),
        (Kind::Text(_), Value::String(text)) => text.is_empty() && matches!(key, "prefix" | "sub_path"),
        // A mount or claim that may be written is the default.
        (Kind::Boolean, Value::Bool(false)) => key == "read_only",
        _ => false,
    };
    (!says_nothing).then_some(written)
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(Map::is_empty) || value.as_array().is_some_and(Vec::is_empty)
}

fn converted(kind: &Kind, value: &Value) -> Option<Value> {
    Some(match (kind, value) {
        (Kind::Text(text), Value::String(written)) => return as_text(text, written),
        // A whole number, however it is written.
        (Kind::Integer(_), Value::Number(number)) => match number.as_f64() {
            Some(float) if number.as_i64().is_none() && float.fract() == 0.0 && float.abs() < 9e15 => {
                json!(float as i64)
            }
            _ => value.clone(),
        },
        (Kind::List(list), Value::Array(items)) => {
            Value::Array(items.iter().filter_map(|item| converted(list.item, item).or(Some(json!({})))).collect())
        }
        (Kind::Map(map), Value::Object(entries)) => Value::Object(
            entries.iter().filter_map(|(key, value)| Some((key.clone(), converted(map.value, value)?))).collect(),
        ),
        (Kind::Mapping(mapping), Value::Object(entries)) => object(mapping, entries),
        (_, value) => value.clone(),
    })
}

fn object(mapping: &'static Mapping, entries: &Map<String, Value>) -> Value {
    let mut written: Map<String, Value> =
        entries.iter().filter_map(|(key, value)| Some((camel(key), normal(mapping, key, value)?))).collect();
    match mapping.name {
        "HostPath" => {
            written.entry("type").or_insert_with(|| json!(""));
        }
        "OnPodCondition" => {
            written.entry("status").or_insert_with(|| json!("True"));
        }
        "OnExitCodes" => {
            if let Some(values) = written.get_mut("values").and_then(Value::as_array_mut) {
                values.sort_by_key(Value::as_i64);
            }
        }
        // Without a type there is nothing to say.
        "SeccompProfile" if entries.is_empty() => return json!({}),
        _ => {}
    }
    Value::Object(written)
}

fn as_text(text: &Text, written: &str) -> Option<Value> {
    let trimmed = if text.trim { written.trim() } else { written };
    if trimmed.trim().is_empty() && text.blank == Blank::Unset {
        return None;
    }
    let word = text.words.iter().find(|word| text.any_case && word.text.eq_ignore_ascii_case(trimmed));
    Some(json!(word.map_or(trimmed, |word| word.text)))
}

/// The spelling of Kubernetes.
fn camel(key: &str) -> String {
    let mut words = key.split('_');
    let mut name = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

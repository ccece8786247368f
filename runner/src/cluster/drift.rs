//! How the Job that a server stored differs from the one that was sent, beyond what every server fills in.
//!
//! What policies admitted is what was sent. A webhook may have changed it, and a server may not know a field.

use model::quantity::parse;
use serde_json::{Map, Value};

/// Differences that are told; more say nothing new.
const MOST: usize = 10;
/// Characters of a value that are told.
const LONGEST: usize = 80;

/// Fields that a server sets in an object of its own accord, below `metadata`.
const OWN: [&str; 8] = [
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "deletionGracePeriodSeconds",
    "managedFields",
    "selfLink",
];

/// Values that a server fills in where nothing was sent: the end of the path, in which `*` is any name or place, and the
/// value; none: any.
/// <https://github.com/kubernetes/kubernetes/blob/master/pkg/apis/core/v1/defaults.go>
const DEFAULTS: [(&str, Option<&str>); 35] = [
    ("spec.parallelism", Some("1")),
    ("spec.completions", Some("1")),
    ("spec.completionMode", Some("\"NonIndexed\"")),
    ("spec.suspend", Some("false")),
    ("spec.manualSelector", Some("false")),
    ("spec.backoffLimit", Some("6")),
    ("spec.podReplacementPolicy", Some("\"TerminatingOrFailed\"")),
    ("spec.selector", None),
    ("metadata.labels.controller-uid", None),
    ("metadata.labels.job-name", None),
    ("metadata.labels.batch.kubernetes.io/controller-uid", None),
    ("metadata.labels.batch.kubernetes.io/job-name", None),
    ("metadata.annotations.batch.kubernetes.io/job-tracking", None),
    ("metadata.finalizers", Some("[\"orphan\"]")),
    ("template.metadata.creationTimestamp", None),
    ("template.spec.dnsPolicy", Some("\"ClusterFirst\"")),
    ("template.spec.schedulerName", Some("\"default-scheduler\"")),
    ("template.spec.securityContext", Some("{}")),
    ("template.spec.terminationGracePeriodSeconds", Some("30")),
    ("template.spec.enableServiceLinks", Some("true")),
    // The old name of `serviceAccountName`.
    ("template.spec.serviceAccount", None),
    ("containers.*.terminationMessagePath", Some("\"/dev/termination-log\"")),
    ("containers.*.terminationMessagePolicy", Some("\"File\"")),
    ("containers.*.imagePullPolicy", None),
    ("containers.*.resources", Some("{}")),
    // Where only limits are set, they count as requests.
    ("containers.*.resources.requests", None),
    ("fieldRef.apiVersion", Some("\"v1\"")),
    ("securityContext.procMount", Some("\"Default\"")),
    ("volumes.*.secret.defaultMode", Some("420")),
    ("volumes.*.configMap.defaultMode", Some("420")),
    ("volumes.*.hostPath.type", Some("\"\"")),
    ("onPodConditions.*.status", Some("\"True\"")),
    ("tolerations.*.operator", Some("\"Equal\"")),
    ("secretKeyRef.optional", Some("false")),
    ("configMapKeyRef.optional", Some("false")),
];

/// The differences, a sentence each, in the order of their paths. Values of variables are not told: they may be secret.
pub(super) fn differences(sent: &Value, stored: &Value) -> Vec<String> {
    let mut found = Vec::new();
    for part in ["metadata", "spec"] {
        let (sent, stored) = (sent.get(part).unwrap_or(&Value::Null), stored.get(part).unwrap_or(&Value::Null));
        compare(part, sent, stored, &mut found);
    }
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("{more} more"));
    }
    found
}

fn compare(path: &str, sent: &Value, stored: &Value, found: &mut Vec<String>) {
    if is_same(path, sent, stored) {
        return;
    }
    match (sent, stored) {
        (Value::Object(sent), Value::Object(stored)) => fields(path, sent, stored, found),
        (Value::Array(sent), Value::Array(stored)) => match (by_name(sent), by_name(stored)) {
            (Some(sent), Some(stored)) => fields(path, &sent, &stored, found),
            _ if sent.len() == stored.len() => {
                for (index, (sent, stored)) in sent.iter().zip(stored).enumerate() {
                    compare(&format!("{path}[{index}]"), sent, stored, found);
                }
            }
            _ => found.push(format!("`{path}` has {} entries, {} were sent", stored.len(), sent.len())),
        },
        // It may hold nothing but what every server fills in.
        (sent, Value::Object(fields_of_it)) if is_empty(sent) => {
            let mut inside = Vec::new();
            fields(path, &Map::new(), fields_of_it, &mut inside);
            if !inside.is_empty() {
                found.push(format!("`{path}` was added: {}", shown(path, stored)));
            }
        }
        (sent, stored) if is_empty(sent) => found.push(format!("`{path}` was added: {}", shown(path, stored))),
        (_, stored) if is_empty(stored) => found.push(format!("`{path}` is missing")),
        (sent, stored) => {
            found.push(format!("`{path}` is {}, sent was {}", shown(path, stored), shown(path, sent)));
        }
    }
}

fn fields(path: &str, sent: &Map<String, Value>, stored: &Map<String, Value>, found: &mut Vec<String>) {
    let mut names: Vec<&String> = sent.keys().chain(stored.keys().filter(|name| !sent.contains_key(*name))).collect();
    names.sort();
    for name in names {
        let (sent, stored) = (sent.get(name).unwrap_or(&Value::Null), stored.get(name).unwrap_or(&Value::Null));
        compare(&format!("{path}.{name}"), sent, stored, found);
    }
}

fn is_same(path: &str, sent: &Value, stored: &Value) -> bool {
    if sent == stored || (is_empty(sent) && is_empty(stored)) {
        return true;
    }
    if path.strip_prefix("metadata.").is_some_and(|field| OWN.contains(&field)) {
        return true;
    }
    if is_empty(sent)
        && DEFAULTS.iter().any(|(end, value)| ends_so(path, end) && value.is_none_or(|value| is(stored, value)))
    {
        return true;
    }
    // The server writes amounts in its own way.
    let amount = |value: &Value| value.as_str().and_then(|text| parse(text).ok());
    let is_amount = path.contains(".resources.") || path.ends_with(".sizeLimit") || path.ends_with(".divisor");
    is_amount && amount(sent).is_some() && amount(sent) == amount(stored)
}

/// What servers do not store, and what was never written: they mean the same.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is(value: &Value, json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|json| json == *value)
}

/// Whether a path ends with these names, of which `*` is any.
fn ends_so(path: &str, end: &str) -> bool {
    let Some((before, after)) = end.split_once(".*.") else {
        return path == end || path.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
    };
    let Some(rest) = path.strip_suffix(after).and_then(|rest| rest.strip_suffix('.')) else { return false };
    // The name in between may hold dots itself, as that of a volume does not.
    let list = rest.rsplit_once('.').map_or(rest, |(list, _)| list);
    let list = if rest.ends_with(']') { rest.rsplit_once('[').map_or(rest, |(list, _)| list) } else { list };
    list == before || list.strip_suffix(before).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
}

/// Entries by their names, where all have one and each another.
fn by_name(list: &[Value]) -> Option<Map<String, Value>> {
    let mut named = Map::new();
    for entry in list {
        named.insert(entry.get("name")?.as_str()?.to_owned(), entry.clone());
    }
    (named.len() == list.len() && !list.is_empty()).then_some(named)
}

fn shown(path: &str, value: &Value) -> String {
    if path.contains(".env.") {
        return "another value".to_owned();
    }
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sent() -> Value {
        json!({
            "metadata": {"name": "a", "labels": {"runner/run-id": "r"}},
            "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {"spec": {
                "restartPolicy": "Never",
                "containers": [{"name": "step", "image": "x", "env": [{"name": "E", "value": ""}, {"name": "P", "value": "hunter2"}],
                    "resources": {"limits": {"cpu": "1000m", "memory": "1024Mi"}}}],
            }}},
        })
    }

    #[test]
    fn what_every_server_fills_in_is_no_difference() {
        let mut stored = sent();
        stored["metadata"]["uid"] = json!("u");
        stored["metadata"]["managedFields"] = json!([{"manager": "runner"}]);
        stored["status"] = json!({"active": 1});
        let spec = &mut stored["spec"];
        spec["completions"] = json!(1);
        spec["suspend"] = json!(false);
        spec["selector"] = json!({"matchLabels": {"batch.kubernetes.io/controller-uid": "u"}});
        let template = &mut spec["template"];
        template["metadata"] =
            json!({"creationTimestamp": null, "labels": {"job-name": "a", "batch.kubernetes.io/job-name": "a"}});
        template["spec"]["dnsPolicy"] = json!("ClusterFirst");
        template["spec"]["securityContext"] = json!({});
        let container = &mut template["spec"]["containers"][0];
        container["imagePullPolicy"] = json!("Always");
        container["terminationMessagePath"] = json!("/dev/termination-log");
        container["resources"] =
            json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "1", "memory": "1Gi"}});
        container["env"] = json!([{"name": "E"}, {"name": "P", "value": "hunter2"}]);
        assert_eq!(differences(&sent(), &stored), [""; 0]);
    }

    #[test]
    fn what_others_changed_is_told_with_its_path() {
        let mut stored = sent();
        stored["spec"]["suspend"] = json!(true);
        stored["spec"].as_object_mut().unwrap().remove("podReplacementPolicy");
        let pod = &mut stored["spec"]["template"]["spec"];
        pod["priorityClassName"] = json!("low");
        pod["containers"][0]["image"] = json!("y");
        pod["containers"][0]["env"][1]["value"] = json!("hunter3");
        pod["containers"][0]["resources"]["limits"]["memory"] = json!("512Mi");
        pod["containers"].as_array_mut().unwrap().insert(0, json!({"name": "proxy", "image": "p"}));
        assert_eq!(
            differences(&sent(), &stored),
            [
                "`spec.podReplacementPolicy` is missing",
                "`spec.suspend` was added: true",
                "`spec.template.spec.containers.proxy` was added: {\"image\":\"p\",\"name\":\"proxy\"}",
                "`spec.template.spec.containers.step.env.P.value` is another value, sent was another value",
                "`spec.template.spec.containers.step.image` is \"y\", sent was \"x\"",
                "`spec.template.spec.containers.step.resources.limits.memory` is \"512Mi\", sent was \"1024Mi\"",
                "`spec.template.spec.priorityClassName` was added: \"low\"",
            ]
        );
    }
}

//! Lists as tables, which is how `kubectl get` asks for them.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock::until;
use crate::object::{Metadata, Object};
use crate::resource::Resource;

/// The objects as a `Table`: a row each, its cells, and its metadata for the client's own columns.
pub(super) fn of<'a>(
    resource: Resource,
    objects: impl IntoIterator<Item = &'a Object>,
    meta: Value,
    now: Timestamp,
) -> Value {
    let columns = columns(resource).iter().map(|name| {
        let format = if *name == "Name" { "name" } else { "" };
        json!({"name": name, "type": "string", "format": format, "description": "", "priority": 0})
    });
    let rows = objects.into_iter().map(|object| {
        let mut partial = json!({
            "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": object.get("metadata"),
        });
        if let Some(meta) = partial.get_mut("metadata").and_then(Value::as_object_mut) {
            meta.remove("managedFields");
        }
        json!({"cells": cells(resource, object, now), "object": partial})
    });
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": meta,
        "columnDefinitions": columns.collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(),
    })
}

fn columns(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Namespaces => &["Name", "Status", "Age"],
        Resource::Nodes => &["Name", "Status", "Roles", "Age", "Version"],
        Resource::ConfigMaps => &["Name", "Data", "Age"],
        Resource::Secrets => &["Name", "Type", "Data", "Age"],
        Resource::Events => &["Last Seen", "Type", "Reason", "Object", "Message"],
        Resource::Pods => &["Name", "Ready", "Status", "Restarts", "Age"],
        Resource::Jobs => &["Name", "Status", "Completions", "Duration", "Age"],
    }
}

fn cells(resource: Resource, object: &Value, now: Timestamp) -> Vec<Value> {
    let text = |path: &str| object.pointer(path).and_then(Value::as_str).unwrap_or_default().to_owned();
    let name = object.name().to_owned();
    let age = since(object.meta("creationTimestamp"), now);
    let keys = |field: &str| object.get(field).and_then(Value::as_object).map_or(0, serde_json::Map::len);
    let cells = match resource {
        Resource::Namespaces => vec![name, text("/status/phase"), age],
        Resource::Nodes => vec![name, "Ready".into(), "<none>".into(), age, text("/status/nodeInfo/kubeletVersion")],
        Resource::ConfigMaps => vec![name, keys("data").saturating_add(keys("binaryData")).to_string(), age],
        Resource::Secrets => vec![name, text("/type"), keys("data").to_string(), age],
        Resource::Events => vec![
            since(&text("/lastTimestamp"), now),
            text("/type"),
            text("/reason"),
            format!("{}/{}", text("/involvedObject/kind").to_lowercase(), text("/involvedObject/name")),
            text("/message"),
        ],
        Resource::Pods => vec![name, ready(object), pod_status(object), "0".into(), age],
        Resource::Jobs => vec![name, job_status(object).into(), completions(object), duration(object, now), age],
    };
    cells.into_iter().map(Value::from).collect()
}

fn ready(pod: &Value) -> String {
    let statuses = pod.pointer("/status/containerStatuses").and_then(Value::as_array);
    let ready = statuses.into_iter().flatten().filter(|status| status.get("ready") == Some(&Value::Bool(true))).count();
    let all = pod.pointer("/spec/containers").and_then(Value::as_array).map_or(0, Vec::len);
    format!("{ready}/{all}")
}

/// The one word kubectl's users know: the reason of what holds or ended the first container that says so, else the phase.
fn pod_status(pod: &Value) -> String {
    if pod.is_being_deleted() {
        return "Terminating".to_owned();
    }
    let reasons = ["/status/initContainerStatuses", "/status/containerStatuses"].into_iter().flat_map(|list| {
        let statuses = pod.pointer(list).and_then(Value::as_array);
        statuses.into_iter().flatten().filter_map(|status| {
            let state = status.get("state")?;
            let reason = state.get("waiting").or_else(|| state.get("terminated"))?.get("reason")?.as_str()?;
            (reason != "Completed" || list.ends_with("/containerStatuses")).then(|| reason.to_owned())
        })
    });
    let phase = pod.pointer("/status/phase").and_then(Value::as_str).unwrap_or("Pending");
    let own = pod.pointer("/status/reason").and_then(Value::as_str);
    own.map(str::to_owned).or_else(|| reasons.into_iter().next()).unwrap_or_else(|| phase.to_owned())
}

fn job_status(job: &Value) -> &'static str {
    let conditions = job.pointer("/status/conditions").and_then(Value::as_array);
    let holds = |kind: &str| {
        conditions.into_iter().flatten().any(|condition| {
            condition.get("type").and_then(Value::as_str) == Some(kind)
                && condition.get("status").and_then(Value::as_str) == Some("True")
        })
    };
    match () {
        () if holds("Complete") => "Complete",
        () if holds("Failed") => "Failed",
        () if job.is_being_deleted() => "Terminating",
        () if holds("Suspended") => "Suspended",
        () if holds("FailureTarget") => "FailureTarget",
        () if holds("SuccessCriteriaMet") => "SuccessCriteriaMet",
        () => "Running",
    }
}

fn completions(job: &Value) -> String {
    let number = |path: &str| job.pointer(path).and_then(Value::as_i64);
    let succeeded = number("/status/succeeded").unwrap_or_default();
    match (number("/spec/completions"), number("/spec/parallelism").unwrap_or(1)) {
        (Some(wanted), _) => format!("{succeeded}/{wanted}"),
        (None, 0 | 1) => format!("{succeeded}/1"),
        (None, parallel) => format!("{succeeded}/1 of {parallel}"),
    }
}

fn duration(job: &Value, now: Timestamp) -> String {
    let stamp = |path: &str| job.pointer(path).and_then(Value::as_str).and_then(|text| text.parse::<Timestamp>().ok());
    match stamp("/status/startTime") {
        Some(start) => human(until(start, stamp("/status/completionTime").unwrap_or(now)).as_secs()),
        None => String::new(),
    }
}

fn since(stamp: &str, now: Timestamp) -> String {
    stamp.parse::<Timestamp>().map_or_else(|_| "<unknown>".to_owned(), |then| human(until(then, now).as_secs()))
}

/// A duration as kubectl writes it, for example `5m30s`.
fn human(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..120 => format!("{seconds}s"),
        120..600 if !seconds.is_multiple_of(60) => format!("{minutes}m{}s", seconds % 60),
        120..10800 => format!("{minutes}m"),
        10800..172_800 => format!("{hours}h"),
        _ => format!("{days}d"),
    }
}

//! Objects of tests, as small pieces of JSON, and what is seen of them.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use serde_json::{Value, json};

use super::Facts;

/// Uid of the Job of all tests.
pub(in crate::step) const JOB: &str = "job-uid";

/// Something that is seen, with the object's own version.
#[derive(Debug, Clone)]
pub(in crate::step) enum Seen {
    Job(u64, Value),
    JobDeleted(u64, Value),
    JobGone,
    NamespaceGone,
    Pod(u64, &'static str, Value),
    PodDeleted(u64, &'static str, Value),
    PodGone(&'static str),
    /// Events about the Job or about a pod.
    Events(&'static str, Value),
}

/// What is known when all of this was seen.
pub(in crate::step) fn facts<'a>(history: impl IntoIterator<Item = &'a Seen>) -> Facts {
    let mut facts = Facts::new(Some(JOB.to_owned()));
    history.into_iter().for_each(|seen| see(&mut facts, seen));
    facts
}

pub(in crate::step) fn see(facts: &mut Facts, seen: &Seen) {
    match seen {
        Seen::Job(version, more) => facts.see_job(&job(*version, more)),
        Seen::JobDeleted(version, more) => facts.see_job_deleted(&job(*version, more)),
        Seen::JobGone => facts.see_job_gone(),
        Seen::NamespaceGone => facts.see_namespace_gone(),
        Seen::Pod(version, name, more) => facts.see_pod(&pod(*version, name, more)),
        Seen::PodDeleted(version, name, more) => facts.see_pod_deleted(&pod(*version, name, more)),
        Seen::PodGone(name) => facts.see_pod_gone(&pod_uid(name)),
        Seen::Events("job", events) => facts.see_events(JOB, &parsed::<Vec<Event>>(events.clone())),
        Seen::Events(pod, events) => facts.see_events(&pod_uid(pod), &parsed::<Vec<Event>>(events.clone())),
    }
}

/// A Job; `more` is merged into it.
pub(in crate::step) fn job(version: u64, more: &Value) -> Job {
    let mut job = json!({
        "metadata": {"name": "extract", "namespace": "team", "uid": JOB, "resourceVersion": version.to_string()},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {}},
    });
    merge(&mut job, more);
    parsed(job)
}

/// A pod of it with one container; the names are in order of creation. `more` is merged into it.
pub(in crate::step) fn pod(version: u64, name: &str, more: &Value) -> Pod {
    let minute = 10 * u32::from(name.bytes().next().unwrap() - b'a');
    let mut pod = json!({
        "metadata": {
            "name": name, "namespace": "team", "uid": pod_uid(name), "resourceVersion": version.to_string(),
            "creationTimestamp": format!("2026-01-01T10:{minute:02}:00Z"),
            "ownerReferences": [{"apiVersion": "batch/v1", "kind": "Job", "name": "extract", "uid": JOB}],
        },
        "spec": {
            "nodeName": "node-1",
            "containers": [{"name": "step", "image": "alpine:3", "resources": {"limits": {"memory": "512Mi"}}}],
        },
    });
    merge(&mut pod, more);
    parsed(pod)
}

pub(in crate::step) fn pod_uid(name: &str) -> String {
    format!("uid-{name}")
}

/// A Job with this condition.
pub(in crate::step) fn says(condition: &str, reason: &str, message: &str) -> Value {
    let condition = json!({"type": condition, "status": "True", "reason": reason, "message": message});
    json!({"status": {"conditions": [condition]}})
}

pub(in crate::step) fn backoff_limit_exceeded() -> Value {
    says("Failed", "BackoffLimitExceeded", "Job has reached the specified backoff limit")
}

/// A pod whose container `step` waits.
pub(in crate::step) fn waiting(reason: &str, message: &str) -> Value {
    let state = json!({"waiting": {"reason": reason, "message": message}});
    json!({"status": {"phase": "Pending", "containerStatuses": [container("step", state)]}})
}

/// A pod whose container `step` runs.
pub(in crate::step) fn running() -> Value {
    let state = json!({"running": {"startedAt": "2026-01-01T10:01:00Z"}});
    json!({"status": {"phase": "Running", "containerStatuses": [container("step", state)]}})
}

/// A pod that is over because container `step` ended.
pub(in crate::step) fn ended(code: i32) -> Value {
    let reason = if code == 0 { "Completed" } else { "Error" };
    ended_as(code, reason, "")
}

/// The same with a reason and a message of the container.
pub(in crate::step) fn ended_as(code: i32, reason: &str, message: &str) -> Value {
    let phase = if code == 0 { "Succeeded" } else { "Failed" };
    let step = container("step", terminated(code, reason, message));
    json!({"status": {"phase": phase, "containerStatuses": [step]}})
}

pub(in crate::step) fn terminated(code: i32, reason: &str, message: &str) -> Value {
    json!({"terminated": {"exitCode": code, "reason": reason, "message": message, "finishedAt": "2026-01-01T10:05:00Z"}})
}

/// Status of a container.
pub(in crate::step) fn container(name: &str, state: Value) -> Value {
    json!({"name": name, "image": "", "imageID": "", "ready": false, "restartCount": 0, "state": state})
}

/// A pod with this condition.
pub(in crate::step) fn condition(kind: &str, status: &str, reason: &str, message: &str) -> Value {
    let condition = json!({"type": kind, "status": status, "reason": reason, "message": message});
    json!({"status": {"conditions": [condition]}})
}

/// An object whose deletion began at the tenth minute with 30 seconds of grace.
pub(in crate::step) fn deleting() -> Value {
    json!({"metadata": {"deletionTimestamp": "2026-01-01T10:10:30Z", "deletionGracePeriodSeconds": 30}})
}

/// Warnings with these reasons and messages, each a minute after the one before.
pub(in crate::step) fn warnings(of: &[(&str, &str)]) -> Value {
    let events = of.iter().enumerate().map(|(minute, (reason, message))| {
        json!({
            "metadata": {"name": format!("event-{minute}")}, "involvedObject": {}, "type": "Warning",
            "reason": reason, "message": message, "lastTimestamp": format!("2026-01-01T11:{minute:02}:00Z"),
        })
    });
    events.collect()
}

/// All of these in one, later ones over earlier ones.
pub(in crate::step) fn all<const N: usize>(pieces: [Value; N]) -> Value {
    let mut whole = json!({});
    pieces.iter().for_each(|piece| merge(&mut whole, piece));
    whole
}

/// Objects are merged by key; anything else is replaced.
fn merge(into: &mut Value, more: &Value) {
    match (into, more) {
        (Value::Object(into), Value::Object(more)) => {
            for (key, value) in more {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, more) => *into = more.clone(),
    }
}

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

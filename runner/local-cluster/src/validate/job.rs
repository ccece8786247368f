//! Jobs, but for their failure policy.

use k8s_openapi::api::batch::v1::Job;
use serde_json::Value;

use super::{Causes, failure_policy, name, pod};

pub(super) fn check(job: &Job, causes: &mut Causes) {
    let Some(spec) = &job.spec else {
        causes.required("spec.template.spec.containers", "");
        return;
    };
    let job_name = job.metadata.name.as_deref().unwrap_or_default();
    // The name becomes a label of the pods.
    if let Some(problem) = name::label_value(job_name) {
        causes.invalid("spec.template.labels", job_name, &problem);
    }
    causes.not_negative("spec.parallelism", spec.parallelism);
    causes.not_negative("spec.completions", spec.completions);
    causes.not_negative("spec.activeDeadlineSeconds", spec.active_deadline_seconds);
    causes.not_negative("spec.backoffLimit", spec.backoff_limit);
    causes.not_negative("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished);
    match spec.completion_mode.as_deref().unwrap_or("NonIndexed") {
        "NonIndexed" => {}
        // Indexed Jobs are not imitated; to run one as if it were not indexed would be wrong without a word.
        other => causes.unsupported("spec.completionMode", other, &["NonIndexed"]),
    }
    for (field, is_set) in [
        ("spec.backoffLimitPerIndex", spec.backoff_limit_per_index.is_some()),
        ("spec.maxFailedIndexes", spec.max_failed_indexes.is_some()),
        ("spec.successPolicy", spec.success_policy.is_some()),
    ] {
        if is_set {
            causes.invalid(field, Value::Null, "requires indexed completion mode");
        }
    }
    if let Some(manager) = spec.managed_by.as_deref().filter(|manager| *manager != "kubernetes.io/job-controller") {
        causes.unsupported("spec.managedBy", manager, &["kubernetes.io/job-controller"]);
    }
    let restart = spec.template.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default();
    match restart {
        "Never" => {}
        "" | "Always" => {
            causes.required("spec.template.spec.restartPolicy", "valid values: \"OnFailure\", \"Never\"");
        }
        // As for pods: the node here starts a container once.
        "OnFailure" => causes.unsupported("spec.template.spec.restartPolicy", restart, &["Never"]),
        other => causes.unsupported("spec.template.spec.restartPolicy", other, &["OnFailure", "Never"]),
    }
    let replacement = spec.pod_replacement_policy.as_deref().unwrap_or("Failed");
    let allowed: &[&str] =
        if spec.pod_failure_policy.is_some() { &["Failed"] } else { &["Failed", "TerminatingOrFailed"] };
    if !allowed.contains(&replacement) {
        causes.unsupported("spec.podReplacementPolicy", replacement, allowed);
    }
    if let Some(policy) = &spec.pod_failure_policy {
        failure_policy::check(policy, spec, causes);
    }
    check_own_labels(job, causes);
    pod::check_template(&spec.template, "spec.template", causes);
}

/// The labels by which a Job finds its pods are the server's to set.
fn check_own_labels(job: &Job, causes: &mut Causes) {
    let Some(spec) = job.spec.as_ref().filter(|spec| spec.manual_selector != Some(true)) else { return };
    let labels = spec.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
    let (name, uid) = (job.metadata.name.as_deref(), job.metadata.uid.as_deref());
    for (key, expected) in [
        ("batch.kubernetes.io/controller-uid", uid),
        ("batch.kubernetes.io/job-name", name),
        ("controller-uid", uid),
        ("job-name", name),
    ] {
        let expected = expected.unwrap_or_default();
        if let Some(found) = labels.and_then(|labels| labels.get(key)).filter(|found| *found != expected) {
            let field = format!("spec.template.metadata.labels[{key}]");
            causes.invalid(field, found.as_str(), &format!("must be '{expected}'"));
        }
    }
}

/// Most of a Job is fixed once it exists.
pub(super) fn check_update(before: &Value, object: &Value, causes: &mut Causes) {
    let spec = |object: &Value, field: &str| object.pointer(&format!("/spec/{field}")).cloned().unwrap_or_default();
    let was_suspended = spec(before, "suspend") == Value::Bool(true) && before.pointer("/status/startTime").is_none();
    for field in ["completions", "selector", "completionMode", "podFailurePolicy", "template"] {
        // A suspended Job that has not started may still be moved to other nodes by whoever suspended it.
        if field == "template" && was_suspended {
            continue;
        }
        if spec(before, field) != spec(object, field) {
            causes.invalid(format!("spec.{field}"), spec(object, field), "field is immutable");
        }
    }
}

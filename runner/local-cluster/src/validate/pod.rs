//! Pods and pod templates: containers, their environment and mounts.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Container, EnvVar, Pod, PodSpec, PodTemplateSpec};
use serde_json::Value;

use super::{Causes, metadata, name, resources, scheduling, security, volumes};

pub(super) fn check(pod: &Pod, causes: &mut Causes) {
    match &pod.spec {
        Some(spec) => {
            check_spec(spec, "spec", causes);
            check_images(spec, causes);
        }
        None => causes.required("spec.containers", ""),
    }
    let restart = pod.spec.as_ref().and_then(|spec| spec.restart_policy.as_deref()).unwrap_or_default();
    match restart {
        "Never" => {}
        // The node here starts a container once. To refuse says so; to run it once and call that `Always` would not.
        "Always" | "OnFailure" => causes.unsupported("spec.restartPolicy", restart, &["Never"]),
        other => causes.unsupported("spec.restartPolicy", other, &["Always", "OnFailure", "Never"]),
    }
}

/// Of templates this is not asked: there a blank image may be a mark for whoever fills it in.
fn check_images(spec: &PodSpec, causes: &mut Causes) {
    for (index, container) in spec.containers.iter().enumerate() {
        let image = container.image.as_deref().unwrap_or_default();
        if image.trim() != image {
            let field = format!("spec.containers[{index}].image");
            causes.invalid(field, image, "must not have leading or trailing whitespace");
        }
    }
}

/// A running pod is what it is: all but a few fields of its spec are fixed.
pub(super) fn check_update(before: &Value, object: &Value, causes: &mut Causes) {
    let fixed = |pod: &Value| {
        let mut spec = pod.get("spec").cloned().unwrap_or_default();
        if let Some(map) = spec.as_object_mut() {
            for field in ["activeDeadlineSeconds", "tolerations", "terminationGracePeriodSeconds", "schedulingGates"] {
                map.remove(field);
            }
            for list in ["containers", "initContainers"] {
                let list = map.get_mut(list).and_then(Value::as_array_mut);
                for container in list.into_iter().flatten().filter_map(Value::as_object_mut) {
                    container.remove("image");
                }
            }
        }
        spec
    };
    if fixed(before) != fixed(object) {
        causes.forbidden(
            "spec",
            "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)",
        );
    }
}

/// The template of a Job.
pub(super) fn check_template(template: &PodTemplateSpec, field: &str, causes: &mut Causes) {
    if let Some(meta) = &template.metadata {
        let meta = serde_json::to_value(meta).unwrap_or_default();
        metadata::check_labels(meta.get("labels"), &format!("{field}.labels"), causes);
        metadata::check_annotations(meta.get("annotations"), &format!("{field}.annotations"), causes);
    }
    match &template.spec {
        Some(spec) => check_spec(spec, &format!("{field}.spec"), causes),
        None => causes.required(format!("{field}.spec.containers"), ""),
    }
}

fn check_spec(spec: &PodSpec, field: &str, causes: &mut Causes) {
    let volumes = volumes::check(spec.volumes.as_deref().unwrap_or_default(), &format!("{field}.volumes"), causes);
    let mut names = BTreeSet::new();
    let init = spec.init_containers.as_deref().unwrap_or_default();
    for (index, container) in init.iter().enumerate() {
        check_container(container, &format!("{field}.initContainers[{index}]"), &mut names, &volumes, causes);
    }
    if spec.containers.is_empty() {
        causes.required(format!("{field}.containers"), "");
    }
    for (index, container) in spec.containers.iter().enumerate() {
        let field = format!("{field}.containers[{index}]");
        check_container(container, &field, &mut names, &volumes, causes);
        if container.restart_policy.is_some() {
            causes.forbidden(format!("{field}.restartPolicy"), "may not be set for non-init containers");
        }
    }
    if let Some(seconds) = spec.active_deadline_seconds.filter(|seconds| !(1..=i64::from(i32::MAX)).contains(seconds)) {
        let detail = "must be between 1 and 2147483647, inclusive";
        causes.invalid(format!("{field}.activeDeadlineSeconds"), seconds, detail);
    }
    if let Some(account) = spec.service_account_name.as_deref().filter(|account| !account.is_empty()) {
        causes.named(format!("{field}.serviceAccountName"), account, name::dns_subdomain);
    }
    if let Some(class) = spec.priority_class_name.as_deref().filter(|class| !class.is_empty()) {
        causes.named(format!("{field}.priorityClassName"), class, name::dns_subdomain);
    }
    if let Some(context) = &spec.security_context {
        security::check_pod(context, &format!("{field}.securityContext"), causes);
    }
    scheduling::check(spec, field, causes);
}

fn check_container(
    container: &Container,
    field: &str,
    names: &mut BTreeSet<String>,
    volumes: &BTreeSet<&str>,
    causes: &mut Causes,
) {
    causes.named(format!("{field}.name"), &container.name, name::dns_label);
    if !container.name.is_empty() && !names.insert(container.name.clone()) {
        causes.duplicate(format!("{field}.name"), &container.name);
    }
    if container.image.as_deref().unwrap_or_default().is_empty() {
        causes.required(format!("{field}.image"), "");
    }
    if let Some(policy) = &container.image_pull_policy {
        causes.one_of(format!("{field}.imagePullPolicy"), policy, &["Always", "IfNotPresent", "Never"]);
    }
    if let Some(policy) = container.restart_policy.as_deref().filter(|policy| *policy != "Always") {
        causes.unsupported(format!("{field}.restartPolicy"), policy, &["Always"]);
    }
    for (index, variable) in container.env.iter().flatten().enumerate() {
        check_variable(variable, &format!("{field}.env[{index}]"), causes);
    }
    for (index, source) in container.env_from.iter().flatten().enumerate() {
        let field = format!("{field}.envFrom[{index}]");
        if let Some(prefix) = source.prefix.as_deref().filter(|prefix| !prefix.is_empty()) {
            causes.named(format!("{field}.prefix"), prefix, name::env_name);
        }
        match (&source.config_map_ref, &source.secret_ref) {
            (None, None) => causes.invalid(field, "", "must specify one of: `configMapRef` or `secretRef`"),
            (Some(_), Some(_)) => causes.invalid(field, "", "may not have more than one field specified at a time"),
            (Some(map), None) => causes.named(format!("{field}.configMapRef.name"), &map.name, name::beginning),
            (None, Some(secret)) => {
                causes.named(format!("{field}.secretRef.name"), &secret.name, name::beginning);
            }
        }
    }
    volumes::check_mounts(container, field, volumes, causes);
    if let Some(resources) = &container.resources {
        resources::check(resources, &format!("{field}.resources"), causes);
    }
    if let Some(context) = &container.security_context {
        security::check_container(context, &format!("{field}.securityContext"), causes);
    }
}

fn check_variable(variable: &EnvVar, field: &str, causes: &mut Causes) {
    causes.named(format!("{field}.name"), &variable.name, name::env_name);
    let Some(source) = &variable.value_from else { return };
    let field = format!("{field}.valueFrom");
    let count = [
        source.config_map_key_ref.is_some(),
        source.field_ref.is_some(),
        source.file_key_ref.is_some(),
        source.resource_field_ref.is_some(),
        source.secret_key_ref.is_some(),
    ];
    match count.into_iter().filter(|is_set| *is_set).count() {
        0 => causes.invalid(
            field.clone(),
            "",
            "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`",
        ),
        1 => {}
        _ => causes.invalid(field.clone(), "", "may not have more than one field specified at a time"),
    }
    if variable.value.as_deref().is_some_and(|value| !value.is_empty()) {
        causes.invalid(field.clone(), "", "may not be specified when `value` is not empty");
    }
    if let Some(reference) = &source.config_map_key_ref {
        causes.named(format!("{field}.configMapKeyRef.name"), &reference.name, name::dns_subdomain);
        causes.named(format!("{field}.configMapKeyRef.key"), &reference.key, name::data_key);
    }
    if let Some(reference) = &source.secret_key_ref {
        causes.named(format!("{field}.secretKeyRef.name"), &reference.name, name::dns_subdomain);
        causes.named(format!("{field}.secretKeyRef.key"), &reference.key, name::data_key);
    }
    if let Some(reference) = &source.field_ref {
        check_field_path(&reference.field_path, &format!("{field}.fieldRef"), causes);
    }
}

/// A field of the pod, or one entry of its labels or annotations.
fn check_field_path(path: &str, field: &str, causes: &mut Causes) {
    let entry = path.strip_suffix("']").and_then(|path| path.split_once("['")).filter(|(of, _)| !of.is_empty());
    match entry {
        _ if path.is_empty() => causes.required(format!("{field}.fieldPath"), ""),
        Some(("metadata.labels", key)) => check_subscript(key, field, causes),
        Some(("metadata.annotations", key)) => check_subscript(&key.to_lowercase(), field, causes),
        Some(_) => {
            let detail = format!("error converting fieldPath: field label does not support subscript: {path}");
            causes.invalid(format!("{field}.fieldPath"), path, &detail);
        }
        // An old name of `spec.nodeName`.
        None if FIELD_PATHS.contains(&path) || path == "spec.host" => {}
        None if OTHER_FIELD_PATHS.contains(&path) => {
            causes.unsupported(format!("{field}.fieldPath"), path, &FIELD_PATHS);
        }
        None => {
            let detail = format!("error converting fieldPath: field label not supported: {path}");
            causes.invalid(format!("{field}.fieldPath"), path, &detail);
        }
    }
}

fn check_subscript(key: &str, field: &str, causes: &mut Causes) {
    if let Some(problem) = name::label_key(key) {
        causes.invalid(field, key, &problem);
    }
}

/// Fields that selectors know and variables cannot hold.
const OTHER_FIELD_PATHS: [&str; 5] =
    ["metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"];

const FIELD_PATHS: [&str; 9] = [
    "metadata.name",
    "metadata.namespace",
    "metadata.uid",
    "spec.nodeName",
    "spec.serviceAccountName",
    "status.hostIP",
    "status.hostIPs",
    "status.podIP",
    "status.podIPs",
];

//! What the server fills in: defaults of Jobs, Pods, Secrets and Namespaces, and what a new object starts with.

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1::{Job, JobSpec};
use k8s_openapi::api::core::v1::{Container, EmptyDirVolumeSource, Pod, PodSpec, Volume};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use serde::Serialize;
use serde_json::{Value, json};

use crate::object::{Metadata, child_mut, map_mut, metadata_mut, set, typed};
use crate::resource::Resource;

/// Labels that tie a pod to its Job; the two without prefix are the older names of the same.
pub(crate) const CONTROLLER_UID: &str = "batch.kubernetes.io/controller-uid";
pub(crate) const JOB_NAME: &str = "batch.kubernetes.io/job-name";
const OLD_CONTROLLER_UID: &str = "controller-uid";
const OLD_JOB_NAME: &str = "job-name";

/// Fills in what a written object left out.
pub(crate) fn apply(resource: Resource, object: &mut Value) {
    match resource {
        Resource::Jobs => replace::<Job>(object, |job| {
            if let Some(spec) = &mut job.spec {
                job_spec(spec);
            }
        }),
        Resource::Pods => replace::<Pod>(object, |pod| {
            if let Some(spec) = &mut pod.spec {
                pod_spec(spec);
                spec.enable_service_links.get_or_insert(true);
                for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
                    requests_of_limits(container);
                }
                // In templates a negative one stays.
                spec.termination_grace_period_seconds =
                    spec.termination_grace_period_seconds.map(|seconds| if seconds < 0 { 1 } else { seconds });
            }
        }),
        Resource::Secrets => secret(object),
        Resource::Namespaces => {
            set(child_mut(object, "spec"), "finalizers", json!(["kubernetes"]));
            let name = object.name().to_owned();
            let labels = metadata_mut(object).entry("labels").or_insert(Value::Null);
            set(map_mut(labels), "kubernetes.io/metadata.name", name);
        }
        Resource::ConfigMaps | Resource::Events | Resource::Nodes => {}
    }
}

/// What only a new object gets: the Job's selector, the first status.
pub(crate) fn begin(resource: Resource, object: &mut Value) {
    match resource {
        Resource::Jobs => {
            replace::<Job>(object, select_own_pods);
            set(map_mut(object), "status", json!({}));
        }
        Resource::Pods => {
            let quality = typed::<Pod>(object).map_or("BestEffort", |pod| quality_of_service(&pod));
            set(map_mut(object), "status", json!({"phase": "Pending", "qosClass": quality}));
        }
        Resource::Namespaces => set(map_mut(object), "status", json!({"phase": "Active"})),
        Resource::ConfigMaps | Resource::Events | Resource::Nodes | Resource::Secrets => {}
    }
}

fn replace<T: serde::de::DeserializeOwned + Serialize>(object: &mut Value, change: impl FnOnce(&mut T)) {
    if let Some(mut typed) = typed::<T>(object) {
        change(&mut typed);
        if let Ok(changed) = serde_json::to_value(typed) {
            *object = changed;
        }
    }
}

fn job_spec(spec: &mut JobSpec) {
    if spec.completions.is_none() && spec.parallelism.is_none() {
        spec.completions = Some(1);
    }
    spec.parallelism.get_or_insert(1);
    spec.backoff_limit.get_or_insert(6);
    spec.completion_mode.get_or_insert_with(|| "NonIndexed".to_owned());
    spec.suspend.get_or_insert(false);
    spec.manual_selector.get_or_insert(false);
    let replacement = if spec.pod_failure_policy.is_some() { "Failed" } else { "TerminatingOrFailed" };
    spec.pod_replacement_policy.get_or_insert_with(|| replacement.to_owned());
    for rule in spec.pod_failure_policy.iter_mut().flat_map(|policy| &mut policy.rules) {
        for pattern in rule.on_pod_conditions.iter_mut().flatten() {
            pattern.status.get_or_insert_with(|| "True".to_owned());
        }
    }
    if let Some(template) = &mut spec.template.spec {
        pod_spec(template);
    }
}

fn select_own_pods(job: &mut Job) {
    let uid = job.metadata.uid.clone().unwrap_or_default();
    let name = job.metadata.name.clone().unwrap_or_default();
    let Some(spec) = &mut job.spec else { return };
    if spec.manual_selector == Some(true) {
        return;
    }
    let labels = spec.template.metadata.get_or_insert_with(ObjectMeta::default).labels.get_or_insert_default();
    for (key, value) in [(CONTROLLER_UID, &uid), (OLD_CONTROLLER_UID, &uid), (JOB_NAME, &name), (OLD_JOB_NAME, &name)] {
        // One that is there and says something else is refused by validation.
        labels.entry(key.to_owned()).or_insert_with(|| value.clone());
    }
    let matched = BTreeMap::from([(CONTROLLER_UID.to_owned(), uid)]);
    spec.selector = Some(LabelSelector { match_labels: Some(matched), match_expressions: None });
}

fn pod_spec(spec: &mut PodSpec) {
    spec.restart_policy.get_or_insert_with(|| "Always".to_owned());
    spec.dns_policy.get_or_insert_with(|| "ClusterFirst".to_owned());
    spec.scheduler_name.get_or_insert_with(|| "default-scheduler".to_owned());
    spec.termination_grace_period_seconds.get_or_insert(30);
    spec.security_context.get_or_insert_default();
    // The deprecated twin of `serviceAccountName`.
    if spec.service_account_name.is_some() {
        spec.service_account = spec.service_account_name.clone();
    }
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container_defaults(container);
    }
    for volume in spec.volumes.iter_mut().flatten() {
        volume_defaults(volume);
    }
}

fn container_defaults(container: &mut Container) {
    container.termination_message_path.get_or_insert_with(|| "/dev/termination-log".to_owned());
    container.termination_message_policy.get_or_insert_with(|| "File".to_owned());
    if container.image_pull_policy.is_none() {
        let policy = if is_latest(container.image.as_deref().unwrap_or_default()) { "Always" } else { "IfNotPresent" };
        container.image_pull_policy = Some(policy.to_owned());
    }
    container.resources.get_or_insert_default();
    for source in container.env.iter_mut().flatten().filter_map(|variable| variable.value_from.as_mut()) {
        if let Some(reference) = &mut source.field_ref {
            reference.api_version.get_or_insert_with(|| "v1".to_owned());
        }
    }
}

/// Of pods, not of templates: a limit is a request where none is made.
fn requests_of_limits(container: &mut Container) {
    let Some(resources) = &mut container.resources else { return };
    if let Some(limits) = resources.limits.clone().filter(|limits| !limits.is_empty()) {
        let requests = resources.requests.get_or_insert_default();
        for (resource, amount) in limits {
            requests.entry(resource).or_insert(amount);
        }
    }
}

/// No tag and no digest mean `latest`, and `latest` is pulled each time.
fn is_latest(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    !image.contains('@') && last.split_once(':').is_none_or(|(_, tag)| tag == "latest")
}

fn volume_defaults(volume: &mut Volume) {
    let has_source =
        serde_json::to_value(&*volume).is_ok_and(|volume| volume.as_object().is_some_and(|map| map.len() > 1));
    if !has_source {
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if let Some(source) = &mut volume.config_map {
        source.default_mode.get_or_insert(0o644);
    }
    if let Some(source) = &mut volume.secret {
        source.default_mode.get_or_insert(0o644);
    }
    if let Some(source) = &mut volume.host_path {
        source.type_.get_or_insert_default();
    }
}

/// `stringData` is another way to write `data`, and never read back.
fn secret(object: &mut Value) {
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    if let Some(Value::Object(texts)) = map_mut(object).remove("stringData") {
        let data = child_mut(object, "data");
        for (key, text) in texts {
            set(data, &key, STANDARD.encode(text.as_str().unwrap_or_default()));
        }
    }
    map_mut(object).entry("type").or_insert_with(|| "Opaque".into());
}

/// <https://kubernetes.io/docs/concepts/workloads/pods/pod-qos/>
fn quality_of_service(pod: &Pod) -> &'static str {
    let containers =
        pod.spec.iter().flat_map(|spec| spec.containers.iter().chain(spec.init_containers.iter().flatten()));
    let (mut has_any, mut all_equal) = (false, true);
    for resources in containers.map(|container| container.resources.clone().unwrap_or_default()) {
        let limits = resources.limits.unwrap_or_default();
        let requests = resources.requests.unwrap_or_default();
        has_any |= ["cpu", "memory"].iter().any(|name| limits.contains_key(*name) || requests.contains_key(*name));
        all_equal &=
            ["cpu", "memory"].iter().all(|name| limits.contains_key(*name) && limits.get(*name) == requests.get(*name));
    }
    match (has_any, all_equal) {
        (false, _) => "BestEffort",
        (true, true) => "Guaranteed",
        (true, false) => "Burstable",
    }
}

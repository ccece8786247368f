//! The manifest of a Job, made from an admitted config and the identity of the attempt.
//!
//! A pure function: no clock, no chance, no cluster. The same input gives the same bytes, so that an attempt that is
//! sent again after a lost answer is recognised by its digest. What is unset is not written; Kubernetes decides it.

mod container;
pub mod field;
mod name;
mod pod;
mod scheduling;
mod volumes;

use std::collections::BTreeMap;

use k8s_openapi::api::batch::v1 as batch;
use k8s_openapi::api::core::v1 as core;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use model::config::failure_policy::{
    ConditionStatus, OnExitCodes, OnPodCondition, PodFailurePolicy, PodFailurePolicyRule,
};
use model::config::{CleanupPolicy, DEFAULT_NAMESPACE, EffectiveConfig};
use model::names::{JobName, RunId};
use sha2::{Digest as _, Sha256};

use crate::admission::{Admitted, Preview};

pub(crate) use name::{label_value, short_hash};

/// Key of the label and annotation that hold the id of the run.
pub const RUN_ID: &str = "runner/run-id";
/// Key of the label and annotation that hold the name of the workflow.
pub const WORKFLOW: &str = "runner/workflow";
/// Key of the label and annotation that hold the name of the step.
pub const STEP: &str = "runner/step";
/// Key of the label that holds the number of the attempt.
pub const ATTEMPT: &str = "runner/attempt";
/// Key of the Job's annotation that says whether it is deleted after its end.
pub const CLEANUP: &str = "runner/cleanup";
/// Key of the Job's annotation that holds the digest of the manifest without this annotation.
pub const DIGEST: &str = "runner/digest";

/// Name of the only container.
pub const CONTAINER: &str = "step";

/// Which attempt of which step a Job is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The run.
    pub run_id: RunId,
    /// Name of the workflow.
    pub workflow: String,
    /// Name of the step, or of the handler's step, as `onExit`.
    pub step: String,
    /// From 1, over all retries and repetitions of the step in the run.
    pub attempt: u32,
}

/// A Job that may be sent: only [`build`] makes one, and only from a config that every policy admitted.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    name: JobName,
    digest: String,
    manifest: batch::Job,
}

impl Job {
    /// Its name; the same attempt always has the same one.
    pub fn name(&self) -> &JobName {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.manifest.metadata.namespace.as_deref().unwrap_or(DEFAULT_NAMESPACE)
    }

    /// SHA-256 of the manifest without the annotation that holds it, in hexadecimal digits.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What is sent.
    pub fn as_manifest(&self) -> &batch::Job {
        &self.manifest
    }
}

/// The Job of one attempt.
pub fn build(admitted: &Admitted, attempt: u32) -> Job {
    let identity = &admitted.identity(attempt);
    job(admitted.config(), admitted.argv(), identity)
}

/// The manifest of a step as it would be: to look at, never to send.
#[derive(Debug, Clone, PartialEq)]
pub struct Manifest {
    job: Job,
}

impl Manifest {
    /// The Job that would be sent.
    pub fn as_job(&self) -> &batch::Job {
        self.job.as_manifest()
    }
}

/// What the Job of a step would be. Nothing that submits takes it.
pub fn preview(preview: &Preview) -> Manifest {
    let identity = &preview.identity();
    Manifest { job: job(preview.config(), preview.argv(), identity) }
}

fn job(config: &EffectiveConfig, argv: Option<&[String]>, identity: &Identity) -> Job {
    let name = name::job_name(&identity.run_id, &identity.step, identity.attempt);
    let labels = labels(config, identity);
    let annotations = annotations(config, identity);
    let cleanup = config.cleanup_policy.as_ref().unwrap_or(&CleanupPolicy::Delete);
    let mut manifest = batch::Job {
        metadata: ObjectMeta {
            name: Some(name.to_string()),
            namespace: Some(config.namespace.clone().unwrap_or_else(|| DEFAULT_NAMESPACE.to_owned())),
            labels: Some(labels.clone()),
            annotations: Some(with(annotations.clone(), CLEANUP, cleanup.as_str())),
            ..ObjectMeta::default()
        },
        spec: Some(batch::JobSpec {
            backoff_limit: Some(config.backoff_limit.unwrap_or(0)),
            active_deadline_seconds: config.active_deadline,
            ttl_seconds_after_finished: config.ttl_after_finished,
            // A replacement starts only when the old pod has ended: two pods of one attempt never run at once.
            pod_replacement_policy: Some("Failed".to_owned()),
            pod_failure_policy: pod_failure_policy(&config.pod_failure_policy),
            template: core::PodTemplateSpec {
                metadata: Some(ObjectMeta {
                    labels: Some(labels),
                    annotations: Some(annotations),
                    ..ObjectMeta::default()
                }),
                spec: Some(pod::spec(config, argv)),
            },
            ..batch::JobSpec::default()
        }),
        status: None,
    };
    let digest = digest(&manifest);
    manifest.metadata.annotations.get_or_insert_default().insert(DIGEST.to_owned(), digest.clone());
    Job { name, digest, manifest }
}

/// The labels of Job and pod. The keys that identify the attempt are reserved, so no label of the user is lost.
fn labels(config: &EffectiveConfig, identity: &Identity) -> BTreeMap<String, String> {
    let mut labels = config.labels.clone();
    for (key, text) in identifying(identity) {
        labels.insert(key.to_owned(), label_value(text));
    }
    with(labels, ATTEMPT, &identity.attempt.to_string())
}

/// The annotations of the pod, and of the Job without its own two: whole texts where a label may hold a short form.
fn annotations(config: &EffectiveConfig, identity: &Identity) -> BTreeMap<String, String> {
    let mut annotations = config.annotations.clone();
    for (key, text) in identifying(identity) {
        annotations.insert(key.to_owned(), text.to_owned());
    }
    annotations
}

fn identifying(identity: &Identity) -> [(&'static str, &str); 3] {
    [(RUN_ID, identity.run_id.as_str()), (WORKFLOW, &identity.workflow), (STEP, &identity.step)]
}

fn with(mut map: BTreeMap<String, String>, key: &str, value: &str) -> BTreeMap<String, String> {
    map.insert(key.to_owned(), value.to_owned());
    map
}

fn pod_failure_policy(policy: &PodFailurePolicy) -> Option<batch::PodFailurePolicy> {
    let PodFailurePolicy { rules } = policy;
    unless_empty(rules.iter().map(rule).collect()).map(|rules| batch::PodFailurePolicy { rules })
}

fn rule(rule: &PodFailurePolicyRule) -> batch::PodFailurePolicyRule {
    let PodFailurePolicyRule { action, on_exit_codes, on_pod_conditions } = rule;
    batch::PodFailurePolicyRule {
        action: word(action),
        on_exit_codes: on_exit_codes.as_ref().map(exit_codes),
        on_pod_conditions: on_pod_conditions.as_ref().map(|conditions| conditions.iter().map(condition).collect()),
    }
}

fn exit_codes(codes: &OnExitCodes) -> batch::PodFailurePolicyOnExitCodesRequirement {
    let OnExitCodes { container_name, operator, values } = codes;
    let mut values = values.clone();
    // Kubernetes refuses them in another order.
    values.sort_unstable();
    batch::PodFailurePolicyOnExitCodesRequirement {
        container_name: container_name.clone(),
        operator: word(operator),
        values,
    }
}

fn condition(condition: &OnPodCondition) -> batch::PodFailurePolicyOnPodConditionsPattern {
    let OnPodCondition { condition_type, status } = condition;
    batch::PodFailurePolicyOnPodConditionsPattern {
        type_: text(condition_type),
        status: Some(status.as_ref().unwrap_or(&ConditionStatus::True).as_str().to_owned()),
    }
}

/// SHA-256 of a manifest as JSON with sorted keys, in hexadecimal digits.
#[expect(clippy::expect_used, reason = "a manifest holds texts, whole numbers and booleans only, under keys of text")]
fn digest(manifest: &batch::Job) -> String {
    let mut json = serde_json::to_value(manifest).expect("a manifest is JSON");
    // Another crate may have asked serde_json to keep the order of insertion.
    json.sort_all_objects();
    let bytes: [u8; 32] = Sha256::digest(json.to_string()).into();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value, unless there is nothing in it: an empty list, map or block is not written.
fn unless_empty<T: Default + PartialEq>(value: T) -> Option<T> {
    (value != T::default()).then_some(value)
}

/// A text that admission has seen to be there.
fn text(text: &Option<String>) -> String {
    text.clone().unwrap_or_default()
}

/// A word that admission has seen to be there.
fn word<W: Clone + Into<String>>(word: &Option<W>) -> String {
    word.clone().map(Into::into).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use model::field::{Kind, Mapping};
    use serde_json::{Value, json};

    use super::*;

    fn identity() -> Identity {
        Identity {
            run_id: "2026-01-31_nightly-".parse().unwrap(),
            workflow: "nightly".to_owned(),
            step: "01 Load: Daten für das größte Lager in Süddeutschland".to_owned(),
            attempt: 2,
        }
    }

    fn from_yaml(config: &str) -> EffectiveConfig {
        serde_yaml::from_str(config).unwrap_or_else(|error| panic!("{error}: {config}"))
    }

    /// The pod spec that `config` becomes.
    fn pod(config: &str) -> Value {
        let job = job(&from_yaml(config), None, &identity());
        serde_json::to_value(job.as_manifest()).unwrap()["spec"]["template"]["spec"].take()
    }

    const COMPLETE: &str = include_str!("manifest/testdata/config.yaml");

    #[test]
    fn every_field_has_its_place() {
        let argv = ["sh", "-c", "", "echo $(Z)"].map(str::to_owned);
        let job = job(&from_yaml(COMPLETE), Some(&argv), &identity());
        let manifest = serde_yaml::to_string(job.as_manifest()).unwrap();
        let expected = concat!(env!("CARGO_MANIFEST_DIR"), "/src/manifest/testdata/complete.yaml");
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(expected, &manifest).unwrap();
        }
        let expected = std::fs::read_to_string(expected).unwrap_or_default();
        assert!(manifest == expected, "not as expected; `BLESS=1` accepts it:\n{manifest}");
    }

    /// Without this a new field could be forgotten in the test above.
    #[test]
    fn the_complete_config_is_complete() {
        /// Sorts the keys of `mapping` and all below it by whether `values` have them.
        fn visit(mapping: &'static Mapping, values: &[&Value], seen: &mut BTreeMap<String, bool>) {
            for field in mapping.fields {
                let found: Vec<&Value> = values.iter().filter_map(|value| value.get(field.key)).collect();
                *seen.entry(format!("{}.{}", mapping.name, field.key)).or_default() |= !found.is_empty();
                match &field.kind {
                    Kind::Mapping(inner) => visit(inner, &found, seen),
                    Kind::List(list) => {
                        let items: Vec<&Value> = found.iter().filter_map(|list| list.as_array()).flatten().collect();
                        if let Kind::Mapping(inner) = list.item {
                            visit(inner, &items, seen);
                        }
                    }
                    _ => {}
                }
            }
        }
        let mut seen = BTreeMap::new();
        visit(&EffectiveConfig::MAPPING, &[&serde_yaml::from_str(COMPLETE).unwrap()], &mut seen);
        let missing: Vec<&String> = seen.iter().filter(|(_, found)| !**found).map(|(key, _)| key).collect();
        assert!(missing.is_empty(), "not in config.yaml: {missing:?}");
    }

    #[test]
    fn the_same_input_gives_the_same_bytes() {
        let bytes = |config: &str, identity: &Identity| {
            serde_json::to_string(job(&from_yaml(config), None, identity).as_manifest()).unwrap()
        };
        let turned = "labels: {b: '1', a: '2'}\nimage: x\nresources: {limits: {memory: 1Gi, cpu: '1'}}";
        let straight = "image: x\nresources: {limits: {cpu: '1', memory: 1Gi}}\nlabels: {a: '2', b: '1'}";
        assert_eq!(bytes(turned, &identity()), bytes(straight, &identity()));
    }

    #[test]
    fn the_digest_is_that_of_the_manifest_without_it() {
        let built = job(&from_yaml("image: x"), None, &identity());
        let mut manifest = built.as_manifest().clone();
        let written = manifest.metadata.annotations.as_mut().unwrap().remove(DIGEST);
        assert_eq!(written.as_deref(), Some(built.digest()));
        assert_eq!(digest(&manifest), built.digest());
        assert_eq!(built.digest().len(), 64);
        for other in ["image: y", "{image: x, cleanup_policy: keep}", "{image: x, backoff_limit: 1}"] {
            assert_ne!(job(&from_yaml(other), None, &identity()).digest(), built.digest(), "{other}");
        }
    }

    #[test]
    fn an_almost_empty_config_gets_only_what_is_always_written() {
        let identity = Identity {
            run_id: "r1".parse().unwrap(),
            workflow: "w".to_owned(),
            step: "load_data".to_owned(),
            attempt: 1,
        };
        let built = job(&from_yaml("image: x"), None, &identity);
        assert_eq!(built.namespace(), "default");
        let marks = json!({ "runner/run-id": "r1", "runner/workflow": "w", "runner/step": "load_data" });
        let mut labels = marks.clone();
        labels["runner/attempt"] = json!("1");
        let mut annotations = marks.clone();
        annotations["runner/cleanup"] = json!("delete");
        annotations["runner/digest"] = json!(built.digest());
        assert_eq!(
            serde_json::to_value(built.as_manifest()).unwrap(),
            json!({
                "apiVersion": "batch/v1",
                "kind": "Job",
                "metadata": {
                    "name": built.name().as_str(),
                    "namespace": "default",
                    "labels": labels,
                    "annotations": annotations,
                },
                "spec": {
                    "backoffLimit": 0,
                    "podReplacementPolicy": "Failed",
                    "template": {
                        "metadata": { "labels": labels, "annotations": marks },
                        "spec": {
                            "restartPolicy": "Never",
                            "containers": [{ "name": "step", "image": "x" }],
                        },
                    },
                },
            })
        );
    }

    #[test]
    fn what_is_empty_is_not_written() {
        for empty in [
            "affinity: {}",
            "affinity: {node_affinity: {}, pod_affinity: {}, pod_anti_affinity: {}}",
            "affinity: {node_affinity: {required_during_scheduling_ignored_during_execution: {}}}",
            "affinity: {node_affinity: {required_during_scheduling_ignored_during_execution: {node_selector_terms: []}}}",
            "affinity: {pod_anti_affinity: {preferred_during_scheduling_ignored_during_execution: []}}",
            "security_context: {}",
            "security_context: {capabilities: {add: []}, seccomp_profile: {}}",
            "pod_security_context: {supplemental_groups: [], sysctls: [], seccomp_profile: {}}",
            "resources: {requests: {}, limits: {}}",
            "{env: [], env_from: [], volumes: [], volume_mounts: [], tolerations: [], image_pull_secrets: []}",
            "node_selector: {}",
        ] {
            assert_eq!(pod(empty), pod("{}"), "{empty}");
        }
        let job = job(&from_yaml("pod_failure_policy: {rules: []}"), None, &identity());
        assert_eq!(job.as_manifest().spec.as_ref().unwrap().pod_failure_policy, None);
    }

    #[test]
    fn what_means_something_when_empty_is_written() {
        let part = |config: &str, pointer: &str| {
            let pod = pod(config);
            pod.pointer(pointer).unwrap_or_else(|| panic!("{pointer} is missing: {pod}")).clone()
        };
        let node = "/affinity/nodeAffinity";
        for (config, pointer, expected) in [
            (
                "affinity: {node_affinity: {required_during_scheduling_ignored_during_execution: \
                 {node_selector_terms: [{}]}}}",
                format!("{node}/requiredDuringSchedulingIgnoredDuringExecution"),
                json!({ "nodeSelectorTerms": [{}] }),
            ),
            (
                "affinity: {node_affinity: {preferred_during_scheduling_ignored_during_execution: \
                 [{weight: 1, preference: {}}]}}",
                format!("{node}/preferredDuringSchedulingIgnoredDuringExecution"),
                json!([{ "weight": 1, "preference": {} }]),
            ),
            (
                "affinity: {pod_affinity: {required_during_scheduling_ignored_during_execution: \
                 [{topology_key: a, label_selector: {}, namespace_selector: {match_labels: {}}}]}}",
                "/affinity/podAffinity/requiredDuringSchedulingIgnoredDuringExecution".to_owned(),
                json!([{ "topologyKey": "a", "labelSelector": {}, "namespaceSelector": {} }]),
            ),
            ("volumes: [{name: a, empty_dir: {}}]", "/volumes".to_owned(), json!([{ "name": "a", "emptyDir": {} }])),
            (
                "volumes: [{name: a, host_path: {path: /a}}]",
                "/volumes/0/hostPath".to_owned(),
                json!({ "path": "/a", "type": "" }),
            ),
            (
                "env: [{name: A, value: ''}, {name: B}]",
                "/containers/0/env".to_owned(),
                json!([{ "name": "A", "value": "" }, { "name": "B" }]),
            ),
            (
                "security_context: {privileged: false}",
                "/containers/0/securityContext".to_owned(),
                json!({ "privileged": false }),
            ),
            ("pod_security_context: {fs_group: 0}", "/securityContext".to_owned(), json!({ "fsGroup": 0 })),
        ] {
            assert_eq!(part(config, &pointer), expected, "{config}");
        }
    }
}

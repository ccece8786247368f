//! The Kubernetes block: how a step becomes a Job.
//!
//! The same keys stand in base.yaml, in the workflow file (`kubernetes:`), in a step (`config:` or `with:`) and in the
//! layers of policies. [`EffectiveConfig`] is what merging makes of them, in normal form: it is what is checked,
//! reviewed and built. Every value is optional here, because a policy may see a config that still has problems, and
//! texts stay texts, because they may hold `${VAR}` until just before the Job is created. Unknown keys are ignored on
//! reading; whoever builds a Job refuses them beforehand.

pub mod env;
pub mod failure_policy;
pub mod resources;
pub mod scheduling;
pub mod security;
pub mod volumes;

use std::collections::BTreeMap;

use crate::field::{Kind, Reserved, fixed_text, integer, list, map, mapping, text, words};
use crate::syntax::Syntax;

use env::{EnvFrom, EnvVar};
use failure_policy::PodFailurePolicy;
use resources::Resources;
use scheduling::{Affinity, Toleration};
use security::{PodSecurityContext, SecurityContext};
use volumes::{Volume, VolumeMount};

mapping! {
    /// How a step runs on Kubernetes. Layers: policy defaults, base.yaml, the workflow file, the step, policy overrides.
    /// Mappings merge key by key, everything else replaces what is below; `{}` and `[]` clear.
    pub struct EffectiveConfig {
        /// Container image. Required in the effective config. Becomes the container's `image`.
        image: Option<String> = text().trimmed().expected(Syntax::NoWhiteSpace);
        /// Namespace of the Job; default `default`. Becomes `metadata.namespace`.
        namespace: Option<String> =
            text().trimmed().blank_unset().default_text(DEFAULT_NAMESPACE).syntax(Syntax::DnsLabel);
        /// Kubeconfig file that names the cluster; `~/` is the home folder, a relative path starts at the folder of the
        /// file that holds the value. Default: the usual kubeconfig rules.
        kubeconfig: Option<String> = text().trimmed().blank_unset();
        /// Context inside the kubeconfig; default: its current context.
        context: Option<String> = text().trimmed().blank_unset();
        /// Working directory inside the container; default: the image's. Becomes the container's `workingDir`.
        working_dir: Option<String> = text().blank_unset().expected(Syntax::AbsolutePath);
        /// Service account of the pod; default: the namespace's. Becomes `serviceAccountName`.
        service_account: Option<String> = text().trimmed().blank_unset().syntax(Syntax::DnsSubdomain);
        /// When the image is pulled, in any case; default: Kubernetes decides. Becomes the container's `imagePullPolicy`.
        image_pull_policy: Option<ImagePullPolicy> =
            fixed_text().trimmed().blank_unset().words(ImagePullPolicy::WORDS).any_case();
        /// Names of the Secrets that hold registry credentials. Becomes `imagePullSecrets[].name`.
        image_pull_secrets: Vec<String> =
            list(&text().trimmed().not_blank_when_merged().expected(Syntax::DnsSubdomain));
        /// Priority class of the pod. Becomes `priorityClassName`.
        priority_class_name: Option<String> = text().trimmed().blank_unset().syntax(Syntax::DnsSubdomain);
        /// Seconds between the stop signal and the kill; default: Kubernetes decides (30). Becomes
        /// `terminationGracePeriodSeconds`.
        termination_grace_period_seconds: Option<i64> = integer(0, i64::MAX);

        /// Seconds after which Kubernetes fails the Job. Becomes `activeDeadlineSeconds`.
        active_deadline: Option<i64> = integer(0, i64::MAX).doubtful(0, "the Job fails at once");
        /// How often Kubernetes starts a further pod after one failed; default 0. Becomes `backoffLimit`.
        backoff_limit: Option<i32> = integer(0, i32::MAX as i64).default_to(0);
        /// Seconds after its end at which Kubernetes deletes the Job. Becomes `ttlSecondsAfterFinished`.
        ttl_after_finished: Option<i32> = integer(0, i32::MAX as i64);
        /// Whether the runner deletes the Job after it ended, in any case; default `delete`.
        cleanup_policy: Option<CleanupPolicy> =
            fixed_text().trimmed().blank_unset().default_text("delete").words(CleanupPolicy::WORDS).any_case();
        /// What the end of a pod means for the Job. Becomes `podFailurePolicy`.
        pod_failure_policy: PodFailurePolicy = PodFailurePolicy::KIND;

        /// Variables of the container, in this order; of two with the same name the later counts. Becomes `env`.
        env: Vec<EnvVar> = list(&EnvVar::KIND);
        /// ConfigMaps and Secrets whose keys become variables. Becomes `envFrom`.
        env_from: Vec<EnvFrom> = list(&EnvFrom::KIND);

        /// Requests and limits. Becomes the container's `resources`.
        resources: Resources = Resources::KIND;
        /// Labels a node must have. Becomes `nodeSelector`.
        node_selector: BTreeMap<String, String> =
            map(&text().syntax(Syntax::LabelValue)).keys(Syntax::QualifiedName);
        /// Taints the pod tolerates. Becomes `tolerations`.
        tolerations: Vec<Toleration> = list(&Toleration::KIND);
        /// Labels of Job and pod. Becomes `metadata.labels` of both.
        labels: BTreeMap<String, String> =
            map(&text().syntax(Syntax::LabelValue)).keys(Syntax::QualifiedName).reserved(RESERVED_LABELS);
        /// Annotations of Job and pod, at most 256 KiB together. Becomes `metadata.annotations` of both.
        annotations: BTreeMap<String, String> =
            map(&text()).keys(Syntax::QualifiedNameAnyCase).reserved(RESERVED_ANNOTATIONS);
        /// Which nodes the pod prefers or needs. Becomes `affinity`.
        affinity: Affinity = Affinity::KIND;

        /// Security settings of the container. Becomes the container's `securityContext`.
        security_context: SecurityContext = SecurityContext::KIND;
        /// Security settings of the pod. Becomes the pod's `securityContext`.
        pod_security_context: PodSecurityContext = PodSecurityContext::KIND;

        /// Volumes of the pod. Becomes `volumes`.
        volumes: Vec<Volume> = list(&Volume::KIND).unique("name");
        /// Where the container sees the volumes. Becomes the container's `volumeMounts`.
        volume_mounts: Vec<VolumeMount> = list(&VolumeMount::KIND).unique("mount_path");
    }
}

words! {
    /// When the kubelet pulls the image.
    pub enum ImagePullPolicy {
        /// At every start.
        Always = "Always",
        /// When the node does not have it.
        IfNotPresent = "IfNotPresent",
        /// The node must have it.
        Never = "Never",
    }
}

words! {
    /// What the runner does with a Job that has ended.
    pub enum CleanupPolicy {
        /// It is deleted.
        Delete = "delete",
        /// It stays.
        Keep = "keep",
    }
}

/// Namespace of a Job when no layer names one.
pub const DEFAULT_NAMESPACE: &str = "default";

/// Labels that identify the run, and those the Job controller sets.
const RESERVED_LABELS: Reserved = Reserved {
    keys: &["job-name", "controller-uid", "batch.kubernetes.io/job-name", "batch.kubernetes.io/controller-uid"],
    prefixes: &["runner/"],
};

/// Annotations that identify the run.
const RESERVED_ANNOTATIONS: Reserved = Reserved { keys: &[], prefixes: &["runner/"] };

/// The layer `kubernetes:` or `config:` as the kind of a field.
pub const CONFIG: Kind = EffectiveConfig::KIND;

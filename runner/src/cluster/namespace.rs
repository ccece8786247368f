//! Whether a namespace is still there.

use std::time::Duration;

use k8s_openapi::api::batch::v1 as batch;
use kube::api::PostParams;
use serde::de::IgnoredAny;
use serde_json::json;

use super::Cluster;
use super::exchange::about;
use super::retry::{Failure, Kind};
use crate::manifest::CONTAINER;

/// It only explains: nobody waits long for it.
const SOON: Duration = Duration::from_secs(10);

impl Cluster {
    /// Whether a namespace has gone, or is going. `name` is that of a Job that is not there any more.
    ///
    /// Lists of a namespace that is not there are empty, and the right to look at namespaces is none that a run needs; but
    /// whoever may create a Job is told, also when nothing is stored. When the server says neither, it counts as there.
    pub async fn is_namespace_gone(&self, namespace: &str, name: &str) -> bool {
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        let container = json!({"name": CONTAINER, "image": CONTAINER});
        let job = json!({
            "apiVersion": "batch/v1",
            "kind": "Job",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
        });
        let request = about::<batch::Job>(namespace).create(&parameters, job.to_string().into_bytes());
        match self.call::<IgnoredAny>(SOON, request).await {
            Err(Failure { kind: Kind::NotFound, .. }) => true,
            Err(Failure { kind: Kind::Forbidden, words }) => words.contains("is being terminated"),
            _ => false,
        }
    }
}

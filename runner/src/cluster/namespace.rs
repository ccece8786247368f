//! Whether a namespace is still there.

use std::time::Duration;

use k8s_openapi::api::batch::v1 as batch;
use kube::api::PostParams;
use serde::de::IgnoredAny;

use super::Cluster;
use super::exchange::about;
use super::retry::{Failure, Kind};
use crate::manifest::Job;

/// It only explains: nobody waits long for it.
const SOON: Duration = Duration::from_secs(10);

impl Cluster {
    /// Whether the namespace of a Job has gone, or is going.
    ///
    /// Lists of a namespace that is not there are empty, and the right to look at namespaces is none that a run needs; but
    /// whoever may create a Job is told, also when nothing is stored. When the server says neither, it counts as there.
    pub async fn is_namespace_gone(&self, job: &Job) -> bool {
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        // A manifest is made of maps with text keys.
        let manifest = serde_json::to_vec(job.as_manifest()).unwrap_or_default();
        let request = about::<batch::Job>(job.namespace()).create(&parameters, manifest);
        match self.call::<IgnoredAny>(SOON, request).await {
            Err(Failure { kind: Kind::NotFound, .. }) => true,
            Err(Failure { kind: Kind::Forbidden, words }) => words.contains("is being terminated"),
            _ => false,
        }
    }
}

//! Whether a namespace is still there.

use std::time::Duration;

use kube::api::PostParams;

use super::Cluster;
use super::retry::{Failure, Kind, answered};
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
        let jobs = self.jobs(job.namespace());
        match answered(SOON, jobs.create(&parameters, job.as_manifest())).await {
            Err(Failure { kind: Kind::NotFound, .. }) => true,
            Err(Failure { kind: Kind::Forbidden, words }) => words.contains("is being terminated"),
            _ => false,
        }
    }
}

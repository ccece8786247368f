//! Asking the server what it would say of a Job, without storing one.

use std::time::Duration;

use k8s_openapi::api::batch::v1 as batch;
use kube::api::PostParams;
use serde::de::IgnoredAny;

use super::Cluster;
use super::answer::{read, refusal_with_causes};
use super::exchange::about;
use super::retry::{Failure, answered};
use crate::manifest::Manifest;

/// The server would refuse a Job, or did not answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{failure}")]
pub struct Objection {
    /// What it said as a whole.
    pub failure: Failure,
    /// What it said of single fields; empty: it named none.
    pub causes: Vec<FieldCause>,
}

/// What the server said of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldCause {
    /// The field of the manifest, as `spec.template.spec.containers[0].image`; empty: the whole.
    pub field: String,
    /// What is wrong with it, word for word.
    pub message: String,
}

impl Cluster {
    /// Sends a Job with `dryRun=All`: everything is checked, admission webhooks included, and nothing is stored. Returns
    /// what the server remarked.
    ///
    /// # Errors
    /// What it objects to; or that there was no answer within `limit`.
    pub async fn try_out(&self, manifest: &Manifest, limit: Duration) -> Result<Vec<String>, Objection> {
        let job = manifest.as_job();
        let namespace = job.metadata.namespace.as_deref().unwrap_or(model::config::DEFAULT_NAMESPACE);
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        // A manifest is made of maps with text keys.
        let body = serde_json::to_vec(job).unwrap_or_default();
        let mut causes = Vec::new();
        let asked = async {
            let request = about::<batch::Job>(namespace).create(&parameters, body);
            let response = self.send_once(request).await?;
            if response.status().is_success() {
                return Ok(read::<IgnoredAny>(response).await?.warnings);
            }
            let (failure, found) = refusal_with_causes(response).await;
            causes = found;
            Err(failure)
        };
        answered(limit, asked).await.map_err(|failure| Objection { failure, causes })
    }
}

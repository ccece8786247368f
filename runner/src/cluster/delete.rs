//! Taking Jobs and pods away again, and only those that are ours.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, GetParams, Patch, PatchParams, Preconditions, PropagationPolicy};
use serde::de::IgnoredAny;
use serde_json::Value;
use tokio::time::Instant;

use super::Cluster;
use super::exchange::about;
use super::retry::{ANSWER, Failure, Kind};

/// What a request gets at least, also when its limit is 0.
const LEAST: Duration = Duration::from_secs(1);

/// Which Job is meant: another one of the same name is never touched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expected {
    /// The one with this uid.
    Uid(String),
    /// The one with one of these digests in its annotations: its uid was never learnt.
    Digest(Vec<String>),
}

/// What came of deleting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Deleted {
    /// The server accepted it.
    Accepted,
    /// The server accepted it, but finalizers hold the Job.
    Held,
    /// There is no such Job.
    Absent,
    /// Another Job has the name; nothing was deleted.
    Foreign,
    /// It was refused until the limit passed.
    Refused(Failure),
}

impl Cluster {
    /// Deletes a Job with its pods, in the background. Refusals are repeated within `limit`, which begins with the first
    /// request: how many others wait to be sent is no fault of the server. `tell` hears of each refusal that is not the last.
    ///
    /// # Cancellation
    /// The request that is in flight may still be carried out.
    pub async fn delete_job(
        &self,
        namespace: &str,
        name: &str,
        expected: &Expected,
        limit: Duration,
        tell: impl Fn(&Failure),
    ) -> Deleted {
        let mut end = None;
        let mut backoff = self.inner.backoff.clone();
        loop {
            // The semaphore is never closed.
            let permit = self.inner.writes.acquire().await;
            let end = *end.get_or_insert_with(|| Instant::now() + limit);
            let patience = end.saturating_duration_since(Instant::now()).min(ANSWER).max(LEAST);
            let tried = self.try_delete(namespace, name, expected, patience).await;
            drop(permit);
            let failure = match tried {
                Ok(deleted) => return deleted,
                Err(failure) => failure,
            };
            let wait = failure.wait(&mut backoff);
            if Instant::now() + wait >= end {
                return Deleted::Refused(failure);
            }
            tell(&failure);
            tokio::time::sleep(wait).await;
        }
    }

    async fn try_delete(
        &self,
        namespace: &str,
        name: &str,
        expected: &Expected,
        patience: Duration,
    ) -> Result<Deleted, Failure> {
        let jobs = about::<Job>(namespace);
        let uid = match expected {
            Expected::Uid(uid) => uid.clone(),
            Expected::Digest(digests) => {
                let found = match self.call::<Job>(patience, jobs.get(name, &GetParams::default())).await {
                    Ok(found) => found.value,
                    Err(Failure { kind: Kind::NotFound, .. }) => return Ok(Deleted::Absent),
                    Err(failure) => return Err(failure),
                };
                let marks = found.metadata.annotations.unwrap_or_default();
                if !marks.get(crate::manifest::DIGEST).is_some_and(|digest| digests.contains(digest)) {
                    return Ok(Deleted::Foreign);
                }
                found.metadata.uid.unwrap_or_default()
            }
        };
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Background),
            preconditions: Some(Preconditions { uid: Some(uid), resource_version: None }),
            ..DeleteParams::default()
        };
        match self.call::<Value>(patience, jobs.delete(name, &parameters)).await {
            Ok(answer) => {
                let finalizers = answer.value.pointer("/metadata/finalizers").and_then(Value::as_array);
                Ok(if finalizers.is_some_and(|held| !held.is_empty()) { Deleted::Held } else { Deleted::Accepted })
            }
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(Deleted::Absent),
            // The precondition does not hold, unless it is another conflict.
            Err(failure) if failure.kind == Kind::Conflict => {
                match self.call::<Job>(patience, jobs.get(name, &GetParams::default())).await {
                    Ok(found) if found.value.metadata.uid == parameters.preconditions.and_then(|of| of.uid) => {
                        Err(failure)
                    }
                    Ok(_) => Ok(Deleted::Foreign),
                    Err(Failure { kind: Kind::NotFound, .. }) => Ok(Deleted::Absent),
                    Err(failure) => Err(failure),
                }
            }
            Err(failure) => Err(failure),
        }
    }

    /// Deletes a pod at once, without its grace period.
    ///
    /// # Errors
    /// When the server refuses; a pod that has gone is none.
    pub async fn kill_pod(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Failure> {
        let parameters = DeleteParams {
            preconditions: Some(Preconditions { uid: Some(uid.to_owned()), resource_version: None }),
            ..DeleteParams::default().grace_period(0)
        };
        match self.call::<IgnoredAny>(ANSWER, about::<Pod>(namespace).delete(name, &parameters)).await {
            Ok(_) | Err(Failure { kind: Kind::NotFound | Kind::Conflict, .. }) => Ok(()),
            Err(failure) => Err(failure),
        }
    }

    /// Suspends a Job that stays: nothing of it starts later.
    ///
    /// # Errors
    /// When the server refuses.
    pub async fn suspend_job(&self, namespace: &str, name: &str, uid: &str) -> Result<(), Failure> {
        let patch = serde_json::json!({ "metadata": { "uid": uid }, "spec": { "suspend": true } });
        let request = about::<Job>(namespace).patch(name, &PatchParams::default(), &Patch::Merge(patch));
        self.call::<IgnoredAny>(ANSWER, request).await.map(drop)
    }
}

//! Creating the Job of an attempt: exactly one, under its name, however often the answer is lost.

use std::pin::pin;
use std::time::Duration;

use k8s_openapi::api::batch::v1 as batch;
use kube::api::{GetParams, PostParams};
use serde_json::Value;
use tokio::time::Instant;

use super::Cluster;
use super::answer::Answer;
use super::drift::differences;
use super::exchange::about;
use super::retry::{ANSWER, Failure, Kind};
use crate::manifest::{DIGEST, Job};

/// What the answer on its way gets when creating is given up.
const LAST_ANSWER: Duration = Duration::from_secs(10);

/// A Job that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// Its uid.
    pub uid: String,
    /// Its version.
    pub version: Option<String>,
    /// Whether it was there before: an earlier try had landed.
    pub adopted: bool,
    /// Where the stored Job differs from the one sent, server defaults left out: a webhook changed it, or the server does
    /// not know a field.
    pub differences: Vec<String>,
    /// What the server remarked.
    pub warnings: Vec<String>,
}

impl Created {
    fn new(job: &Job, stored: Answer<Value>, adopted: bool) -> Created {
        let Answer { value, warnings } = stored;
        let text = |pointer| value.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
        // A manifest is made of maps with text keys.
        let sent = serde_json::to_value(job.as_manifest()).unwrap_or_default();
        Created {
            uid: text("/metadata/uid").unwrap_or_default(),
            version: text("/metadata/resourceVersion"),
            adopted,
            differences: differences(&sent, &value),
            warnings,
        }
    }
}

/// There is no Job.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// The server said no.
    #[error("the cluster refused the Job: {0}")]
    Refused(Failure),
    /// A Job that is not ours has the name.
    #[error("Job `{name}` in namespace `{namespace}` is not of this run: {owner}")]
    Foreign {
        /// The name.
        name: String,
        /// The namespace.
        namespace: String,
        /// What is known about it.
        owner: String,
    },
    /// The name is held by a Job that is being deleted.
    #[error("Job `{name}` in namespace `{namespace}` is being deleted, but was still there after {} s", limit.as_secs())]
    Leaving {
        /// The name.
        name: String,
        /// The namespace.
        namespace: String,
        /// How long it was waited for.
        limit: Duration,
    },
    /// It was given up before there was an answer.
    #[error("creating the Job was given up")]
    Stopped {
        /// Whether the Job may exist.
        may_exist: bool,
        /// Whether a request was sent that was never answered: the Job may still come.
        unanswered: bool,
    },
    /// No answer came in time; the Job may exist.
    #[error("the cluster did not answer for {} s: {last}", limit.as_secs())]
    Unreachable {
        /// How long it was tried.
        limit: Duration,
        /// What came last.
        last: Failure,
    },
}

/// What is under the name of a Job.
enum Found {
    Ours(Created),
    Foreign(String),
    /// A Job of that name is being deleted.
    Leaving,
    Nothing,
}

impl Cluster {
    /// Creates the Job, or adopts the one that an earlier try has made: of this digest, or of the one that an earlier
    /// process `intended`. What has no final answer is repeated within `limit` from the first failure, until `stopped`
    /// comes; a Job of its name that is being deleted gets `leaving` to go. `tell` hears why, each time.
    ///
    /// # Errors
    /// When there is no Job of ours in the end; after [`SubmitError::Unreachable`] there may be one.
    ///
    /// # Cancellation
    /// The Job may have been created. `stopped` knows whether.
    pub async fn submit(
        &self,
        job: &Job,
        intended: Option<&str>,
        limit: Duration,
        leaving: Duration,
        stopped: impl Future<Output = ()>,
        mut tell: impl FnMut(&Failure),
    ) -> Result<Created, SubmitError> {
        let (mut end, mut left) = (None, None);
        let mut backoff = self.inner.backoff.clone();
        let mut stopped = pin!(stopped);
        let mut may_exist = false;
        loop {
            // Waiting for a place in the queue is given up at once: nothing was sent. The semaphore is never closed.
            let permit = tokio::select! {
                biased;
                () = &mut stopped => return Err(SubmitError::Stopped { may_exist, unanswered: false }),
                permit = self.inner.writes.acquire() => permit,
            };
            let mut tried = pin!(self.try_submit(job, intended));
            let answer = tokio::select! {
                biased;
                answer = tokio::time::timeout(ANSWER, &mut tried) => answer.ok(),
                // The answer that is on its way says whether there is a Job.
                () = &mut stopped => match tokio::time::timeout(LAST_ANSWER, tried).await {
                    Ok(Ok(answer)) => return answer,
                    Ok(Err(_)) => return Err(SubmitError::Stopped { may_exist: true, unanswered: false }),
                    Err(_) => return Err(SubmitError::Stopped { may_exist: true, unanswered: true }),
                },
            };
            drop(permit);
            let failure = match answer {
                Some(Ok(answer)) => return answer,
                Some(Err(failure)) => failure,
                None => Failure::unavailable(format!("no answer for {} s", ANSWER.as_secs())),
            };
            may_exist = true;
            tell(&failure);
            let wait = failure.wait(&mut backoff);
            let is_leaving = failure.kind == Kind::Conflict;
            let (end, limit) = if is_leaving { (&mut left, leaving) } else { (&mut end, limit) };
            if Instant::now() + wait >= *end.get_or_insert_with(|| Instant::now() + limit) {
                let (name, namespace) = (job.name().to_string(), job.namespace().to_owned());
                return Err(match is_leaving {
                    true => SubmitError::Leaving { name, namespace, limit },
                    false => SubmitError::Unreachable { limit, last: failure },
                });
            }
            tokio::select! {
                () = &mut stopped => return Err(SubmitError::Stopped { may_exist, unanswered: false }),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One try. The outer error is one that may pass.
    async fn try_submit(&self, job: &Job, intended: Option<&str>) -> Result<Result<Created, SubmitError>, Failure> {
        // A manifest is made of maps with text keys.
        let manifest = serde_json::to_vec(job.as_manifest()).unwrap_or_default();
        let request = about::<batch::Job>(job.namespace()).create(&PostParams::default(), manifest);
        let failure = match self.call(ANSWER, request).await {
            Ok(stored) => return Ok(Ok(Created::new(job, stored, false))),
            Err(failure) => failure,
        };
        match failure.kind {
            Kind::Conflict => match self.find(job, intended).await? {
                Found::Ours(created) => Ok(Ok(created)),
                Found::Foreign(owner) => Ok(Err(SubmitError::Foreign {
                    name: job.name().to_string(),
                    namespace: job.namespace().to_owned(),
                    owner,
                })),
                Found::Leaving => Err(failure),
                Found::Nothing => Err(Failure::unavailable(failure.words)),
            },
            Kind::Unavailable { .. } => Err(failure),
            Kind::Unauthorized | Kind::Forbidden | Kind::NotFound | Kind::Gone | Kind::TooLarge | Kind::Refused => {
                Ok(Err(SubmitError::Refused(failure)))
            }
        }
    }

    async fn find(&self, job: &Job, intended: Option<&str>) -> Result<Found, Failure> {
        let request = about::<batch::Job>(job.namespace()).get(job.name().as_str(), &GetParams::default());
        let found: Answer<Value> = match self.call(ANSWER, request).await {
            Ok(found) => found,
            Err(Failure { kind: Kind::NotFound, .. }) => return Ok(Found::Nothing),
            Err(failure) => return Err(failure),
        };
        // Whose it is does not matter: its name will be free (F80).
        if found.value.pointer("/metadata/deletionTimestamp").is_some() {
            return Ok(Found::Leaving);
        }
        let ours = job.as_manifest().metadata.labels.as_ref();
        let mark = |of: &str, key: &str| found.value.get("metadata")?.get(of)?.get(key)?.as_str();
        let marks = [crate::manifest::RUN_ID, crate::manifest::STEP, crate::manifest::ATTEMPT];
        let same_attempt = marks
            .iter()
            .all(|key| ours.and_then(|ours| ours.get(*key)).is_some_and(|ours| mark("labels", key) == Some(ours)));
        let digest = mark("annotations", DIGEST);
        if !same_attempt || digest != Some(job.digest()) && (intended.is_none() || digest != intended) {
            let owner = match mark("labels", crate::manifest::RUN_ID) {
                Some(run) if same_attempt => format!("run `{run}` made it with another manifest"),
                Some(run) => format!("run `{run}` made it"),
                None => "it has no label of a run".to_owned(),
            };
            return Ok(Found::Foreign(owner));
        }
        Ok(Found::Ours(Created::new(job, found, true)))
    }
}

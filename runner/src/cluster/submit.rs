//! Creating the Job of an attempt: exactly one, under its name, however often the answer is lost.

use std::pin::pin;
use std::time::Duration;

use kube::api::PostParams;
use tokio::time::Instant;

use super::Cluster;
use super::retry::{ANSWER, Backoff, Failure, Kind};
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
    /// Creates the Job, or adopts the one that an earlier try has made: of this digest, or of the one that an earlier process
    /// intended. What has no final answer is repeated within `limit` from the first failure, until `stopped` comes; `tell` hears why, each
    /// time.
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
        stopped: impl Future<Output = ()>,
        mut tell: impl FnMut(&Failure),
    ) -> Result<Created, SubmitError> {
        let mut end = None;
        let mut backoff = Backoff::of_requests();
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
            let wait = match failure.kind {
                Kind::Unavailable { after: Some(after) } => after,
                _ => backoff.wait(),
            };
            if Instant::now() + wait >= *end.get_or_insert_with(|| Instant::now() + limit) {
                return Err(SubmitError::Unreachable { limit, last: failure });
            }
            tokio::select! {
                () = &mut stopped => return Err(SubmitError::Stopped { may_exist, unanswered: false }),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// One try. The outer error is one that may pass.
    async fn try_submit(&self, job: &Job, intended: Option<&str>) -> Result<Result<Created, SubmitError>, Failure> {
        let jobs = self.jobs(job.namespace());
        let failure = match jobs.create(&PostParams::default(), job.as_manifest()).await.map_err(Failure::from) {
            Ok(created) => {
                return Ok(Ok(Created {
                    uid: created.metadata.uid.unwrap_or_default(),
                    version: created.metadata.resource_version,
                    adopted: false,
                }));
            }
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
                Found::Leaving | Found::Nothing => Err(Failure::unavailable(failure.words)),
            },
            Kind::Unavailable { .. } => Err(failure),
            Kind::Unauthorized | Kind::Forbidden | Kind::NotFound | Kind::Gone | Kind::Refused => {
                Ok(Err(SubmitError::Refused(failure)))
            }
        }
    }

    async fn find(&self, job: &Job, intended: Option<&str>) -> Result<Found, Failure> {
        let found = match self.jobs(job.namespace()).get(job.name().as_str()).await.map_err(Failure::from) {
            Ok(found) => found,
            Err(Failure { kind: Kind::NotFound, .. }) => return Ok(Found::Nothing),
            Err(failure) => return Err(failure),
        };
        let ours = job.as_manifest().metadata.labels.as_ref();
        let labels = found.metadata.labels.unwrap_or_default();
        let annotations = found.metadata.annotations.unwrap_or_default();
        let marks = [crate::manifest::RUN_ID, crate::manifest::STEP, crate::manifest::ATTEMPT];
        let same_attempt = marks
            .iter()
            .all(|mark| ours.and_then(|ours| ours.get(*mark)).is_some_and(|ours| labels.get(*mark) == Some(ours)));
        let digest = annotations.get(DIGEST).map(String::as_str);
        if !same_attempt || digest != Some(job.digest()) && (intended.is_none() || digest != intended) {
            let owner = match labels.get(crate::manifest::RUN_ID) {
                Some(run) if same_attempt => format!("run `{run}` made it with another manifest"),
                Some(run) => format!("run `{run}` made it"),
                None => "it has no label of a run".to_owned(),
            };
            return Ok(Found::Foreign(owner));
        }
        if found.metadata.deletion_timestamp.is_some() {
            return Ok(Found::Leaving);
        }
        let (uid, version) = (found.metadata.uid.unwrap_or_default(), found.metadata.resource_version);
        Ok(Found::Ours(Created { uid, version, adopted: true }))
    }
}

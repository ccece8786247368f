//! Looking for Jobs without a watch: whose a name is, and what there is of a run that nobody drives.

use k8s_openapi::api::batch::v1::Job;
use kube::ResourceExt as _;
use kube::api::{GetParams, ListParams, ObjectList};

use super::Cluster;
use super::exchange::about;
use super::retry::{ANSWER, Failure, Kind};
use crate::manifest::{CLEANUP, RUN_ID, label_value};

/// Jobs in one piece of a list.
const PAGE: u32 = 500;

/// A Job of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunJob {
    /// Its name.
    pub name: String,
    /// Its uid.
    pub uid: String,
    /// Whether its step wants it to stay.
    pub kept: bool,
}

impl Cluster {
    /// The uid of the Job that has this name; none: there is no such Job.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn uid_of_job(&self, namespace: &str, name: &str) -> Result<Option<String>, Failure> {
        match self.call::<Job>(ANSWER, about::<Job>(namespace).get(name, &GetParams::default())).await {
            Ok(job) => Ok(job.value.metadata.uid),
            Err(Failure { kind: Kind::NotFound, .. }) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    /// The Jobs of a run in a namespace.
    ///
    /// # Errors
    /// When the server does not answer, or refuses.
    pub async fn jobs_of_run(&self, namespace: &str, run: &str) -> Result<Vec<RunJob>, Failure> {
        let selector = format!("{RUN_ID}={}", label_value(run));
        let mut parameters = ListParams::default().labels(&selector).limit(PAGE);
        let mut jobs = Vec::new();
        loop {
            let page = self.call::<ObjectList<Job>>(ANSWER, about::<Job>(namespace).list(&parameters)).await?.value;
            // A label may hold the short form of an id; the annotation has all of it.
            let ours =
                page.items.into_iter().filter(|job| job.annotations().get(RUN_ID).map(String::as_str) == Some(run));
            jobs.extend(ours.map(|job| RunJob {
                name: job.name_any(),
                uid: job.uid().unwrap_or_default(),
                kept: job.annotations().get(CLEANUP).map(String::as_str) == Some("keep"),
            }));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters.continue_token = Some(token),
                None => return Ok(jobs),
            }
        }
    }
}

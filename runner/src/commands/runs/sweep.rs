//! Deleting what a run without a process has left in its clusters, found by its label.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cluster::{Address, ConnectError, Deleted, Expected, Failure, connect_again};
use crate::journal::History;

/// For the deletion of one Job, with its repetitions.
const DELETE: Duration = Duration::from_secs(30);

/// What is deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sweep {
    /// Also Jobs that steps wanted to keep.
    pub(super) kept: bool,
    /// Nothing is: it is only looked for.
    pub(super) dry_run: bool,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Namespace and name of each Job that was deleted, or would be.
    pub(super) jobs: Vec<(String, String)>,
    /// Uids of the Jobs that are there no more.
    pub(super) uids: BTreeSet<String>,
    /// Why something may still be there.
    pub(super) failures: Vec<String>,
}

impl Sweep {
    /// Looks into every cluster and namespace of the run.
    pub(super) async fn run(self, history: &History) -> Swept {
        let mut swept = Swept::default();
        let places: BTreeSet<(&Address, &str)> =
            history.clusters.iter().map(|(_, namespace, address)| (address, namespace.as_str())).collect();
        // The local cluster went with its process.
        for (address, namespace) in places.into_iter().filter(|_| !history.local) {
            if let Err(failure) = self.place(history, address, namespace, &mut swept).await {
                swept.failures.push(failure);
            }
        }
        swept
    }

    async fn place(
        self,
        history: &History,
        address: &Address,
        namespace: &str,
        swept: &mut Swept,
    ) -> Result<(), String> {
        let cluster = connect_again(address).await.map_err(|error: ConnectError| error.to_string())?;
        let jobs = cluster.jobs_of_run(namespace, &history.run).await;
        let jobs =
            jobs.map_err(|failure: Failure| format!("Jobs in namespace `{namespace}` cannot be listed: {failure}"))?;
        for job in jobs.into_iter().filter(|job| self.kept || !job.kept || !is_ended(history, &job.uid)) {
            if !self.dry_run {
                let expected = Expected::Uid(job.uid.clone());
                let deleted = cluster.delete_job(namespace, &job.name, &expected, DELETE, |_| {}).await;
                if let Deleted::Refused(failure) = deleted {
                    let name = &job.name;
                    let command = cluster.kubectl(namespace, &format!("delete job {name}")).unwrap_or_default();
                    swept.failures.push(format!("Job `{namespace}/{name}` is still there: {failure}; `{command}`"));
                    continue;
                }
            }
            swept.uids.insert(job.uid);
            swept.jobs.push((namespace.to_owned(), job.name));
        }
        Ok(())
    }
}

/// Whether the attempt of a Job has ended: one that has not keeps nothing.
fn is_ended(history: &History, uid: &str) -> bool {
    let mut attempts = history.steps.iter().flat_map(|step| &step.attempts);
    attempts.any(|attempt| attempt.job().is_some_and(|job| job.uid.as_deref() == Some(uid)) && attempt.ended.is_some())
}

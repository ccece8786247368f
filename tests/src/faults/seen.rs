//! What was seen of a run: its end, its screen, its logs, its requests, and what is left in the cluster.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use local_cluster::{LocalCluster, Request};
use runner::event::{JobName, Leftover, StepEnd};
use runner::run::RunEnd;
use serde_json::Value;
use tower_service::Service as _;

use super::screen::Screen;

/// What the test has to know of an event.
pub(super) enum Told {
    Started { step: String, job: JobName, log: PathBuf },
    Log { step: String, text: Bytes },
    Ended { step: String, end: Box<StepEnd> },
    Leftover(Box<Leftover>),
    Other,
}

/// What was seen of a run. Ask [`Seen::expect`] first.
pub struct Seen {
    pub(super) test: String,
    /// How the run ended.
    pub end: RunEnd,
    /// How long it took.
    pub took: Duration,
    /// How each step ended.
    pub steps: BTreeMap<String, StepEnd>,
    /// The log of each step as it was shown.
    pub logs: BTreeMap<String, Vec<u8>>,
    /// The log of each step as it was written.
    pub files: BTreeMap<String, Vec<u8>>,
    /// All that was shown.
    pub screen: String,
    /// The same with times, and names that are always the same.
    pub(super) transcript: String,
    /// How often there was a request of each kind, as `get pods/log`.
    pub requests: BTreeMap<String, usize>,
    pub(super) jobs: Vec<JobName>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) stored: Stored,
    /// Bytes of log text that were shown and not read yet by a slow reader, at most.
    pub most_unread: usize,
}

impl Seen {
    /// The phases of the pods of Jobs that are still there.
    pub fn kept_phases(&self) -> &[String] {
        &self.stored.phases
    }

    #[expect(clippy::too_many_arguments, reason = "it is made in one place")]
    pub(super) fn new(
        test: String,
        end: RunEnd,
        took: Duration,
        run_folder: &Path,
        told: Vec<Told>,
        screen: &Screen,
        requests: &[Request],
        stored: Stored,
        most_unread: usize,
    ) -> Seen {
        let mut steps = BTreeMap::new();
        let mut logs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut jobs, mut leftovers) = (Vec::new(), Vec::new());
        for told in told {
            match told {
                Told::Started { step, job, log } => {
                    jobs.push(job);
                    let written = std::fs::read(log).unwrap_or_default();
                    files.entry(step).or_default().extend(written);
                }
                Told::Log { step, text } => logs.entry(step).or_default().extend_from_slice(&text),
                Told::Ended { step, end } => drop(steps.insert(step, *end)),
                Told::Leftover(leftover) => leftovers.push(*leftover),
                Told::Other => {}
            }
        }
        files.retain(|_, text| !text.is_empty());
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for Request { verb, resource, .. } in requests {
            *counts.entry(format!("{verb} {resource}")).or_default() += 1;
        }
        let transcript = normal(&screen.transcript(), run_folder, &jobs);
        let screen = screen.text();
        Seen {
            test,
            end,
            took,
            steps,
            logs,
            files,
            screen,
            transcript,
            requests: counts,
            jobs,
            leftovers,
            stored,
            most_unread,
        }
    }
}

/// Text without what differs from run to run: the folder, and the ends of the names of pods.
fn normal(text: &str, run_folder: &Path, jobs: &[JobName]) -> String {
    const SUFFIX: usize = 5;
    let mut text = text.replace(&run_folder.display().to_string(), "FOLDER");
    for JobName { name, .. } in jobs {
        let start = format!("{name}-");
        let mut pods: Vec<String> = Vec::new();
        let mut from = 0;
        while let Some(found) = text.get(from..).and_then(|rest| rest.find(&start)) {
            let at = from + found + start.len();
            let suffix: String = text[at..].chars().take_while(char::is_ascii_alphanumeric).collect();
            from = at;
            if suffix.len() == SUFFIX && !pods.contains(&suffix) {
                pods.push(suffix);
            }
        }
        for (number, suffix) in (1..).zip(pods) {
            text = text.replace(&format!("{start}{suffix}"), &format!("{start}pod{number}"));
        }
    }
    text
}

/// What is left in the cluster.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) jobs: Vec<JobName>,
    /// Of Jobs that are gone.
    pub(super) pods: Vec<JobName>,
    /// Of the pods of Jobs that are there.
    pub(super) phases: Vec<String>,
}

impl Stored {
    /// What is left when nothing goes away by itself any more.
    pub(super) async fn after(cluster: &LocalCluster, settled: Duration) -> Stored {
        // What goes wrong with requests must not go wrong with these.
        cluster.faults().clear();
        cluster.renew_tokens();
        let end = tokio::time::Instant::now() + settled;
        loop {
            let stored = Stored::now(cluster).await;
            if (stored.jobs.is_empty() && stored.pods.is_empty()) || tokio::time::Instant::now() >= end {
                return stored;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    async fn now(cluster: &LocalCluster) -> Stored {
        let jobs = names(&list(cluster, "/apis/batch/v1/jobs").await);
        let list_of_pods = list(cluster, "/api/v1/pods").await;
        let pods = names(&list_of_pods);
        let of_job = |pod: &JobName| jobs.iter().any(|job| pod.name.starts_with(&format!("{}-", job.name)));
        let phases = list_of_pods["items"].as_array().into_iter().flatten().zip(&pods).filter(|(_, pod)| of_job(pod));
        let phases = phases.map(|(item, _)| item["status"]["phase"].as_str().unwrap_or_default().to_owned()).collect();
        let pods = pods.into_iter().filter(|pod| !of_job(pod)).collect();
        Stored { jobs, pods, phases }
    }
}

async fn list(cluster: &LocalCluster, path: &str) -> Value {
    let request = http::Request::get(path).body(Empty::<&[u8]>::new()).unwrap();
    let answer = cluster.clone().call(request).await.unwrap();
    serde_json::from_slice(&answer.into_body().collect().await.unwrap().to_bytes()).unwrap()
}

fn names(list: &Value) -> Vec<JobName> {
    let text = |item: &Value, field: &str| item["metadata"][field].as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().cloned().unwrap_or_default();
    items.iter().map(|item| JobName { namespace: text(item, "namespace"), name: text(item, "name") }).collect()
}

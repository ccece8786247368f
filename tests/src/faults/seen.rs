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
    Log { step: String, pod: String, text: Bytes },
    Ended { step: String, end: Box<StepEnd> },
    Leftover(Box<Leftover>),
    Other,
}

/// A step begins an attempt, or ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turn {
    /// An attempt of this step begins.
    Began(String),
    /// This step has ended.
    Ended(String),
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
    /// The log of each pod as it was shown.
    pub logs_of_pods: BTreeMap<String, Vec<u8>>,
    /// The beginnings and ends of steps, in their order.
    pub order: Vec<Turn>,
    /// All that was shown.
    pub screen: String,
    /// The same with times, and names that are always the same.
    pub transcript: String,
    /// How often there was a request of each kind, as `get pods/log`.
    pub requests: BTreeMap<String, usize>,
    pub(super) jobs: Vec<JobName>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) stored: Stored,
    /// Every state that a Job had, oldest first, as far as the cluster remembers.
    pub states_of_jobs: Vec<Value>,
    /// The same of pods.
    pub states_of_pods: Vec<Value>,
    /// Bytes of log text that were shown and not read yet by a slow reader, at most.
    pub most_unread: usize,
}

impl Seen {
    /// How many attempts were begun.
    pub fn attempts(&self) -> usize {
        self.jobs.len()
    }

    /// The Job of the last attempt of a step.
    pub fn job_of(&self, step: &str) -> Option<&str> {
        Some(&self.steps.get(step)?.job.as_ref()?.name)
    }

    /// What is still in the cluster.
    ///
    /// # Errors
    /// When there is something that the screen does not name with the command that removes it, or looks at it.
    pub fn left(&self) -> Result<Left, String> {
        let has = |verb: &str, name: &str| {
            self.screen.contains(&format!("kubectl --context test -n default {verb} job {name}"))
        };
        let unnamed = self.stored.jobs.iter().filter(|job| !has("delete", &job.name) && !has("get", &job.name));
        let kept = unnamed.cloned().collect();
        let mut leaderless =
            self.stored.pods.iter().filter(|pod| !self.leftovers.iter().any(|left| left.name == pod.name));
        if let Some(pod) = leaderless.next() {
            return Err(format!("a pod without a Job that nobody names: {pod:?}"));
        }
        let is_named = |left: &Leftover| {
            let command = format!("kubectl --context test -n {} delete {} {}", left.namespace, left.kind, left.name);
            left.command.starts_with(&command) && self.screen.contains(&left.command)
        };
        if let Some(left) = self.leftovers.iter().find(|left| !is_named(left)) {
            return Err(format!("a leftover without its command: {left:?}"));
        }
        let left_alone = self.jobs.iter().filter(|job| has("get", &job.name)).count();
        Ok(Left { unnamed: kept, named: self.leftovers.len() + left_alone })
    }

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
        states: [Vec<Value>; 2],
        most_unread: usize,
    ) -> Seen {
        let [states_of_jobs, states_of_pods] = states;
        let mut steps = BTreeMap::new();
        let mut logs: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut files: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let mut logs_of_pods: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        let (mut jobs, mut leftovers, mut order) = (Vec::new(), Vec::new(), Vec::new());
        for told in told {
            match told {
                Told::Started { step, job, log } => {
                    order.push(Turn::Began(step.clone()));
                    jobs.push(job);
                    let written = std::fs::read(log).unwrap_or_default();
                    files.entry(step).or_default().extend(written);
                }
                Told::Log { step, pod, text } => {
                    logs_of_pods.entry(pod).or_default().extend_from_slice(&text);
                    logs.entry(step).or_default().extend_from_slice(&text);
                }
                Told::Ended { step, end } => {
                    order.push(Turn::Ended(step.clone()));
                    steps.insert(step, *end);
                }
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
            logs_of_pods,
            order,
            screen,
            transcript,
            requests: counts,
            jobs,
            leftovers,
            stored,
            states_of_jobs,
            states_of_pods,
            most_unread,
        }
    }
}

/// What is still in the cluster at the end.
#[derive(Debug)]
pub struct Left {
    /// Jobs that nobody names.
    pub unnamed: Vec<JobName>,
    /// How many are named, as something to remove or to look at.
    pub named: usize,
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

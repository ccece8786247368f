//! What all tests share: a cluster with a client, objects in a line, and waiting for a condition.

use std::fmt::Debug;
use std::time::Duration;

use futures_util::TryStreamExt;
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::api::{Api, ListParams, PostParams, WatchEvent, WatchParams};
use kube::core::NamespaceResourceScope;
use kube::{Client, Resource, ResourceExt};
use local_cluster::{Clock, LocalCluster, Options, Script};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

/// When a test that waits gives up. With a paused clock this is virtual time.
const DEADLINE: Duration = Duration::from_secs(3600);
/// The same for tests with real processes.
const REAL_DEADLINE: Duration = Duration::from_secs(20);

pub(crate) struct Cluster {
    pub(crate) cluster: LocalCluster,
    pub(crate) client: Client,
    deadline: Duration,
    pub(crate) folder: tempfile::TempDir,
}

/// A cluster whose time is tokio's, for tests with a paused clock.
pub(crate) async fn paused() -> Cluster {
    start(Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()), DEADLINE, 10_000).await
}

/// The same with a short history.
pub(crate) async fn paused_with_history(history: usize) -> Cluster {
    start(Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap()), DEADLINE, history).await
}

/// A cluster for real processes.
pub(crate) async fn real() -> Cluster {
    start(Clock::system(), REAL_DEADLINE, 10_000).await
}

/// A cluster for real processes whose time is so much faster.
pub(crate) async fn scaled(speed: f64) -> Cluster {
    start(Clock::scaled(speed), REAL_DEADLINE, 10_000).await
}

async fn start(clock: Clock, deadline: Duration, history: usize) -> Cluster {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { clock, history, ..Options::new(folder.path()) };
    let cluster = LocalCluster::start(options).await.unwrap();
    let client = Client::new(cluster.clone(), "default");
    Cluster { cluster, client, deadline, folder }
}

impl Cluster {
    pub(crate) fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::default_namespaced(self.client.clone())
    }

    pub(crate) async fn create<K>(&self, object: Value) -> Result<K, kube::Error>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + Debug,
    {
        let object: K = serde_json::from_value(object).unwrap();
        self.api::<K>().create(&PostParams::default(), &object).await
    }

    /// Every container of every pod is this script.
    pub(crate) fn script(&self, script: Script) {
        self.cluster.faults().on("run", "pods", "*").script("step", script);
    }

    /// Waits until an object fits; `None` when it is deleted. Returns all states that were seen.
    pub(crate) async fn watch_until<K>(&self, name: &str, fits: impl Fn(Option<&K>) -> bool) -> Vec<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + Debug
            + Send
            + 'static,
    {
        let params = WatchParams::default().fields(&format!("metadata.name={name}")).timeout(290);
        let mut seen = Vec::new();
        let waiting = async {
            let mut version = "0".to_owned();
            loop {
                let mut events = Box::pin(self.api::<K>().watch(&params, &version).await.unwrap());
                while let Some(event) = events.try_next().await.unwrap() {
                    match event {
                        WatchEvent::Added(object) | WatchEvent::Modified(object) => {
                            version = object.resource_version().unwrap();
                            seen.push(object.clone());
                            if fits(Some(&object)) {
                                return;
                            }
                        }
                        WatchEvent::Deleted(object) => {
                            seen.push(object);
                            if fits(None) {
                                return;
                            }
                        }
                        WatchEvent::Bookmark(mark) => version = mark.metadata.resource_version,
                        WatchEvent::Error(status) => panic!("watch failed: {status:?}"),
                    }
                }
            }
        };
        let ended = tokio::time::timeout(self.deadline, waiting).await;
        if ended.is_err() {
            let states: Vec<String> = seen.iter().map(|object| status_of(object).to_string()).collect();
            let events = self.events().await.join("\n");
            panic!("waited in vain for {name}; events:\n{events}\nseen:\n{}", states.join("\n"));
        }
        seen
    }

    pub(crate) async fn until<K>(&self, name: &str, fits: impl Fn(&K) -> bool) -> K
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + Debug
            + Send
            + 'static,
    {
        self.watch_until(name, |object: Option<&K>| object.is_some_and(&fits)).await.pop().unwrap()
    }

    pub(crate) async fn until_gone<K>(&self, name: &str)
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>
            + DeserializeOwned
            + serde::Serialize
            + Clone
            + Debug
            + Send
            + 'static,
    {
        if self.api::<K>().get_opt(name).await.unwrap().is_some() {
            self.watch_until(name, |object: Option<&K>| object.is_none()).await;
        }
    }

    /// Waits for the one pod of a Job to be there and returns its name.
    pub(crate) async fn pod_of(&self, job: &str) -> String {
        let params = WatchParams::default().labels(&format!("batch.kubernetes.io/job-name={job}")).timeout(290);
        let waiting = async {
            let mut events = Box::pin(self.api::<Pod>().watch(&params, "0").await.unwrap());
            events.try_next().await.unwrap().unwrap()
        };
        match tokio::time::timeout(self.deadline, waiting).await.unwrap() {
            WatchEvent::Added(pod) => pod.name_any(),
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn pods(&self) -> Vec<Pod> {
        let mut pods = self.api::<Pod>().list(&ListParams::default()).await.unwrap().items;
        pods.sort_by_key(|pod| pod.metadata.creation_timestamp.clone());
        pods
    }

    /// All events as `Reason: message`.
    pub(crate) async fn events(&self) -> Vec<String> {
        let mut events = self.api::<Event>().list(&ListParams::default()).await.unwrap().items;
        events.sort_by_key(|event| event.first_timestamp.clone());
        let show = |event: &Event| {
            format!("{}: {}", event.reason.as_deref().unwrap_or_default(), event.message.as_deref().unwrap_or_default())
        };
        events.iter().map(show).collect()
    }

    /// Seconds since the cluster started, by its own clock.
    pub(crate) fn seconds(&self) -> i64 {
        let start = "2026-01-01T00:00:00Z".parse().unwrap();
        self.cluster.clock().now().duration_since(start).as_secs()
    }

    pub(crate) async fn end(self) {
        self.cluster.shutdown().await.unwrap();
        assert_eq!(std::fs::read_dir(self.folder.path()).unwrap().count(), 1, "only the lock stays");
    }
}

/// The status of any object, for messages.
fn status_of(object: &impl serde::Serialize) -> Value {
    serde_json::to_value(object).unwrap().get("status").cloned().unwrap_or_default()
}

/// A Job with one container named `step`; `spec` is merged into its own.
pub(crate) fn job(name: &str, spec: Value) -> Value {
    let mut job = json!({
        "apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name},
        "spec": {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {"spec": {
            "restartPolicy": "Never", "containers": [{"name": "step", "image": "busybox", "command": ["true"]}]}}},
    });
    merge(&mut job["spec"], spec);
    job
}

/// A pod with one container named `step`; `container` is merged into it.
pub(crate) fn pod(name: &str, container: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"restartPolicy": "Never", "containers": [{"name": "step", "image": "busybox", "command": ["true"]}]},
    });
    merge(&mut pod["spec"]["containers"][0], container);
    pod
}

pub(crate) fn merge(into: &mut Value, patch: Value) {
    match (into, patch) {
        (Value::Object(into), Value::Object(patch)) => {
            for (field, value) in patch {
                merge(into.entry(field).or_insert(Value::Null), value);
            }
        }
        (into, patch) => *into = patch,
    }
}

/// The types of a Job's conditions that hold, in order.
pub(crate) fn conditions(job: &Job) -> Vec<String> {
    let conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.filter(|condition| condition.status == "True").map(|condition| condition.type_.clone()).collect()
}

pub(crate) fn has(job: &Job, condition: &str) -> bool {
    conditions(job).iter().any(|found| found == condition)
}

/// Reason and message of a condition.
pub(crate) fn why(job: &Job, kind: &str) -> (String, String) {
    let mut conditions = job.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let found = conditions.find(|condition| condition.type_ == kind).unwrap();
    (found.reason.clone().unwrap(), found.message.clone().unwrap())
}

pub(crate) fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or_default()
}

pub(crate) fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

/// Exit code, reason and message of the container `step`.
pub(crate) fn end_of(pod: &Pod) -> (i32, String, String) {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let mut steps = statuses.filter(|status| status.name == "step");
    let end = steps.next().unwrap().state.clone().unwrap().terminated.unwrap();
    (end.exit_code, end.reason.unwrap_or_default(), end.message.unwrap_or_default())
}

/// Why the container `step` waits.
pub(crate) fn waits_for(pod: &Pod) -> (String, String) {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let waiting = statuses.filter_map(|status| status.state.as_ref()?.waiting.clone()).next().unwrap_or_default();
    (waiting.reason.unwrap_or_default(), waiting.message.unwrap_or_default())
}

/// Code and reason of a refusal.
pub(crate) fn refusal<T: Debug>(result: Result<T, kube::Error>) -> (u16, String, String) {
    match result {
        Err(kube::Error::Api(status)) => (status.code, status.reason.clone(), status.message.clone()),
        other => panic!("expected a refusal, found {other:?}"),
    }
}

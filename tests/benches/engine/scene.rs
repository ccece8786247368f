//! A cluster whose containers are scripts, and runs of the engine against it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::stream;
use jiff::Timestamp;
use local_cluster::{LocalCluster, Options, Script, Server};
use model::names::RunId;
use runner::cluster::{Cluster, Target, connect};
use runner::event::{Event, Events};
use runner::interpolate::Scope;
use runner::journal::RunFolder;
use runner::outcome::RunStatus;
use runner::plan::{Effective, plan_jobs};
use runner::run::{Clusters, Run};
use runner::sources::{Source, Sources};
use runner::step::waits::Waits;
use runner::wasm::Role;
use tests::Workdir;
use tests::faults::rules;
use tokio::runtime::Runtime;

/// How the cluster is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// By a call.
    InProcess,
    /// By HTTP over loopback.
    Loopback,
}

impl Way {
    pub(crate) const ALL: [Way; 2] = [Way::InProcess, Way::Loopback];
}

impl fmt::Display for Way {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Way::InProcess => "in-process",
            Way::Loopback => "loopback",
        })
    }
}

/// `count` Kubernetes steps; each waits for the one before it.
pub(crate) fn chain(count: usize) -> Arc<Effective> {
    planned("chain", count)
}

/// `count` Kubernetes steps side by side.
pub(crate) fn parallel(count: usize) -> Arc<Effective> {
    planned("graph", count)
}

fn planned(kind: &str, count: usize) -> Arc<Effective> {
    let step = |step| format!("  - {{id: s{step}, type: k8s, config: {{image: x}}, command: work}}\n");
    let text = format!("type: {kind}\nsteps:\n{}", (0..count).map(step).collect::<String>());
    let source = Source { name: "dag.yaml".to_owned(), text, role: Role::Workflow };
    let planned = plan_jobs(&Sources::from_texts(vec![source], Vec::new()), &rules()).unwrap();
    Arc::new(planned.effective.unwrap())
}

/// A cluster, and how it is reached.
pub(crate) struct Scene {
    runtime: Runtime,
    cluster: LocalCluster,
    server: Option<Server>,
    workdir: Workdir,
    reached: Cluster,
    runs: AtomicUsize,
}

impl Scene {
    /// A cluster in which every container is this script. Its folder and those of runs are in memory: disks differ.
    pub(crate) fn new(way: Way, script: Script) -> Scene {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let workdir = Workdir::in_memory().unwrap();
        let options = Options::new(workdir.path().join("cluster"));
        let cluster = runtime.block_on(LocalCluster::start(options)).unwrap();
        cluster.faults().on("run", "pods", "*").script("step", script);
        let server = (way == Way::Loopback).then(|| {
            let server = runtime.block_on(cluster.serve(([127, 0, 0, 1], 0).into())).unwrap();
            workdir.write("kubeconfig", server.kubeconfig()).unwrap();
            server
        });
        // A client keeps a task for its requests.
        let entered = runtime.enter();
        let reached = match way {
            Way::InProcess => Cluster::local(&cluster),
            Way::Loopback => runtime.block_on(reached(workdir.path().join("kubeconfig"))),
        };
        drop(entered);
        Scene { runtime, cluster, server, workdir, reached, runs: AtomicUsize::new(0) }
    }

    pub(crate) fn cluster(&self) -> &LocalCluster {
        &self.cluster
    }

    pub(crate) fn kubeconfig(&self) -> PathBuf {
        self.workdir.path().join("kubeconfig")
    }

    pub(crate) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// The client of somebody else, by the same way.
    pub(crate) async fn client(&self) -> kube::Client {
        if self.server.is_none() {
            return kube::Client::new(self.cluster.clone(), "default");
        }
        let text = std::fs::read_to_string(self.kubeconfig()).unwrap();
        let kubeconfig = serde_yaml::from_str(&text).unwrap();
        let options = kube::config::KubeConfigOptions::default();
        let config = kube::Config::from_custom_kubeconfig(kubeconfig, &options).await.unwrap();
        kube::Client::try_from(config).unwrap()
    }

    /// Runs a workflow to its end, and waits until the cluster is empty again. How long the run took.
    ///
    /// # Panics
    /// When it does not succeed.
    pub(crate) fn run(&self, effective: &Arc<Effective>, listener: impl Fn(Event) + Send + Sync + 'static) -> Duration {
        let took = self.begin(effective, listener);
        self.wait_until_empty();
        took
    }

    /// The same, and nobody else asks the cluster for anything.
    pub(crate) fn run_alone(&self, effective: &Arc<Effective>) {
        self.begin(effective, |_| {});
    }

    fn begin(&self, effective: &Arc<Effective>, listener: impl Fn(Event) + Send + Sync + 'static) -> Duration {
        let id = format!("bench-{}", self.runs.fetch_add(1, Ordering::Relaxed));
        let state = self.workdir.path().join("state");
        self.block_on(run(&id, &state, self.reached.clone(), effective.clone(), listener))
    }

    /// What has been deleted is gone: the next measurement begins as the first did.
    pub(crate) fn wait_until_empty(&self) {
        self.block_on(async {
            let client = self.client().await;
            loop {
                let mut count = 0;
                for path in ["/apis/batch/v1/jobs", "/api/v1/pods"] {
                    let request = http::Request::get(path).body(Vec::new()).unwrap();
                    let list: serde_json::Value = client.request(request).await.unwrap();
                    count += list["items"].as_array().unwrap().len();
                }
                if count == 0 {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        });
    }
}

impl Drop for Scene {
    fn drop(&mut self) {
        let cluster = self.cluster.clone();
        // A folder that cannot be removed goes with the workdir.
        let _ = self.runtime.block_on(async move { cluster.shutdown().await });
    }
}

/// The cluster of a kubeconfig, as the engine reaches it.
pub(crate) async fn reached(kubeconfig: PathBuf) -> Cluster {
    connect(&Target { kubeconfig: Some(kubeconfig), context: None }).await.unwrap()
}

/// Runs a workflow to its end. How long that took.
pub(crate) async fn run(
    id: &str,
    state: &std::path::Path,
    cluster: Cluster,
    effective: Arc<Effective>,
    listener: impl Fn(Event) + Send + Sync + 'static,
) -> Duration {
    let id: RunId = id.parse().unwrap();
    let waits = Waits::default();
    let folder = RunFolder::create(state, &id).unwrap();
    let journal = folder.journal().unwrap();
    let events = Events::told(listener, Timestamp::now);
    let clusters = Clusters::only(id.clone(), &waits, events.clone(), journal.clone(), cluster);
    let run = Run {
        set: rules(),
        scope: Arc::new(Scope::of_run(effective.workflow(), id.as_str(), BTreeMap::new())),
        effective,
        folder: state.to_owned(),
        id,
        max_active: 0,
        exit_code_from: None,
        earlier: None,
        resume: String::new(),
    };
    let began = Instant::now();
    let end = run.execute(folder, journal, clusters, waits, events, stream::pending()).await;
    let took = began.elapsed();
    assert_eq!(end.status, RunStatus::Succeeded);
    took
}

//! Faults against a run, in one process and on one paused clock: the engine, the embedded cluster and what the user sees.
//!
//! A test is a [`Fault`]: a workflow, scripts in place of its containers, hooks in the cluster, perhaps somebody who does
//! something meanwhile. [`Fault::run`] gives what was [`Seen`]; [`Seen::expect`] holds everything that every fault must hold.
//! Nothing waits for real time, so a cut after four hours takes milliseconds, and every duration on the screen is exact.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod expected;
mod screen;
mod seen;
mod stage;

use std::future::Future;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use local_cluster::{LocalCluster, Script};
use model::names::RunId;
use runner::policy_set::PolicySet;

pub use expected::Expected;
pub use seen::{Left, Seen, Turn};
pub use stage::Stage;

/// One Kubernetes step that runs a script.
pub const ONE_STEP: &str = "steps:\n  - {id: a, type: k8s, config: {image: x}, command: work}\n";

/// Kubernetes steps that run at the same time: the name of each, and what its config says beside the image, as
/// `cleanup_policy: keep`.
pub fn steps(steps: &[(&str, &str)]) -> String {
    let step = |(name, config): &(&str, &str)| {
        let comma = if config.is_empty() { "" } else { ", " };
        format!("  - {{id: {name}, type: k8s, config: {{image: x{comma}{config}}}, command: work}}\n")
    };
    format!("type: graph\nsteps:\n{}", steps.iter().map(step).collect::<String>())
}

/// A [`Fault`] of the test that this stands in.
#[macro_export]
macro_rules! fault {
    () => {{
        fn here() {}
        $crate::faults::Fault::new(std::any::type_name_of_val(&here))
    }};
}

/// More changes than a cluster of a test sees.
const ALL_STATES: usize = 100_000;

/// Where the golden files are.
fn golden_folder() -> PathBuf {
    crate::root().join("tests/faults")
}

/// The rules that ship with the program, compiled once.
static RULES: LazyLock<Arc<PolicySet>> = LazyLock::new(|| {
    let test = std::env::current_exe().unwrap();
    let cache = test.parent().and_then(std::path::Path::parent).unwrap().join("test-cache/runner/components");
    Arc::new(PolicySet::load_with_cache(&[], Some(&cache)).unwrap())
});

/// The rules that ship with the program.
pub fn rules() -> Arc<PolicySet> {
    RULES.clone()
}

/// What is true of the cluster before the run begins.
type SetUp = Box<dyn FnOnce(&LocalCluster)>;

/// Somebody who does something while the workflow runs.
type Act = Box<dyn FnOnce(Stage) -> Pin<Box<dyn Future<Output = ()> + Send>>>;

/// A workflow, and what goes wrong while it runs.
#[must_use = "nothing happens before `run`"]
pub struct Fault {
    /// The name of the test, which is that of its golden file.
    test: String,
    dag: String,
    run_id: RunId,
    waits: Vec<String>,
    set_up: Vec<SetUp>,
    acts: Vec<Act>,
    slow_reader: Option<Duration>,
    history: Option<usize>,
    remembers: bool,
}

impl Fault {
    /// A fault of the test with this path, as [`fault!`](crate::fault) knows it: [`ONE_STEP`], in a cluster where all is
    /// well. The golden file bears the test's name.
    pub fn new(test: &str) -> Fault {
        let test = test.strip_suffix("::here").unwrap_or(test);
        Fault {
            test: test.rsplit("::").next().unwrap_or(test).to_owned(),
            dag: ONE_STEP.to_owned(),
            run_id: "faults".parse().unwrap(),
            waits: Vec::new(),
            set_up: Vec::new(),
            acts: Vec::new(),
            slow_reader: None,
            history: None,
            remembers: false,
        }
    }

    /// Another workflow.
    pub fn workflow(mut self, dag: impl Into<String>) -> Fault {
        self.dag = dag.into();
        self
    }

    /// Container `step` of the pods of this step, or with `*` of all, is a script. The first that is set counts.
    pub fn script(self, step: &str, script: Script) -> Fault {
        let pods = if step == "*" { step.to_owned() } else { format!("{step}-*") };
        self.cluster(move |cluster| cluster.faults().on("run", "pods", &pods).script("step", script))
    }

    /// Hooks, and whatever else is true of the cluster before the run begins.
    pub fn cluster(mut self, set_up: impl FnOnce(&LocalCluster) + 'static) -> Fault {
        self.set_up.push(Box::new(set_up));
        self
    }

    /// A `--wait` of the command line, as `pull=90s`.
    pub fn wait(mut self, wait: &str) -> Fault {
        self.waits.push(wait.to_owned());
        self
    }

    /// Somebody who does something while the workflow runs; with its end he is gone.
    pub fn meanwhile<A>(mut self, act: impl FnOnce(Stage) -> A + 'static) -> Fault
    where
        A: Future<Output = ()> + Send + 'static,
    {
        self.acts.push(Box::new(move |stage| Box::pin(act(stage))));
        self
    }

    /// The screen takes each piece of log text so much later than the one before.
    pub fn slow_reader(mut self, each: Duration) -> Fault {
        self.slow_reader = Some(each);
        self
    }

    /// The cluster remembers so few changes; a watch from an older version is answered with 410.
    pub fn history(mut self, changes: usize) -> Fault {
        self.history = Some(changes);
        self
    }

    /// The states that Jobs and pods had are in what was [`Seen`].
    pub fn remembering(mut self) -> Fault {
        self.remembers = true;
        self.history(ALL_STATES)
    }

    /// Runs the workflow to its end, and the cluster until nothing moves in it any more.
    ///
    /// # Panics
    /// When the workflow is invalid, or the run does not end within two days.
    pub fn run(self) -> Seen {
        // The rules are compiled in real time, before the clock stands still.
        LazyLock::force(&RULES);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let seen = runtime.block_on(stage::play(self));
        // What a test left blocked must not hold it up.
        runtime.shutdown_background();
        seen
    }
}

/// The lines `line 1`, `line 2` … of these numbers, each with its line end.
pub fn lines(numbers: impl IntoIterator<Item = usize>) -> String {
    numbers.into_iter().map(|number| format!("line {number}\n")).collect()
}

/// Creates an object as another user would.
///
/// # Panics
/// When the cluster refuses it.
pub async fn create(cluster: &LocalCluster, path: &str, object: &serde_json::Value) {
    use http_body_util::Full;
    use tower_service::Service as _;
    let body = Full::new(bytes::Bytes::from(object.to_string()));
    let request = http::Request::post(path).header("content-type", "application/json").body(body).unwrap();
    let answer = cluster.clone().call(request).await.unwrap();
    assert!(answer.status().is_success(), "{path}: {}", answer.status());
}

/// So many seconds.
pub const fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

/// So many minutes.
pub const fn minutes(count: u64) -> Duration {
    Duration::from_secs(count * 60)
}

/// So many hours.
pub const fn hours(count: u64) -> Duration {
    Duration::from_secs(count * 60 * 60)
}

//! An embedded Kubernetes API with Jobs, Pods and logs, whose containers are processes of this machine.
//!
//! [`LocalCluster`] is a `tower` service that takes HTTP requests as a Kubernetes API server does, so a client built over it
//! runs the same code as against a real cluster; [`LocalCluster::serve`] puts it on loopback for `kubectl`. Behind the API
//! ([`Resource`]) are a Job controller, a garbage collector and one node. Tests set [`Faults`], a [`Clock`] and [`Script`]s
//! in place of processes, and count [`Request`]s. What is not imitated stands in the README.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request as HttpRequest, Response};
use serde_json::Value;
use tokio_util::sync::DropGuard;
use tokio_util::task::TaskTracker;
use tower_service::Service;

mod api;
mod body;
mod clock;
mod collect;
mod credentials;
mod defaults;
mod event;
mod fault;
mod folder;
mod job;
mod log;
mod object;
mod objects;
mod operator;
mod pod;
mod quantity;
mod refusal;
mod requests;
mod resource;
mod schema;
mod selector;
mod server;
mod shared;
mod store;
mod validate;
mod watch;
mod write;

pub use body::Body;
pub use clock::Clock;
pub use fault::{After, Answer, ConnectionLost, Faults, Hook, Interruption};
pub use objects::ApplyError;
pub use pod::{Disruption, Script};
pub use refusal::Refusal;
pub use requests::Request;
pub use resource::Resource;
pub use server::Server;

/// Compiles the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// What the local cluster is not, in one sentence for whoever starts one.
pub const NOTICE: &str = "local cluster: containers are processes of this machine; images are not used; resources, security, affinity and tolerations are recorded, not enforced";

/// Changes a watch may fall behind before it has to list again; some 10 KB each.
const HISTORY: usize = 4000;

/// How to start a cluster.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the cluster makes its folder: volumes, logs, the record of running processes. Clusters on one machine share it,
    /// so that each clears away what a killed one left.
    pub folder: PathBuf,
    /// The cluster's time.
    pub clock: Clock,
    /// So many changes can be watched again; an older version is answered with 410.
    pub history: usize,
}

impl Options {
    /// A cluster with its folder under `folder`, the machine's time and a history of 4,000 changes.
    #[must_use]
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self { folder: folder.into(), clock: Clock::system(), history: HISTORY }
    }
}

/// A running cluster. Clones are handles to the same one; it ends with [`LocalCluster::shutdown`], or abruptly when the
/// last handle is dropped.
#[derive(Clone)]
pub struct LocalCluster {
    shared: Arc<shared::Shared>,
    running: Arc<Running>,
}

struct Running {
    tasks: TaskTracker,
    /// Stops the tasks with the last handle; nobody waits for them then.
    _guard: DropGuard,
}

impl LocalCluster {
    /// Starts a cluster with the namespaces `default` and `kube-system`, and the node `local`. Before that, it stops and
    /// removes what killed clusters left under the same folder.
    ///
    /// # Errors
    ///
    /// When its folder cannot be made.
    pub async fn start(options: Options) -> io::Result<Self> {
        let Options { folder, clock, history } = options;
        let folder = tokio::task::spawn_blocking(move || folder::Folder::open(&folder)).await??;
        let shared = shared::Shared::new(clock, folder, history);
        objects::put_node(&shared);
        let guard = shared.stop.clone().drop_guard();
        let cluster = Self { running: Arc::new(Running { tasks: TaskTracker::new(), _guard: guard }), shared };
        for namespace in ["default", "kube-system"] {
            cluster.ensure_namespace(namespace).map_err(io::Error::other)?;
        }
        let tasks = &cluster.running.tasks;
        tasks.spawn(pod::run(cluster.shared.clone()));
        tasks.spawn(job::run(cluster.shared.clone()));
        tasks.spawn(collect::run(cluster.shared.clone()));
        Ok(cluster)
    }

    /// Makes a namespace, unless it is there.
    ///
    /// # Errors
    ///
    /// When the name is none a namespace can have.
    pub fn ensure_namespace(&self, name: &str) -> Result<(), Refusal> {
        objects::ensure_namespace(&self.shared, name)
    }

    /// Creates or replaces Secrets and ConfigMaps from manifests (also in `List`s), and the namespaces they name. Returns
    /// how many objects there were.
    ///
    /// # Errors
    ///
    /// At the first manifest that is something else, or that the API would refuse; those before it are kept.
    pub fn apply_objects(&self, manifests: impl IntoIterator<Item = Value>) -> Result<usize, ApplyError> {
        objects::apply(&self.shared, manifests)
    }

    /// Hooks for what should go wrong.
    #[must_use]
    pub fn faults(&self) -> &Faults {
        &self.shared.faults
    }

    /// The cluster's time.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// The requests of clients so far, in the order they came; of very many the last 100,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.all()
    }

    /// Forgets the requests so far.
    pub fn forget_requests(&self) {
        self.shared.requests.clear();
    }

    /// Serves the cluster over HTTP on a loopback address, behind a random token; port 0 picks a free one.
    ///
    /// # Errors
    ///
    /// When the address cannot be used, or is not loopback: whoever reaches the cluster runs programs as this user.
    pub async fn serve(&self, address: SocketAddr) -> io::Result<Server> {
        Server::start(self.clone(), &self.running.tasks, &self.shared.stop, address).await
    }

    /// Ends the cluster: streams end, processes get SIGTERM and after two seconds SIGKILL, its folder is removed.
    ///
    /// # Errors
    ///
    /// When the folder cannot be removed; the processes have ended all the same.
    ///
    /// # Cancellation
    ///
    /// The end goes on when the future is dropped, but for the removal of the folder, which the next cluster makes up for.
    pub async fn shutdown(&self) -> io::Result<()> {
        self.shared.stop.cancel();
        self.running.tasks.close();
        self.running.tasks.wait().await;
        self.shared.folder.remove()
    }
}

impl std::fmt::Debug for LocalCluster {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LocalCluster").finish_non_exhaustive()
    }
}

impl<B> Service<HttpRequest<B>> for LocalCluster
where
    B: http_body::Body + Send + 'static,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = ConnectionLost;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, ConnectionLost>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectionLost>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: HttpRequest<B>) -> Self::Future {
        Box::pin(api::answer(self.shared.clone(), request))
    }
}

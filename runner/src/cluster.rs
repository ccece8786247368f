//! A Kubernetes cluster, as far as a run needs one: connect, create Jobs, watch, read logs, delete.
//!
//! Nothing outside of this module knows the client library. All waiting for a cluster that is away is done here, each
//! time within a limit that the caller names; nothing here judges how a step ended.

mod connect;
mod delete;
mod events;
mod logs;
mod namespace;
mod retry;
mod submit;
mod watch;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tower_service::Service;

pub use connect::{ConnectError, Target, connect};
pub use delete::{Deleted, Expected};
pub use logs::{LogChunk, LogConnection, LogError};
pub(crate) use retry::Backoff;
pub use retry::{Failure, Kind as FailureKind};
pub use submit::{Created, SubmitError};
pub use watch::{Attempted, Contact, OpenError, Watched};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// POSTs and DELETEs in flight for one cluster: enough to keep it busy, too few to be throttled for.
const WRITES_IN_FLIGHT: usize = 16;

/// A connected cluster. Clones share one client.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    client: kube::Client,
    /// Options of kubectl that lead to the same cluster, with a blank behind each; none: kubectl cannot reach it.
    kubectl: Option<String>,
    /// The namespace that its context names.
    default_namespace: String,
    context: Option<String>,
    writes: Semaphore,
    /// Of requests and watches.
    backoff: Backoff,
    /// Of log streams.
    log_backoff: Backoff,
}

impl Cluster {
    fn new(
        client: kube::Client,
        kubectl: Option<String>,
        default_namespace: String,
        context: Option<String>,
    ) -> Cluster {
        let writes = Semaphore::new(WRITES_IN_FLIGHT);
        let (backoff, log_backoff) = (Backoff::of_requests(), Backoff::of_logs());
        Cluster { inner: Arc::new(Inner { client, kubectl, default_namespace, context, writes, backoff, log_backoff }) }
    }

    /// The embedded cluster.
    pub fn local(cluster: &local_cluster::LocalCluster) -> Cluster {
        let cluster = cluster.clone();
        Cluster::behind(move || cluster.clone(), None)
    }

    /// A cluster in this process, behind services that `connect` makes: one now, and another when its credentials have
    /// expired. `kubectl`: the options of kubectl that would lead there.
    ///
    /// Nobody else asks it, so that waits between requests need not differ by chance: they are always the longest.
    pub fn behind<S, B>(connect: impl Fn() -> S + Send + Sync + 'static, kubectl: Option<String>) -> Cluster
    where
        S: Service<http::Request<kube::client::Body>, Response = http::Response<B>> + Send + 'static,
        S::Future: Send + 'static,
        S::Error: Into<BoxError>,
        B: http_body::Body<Data = bytes::Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        let client = kube::Client::new(connect(), "default");
        let writes = Semaphore::new(WRITES_IN_FLIGHT);
        let (backoff, log_backoff) = (Backoff::of_requests().without_chance(), Backoff::of_logs().without_chance());
        let (default_namespace, context) = ("default".to_owned(), None);
        Cluster { inner: Arc::new(Inner { client, kubectl, default_namespace, context, writes, backoff, log_backoff }) }
    }

    /// The waits between tries to read a log.
    pub(crate) fn log_backoff(&self) -> Backoff {
        self.inner.log_backoff.clone()
    }

    /// The command of kubectl that does `what` in a namespace of this cluster; none: kubectl cannot reach it.
    pub fn kubectl(&self, namespace: &str, what: &str) -> Option<String> {
        self.inner.kubectl.as_ref().map(|options| format!("kubectl {options}-n {namespace} {what}"))
    }

    /// The context it was reached by, and the namespace that one names.
    pub fn context(&self) -> Option<(&str, &str)> {
        Some((self.inner.context.as_deref()?, &self.inner.default_namespace))
    }

    fn jobs(&self, namespace: &str) -> kube::Api<k8s_openapi::api::batch::v1::Job> {
        kube::Api::namespaced(self.inner.client.clone(), namespace)
    }

    fn pods(&self, namespace: &str) -> kube::Api<k8s_openapi::api::core::v1::Pod> {
        kube::Api::namespaced(self.inner.client.clone(), namespace)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("context", &self.inner.context).finish_non_exhaustive()
    }
}

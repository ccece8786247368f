//! A Kubernetes cluster, as far as a run needs one: connect, create Jobs, watch, read logs, delete.
//!
//! Nothing outside of this module knows the client library. All waiting for a cluster that is away is done here, each
//! time within a limit that the caller names; nothing here judges how a step ended.

mod connect;
mod delete;
mod events;
mod jobs;
mod logs;
mod retry;
mod secret;
mod submit;
mod watch;

use std::fmt;
use std::sync::Arc;

use tokio::sync::Semaphore;

pub(crate) use connect::quoted;
pub use connect::{Address, ConnectError, Target, connect, connect_again};
pub use delete::{Deleted, Expected};
pub use jobs::RunJob;
pub use logs::{LogChunk, LogConnection, LogError};
pub(crate) use retry::Backoff;
pub use retry::{Failure, Kind as FailureKind};
pub use submit::{Created, SubmitError};
pub use watch::{Attempted, Contact, Earlier, OpenError, Opening, Watched};

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
    address: Address,
    writes: Semaphore,
}

impl Cluster {
    fn new(client: kube::Client, kubectl: Option<String>, default_namespace: String, address: Address) -> Cluster {
        let writes = Semaphore::new(WRITES_IN_FLIGHT);
        Cluster { inner: Arc::new(Inner { client, kubectl, default_namespace, address, writes }) }
    }

    /// The embedded cluster.
    pub fn local(cluster: &local_cluster::LocalCluster) -> Cluster {
        let client = kube::Client::new(cluster.clone(), "default");
        let address = Address { server: "local".to_owned(), ..Address::default() };
        Cluster::new(client, None, "default".to_owned(), address)
    }

    /// The command of kubectl that does `what` in a namespace of this cluster; none: kubectl cannot reach it.
    pub fn kubectl(&self, namespace: &str, what: &str) -> Option<String> {
        self.inner.kubectl.as_ref().map(|options| format!("kubectl {options}-n {namespace} {what}"))
    }

    /// The context it was reached by, and the namespace that one names.
    pub fn context(&self) -> Option<(&str, &str)> {
        Some((self.inner.address.context.as_deref()?, &self.inner.default_namespace))
    }

    /// Where it was found.
    pub fn address(&self) -> &Address {
        &self.inner.address
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
        formatter.debug_struct("Cluster").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

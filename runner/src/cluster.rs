//! A Kubernetes cluster, as far as a run needs one: connect, create Jobs, watch, read logs, delete.
//!
//! Nothing outside of this module knows the client library. All waiting for a cluster that is away is done here, each
//! time within a limit that the caller names; nothing here judges how a step ended.

mod answer;
mod connect;
mod delete;
mod drift;
mod dry_run;
mod events;
mod exchange;
mod frames;
mod jobs;
mod logs;
mod namespace;
mod retry;
mod secret;
mod sleep;
mod submit;
mod watch;

use std::fmt;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::{Semaphore, watch as watched};
use tower_service::Service;

pub(crate) use connect::quoted;
pub use connect::{Address, ConnectError, Target, connect, connect_again};
pub use delete::{Deleted, Expected};
pub use dry_run::{FieldCause, Objection};
use exchange::Connection;
pub use jobs::RunJob;
pub use logs::{LogChunk, LogConnection, LogError};
pub(crate) use retry::Backoff;
pub use retry::{Failure, Kind as FailureKind};
pub use sleep::Clock;
pub use submit::{Created, SubmitError};
pub use watch::{Attempted, Contact, Earlier, OpenError, Opening, Watched};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// POSTs and DELETEs in flight for one cluster: enough to keep it busy, too few to be throttled for.
const WRITES_IN_FLIGHT: usize = 16;

/// A connected cluster. Clones share one client.
#[derive(Clone)]
pub struct Cluster {
    inner: Arc<Inner>,
}

struct Inner {
    connection: Connection,
    /// Counts how often the machine was found to have been asleep: what was open is dead then.
    woken: watched::Sender<u64>,
    /// Options of kubectl that lead to the same cluster, with a blank behind each; none: kubectl cannot reach it.
    kubectl: Option<String>,
    /// The namespace that its context names.
    default_namespace: String,
    address: Address,
    writes: Semaphore,
    /// Of requests and watches.
    backoff: Backoff,
    /// Of log streams.
    log_backoff: Backoff,
}

impl Cluster {
    fn new(connection: Connection, kubectl: Option<String>, default_namespace: String, address: Address) -> Cluster {
        Cluster {
            inner: Arc::new(Inner {
                connection,
                woken: watched::Sender::new(0),
                kubectl,
                default_namespace,
                address,
                writes: Semaphore::new(WRITES_IN_FLIGHT),
                backoff: Backoff::of_requests(),
                log_backoff: Backoff::of_logs(),
            }),
        }
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
        let client = move || kube::Client::new(connect(), "default");
        let first = client();
        let connect = Box::new(move || Box::pin(std::future::ready(Ok(client()))) as BoxFuture<'static, _>);
        Cluster {
            inner: Arc::new(Inner {
                connection: Connection::new(first, connect),
                woken: watched::Sender::new(0),
                kubectl,
                default_namespace: "default".to_owned(),
                address: Address { server: "local".to_owned(), ..Address::default() },
                writes: Semaphore::new(WRITES_IN_FLIGHT),
                backoff: Backoff::of_requests().without_chance(),
                log_backoff: Backoff::of_logs().without_chance(),
            }),
        }
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
        Some((self.inner.address.context.as_deref()?, &self.inner.default_namespace))
    }

    /// Where it was found.
    pub fn address(&self) -> &Address {
        &self.inner.address
    }

    /// The machine was asleep: connections are dead, though nothing says so, and credentials may have expired. What is
    /// open ends, and what is asked next is asked over a new connection.
    async fn wake(&self, generation: u64) {
        // Without fresh credentials the old ones must do.
        drop(self.inner.connection.renew(generation).await);
        self.inner.woken.send_modify(|woken| *woken = woken.wrapping_add(1));
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cluster").field("address", &self.inner.address).finish_non_exhaustive()
    }
}

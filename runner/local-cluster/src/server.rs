//! The cluster on loopback, for `kubectl` and other processes.
//!
//! `kubectl` sends no credentials over plain HTTP, so the token also stands as the first part of the URL's path: whoever has
//! the kubeconfig has it, and nobody else can ask for anything.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use http::header::AUTHORIZATION;
use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::LocalCluster;
use crate::api;
use crate::body::Body;
use crate::fault::ConnectionLost;
use crate::refusal::Refusal;

/// What a connection gets to finish its answer when the server stops. Streams end by themselves.
const FINISH: Duration = Duration::from_secs(1);
/// The wait after a failed accept, as when descriptors run out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// A cluster that listens. It stops with the cluster, or when told to.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    token: String,
    stop: CancellationToken,
    ended: oneshot::Receiver<()>,
}

impl Server {
    pub(crate) async fn start(
        cluster: LocalCluster,
        tasks: &TaskTracker,
        stop: &CancellationToken,
        address: SocketAddr,
    ) -> io::Result<Self> {
        if !address.ip().is_loopback() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{address} is not a loopback address: whoever reaches the local cluster runs programs here"),
            ));
        }
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let token = cluster.shared.token.clone();
        let stop = stop.child_token();
        let (end, ended) = oneshot::channel();
        // The server must not keep the cluster alive: of its handles, the last one dropped ends it.
        let service = Guarded { cluster: cluster.shared.clone(), token: token.clone() };
        let until = stop.clone();
        tasks.spawn(async move {
            accept(listener, service, until).await;
            // Nobody may be waiting for it.
            let _ = end.send(());
        });
        Ok(Self { address, token, stop, ended })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What a request has to carry, as `Authorization: Bearer` or as the first part of its path.
    #[must_use]
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The URL of the API with the token in it.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/{}", self.address, self.token)
    }

    /// The text of a kubeconfig for this cluster. It holds the token.
    #[must_use]
    pub fn kubeconfig(&self) -> String {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: local\nclusters:\n- name: local\n  cluster:\n    server: {}\ncontexts:\n- name: local\n  context:\n    cluster: local\n    namespace: default\n    user: local\nusers:\n- name: local\n  user:\n    token: {}\n",
            self.url(),
            self.token
        )
    }

    /// Stops listening and ends all connections; the cluster goes on.
    pub async fn stop(self) {
        let Self { stop, ended, .. } = self;
        stop.cancel();
        // An error says that it has ended before.
        drop(ended.await);
    }
}

async fn accept(listener: TcpListener, service: Guarded, stop: CancellationToken) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone(), stop.clone()))),
                Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
            () = stop.cancelled() => break,
        }
    }
    while connections.join_next().await.is_some() {}
}

async fn serve(stream: TcpStream, service: Guarded, stop: CancellationToken) {
    // Small answers, such as watch events, must not wait for more.
    drop(stream.set_nodelay(true));
    let service = service_fn(move |request| {
        let service = service.clone();
        async move { service.answer(request).await }
    });
    let connection = http1::Builder::new().timer(TokioTimer::new()).serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    // How a connection ends is its client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        () = stop.cancelled() => connection.as_mut().graceful_shutdown(),
    }
    drop(tokio::time::timeout(FINISH, connection).await);
}

/// The cluster behind its token.
#[derive(Clone)]
struct Guarded {
    cluster: std::sync::Arc<crate::shared::Shared>,
    token: String,
}

impl Guarded {
    async fn answer(&self, mut request: Request<Incoming>) -> Result<Response<Body>, ConnectionLost> {
        let bearer = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let has_bearer = bearer.strip_prefix("Bearer ").is_some_and(|token| is_same(token, &self.token));
        match without_token(request.uri(), &self.token) {
            Some(uri) => *request.uri_mut() = uri,
            None if has_bearer => {}
            None => return Ok(api::refuse(&Refusal::unauthorized())),
        }
        api::answer(self.cluster.clone(), request).await
    }
}

/// The URL behind the token; `None` when its path does not begin with it.
fn without_token(uri: &Uri, token: &str) -> Option<Uri> {
    let path = uri.path().strip_prefix('/')?;
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if !is_same(first, token) {
        return None;
    }
    let query = uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    format!("/{rest}{query}").parse().ok()
}

/// Compares in a time that does not tell how much of it fits.
fn is_same(found: &str, token: &str) -> bool {
    let differences = found.bytes().zip(token.bytes()).fold(0, |all, (a, b)| all | (a ^ b));
    found.len() == token.len() && differences == 0
}

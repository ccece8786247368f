//! One request and its answer: sent with credentials that are fetched anew when the server no longer takes them.
//!
//! The client library is used for connections, TLS and credentials only. What its higher levels leave out is needed here:
//! headers that say when to ask again or that warn, and words for what is no answer of a Kubernetes API.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;
use http::{Request, Response, StatusCode};
use kube::Resource;
use kube::client::Body;
use serde::de::DeserializeOwned;

use super::Cluster;
use super::answer::{Answer, read, refusal};
use super::retry::{Failure, Kind, answered};

/// Makes a client with fresh credentials.
pub(super) type Connect = Box<dyn Fn() -> BoxFuture<'static, Result<kube::Client, Failure>> + Send + Sync>;

/// A request, or why there is none.
pub(super) type Built = Result<Request<Vec<u8>>, kube::core::request::Error>;

/// The way to a cluster: a client, and another one when its credentials have expired.
pub(super) struct Connection {
    /// How often it was made anew, and the client.
    current: Mutex<(u64, kube::Client)>,
    connect: Connect,
    /// Held by whoever makes the next client: a plugin may ask somebody to log in, once.
    renewing: tokio::sync::Mutex<()>,
}

impl Connection {
    pub(super) fn new(first: kube::Client, connect: Connect) -> Connection {
        Connection { current: Mutex::new((0, first)), connect, renewing: tokio::sync::Mutex::new(()) }
    }

    fn current(&self) -> (u64, kube::Client) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The number of the client that is in use.
    pub(super) fn generation(&self) -> u64 {
        self.current().0
    }

    /// Makes the client that comes after the one with this number, unless somebody else has.
    pub(super) async fn renew(&self, generation: u64) -> Result<(), Failure> {
        let _turn = self.renewing.lock().await;
        if self.generation() != generation {
            return Ok(());
        }
        let client = (self.connect)().await?;
        *self.current.lock().unwrap_or_else(PoisonError::into_inner) = (generation.wrapping_add(1), client);
        Ok(())
    }

    /// Sends a request. When the credentials are refused it is sent once more with fresh ones.
    async fn send(&self, request: Request<Vec<u8>>) -> Result<Response<Body>, Failure> {
        let (parts, body) = request.into_parts();
        let mut is_fresh = false;
        loop {
            let (generation, client) = self.current();
            let response = client.send(Request::from_parts(parts.clone(), Body::from(body.clone()))).await?;
            let status = response.status();
            if status.is_success() {
                return Ok(response);
            }
            if status != StatusCode::UNAUTHORIZED || is_fresh {
                return Err(refusal(response).await);
            }
            let refused = refusal(response).await;
            // The server may take the next ones; what has to be said first is that it does not take these.
            self.renew(generation).await.map_err(|failure| {
                Failure::unavailable(format!("{}; there are no fresh credentials: {}", refused.words, failure.words))
            })?;
            is_fresh = true;
        }
    }
}

impl Cluster {
    /// Sends a request whose answer is an object.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        limit: Duration,
        request: Built,
    ) -> Result<Answer<T>, Failure> {
        answered(limit, async { read(self.inner.connection.send(built(request)?).await?).await }).await
    }

    /// Sends a request as it is: an answer is an answer, whatever it says.
    pub(super) async fn send_once(&self, request: Built) -> Result<Response<Body>, Failure> {
        let (_, client) = self.inner.connection.current();
        Ok(client.send(built(request)?.map(Body::from)).await?)
    }

    /// Sends a request whose answer is a stream.
    pub(super) async fn open(&self, limit: Duration, request: Built) -> Result<Response<Body>, Failure> {
        answered(limit, async { self.inner.connection.send(built(request)?).await }).await
    }
}

/// The requests about one kind of object in a namespace.
pub(super) fn about<K: Resource<DynamicType = ()>>(namespace: &str) -> kube::core::Request {
    kube::core::Request::new(K::url_path(&(), Some(namespace)))
}

fn built(request: Built) -> Result<Request<Vec<u8>>, Failure> {
    request.map_err(|error| Failure { kind: Kind::Refused, words: format!("the request cannot be made: {error}") })
}

//! A connection to the log of one container: bytes as they come. What they mean is not known here.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use tokio::sync::watch;

use super::Cluster;
use super::answer::{innermost, is_page};
use super::exchange::about;
use super::retry::{ANSWER, Failure};
use crate::manifest::CONTAINER;

/// Lines that tell why a container failed.
const LAST_LINES: i64 = 20;
/// Bytes of them.
const LAST_BYTES: i64 = 64 * 1024;

/// An open log.
pub struct LogConnection {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, kube::Error>> + Send>>,
    silence: Duration,
    /// Changes when the machine was asleep.
    woken: watch::Receiver<u64>,
}

/// What came next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogChunk {
    /// Bytes.
    Bytes(Bytes),
    /// The stream ended as one that is complete ends.
    End,
}

/// The connection broke.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct LogError(String);

impl Cluster {
    /// Opens the log of container `step`, with stamps, from a time on (whole seconds) or from its beginning.
    ///
    /// # Errors
    /// When the server does not give it.
    pub async fn open_log(
        &self,
        namespace: &str,
        pod: &str,
        since: Option<Timestamp>,
        follow: bool,
        silence: Duration,
    ) -> Result<LogConnection, Failure> {
        let parameters = LogParams {
            container: Some(CONTAINER.to_owned()),
            follow,
            timestamps: true,
            since_time: since,
            ..LogParams::default()
        };
        let woken = self.inner.woken.subscribe();
        let response = self.open(ANSWER, about::<Pod>(namespace).logs(pod, &parameters)).await?;
        if is_page(&response) {
            return Err(Failure::unavailable("a page came in place of the log"));
        }
        Ok(LogConnection { stream: Box::pin(response.into_body().into_data_stream()), silence, woken })
    }
}

impl Cluster {
    /// The last lines of the log of a container; none where there is none to be had.
    pub async fn last_log_lines(&self, namespace: &str, pod: &str, container: &str) -> Vec<String> {
        let parameters = LogParams {
            container: Some(container.to_owned()),
            tail_lines: Some(LAST_LINES),
            limit_bytes: Some(LAST_BYTES),
            ..LogParams::default()
        };
        let read = async {
            let response = self.open(ANSWER, about::<Pod>(namespace).logs(pod, &parameters)).await.ok()?;
            Some(response.into_body().collect().await.ok()?.to_bytes())
        };
        let text = tokio::time::timeout(ANSWER, read).await.ok().flatten().unwrap_or_default();
        String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()
    }
}

impl LogConnection {
    /// The next bytes.
    ///
    /// # Errors
    /// When the connection breaks, or nothing comes for the whole *silence*.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub async fn next(&mut self) -> Result<LogChunk, LogError> {
        loop {
            let next = tokio::select! {
                biased;
                next = tokio::time::timeout(self.silence, self.stream.next()) => next,
                Ok(()) = self.woken.changed() => return Err(LogError("the machine was asleep".to_owned())),
            };
            match next {
                Err(_) => return Err(LogError(format!("no byte for {} s", self.silence.as_secs()))),
                Ok(Some(Err(error))) => return Err(LogError(innermost(&error))),
                Ok(Some(Ok(bytes))) if bytes.is_empty() => {}
                Ok(Some(Ok(bytes))) => return Ok(LogChunk::Bytes(bytes)),
                Ok(None) => return Ok(LogChunk::End),
            }
        }
    }
}

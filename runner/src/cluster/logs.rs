//! A connection to the log of one container: bytes as they come. What they mean is not known here.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::io::{AsyncBufRead, AsyncBufReadExt as _};
use jiff::Timestamp;
use kube::api::LogParams;

use super::Cluster;
use super::retry::{ANSWER, Failure, answered};
use crate::manifest::CONTAINER;

/// Lines that tell why a container failed.
const LAST_LINES: i64 = 20;
/// Bytes of them.
const LAST_BYTES: i64 = 64 * 1024;

/// An open log.
pub struct LogConnection {
    stream: Pin<Box<dyn AsyncBufRead + Send>>,
    silence: Duration,
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
        let pods = self.pods(namespace);
        let stream = answered(ANSWER, pods.log_stream(pod, &parameters)).await?;
        Ok(LogConnection { stream: Box::pin(stream), silence })
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
        let text = answered(ANSWER, self.pods(namespace).logs(pod, &parameters)).await.unwrap_or_default();
        text.lines().map(str::to_owned).collect()
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
        let filled = match tokio::time::timeout(self.silence, self.stream.fill_buf()).await {
            Err(_) => return Err(LogError(format!("no byte for {} s", self.silence.as_secs()))),
            Ok(Err(error)) => return Err(LogError(error.to_string())),
            Ok(Ok(filled)) => Bytes::copy_from_slice(filled),
        };
        if filled.is_empty() {
            return Ok(LogChunk::End);
        }
        self.stream.as_mut().consume(filled.len());
        Ok(LogChunk::Bytes(filled))
    }
}

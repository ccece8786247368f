//! A stream of JSON objects, one a line, as watches send them.

use std::marker::PhantomData;
use std::pin::Pin;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt as _};
use http::Response;
use http_body_util::BodyExt as _;
use kube::client::Body;
use kube::core::Status;
use serde::de::DeserializeOwned;

use super::answer::{first_words, innermost};
use super::retry::{Failure, of_status};

/// The longest object: etcd holds none of more than a few MiB.
const LONGEST: usize = 32 * 1024 * 1024;

/// The objects of an answer, as they come.
pub(super) struct Frames<T> {
    stream: Pin<Box<dyn Stream<Item = Result<Bytes, kube::Error>> + Send>>,
    /// What was received and not given out; so much of it is known to hold no line end.
    received: BytesMut,
    searched: usize,
    of: PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Frames<T> {
    pub(super) fn new(response: Response<Body>) -> Frames<T> {
        let stream = Box::pin(response.into_body().into_data_stream());
        Frames { stream, received: BytesMut::new(), searched: 0, of: PhantomData }
    }

    /// The next object; none: the stream ended between two of them.
    ///
    /// # Cancellation
    /// Nothing is lost.
    pub(super) async fn next(&mut self) -> Option<Result<T, Failure>> {
        loop {
            if let Some(found) = memchr::memchr(b'\n', self.received.get(self.searched..).unwrap_or_default()) {
                let line = self.received.split_to(self.searched.saturating_add(found).saturating_add(1));
                self.searched = 0;
                if line.trim_ascii().is_empty() {
                    continue;
                }
                return Some(read(&line));
            }
            self.searched = self.received.len();
            if self.searched > LONGEST {
                return Some(Err(Failure::unavailable("an event is longer than any object can be")));
            }
            match self.stream.next().await {
                Some(Ok(bytes)) => self.received.extend_from_slice(&bytes),
                Some(Err(error)) => return Some(Err(Failure::unavailable(innermost(&error)))),
                None if self.received.trim_ascii().is_empty() => return None,
                None => return Some(Err(Failure::unavailable("the watch broke off inside an event"))),
            }
        }
    }
}

fn read<T: DeserializeOwned>(line: &[u8]) -> Result<T, Failure> {
    serde_json::from_slice(line).map_err(|_| match serde_json::from_slice::<Status>(line) {
        // A server in trouble sends it bare.
        Ok(status) if status.code != 0 => of_status(&status, None),
        _ => Failure::unavailable(format!("an event that is none: {}", first_words(line))),
    })
}

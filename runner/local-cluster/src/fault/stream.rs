//! Streams that end early or stall.

use std::future::pending;
use std::io;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::unfold;
use http_body_util::BodyExt;

use crate::body::{self, Body};
use crate::clock::{Clock, later};

/// How far a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// So many bytes.
    Bytes(usize),
    /// So many line ends.
    Lines(usize),
    /// So long.
    Time(Duration),
    /// Until nothing has come for so long.
    Idle(Duration),
}

/// What then becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It ends as if that were all.
    Eof,
    /// It ends with an error.
    Reset,
    /// It stays open and nothing more comes.
    Stall,
}

/// The same, with what a hook may add.
#[derive(Clone, Debug)]
pub(super) enum Then {
    Eof,
    Reset,
    Stall,
    /// It ends with this.
    Text(Bytes),
}

impl From<Interruption> for Then {
    fn from(interruption: Interruption) -> Self {
        match interruption {
            Interruption::Eof => Self::Eof,
            Interruption::Reset => Self::Reset,
            Interruption::Stall => Self::Stall,
        }
    }
}

pub(super) fn interrupt(inner: Body, clock: Clock, after: After, then: Then) -> Body {
    let end = match after {
        After::Time(time) => later(clock.now(), time),
        After::Bytes(_) | After::Lines(_) | After::Idle(_) => None,
    };
    let state = Interrupted { inner: Box::pin(inner.into_data_stream()), left: after, is_over: false };
    body::stream(unfold(state, move |mut state| {
        let (clock, then) = (clock.clone(), then.clone());
        async move {
            if state.is_over {
                return None;
            }
            let timer = async {
                match (after, end) {
                    (After::Idle(time), _) => clock.sleep(time).await,
                    (_, Some(end)) => clock.sleep_until(end).await,
                    (_, None) => pending().await,
                }
            };
            let next = if state.is_spent() {
                None
            } else {
                tokio::select! { chunk = state.inner.next() => Some(chunk), () = timer => None }
            };
            match next {
                Some(Some(Ok(chunk))) => {
                    let chunk = state.take(chunk);
                    Some((Ok(chunk), state))
                }
                Some(Some(Err(error))) => Some((Err(error), state)),
                Some(None) => None,
                None => {
                    state.is_over = true;
                    match then {
                        Then::Eof => None,
                        Then::Reset => Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), state)),
                        Then::Stall => pending().await,
                        Then::Text(text) => Some((Ok(text), state)),
                    }
                }
            }
        }
    }))
}

struct Interrupted<S> {
    inner: S,
    left: After,
    is_over: bool,
}

impl<S> Interrupted<S> {
    fn is_spent(&self) -> bool {
        matches!(self.left, After::Bytes(0) | After::Lines(0))
    }

    /// The part of a chunk that still passes.
    fn take(&mut self, mut chunk: Bytes) -> Bytes {
        match &mut self.left {
            After::Bytes(left) => {
                chunk.truncate(*left);
                *left = left.saturating_sub(chunk.len());
            }
            After::Lines(left) => {
                let ends = chunk.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(index, _)| index);
                let ends: Vec<usize> = ends.take(*left).collect();
                if ends.len() == *left
                    && let Some(last) = ends.last()
                {
                    chunk.truncate(last.saturating_add(1));
                }
                *left = left.saturating_sub(ends.len());
            }
            After::Time(_) | After::Idle(_) => {}
        }
        chunk
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use jiff::Timestamp;

    use super::*;

    async fn read(after: After, then: impl Into<Then>) -> (String, bool) {
        let chunks = ["a\nb", "\nc\n", "d\n"].map(|text| Ok(Bytes::from(text)));
        let clock = Clock::starting_at(Timestamp::UNIX_EPOCH);
        let slow = stream::iter(chunks).then({
            let clock = clock.clone();
            move |chunk| {
                let clock = clock.clone();
                async move {
                    clock.sleep(Duration::from_secs(10)).await;
                    chunk
                }
            }
        });
        let mut stream = Box::pin(interrupt(body::stream(slow), clock, after, then.into()).into_data_stream());
        let mut text = String::new();
        while let Some(chunk) = stream.next().await {
            match chunk {
                Ok(chunk) => text.push_str(std::str::from_utf8(&chunk).unwrap()),
                Err(_) => return (text, true),
            }
        }
        (text, false)
    }

    #[tokio::test(start_paused = true)]
    async fn streams_end_where_they_were_told_to() {
        assert_eq!(read(After::Bytes(2), Interruption::Eof).await, ("a\n".to_owned(), false));
        assert_eq!(read(After::Lines(2), Interruption::Reset).await, ("a\nb\n".to_owned(), true));
        assert_eq!(read(After::Time(Duration::from_secs(15)), Interruption::Eof).await, ("a\nb".to_owned(), false));
        assert_eq!(read(After::Idle(Duration::from_secs(9)), Interruption::Reset).await, (String::new(), true));
        assert_eq!(read(After::Lines(2), Then::Text("end".into())).await, ("a\nb\nend".to_owned(), false));
        assert_eq!(read(After::Idle(Duration::from_secs(11)), Interruption::Eof).await.0, "a\nb\nc\nd\n");
        assert_eq!(read(After::Lines(9), Interruption::Eof).await, ("a\nb\nc\nd\n".to_owned(), false));
    }
}

//! How far back an answer is asked for.
//!
//! A server leaves out every line whose stamp is before `sinceTime`. When the node's clock steps back while nobody reads,
//! the new lines have stamps before that of the last one, and would be left out for good. So some of what was passed on is
//! asked for again: as much as costs little.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::stamp::Stamp;

/// Bytes that are asked for again at most: half of what the last line is searched in.
const MOST: u64 = 512 * 1024;
/// Clocks that are wrong by more are wrong for good.
const FARTHEST: SignedDuration = SignedDuration::from_mins(10);
/// Two places that are remembered differ by so many bytes or so much time.
const APART: (u64, SignedDuration) = (64 * 1024, SignedDuration::from_secs(30));

/// Places in the log that were passed not long ago.
#[derive(Debug, Default)]
pub(super) struct Past {
    /// The second of a line, and the bytes received up to it.
    places: VecDeque<(Timestamp, u64)>,
    received: u64,
}

impl Past {
    /// So many bytes came, of which this was the last stamp.
    pub(super) fn note(&mut self, last: Option<&Stamp>, bytes: usize) {
        self.received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let Some(second) = last.and_then(Stamp::second) else { return };
        let is_apart = self.places.back().is_none_or(|(at, received)| {
            self.received.saturating_sub(*received) >= APART.0 || second.duration_since(*at).abs() >= APART.1
        });
        if is_apart {
            self.places.push_back((second, self.received));
        }
        let received = self.received;
        let is_far = |(at, passed): &(Timestamp, u64)| {
            received.saturating_sub(*passed) > MOST || second.duration_since(*at).abs() > FARTHEST
        };
        while self.places.front().is_some_and(is_far) {
            self.places.pop_front();
        }
    }

    /// The earliest time that is worth asking for.
    pub(super) fn earliest(&self) -> Option<Timestamp> {
        self.places.iter().map(|(at, _)| *at).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn earliest(chunks: impl IntoIterator<Item = (i64, usize)>) -> (Option<i64>, usize) {
        let mut past = Past::default();
        for (second, bytes) in chunks {
            let stamp: Stamp = Timestamp::from_second(second).unwrap().to_string().parse().unwrap();
            past.note(Some(&stamp), bytes);
        }
        (past.earliest().map(Timestamp::as_second), past.places.len())
    }

    #[test]
    fn a_quiet_log_is_asked_for_ten_minutes_and_a_busy_one_for_half_a_mebibyte() {
        assert_eq!(earliest([]), (None, 0));
        assert_eq!(earliest((0..1_000).map(|second| (second, 10))), (Some(420), 20));
        assert_eq!(earliest((0..1_000).map(|second| (second, 100 * 1024))), (Some(994), 6));
        // A clock that steps back is followed.
        assert_eq!(earliest([(1_000, 1), (1_040, 1), (970, 1)]).0, Some(970));
    }
}

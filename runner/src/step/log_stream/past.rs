//! What was passed on not long ago, in samples.
//!
//! They say how far back an answer is asked for: a server leaves out every line whose stamp is before `sinceTime`, so that
//! new lines would be left out for good when the node's clock stepped back while nobody read. And they prove that a line
//! came before: a node that rotates a log faster than it is read sends its newest file again from the beginning.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::position::{self, Position};
use super::stamp::Stamp;

/// Bytes that are asked for again at most.
const MOST: u64 = 512 * 1024;
/// Clocks that are wrong by more are wrong for good.
const FARTHEST: SignedDuration = SignedDuration::from_mins(10);
/// Two lines that are remembered differ by so many bytes or so much time.
const APART: (u64, SignedDuration) = (64 * 1024, SignedDuration::from_secs(30));
/// Lines that are remembered: of 64 MiB of a busy log. Nodes rotate at 10 MiB unless told otherwise.
const KEPT: usize = 1024;

/// Lines that were passed on.
#[derive(Debug, Default)]
pub(super) struct Past {
    known: VecDeque<Known>,
    /// The first of all.
    first: Option<Timestamp>,
    received: u64,
    /// The earliest line that has not been passed on, because nobody knows yet whether it was before.
    unclear: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy)]
struct Known {
    at: Timestamp,
    digest: u32,
    /// Bytes received up to it.
    received: u64,
}

impl Past {
    /// Reading begins behind this line, or with it.
    pub(super) fn begin(&mut self, stamp: &Stamp) {
        self.first.get_or_insert(stamp.at());
    }

    /// So many bytes came, and here reading stands.
    pub(super) fn note(&mut self, position: &Position, bytes: usize) {
        self.received = self.received.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        let Some(last) = &position.last else { return };
        let (at, received) = (last.stamp.at(), self.received);
        let is_apart = self.known.back().is_none_or(|known| {
            received.saturating_sub(known.received) >= APART.0 || at.duration_since(known.at).abs() >= APART.1
        });
        if is_apart {
            if self.known.len() == KEPT {
                self.known.pop_front();
            }
            self.known.push_back(Known { at, digest: last.digest, received });
        }
    }

    /// Whether a line was certainly passed on. Most lines that were are not remembered.
    pub(super) fn knows(&self, stamp: &Stamp, text: &[u8]) -> bool {
        let is_it = |known: &&Known| known.at == stamp.at();
        self.known.iter().rev().find(is_it).is_some_and(|known| known.digest == position::digest(text, 0))
    }

    /// A line that was passed on before another one: the nearest that is remembered.
    pub(super) fn before(&self, stamp: &Stamp) -> Option<Timestamp> {
        let found = self.known.iter().rev().map(|known| known.at).find(|at| *at < stamp.at());
        found.or(self.first.filter(|at| *at < stamp.at()))
    }

    /// A line waits to be passed on: until [`Self::is_clear`] it has to be asked for again.
    pub(super) fn is_unclear(&mut self, stamp: &Stamp) {
        self.unclear = Some(self.unclear.map_or(stamp.at(), |earliest| earliest.min(stamp.at())));
    }

    /// No line waits.
    pub(super) fn is_clear(&mut self) {
        self.unclear = None;
    }

    /// The earliest time that is worth asking for.
    pub(super) fn earliest(&self, last: &Stamp) -> Timestamp {
        let is_near = |known: &&Known| {
            self.received.saturating_sub(known.received) <= MOST && last.at().duration_since(known.at).abs() <= FARTHEST
        };
        let near = self.known.iter().rev().take_while(is_near).map(|known| known.at);
        near.chain(self.unclear).fold(last.at(), Timestamp::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(second: i64) -> Stamp {
        Timestamp::from_second(second).unwrap().to_string().parse().unwrap()
    }

    fn past(chunks: impl IntoIterator<Item = (i64, usize)>) -> (Past, i64) {
        let (mut past, mut position) = (Past::default(), Position::default());
        for (second, bytes) in chunks {
            past.begin(&stamp(second));
            position.advance(stamp(second), 0);
            position.sign(b"text\n");
            past.note(&position, bytes);
        }
        let earliest = position.stamp().map_or(0, |last| past.earliest(last).as_second());
        (past, earliest)
    }

    #[test]
    fn a_quiet_log_is_asked_for_ten_minutes_and_a_busy_one_for_half_a_mebibyte() {
        assert_eq!(past([]).1, 0);
        assert_eq!(past((0..1_000).map(|second| (second, 10))).1, 420);
        assert_eq!(past((0..1_000).map(|second| (second, 100 * 1024))).1, 994);
        // A clock that steps back is followed.
        assert_eq!(past([(1_000, 1), (1_040, 1), (970, 1)]).1, 970);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (past, _) = past((0..5_000).map(|second| (second, 100 * 1024)));
        assert_eq!(past.known.len(), KEPT);
        assert!(past.knows(&stamp(4_000), b"text\n"));
        assert!(!past.knows(&stamp(4_000), b"other\n"));
        assert!(!past.knows(&stamp(3_000), b"text\n"));
        let before = |second: i64| past.before(&stamp(second)).map(Timestamp::as_second);
        assert_eq!((before(4_500), before(3_000), before(0)), (Some(4_499), Some(0), None));
    }
}

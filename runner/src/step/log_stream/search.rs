//! The search for the last line in the answer to a resume.
//!
//! The server answers from a whole second on, in order of arrival: lines passed on long ago, the last one, then what is
//! new. What is not older than the last line by its stamp may still stand before it, if the clock stepped back; it is
//! held until that is known.

use bytes::{Buf, BytesMut};

use super::LINE_LIMIT;
use super::position::Position;
use super::stamp::Stamp;

/// A search, from the beginning of an answer on.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// The stamp of the line before, and the lines in a row that have it.
    row: Option<(Stamp, u64)>,
    /// Raw lines that are old if the last line comes, else new.
    held: BytesMut,
    /// Whether a line with a later stamp than the last line's is held, or was.
    has_later: bool,
    has_given_up: bool,
    /// Whether all lines are new if the last one does not come, whatever their stamps.
    is_of_another_file: bool,
    /// Whether something that was to be held was not.
    has_dropped: bool,
}

/// What a line of the answer is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Passed on before.
    Old,
    /// The last line that was passed on.
    Last,
    /// Old or new: what follows tells.
    Unclear,
    /// Passed on never, so that the last line, which would stand before it, is gone.
    New,
}

impl Search {
    /// If the last line does not come, the answer is of another file, in which all is new: nothing is old before it comes.
    pub(super) fn keep_all(&mut self) {
        self.is_of_another_file = true;
    }

    /// Whether lines are lost if the last line does not come.
    pub(super) fn has_dropped(&self) -> bool {
        self.has_dropped
    }

    /// Looks at the next line with a stamp.
    pub(super) fn look(&mut self, stamp: Stamp, text: &[u8], position: &Position) -> Finding {
        let count = match &self.row {
            Some((before, count)) if *before == stamp => count.saturating_add(1),
            _ => 1,
        };
        self.row = Some((stamp, count));
        let Some(last) = &position.last else { return Finding::New };
        if last.is(&stamp, count, text) {
            return Finding::Last;
        }
        // No line with a stamp after the latest has been passed on, and new lines stand behind the last one.
        let is_new = stamp > position.latest.unwrap_or(last.stamp);
        if is_new || (stamp > last.stamp && self.has_given_up) {
            return Finding::New;
        }
        self.has_later |= stamp > last.stamp;
        if self.has_later || self.is_of_another_file {
            return Finding::Unclear;
        }
        // Lines without a stamp before an old one are old.
        self.held.clear();
        Finding::Old
    }

    /// Keeps a raw line until the search is decided. Of more than `room` bytes the oldest go: the gap covers them, if it
    /// comes to one.
    pub(super) fn hold(&mut self, line: &[u8], room: usize) {
        self.held.extend_from_slice(line);
        while self.held.len() > room {
            let end = memchr::memchr(b'\n', &self.held).map_or(self.held.len(), |end| end.saturating_add(1));
            self.held.advance(end);
            self.has_dropped = true;
        }
    }

    /// Forgets what is held: a line came that is unclear, too, and too long to be held. What a gap leaves out must end
    /// where what is passed on begins.
    pub(super) fn forget(&mut self) {
        self.held.clear();
        self.has_dropped = true;
    }

    /// The last line is taken for lost as soon as a later one is there. Returns whether one is.
    pub(super) fn give_up(&mut self) -> bool {
        self.has_given_up = true;
        self.has_later && !self.held.is_empty()
    }

    pub(super) fn holds_lines(&self) -> bool {
        !self.held.is_empty()
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    pub(super) fn into_held(self) -> BytesMut {
        self.held
    }
}

/// Room for held lines beside `unfinished` bytes of the next one.
pub(super) fn room(unfinished: usize) -> usize {
    LINE_LIMIT.saturating_sub(unfinished)
}

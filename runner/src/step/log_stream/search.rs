//! The search for the last line that was passed on, where it is not known whether a line is new.
//!
//! At the beginning of an answer: the server answers from a whole second on, in order of arrival, first what was passed on
//! before. And behind a step back of the stamps: either the node's clock stepped back, or two streams of a program
//! overtook each other by microseconds, or the node sends a file again. In all three the last line tells: new lines stand
//! behind it, and it does not come again where nothing comes again. A line with a stamp later than all is new, too.

use bytes::{Buf, BytesMut};

use super::LINE_LIMIT;
use super::past::Past;
use super::position::Position;
use super::stamp::Stamp;

/// A search, from its first line on.
#[derive(Debug)]
pub(super) struct Search {
    pub(super) begin: Begin,
    /// The stamp of the line before, and the lines in a row that have it.
    row: Option<(Stamp, u64)>,
    /// Raw lines that are old if the last line comes, else new.
    held: BytesMut,
    /// Whether such a line came.
    is_unclear: bool,
    /// A line came that was passed on: so the last one will come.
    is_sure: bool,
}

/// Where a search began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begin {
    /// With an answer. Unless the last line comes there is a gap.
    Answer,
    /// At this line, whose stamp is before that of the line above it. Unless the last line comes all is well.
    StepBack(Stamp),
}

/// What a line is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Passed on before.
    Old,
    /// The last line that was passed on.
    Last,
    /// Old or new: what follows tells.
    Unclear,
    /// Passed on never, and the last line does not come.
    New,
}

impl Search {
    pub(super) fn new(begin: Begin) -> Self {
        Self { begin, row: None, held: BytesMut::new(), is_unclear: begin != Begin::Answer, is_sure: false }
    }

    /// Looks at the next line with a stamp.
    pub(super) fn look(&mut self, stamp: Stamp, text: &[u8], position: &Position, past: &Past) -> Finding {
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
        if stamp > position.latest.unwrap_or(last.stamp) {
            return Finding::New;
        }
        if !self.is_sure && past.knows(&stamp, text) {
            self.is_sure = true;
            self.held.clear();
        }
        if self.is_sure {
            return Finding::Old;
        }
        self.is_unclear |= stamp > last.stamp;
        if self.is_unclear {
            return Finding::Unclear;
        }
        // Lines without a stamp before an old one are old.
        self.held.clear();
        Finding::Old
    }

    /// Keeps a raw line until the search is decided, beside `unfinished` bytes of the next one. Of what is too much for an
    /// answer the oldest goes: the gap covers it, if it comes to one. Returns whether the search may go on: what follows a
    /// step back must be kept whole, and would have shown a line that is remembered by now, if it came again.
    pub(super) fn hold(&mut self, line: &[u8], unfinished: usize) -> bool {
        let room = LINE_LIMIT.saturating_sub(unfinished);
        if self.is_sure {
            return true;
        }
        if self.begin != Begin::Answer && self.held.len().saturating_add(line.len()) > room {
            return false;
        }
        self.held.extend_from_slice(line);
        while self.held.len() > room {
            let end = memchr::memchr(b'\n', &self.held).map_or(self.held.len(), |end| end.saturating_add(1));
            self.held.advance(end);
        }
        true
    }

    /// Forgets what is held: a line came that is unclear, too, and too long to be held. What a gap leaves out must end
    /// where what is passed on begins.
    pub(super) fn forget(&mut self) {
        self.held.clear();
    }

    /// Whether lines wait for the search to be decided.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.is_unclear && !self.held.is_empty()
    }

    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        self.held.len()
    }

    pub(super) fn into_held(self) -> BytesMut {
        self.held
    }
}

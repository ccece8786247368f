//! What comes out of a log, and how lines that came together become one piece.

use bytes::{Bytes, BytesMut};

use super::position::Position;
use super::stamp::Stamp;

/// What comes out of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// Text of the container, byte by byte, stamps taken off.
    Text {
        /// Whole lines; the very last one of a log may lack its line end.
        text: Bytes,
        /// A part of one line instead, of more than [`LINE_LIMIT`](super::LINE_LIMIT) or resumed in its middle. Only the
        /// last part ends with a line end.
        partial: bool,
    },
    /// The last line is out of the server's reach: lines may be missing here. Where a line was passed on in part, its rest
    /// is among them.
    Gap {
        /// The last line before.
        last: Stamp,
        /// The first line after. `None`: the log is over.
        next: Option<Stamp>,
    },
    /// The kubelet says, in place of the log, that it cannot read it: to be asked again later.
    Unavailable {
        /// Its words.
        text: String,
    },
}

/// The lines of one chunk, joined: one allocation for all of them.
pub(super) struct Batch<'a> {
    text: BytesMut,
    /// Bytes to expect.
    expected: usize,
    /// Where in the text the last line with a stamp lies.
    last: Option<(usize, usize)>,
    pub(super) out: &'a mut Vec<Piece>,
}

impl<'a> Batch<'a> {
    pub(super) fn new(expected: usize, out: &'a mut Vec<Piece>) -> Self {
        Self { text: BytesMut::new(), expected, last: None, out }
    }

    pub(super) fn push(&mut self, text: &[u8]) {
        if self.text.is_empty() {
            self.text.reserve(self.expected);
        }
        self.text.extend_from_slice(text);
    }

    pub(super) fn push_stamped(&mut self, text: &[u8]) {
        let start = self.text.len();
        self.push(text);
        self.last = Some((start, self.text.len()));
    }

    /// Gives out what came together. The position learns the text of its last line only here, not at each line.
    pub(super) fn flush(&mut self, position: &mut Position) {
        if let Some(last) = self.last.take().and_then(|(start, end)| self.text.get(start..end)) {
            position.sign(last);
        }
        if !self.text.is_empty() {
            self.out.push(Piece::Text { text: self.text.split().freeze(), partial: false });
        }
    }
}

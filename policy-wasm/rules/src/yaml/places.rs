//! From the parser's markers to lines, columns and bytes.

use saphyr_parser::{Marker, Span as Marked};

use super::Span;

/// Turns markers (in characters) into byte offsets without walking the whole text each time.
pub(super) struct Places<'a> {
    /// The text, without a byte order mark.
    pub(super) text: &'a str,
    /// Bytes that precede `text` in the source.
    lead: usize,
    /// Byte offset of every `STRIDE`th character; empty when every character is one byte.
    strides: Vec<u32>,
    /// Line and column of the end, where it is no line break: the parser thinks of one there.
    end: Option<(u32, u32)>,
    /// Byte order marks that lines begin with, which the parser counts as no column.
    marks: Vec<Marks>,
}

/// Byte order marks at the beginning of a line.
struct Marks {
    line: u32,
    /// Byte of the first.
    start: usize,
    count: usize,
}

const STRIDE: usize = 256;

/// The byte order mark.
const MARK: char = '\u{feff}';

/// What ends a line; both together are one end.
pub(super) const BREAKS: [char; 2] = ['\n', '\r'];

impl<'a> Places<'a> {
    pub(super) fn new(text: &'a str, lead: usize) -> Self {
        let strides = if text.is_ascii() {
            Vec::new()
        } else {
            text.char_indices().step_by(STRIDE).map(|(byte, _)| byte as u32).collect()
        };
        let mut places = Places { text, lead, strides, end: None, marks: marks(text) };
        if !text.is_empty() && !text.ends_with(BREAKS) {
            let end = places.of_byte(text.len());
            places.end = Some((end.line, end.column));
        }
        places
    }

    /// Byte offset of character number `index`.
    pub(super) fn byte(&self, index: usize) -> usize {
        if self.strides.is_empty() {
            return index.min(self.text.len());
        }
        let base = self.strides.get(index / STRIDE).copied().unwrap_or(self.text.len() as u32) as usize;
        let rest = self.text.get(base..).unwrap_or_default();
        rest.char_indices().nth(index % STRIDE).map_or(self.text.len(), |(byte, _)| base + byte)
    }

    pub(super) fn span(&self, marked: &Marked) -> Span {
        let from = self.byte(marked.start.index());
        let to = self.byte(marked.end.index()).max(from);
        // Block scalars and plain scalars of several lines end after their line break.
        let length = self.text.get(from..to).unwrap_or_default().trim_end().len();
        self.at(&marked.start, from, length)
    }

    pub(super) fn at(&self, marker: &Marker, byte: usize, length: usize) -> Span {
        let (line, column) = match self.end.filter(|_| byte >= self.text.len()) {
            Some(end) => end,
            None => (marker.line() as u32, (marker.col() + self.marks_before(marker.line() as u32, byte)) as u32 + 1),
        };
        Span { line, column, offset: (byte + self.lead) as u32, length: length as u32 }
    }

    fn marks_before(&self, line: u32, byte: usize) -> usize {
        let marks = self.marks.binary_search_by_key(&line, |marks| marks.line).ok().and_then(|at| self.marks.get(at));
        marks.map_or(0, |marks| marks.count.min(byte.saturating_sub(marks.start) / MARK.len_utf8()))
    }

    /// Whether a quote stands at a place.
    pub(super) fn starts_with_quote(&self, span: Span) -> bool {
        let at = (span.offset as usize).checked_sub(self.lead);
        at.and_then(|at| self.text.as_bytes().get(at)).is_some_and(|byte| matches!(byte, b'"' | b'\''))
    }

    /// The first tab that indents a line, on the line of `byte` or one of the next two.
    pub(super) fn indenting_tab(&self, byte: usize) -> Option<usize> {
        let mut start = self.text.get(..byte)?.rfind(BREAKS).map_or(0, |at| at + 1);
        // Between CR and LF stands a line that is empty.
        for line in self.text.get(start..)?.split_inclusive(BREAKS).take(5) {
            let indent = line.len() - line.trim_start_matches([' ', '\t']).len();
            if let Some(tab) = line.get(..indent).and_then(|indent| indent.find('\t')) {
                return Some(start + tab);
            }
            start += line.len();
        }
        None
    }

    pub(super) fn of_byte(&self, byte: usize) -> Span {
        let before = self.text.get(..byte).unwrap_or_default();
        let line_start = before.rfind(BREAKS).map_or(0, |at| at + 1);
        let breaks = before.matches(BREAKS).count() - before.matches("\r\n").count();
        Span {
            line: breaks as u32 + 1,
            column: before.get(line_start..).unwrap_or_default().chars().count() as u32 + 1,
            offset: (byte + self.lead) as u32,
            length: 1,
        }
    }
}

/// The byte order marks at the beginnings of lines, by line.
fn marks(text: &str) -> Vec<Marks> {
    let mut marks: Vec<Marks> = Vec::new();
    if !text.contains(MARK) {
        return marks;
    }
    let (mut line, mut start) = (1, 0);
    for rest in text.split_inclusive(BREAKS) {
        let count = rest.chars().take_while(|character| *character == MARK).count();
        if count > 0 {
            marks.push(Marks { line, start, count });
        }
        start += rest.len();
        // CR LF is one end: the line between them is none.
        let is_within = rest.ends_with('\r') && text.get(start..).is_some_and(|rest| rest.starts_with('\n'));
        line += u32::from(!is_within);
    }
    marks
}

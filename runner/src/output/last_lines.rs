//! The last lines of a stream: what is shown of a failure.

use std::collections::VecDeque;

use bytes::Bytes;

/// Lines that are kept.
const MOST: usize = 20;
/// Bytes that are kept of each.
const LONGEST: usize = 4096;

/// The last 20 lines of a stream, of each the first 4096 bytes.
#[derive(Debug, Default)]
pub struct LastLines {
    lines: VecDeque<Vec<u8>>,
    /// The last line goes on with the next piece.
    is_open: bool,
}

impl LastLines {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            if !self.is_open {
                if self.lines.len() == MOST {
                    self.lines.pop_front();
                }
                self.lines.push_back(Vec::new());
            }
            let whole = part.strip_suffix(b"\n");
            self.is_open = whole.is_none();
            let text = whole.unwrap_or(part);
            if let Some(line) = self.lines.back_mut() {
                let room = LONGEST.saturating_sub(line.len());
                line.extend_from_slice(text.get(..room).unwrap_or(text));
            }
        }
    }

    /// The lines without their line ends, oldest first.
    pub fn finish(self) -> Vec<Bytes> {
        self.lines.into_iter().map(Bytes::from).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn last(text: &str, size: usize) -> Vec<Bytes> {
        let mut lines = LastLines::default();
        text.as_bytes().chunks(size).for_each(|piece| lines.push(piece));
        lines.finish()
    }

    #[test]
    fn the_last_lines_are_whole_however_the_stream_is_cut() {
        let text: String = (0..100).map(|number| format!("line {number}\n\n")).collect::<String>() + "end";
        for size in [1, 2, 3, 7, 1000] {
            let lines = last(&text, size);
            assert_eq!(lines.len(), 20);
            assert_eq!(&lines[17..], ["line 99", "", "end"]);
        }
    }

    #[test]
    fn of_a_long_line_the_beginning_is_kept() {
        let text = format!("{}\nshort\n", "x".repeat(10_000));
        for size in [1000, 4096, 20_000] {
            let lines = last(&text, size);
            assert_eq!((lines[0].len(), &lines[1][..]), (4096, &b"short"[..]));
        }
    }
}

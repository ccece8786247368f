//! What a step printed, as far as something hangs on it: its captured output, lines that excuse a failure, the last lines.
//!
//! Each takes the stream piece by piece, cut anywhere, and keeps no more than its bound.

mod last_lines;

use std::sync::Arc;

use model::pattern::Pattern;
use model::workflow::PATTERN_PREFIX;

pub use last_lines::LastLines;

/// Bytes of a captured output, and of a log that is searched, where `max_output_size` is not set.
pub const DEFAULT_LARGEST: u64 = 1 << 20;

/// The output of an attempt, while it comes.
#[derive(Debug)]
pub struct Capture {
    most: usize,
    kept: Vec<u8>,
    is_too_large: bool,
}

/// A captured output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// The text without its outer white space.
    pub text: String,
    /// Whether it was no UTF-8 text: what could not be read is `�`.
    pub is_mended: bool,
}

/// The output is larger than its limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the output is larger than {most} bytes")]
pub struct OutputTooLarge {
    /// The limit, in bytes.
    pub most: usize,
}

impl OutputTooLarge {
    /// What to do about it.
    pub fn help(&self) -> &'static str {
        "raise `max_output_size`, or pass large data in a file"
    }
}

impl Capture {
    /// Captures up to `most` bytes, outer white space not counted.
    pub fn new(most: u64) -> Capture {
        Capture { most: usize::try_from(most).unwrap_or(usize::MAX), kept: Vec::new(), is_too_large: false }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        if self.is_too_large {
            return;
        }
        let piece = if self.kept.is_empty() { piece.trim_ascii_start() } else { piece };
        let room = self.most.saturating_sub(self.kept.len()).min(piece.len());
        let (fits, beyond) = piece.split_at_checked(room).unwrap_or((piece, &[]));
        self.kept.extend_from_slice(fits);
        // White space beyond the limit counts only when something follows it, and then it is too much anyway.
        if !beyond.trim_ascii().is_empty() {
            self.is_too_large = true;
            self.kept = Vec::new();
        }
    }

    /// The whole output.
    ///
    /// # Errors
    /// When it is larger than the limit.
    pub fn finish(self) -> Result<Captured, OutputTooLarge> {
        if self.is_too_large {
            return Err(OutputTooLarge { most: self.most });
        }
        let text = String::from_utf8_lossy(self.kept.trim_ascii_end());
        let is_mended = text.as_bytes() != self.kept.trim_ascii_end();
        Ok(Captured { text: text.into_owned(), is_mended })
    }
}

/// What a line of a log must hold, or match, for `continue_on.output`. Clones share it.
#[derive(Debug, Clone)]
pub struct LinePatterns(Arc<[LinePattern]>);

#[derive(Debug)]
enum LinePattern {
    Contains(String),
    Matches(Pattern),
}

/// A regular expression of `continue_on.output` cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{pattern}` is no regular expression: {reason}")]
pub struct PatternError {
    /// The pattern.
    pub pattern: String,
    /// Why.
    pub reason: String,
}

impl LinePatterns {
    /// Reads the texts of `continue_on.output`: behind `re:` a regular expression, else a text that a line contains.
    ///
    /// # Errors
    /// When a regular expression is none. The rules have looked at those without variables.
    pub fn new<'a>(texts: impl IntoIterator<Item = &'a str>) -> Result<LinePatterns, PatternError> {
        let patterns = texts.into_iter().map(|text| match text.strip_prefix(PATTERN_PREFIX) {
            None => Ok(LinePattern::Contains(text.to_owned())),
            Some(pattern) => Pattern::new(pattern)
                .map(LinePattern::Matches)
                .map_err(|reason| PatternError { pattern: pattern.to_owned(), reason }),
        });
        Ok(LinePatterns(patterns.collect::<Result<_, _>>()?))
    }

    /// Looks for them in a log that comes piece by piece, in its first `most` bytes. A log of two streams needs two of
    /// these, else a line of one is cut by the other.
    pub fn search(&self, most: u64) -> LineSearch {
        let room = usize::try_from(most).unwrap_or(usize::MAX);
        LineSearch { patterns: self.clone(), line: Vec::new(), room, is_found: false }
    }

    fn is_in(&self, line: &[u8]) -> bool {
        let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
        self.0.iter().any(|pattern| match pattern {
            LinePattern::Contains(text) => line.contains(text),
            LinePattern::Matches(pattern) => pattern.is_in(&line),
        })
    }
}

/// A search for lines of a log.
#[derive(Debug)]
pub struct LineSearch {
    patterns: LinePatterns,
    /// The line that has not ended.
    line: Vec<u8>,
    /// Bytes that are still looked at.
    room: usize,
    is_found: bool,
}

impl LineSearch {
    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        if self.is_found {
            return;
        }
        let piece = piece.get(..self.room).unwrap_or(piece);
        self.room = self.room.saturating_sub(piece.len());
        for part in piece.split_inclusive(|byte| *byte == b'\n') {
            let whole = part.strip_suffix(b"\n");
            self.line.extend_from_slice(whole.unwrap_or(part));
            if whole.is_some() {
                self.is_found = self.patterns.is_in(&self.line);
                self.line.clear();
            }
            if self.is_found {
                self.line = Vec::new();
                return;
            }
        }
    }

    /// Whether a line was found; the last one need not have ended.
    pub fn finish(self) -> bool {
        self.is_found || (!self.line.is_empty() && self.patterns.is_in(&self.line))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn captured(most: u64, pieces: &[&[u8]]) -> Result<Captured, OutputTooLarge> {
        let mut capture = Capture::new(most);
        pieces.iter().for_each(|piece| capture.push(piece));
        capture.finish()
    }

    fn text(text: &str) -> Result<Captured, OutputTooLarge> {
        Ok(Captured { text: text.to_owned(), is_mended: false })
    }

    #[test]
    fn outer_white_space_is_cut_and_does_not_count() {
        assert_eq!(captured(4, &[b"\n  ", b" a", b"bc", b"d\n", b"\n \n"]), text("abcd"));
        assert_eq!(captured(4, &[b"abcd \n\n\n", b"  \n"]), text("abcd"));
        assert_eq!(captured(4, &[b"a  b"]), text("a  b"));
        assert_eq!(captured(4, &[b"a   b"]), Err(OutputTooLarge { most: 4 }));
        assert_eq!(captured(4, &[b"abc \n", b"d"]), Err(OutputTooLarge { most: 4 }));
        assert_eq!(captured(4, &[b" \n", b""]), text(""));
    }

    #[test]
    fn what_is_too_large_is_not_kept() {
        let mut capture = Capture::new(4);
        capture.push(b"abcde");
        assert_eq!(capture.kept.capacity(), 0);
        assert_eq!(capture.finish().unwrap_err().to_string(), "the output is larger than 4 bytes");
    }

    #[test]
    fn bytes_that_are_no_text_are_mended_and_said_so() {
        let mended = captured(10, &[b"a\xff"]).unwrap();
        assert_eq!(mended, Captured { text: "a\u{fffd}".to_owned(), is_mended: true });
        // A character that was cut between two pieces is whole.
        assert_eq!(captured(10, &[b"\xc3", b"\xa4"]), text("ä"));
    }

    fn found(most: u64, patterns: &[&str], pieces: &[&[u8]]) -> bool {
        let mut search = LinePatterns::new(patterns.iter().copied()).unwrap().search(most);
        pieces.iter().for_each(|piece| search.push(piece));
        search.finish()
    }

    #[test]
    fn a_line_is_found_by_a_text_or_a_regular_expression() {
        for (patterns, expected) in [
            (&["two"][..], true),
            (&["none", "two"], true),
            (&["re:^t.o$"], true),
            (&["re:^wo"], false),
            (&["one\ntwo"], false),
            (&["^two"], false),
            (&["three"], true),
            (&["re:three$"], true),
            (&[], false),
        ] {
            let pieces: [&[u8]; 4] = [b"on", b"e\nt", b"wo\r\n", b"last three"];
            assert_eq!(found(100, patterns, &pieces), expected, "{patterns:?}");
        }
    }

    #[test]
    fn only_the_beginning_of_a_long_log_is_looked_at() {
        assert!(found(4, &["abcd"], &[b"ab", b"cde\n"]));
        assert!(!found(3, &["abcd"], &[b"ab", b"cde\n"]));
        assert!(!found(3, &["x"], &[b"abc", b"x\n"]));
    }

    #[test]
    fn a_pattern_that_is_none_says_why() {
        let error = LinePatterns::new(["re:("]).unwrap_err();
        assert!(error.to_string().starts_with("`(` is no regular expression: "), "{error}");
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(pieces in proptest::collection::vec("[ab\n ]{0,5}", 0..8), most in 0..12_u64) {
            let whole = pieces.concat();
            let cut: Vec<&[u8]> = pieces.iter().map(String::as_bytes).collect();
            let expected = if whole.trim().len() as u64 <= most { text(whole.trim()) } else {
                Err(OutputTooLarge { most: most as usize })
            };
            prop_assert_eq!(captured(most, &cut), expected);
            let beginning = &whole[..whole.len().min(most as usize)];
            prop_assert_eq!(found(most, &["ab"], &cut), beginning.contains("ab"));
            prop_assert_eq!(found(most, &["re:^a+$"], &cut), beginning.lines().any(|line| {
                !line.is_empty() && line.chars().all(|character| character == 'a')
            }));
        }
    }
}

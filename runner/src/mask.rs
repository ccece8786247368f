//! Hiding the values of secrets in everything that is shown or written.
//!
//! Hidden is every place where a value stands, whole or without its outer white space, and every place where a line of it
//! with 8 characters or more stands. Places that overlap are hidden as one, so that no rest of a value stays. A stream may
//! come cut anywhere: what could be the beginning of a secret is held back until it is known, and nothing else.

mod shown;

use std::borrow::Cow;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use aho_corasick::automaton::{Automaton as _, StateID};
use aho_corasick::nfa::noncontiguous::NFA;
use aho_corasick::{Anchored, MatchKind};
use bytes::{Bytes, BytesMut};

/// What stands in the place of a secret.
pub const HIDDEN: &str = "*******";

/// Lines of a value with fewer characters are hidden only as part of the whole: `{` or `true` would hide half of a log.
const LEAST_LINE: usize = 8;

/// Hides secrets. Clones share what they look for; an empty one looks at nothing.
#[derive(Clone, Default)]
pub struct Mask(Option<Arc<Search>>);

/// The secrets cannot be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the secrets are too large to be hidden")]
pub struct MaskError;

/// What is looked for.
struct Search {
    /// INVARIANT: it finds overlapping places, and has no state that never matches again.
    automaton: NFA,
    start: StateID,
    /// By the number of a state: how many bytes at the end of what was read may be the beginning of a secret.
    depths: Vec<u32>,
}

impl Mask {
    /// Hides these values.
    ///
    /// # Errors
    /// When they have about 2³¹ bytes.
    pub fn new<'a>(values: impl IntoIterator<Item = &'a str>) -> Result<Mask, MaskError> {
        let mut hidden: Vec<&str> = Vec::new();
        for value in values {
            let lines = value.lines().filter(|line| line.chars().count() >= LEAST_LINE);
            hidden.extend([value, value.trim()].into_iter().chain(lines).filter(|text| !text.is_empty()));
        }
        if hidden.is_empty() {
            return Ok(Mask(None));
        }
        hidden.sort_unstable();
        hidden.dedup();
        Ok(Mask(Some(Arc::new(Search::new(&hidden)?))))
    }

    /// Whether it hides nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// Whether a secret stands in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.as_ref().is_some_and(|search| {
            let mut state = search.start;
            text.bytes().any(|byte| {
                state = search.next(state, byte);
                search.automaton.is_match(state)
            })
        })
    }

    /// The text with all secrets hidden.
    pub fn text<'a>(&self, text: &'a str) -> Cow<'a, str> {
        if !self.is_in(text) {
            return Cow::Borrowed(text);
        }
        let masked = self.all(Bytes::copy_from_slice(text.as_bytes()));
        // A secret is text itself: it begins and ends where characters do.
        Cow::Owned(String::from_utf8_lossy(&masked).into_owned())
    }

    /// The bytes with all secrets hidden.
    pub fn all(&self, bytes: Bytes) -> Bytes {
        let mut stream = self.stream();
        let begin = stream.push(bytes);
        let end = stream.finish();
        if end.is_empty() { begin } else { [begin, end].concat().into() }
    }

    /// Hides the secrets of a stream that comes in pieces.
    pub fn stream(&self) -> Masked {
        Masked { progress: self.0.as_ref().map(|search| Progress::new(search.clone())) }
    }
}

impl fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Mask").field("is_empty", &self.is_empty()).finish_non_exhaustive()
    }
}

impl Search {
    fn new(hidden: &[&str]) -> Result<Search, MaskError> {
        let automaton =
            NFA::builder().match_kind(MatchKind::Standard).prefilter(false).build(hidden).map_err(|_| MaskError)?;
        let start = automaton.start_state(Anchored::No).map_err(|_| MaskError)?;
        let mut search = Search { automaton, start, depths: Vec::new() };
        for text in hidden {
            let mut state = start;
            for (depth, byte) in (1..).zip(text.bytes()) {
                // The state behind the beginning of a text is that beginning, and every state is one of some text.
                state = search.next(state, byte);
                if search.depths.len() <= state.as_usize() {
                    search.depths.resize(state.as_usize().saturating_add(1), 0);
                }
                if let Some(known) = search.depths.get_mut(state.as_usize()) {
                    *known = depth;
                }
            }
        }
        Ok(search)
    }

    fn next(&self, state: StateID, byte: u8) -> StateID {
        self.automaton.next_state(Anchored::No, state, byte)
    }

    fn depth(&self, state: StateID) -> u64 {
        self.depths.get(state.as_usize()).copied().map_or(0, u64::from)
    }

    /// The longest text that ends where this state was reached.
    fn longest(&self, state: StateID) -> Option<u64> {
        if !self.automaton.is_match(state) {
            return None;
        }
        let lengths = (0..self.automaton.match_len(state))
            .map(|index| self.automaton.pattern_len(self.automaton.match_pattern(state, index)));
        lengths.max().and_then(|length| u64::try_from(length).ok())
    }
}

/// A stream whose secrets are hidden. Not to be forgotten: [`Masked::finish`] gives what was held back.
#[derive(Debug)]
pub struct Masked {
    progress: Option<Progress>,
}

impl Masked {
    /// Whether nothing is held back.
    pub fn is_empty(&self) -> bool {
        self.progress.as_ref().is_none_or(|progress| progress.held.is_empty())
    }

    /// Takes the next piece. Gives all that can be shown by now.
    #[must_use = "it comes once"]
    pub fn push(&mut self, bytes: Bytes) -> Bytes {
        match &mut self.progress {
            None => bytes,
            Some(progress) => progress.push(&bytes),
        }
    }

    /// The stream has ended, or nobody waits for more of it: gives what was held back. What comes later is a new stream.
    #[must_use = "it comes once"]
    pub fn finish(&mut self) -> Bytes {
        match &mut self.progress {
            None => Bytes::new(),
            Some(progress) => progress.finish(),
        }
    }
}

/// Where a stream stands. Places are counted in bytes from its beginning.
struct Progress {
    search: Arc<Search>,
    state: StateID,
    /// How much was read.
    read: u64,
    /// What was read and not given, from `given` on.
    held: BytesMut,
    given: u64,
    /// Places of secrets that may still grow at their beginnings, in order, none overlapping the next.
    found: VecDeque<(u64, u64)>,
    /// Where the last hidden place ends, so far.
    hidden_to: u64,
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Progress").field("read", &self.read).field("given", &self.given).finish_non_exhaustive()
    }
}

impl Progress {
    fn new(search: Arc<Search>) -> Progress {
        let state = search.start;
        Progress { search, state, read: 0, held: BytesMut::new(), given: 0, found: VecDeque::new(), hidden_to: 0 }
    }

    fn push(&mut self, bytes: &[u8]) -> Bytes {
        self.held.extend_from_slice(bytes);
        for byte in bytes {
            self.state = self.search.next(self.state, *byte);
            self.read = self.read.saturating_add(1);
            if let Some(length) = self.search.longest(self.state) {
                self.add(self.read.saturating_sub(length));
            }
        }
        let mut out = BytesMut::new();
        self.give(self.read.saturating_sub(self.search.depth(self.state)), &mut out);
        out.freeze()
    }

    fn finish(&mut self) -> Bytes {
        let mut out = BytesMut::new();
        self.give(self.read, &mut out);
        self.state = self.search.start;
        out.freeze()
    }

    /// A secret stands from here to what was read last.
    fn add(&mut self, mut begin: u64) {
        while let Some((earlier, _)) = self.found.pop_back_if(|(_, end)| *end > begin) {
            begin = begin.min(earlier);
        }
        self.found.push_back((begin, self.read));
    }

    /// Gives what stands before `until`: no secret begins there that is not known.
    fn give(&mut self, until: u64, out: &mut BytesMut) {
        while let Some((begin, end)) = self.found.pop_front_if(|(begin, _)| *begin <= until) {
            if begin >= self.hidden_to {
                self.give_clear(begin, out);
                out.extend_from_slice(HIDDEN.as_bytes());
            }
            self.hidden_to = end;
            self.skip(end);
        }
        self.give_clear(until, out);
    }

    fn give_clear(&mut self, until: u64, out: &mut BytesMut) {
        let count = usize::try_from(until.saturating_sub(self.given)).unwrap_or(usize::MAX).min(self.held.len());
        out.extend_from_slice(&self.held.split_to(count));
        self.given = self.given.max(until);
    }

    fn skip(&mut self, until: u64) {
        let count = usize::try_from(until.saturating_sub(self.given)).unwrap_or(usize::MAX).min(self.held.len());
        drop(self.held.split_to(count));
        self.given = self.given.max(until);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn mask(values: &[&str]) -> Mask {
        Mask::new(values.iter().copied()).unwrap()
    }

    #[test]
    fn values_and_their_long_lines_are_hidden() {
        for (values, text, expected) in [
            (&["hunter2"][..], "pw=hunter2!", "pw=*******!"),
            (&["hunter2"], "hunter2hunter2", "**************"),
            (&["hunter2", "hunter22"], "hunter22 hunter2", "******* *******"),
            (&["hunter2\n"], "pw=hunter2!", "pw=*******!"),
            (&["first line\nab\nsecond\n"], "first line, ab, second", "*******, ab, second"),
            (&["first line\r\nab"], "first line\nab", "*******\nab"),
            (&["first line\nsecond"], "a\nfirst line\nsecond\nb", "a\n*******\nb"),
            (&["abcdef", "defghi"], "-abcdefghi-", "-*******-"),
            (&["aa"], "aaaaa b", "******* b"),
            (&["bc", "abcd"], "abcd bc abc", "******* ******* a*******"),
            (&["äöü"], "xäöüy", "x*******y"),
            (&["a"], "banana", "b*******n*******n*******"),
            (&["", "\n", "  "], "x  y\n", "x*******y*******"),
            (&[""], "nothing", "nothing"),
        ] {
            assert_eq!(mask(values).text(text), expected, "{values:?}");
            assert_eq!(mask(values).is_in(text), text != expected, "{values:?}");
        }
    }

    #[test]
    fn an_empty_mask_gives_what_it_got() {
        let mask = mask(&["", ""]);
        assert!(mask.is_empty() && Mask::default().is_empty());
        assert!(matches!(mask.text("text"), Cow::Borrowed("text")));
        let bytes = Bytes::from_static(b"text");
        assert_eq!(mask.stream().push(bytes.clone()).as_ptr(), bytes.as_ptr());
    }

    #[test]
    fn only_what_may_be_a_secret_is_held_back() {
        let mut stream = mask(&["hunter2", "line one\nline two"]).stream();
        let mut push =
            |text: &'static str| String::from_utf8(stream.push(Bytes::from_static(text.as_bytes())).to_vec());
        for (piece, given) in [
            ("all of this\n", "all of this\n"),
            ("shown, hunt", "shown, "),
            ("ed", "hunted"),
            (" hunt", " "),
            ("er2", "*******"),
            ("", ""),
            ("\nline one", "\n*******"),
            ("\n", ""),
            ("line 2\n", "\nline 2\n"),
            ("line one\nline", "*******"),
            (" two.", "."),
            ("hun", ""),
        ] {
            assert_eq!(push(piece).as_deref(), Ok(given), "{piece:?}");
        }
        assert_eq!(stream.finish(), "hun");
        assert_eq!(stream.push(Bytes::from_static(b"ter2")), "ter2");
    }

    #[test]
    fn a_place_that_grows_without_end_is_not_kept() {
        let mut stream = mask(&["aa"]).stream();
        assert_eq!(stream.push(Bytes::from_static(b"xaa")), "x*******");
        for _ in 0..100 {
            assert_eq!(stream.push(Bytes::from(vec![b'a'; 1000])), "");
            assert!(stream.progress.as_ref().unwrap().held.len() <= 2);
        }
        assert_eq!(stream.push(Bytes::from_static(b"b")), "b");
    }

    #[test]
    fn nothing_printed_for_debugging_is_secret() {
        let mask = mask(&["hunter2"]);
        let mut stream = mask.stream();
        assert_eq!(stream.push(Bytes::from_static(b"hunter")), "");
        let shown = format!("{mask:?} {stream:?}");
        assert!(!shown.contains("hunter") && !shown.contains("104, 117"), "{shown}");
    }

    /// Every byte of every place hidden, places that overlap as one: looked for one by one.
    fn expected(values: &[String], text: &str) -> String {
        let mut texts: Vec<&str> = Vec::new();
        for value in values {
            texts.extend([value.as_str(), value.trim()]);
            texts.extend(value.lines().filter(|line| line.chars().count() >= 8));
        }
        let mut places: Vec<(usize, usize)> = Vec::new();
        for secret in texts.into_iter().filter(|secret| !secret.is_empty()) {
            let begins = (0..text.len()).filter(|at| text.as_bytes()[*at..].starts_with(secret.as_bytes()));
            places.extend(begins.map(|at| (at, at + secret.len())));
        }
        places.sort_unstable();
        let (mut out, mut end, mut begun) = (String::new(), 0, false);
        for (from, to) in places {
            if begun && from < end {
                end = end.max(to);
                continue;
            }
            out.push_str(&text[end..from]);
            out.push_str(HIDDEN);
            (end, begun) = (to, true);
        }
        out + &text[end..]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 1000, ..ProptestConfig::default() })]

        #[test]
        fn every_cut_of_a_stream_gives_the_same_and_nothing_secret(
            values in proptest::collection::vec(r"[ab\n é]{0,12}", 0..4),
            pieces in proptest::collection::vec(r"[ab\n éc]{0,8}", 0..12),
            cut in 0..4_usize,
        ) {
            let mask = Mask::new(values.iter().map(String::as_str)).unwrap();
            let text = pieces.concat();
            let masked = mask.text(&text).into_owned();
            prop_assert_eq!(&masked, &expected(&values, &text));
            for value in values.iter().filter(|value| !value.is_empty()) {
                prop_assert!(!masked.contains(value.as_str()), "{value:?} in {masked:?}");
            }

            let mut stream = mask.stream();
            let mut out = Vec::new();
            for piece in text.as_bytes().chunks(cut.max(1)).chain([&b""[..]]) {
                out.extend_from_slice(&stream.push(Bytes::copy_from_slice(piece)));
            }
            out.extend_from_slice(&stream.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), masked);

            let mut stream = mask.stream();
            let mut out = Vec::new();
            for piece in &pieces {
                out.extend_from_slice(&stream.push(Bytes::copy_from_slice(piece.as_bytes())));
            }
            out.extend_from_slice(&stream.finish());
            prop_assert_eq!(String::from_utf8(out).unwrap(), expected(&values, &text));
        }
    }
}

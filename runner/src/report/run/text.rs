//! Text as it stands on the screen: times, widths, signs, and log text that can do no harm.

use std::borrow::Cow;
use std::time::Duration;

use anstream::adapter::strip_str;
use console::{measure_text_width, truncate_str};
use jiff::Timestamp;

use crate::report::{RESET, is_direction};

/// The signs of the tree, or what stands for them where the locale has ASCII only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Glyphs {
    /// Whether signs beyond ASCII may be used.
    pub(super) unicode: bool,
}

impl Glyphs {
    /// One of two signs.
    pub(super) fn pick<'a>(self, unicode: &'a str, ascii: &'a str) -> &'a str {
        if self.unicode { unicode } else { ascii }
    }

    /// What stands before a row of the tree.
    pub(super) fn branch(self, last: bool) -> &'static str {
        if last { self.pick("└─ ", "`- ") } else { self.pick("├─ ", "|- ") }
    }

    /// What stands before a line below a row of the tree.
    pub(super) fn trunk(self, last: bool) -> &'static str {
        if last { "   " } else { self.pick("│  ", "|  ") }
    }

    /// Between a step and its log text.
    pub(super) fn bar(self) -> &'static str {
        self.pick("│", "|")
    }

    /// Between the parts of a title.
    pub(super) fn dot(self) -> &'static str {
        self.pick(" · ", " - ")
    }

    /// For what is cut off.
    pub(super) fn ellipsis(self) -> &'static str {
        self.pick("…", "...")
    }
}

/// How long something took, as `0.8 s`, `12 s`, `3 m 05 s`, `1 h 02 m`. Cut, not rounded: nothing seems done early.
pub(in crate::report) fn human(took: Duration) -> String {
    let seconds = took.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, 0) => format!("0.{} s", took.subsec_millis() / 100),
        (0, 0, seconds) => format!("{seconds} s"),
        (0, minutes, seconds) => format!("{minutes} m {seconds:02} s"),
        (hours, minutes, _) => format!("{hours} h {minutes:02} m"),
    }
}

/// How long something takes by now. Whole seconds only: tenths would have the tree drawn ten times a second.
pub(super) fn running(took: Duration) -> String {
    if took.as_secs() == 0 { "0 s".to_owned() } else { human(took) }
}

/// A limit, as `2 m`: it has no more digits than the user gave it.
pub(super) fn limit(limit: Duration) -> String {
    let text = human(limit);
    let short = text.strip_suffix(" 00 s").or_else(|| text.strip_suffix(" 00 m"));
    short.unwrap_or(&text).to_owned()
}

/// The time between two stamps; nothing when the clock was set back between them.
pub(super) fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or_default()
}

/// Columns that text without colours takes.
pub(super) fn width(text: &str) -> usize {
    measure_text_width(text)
}

/// Text with spaces after it up to a width.
pub(in crate::report) fn pad(text: &str, columns: usize) -> String {
    let missing = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(missing))
}

/// Text cut to a width; what is cut off shows.
pub(super) fn cut<'a>(text: &'a str, columns: usize, glyphs: Glyphs) -> Cow<'a, str> {
    truncate_str(text, columns, glyphs.ellipsis())
}

/// Text broken between words into lines of a width; a word that is longer has a line of its own.
pub(super) fn broken(text: &str, columns: Option<usize>) -> Vec<String> {
    let Some(columns) = columns.filter(|columns| width(text) > *columns) else { return vec![text.to_owned()] };
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// Columns between the stops of a tabulator.
const TAB: usize = 8;

/// A line of a log without its end, as a terminal may see it: control sequences are shown, not obeyed; colours stay and
/// end with the line; tabulators are spaces.
pub(super) fn log_line(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(line);
    if text.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return text.into_owned();
    }
    let mut shown = String::with_capacity(text.len() + 16);
    let (mut rest, mut column, mut coloured) = (text.as_ref(), 0, false);
    while let Some(character) = rest.chars().next() {
        if let Some((color, after)) = split_color(rest) {
            shown.push_str(color);
            coloured = true;
            rest = after;
            continue;
        }
        rest = rest.get(character.len_utf8()..).unwrap_or_default();
        if character == '\t' {
            // Columns are counted as characters: wide ones move the stops, which only looks a little less tidy.
            let spaces = TAB - column % TAB;
            shown.extend(std::iter::repeat_n(' ', spaces));
            column += spaces;
        } else if character.is_control() || is_direction(character) {
            shown.extend(character.escape_unicode());
            column += 1;
        } else {
            shown.push(character);
            column += 1;
        }
    }
    if coloured {
        shown.push_str(&RESET.to_string());
    }
    shown
}

/// The sequence that changes colours (SGR) at the beginning of a text, and what comes after it.
fn split_color(text: &str) -> Option<(&str, &str)> {
    let parameters = text.strip_prefix("\x1b[")?;
    let length = parameters.find(|character: char| !matches!(character, '0'..='9' | ';' | ':'))?;
    // Two for the escape and the bracket, one for the `m`.
    (parameters.as_bytes().get(length) == Some(&b'm')).then(|| text.split_at(length + 3))
}

/// A line without its end: `\n`, or `\r\n`.
pub(super) fn without_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// What a terminal would show of a line in which `\r` goes back to its beginning, as of a progress bar: the last part
/// with something in it. Without colours, and only as much as the widest terminal takes.
pub(super) fn last_part(line: &[u8]) -> String {
    /// More columns than a terminal has.
    const LONGEST: usize = 1024;
    let mut parts = line.rsplit(|byte| *byte == b'\r');
    let part = parts.find(|part| !part.trim_ascii().is_empty()).unwrap_or_default();
    let part = part.get(..LONGEST).unwrap_or(part);
    strip_str(&log_line(part)).to_string().trim().to_owned()
}

/// A text with its middle left out when it has more characters than wanted: of a long line both ends tell something.
pub(super) fn shorten(text: &str, longest: usize, glyphs: Glyphs) -> Cow<'_, str> {
    let characters = text.chars().count();
    if characters <= longest {
        return Cow::Borrowed(text);
    }
    let tail = longest / 3;
    let head: String = text.chars().take(longest - tail).collect();
    let end: String = text.chars().skip(characters - tail).collect();
    Cow::Owned(format!("{head} {} {end}", glyphs.ellipsis()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIGNS: Glyphs = Glyphs { unicode: true };

    #[test]
    fn durations_are_for_people() {
        for (milliseconds, expected) in [
            (0, "0.0 s"),
            (849, "0.8 s"),
            (1_999, "1 s"),
            (12_000, "12 s"),
            (59_999, "59 s"),
            (60_000, "1 m 00 s"),
            (185_000, "3 m 05 s"),
            (3_599_999, "59 m 59 s"),
            (3_720_000, "1 h 02 m"),
            (93_600_000, "26 h 00 m"),
        ] {
            assert_eq!(human(Duration::from_millis(milliseconds)), expected);
        }
        assert_eq!(running(Duration::from_millis(849)), "0 s");
        assert_eq!(limit(Duration::from_secs(120)), "2 m");
        assert_eq!(limit(Duration::from_secs(90)), "1 m 30 s");
        assert_eq!(limit(Duration::from_secs(7200)), "2 h");
        assert_eq!(limit(Duration::from_secs(600)), "10 m");
    }

    #[test]
    fn log_text_is_shown_and_not_obeyed() {
        for (line, expected) in [
            (&b"plain"[..], "plain"),
            (b"\x1b[31mred\x1b[0m", "\x1b[31mred\x1b[0m\x1b[0m"),
            (b"\x1b[38;2;1;2;3mrgb", "\x1b[38;2;1;2;3mrgb\x1b[0m"),
            (b"\x1b[2Jgone\x1b[1A", "\\u{1b}[2Jgone\\u{1b}[1A"),
            (b"\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            (b"10%\r20%", "10%\\u{d}20%"),
            (b"a\tb", "a       b"),
            (b"12345678\tb", "12345678        b"),
            (b"\xff\x1b", "\u{fffd}\\u{1b}"),
            ("\u{9b}31m\u{202e}".as_bytes(), "\\u{9b}31m\\u{202e}"),
            (b"\x1b[31", "\\u{1b}[31"),
        ] {
            assert_eq!(log_line(line), expected, "{line:?}");
        }
    }

    #[test]
    fn of_a_progress_bar_the_last_state_is_shown() {
        for (line, expected) in
            [(&b" 10%\r 20%\r"[..], "20%"), (b"\r\x1b[32m99%\x1b[0m\r  \r", "99%"), (b"", ""), (b"one", "one")]
        {
            assert_eq!(last_part(line), expected, "{line:?}");
        }
        assert_eq!(last_part(&b"x".repeat(5000)).len(), 1024);
    }

    #[test]
    fn cut_text_says_so_and_fits() {
        assert_eq!(cut("hello", 5, SIGNS), "hello");
        assert_eq!(cut("hello!", 5, SIGNS), "hell…");
        assert_eq!(cut("hello!", 5, Glyphs { unicode: false }), "he...");
        assert_eq!(cut("日本語", 5, SIGNS), "日本…");
        assert_eq!(broken("one two three", None), ["one two three"]);
        assert_eq!(broken("one two three four", Some(9)), ["one two", "three", "four"]);
        assert_eq!(broken("incomprehensible", Some(9)), ["incomprehensible"]);
        assert_eq!(shorten("0123456789", 6, SIGNS), "0123 … 89");
        assert_eq!(shorten("0123456789", 10, SIGNS), "0123456789");
    }
}

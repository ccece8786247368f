//! The stamp at the start of a log line: RFC 3339, at most nanoseconds, as the server wrote it.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The longest stamp: `2026-01-02T03:04:05.123456789+01:00`.
const LONGEST: usize = 35;
/// The form that kubelets write: `2026-01-02T03:04:05.123456789Z`.
const USUAL: usize = 30;
/// Its part up to the fraction: `2026-01-02T03:04:05.`.
const UP_TO_FRACTION: usize = 20;

/// When the node received a line.
///
/// Two stamps are equal when they mean the same instant, however they are written: some runtimes cut the zeros at the end
/// of the fraction, some write their zone.
#[derive(Clone, Copy, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Stamp {
    text: [u8; LONGEST],
    length: usize,
    at: Timestamp,
}

/// A text that is no stamp of a log line.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no stamp of a log line, expected one like `2026-01-02T03:04:05.123456789Z`")]
pub struct StampError {
    /// The text as it was given.
    pub text: String,
}

impl Stamp {
    /// The stamp as the server wrote it.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// The instant it means.
    pub fn at(&self) -> Timestamp {
        self.at
    }

    /// The stamp of an instant, as servers write it.
    pub(super) fn of(at: Timestamp) -> Option<Self> {
        Self::new(format!("{at:.9}").as_bytes(), at)
    }

    /// Takes the stamp off a line. `None`: the line has none.
    ///
    /// `before` is the stamp of an earlier line: most lines share its second, so that only the fraction is read.
    pub(super) fn take_off<'a>(line: &'a [u8], before: Option<&Stamp>) -> Option<(Self, &'a [u8])> {
        if let Some((head, [b' ', text @ ..])) = line.split_at_checked(USUAL)
            && let Some(stamp) = before.and_then(|before| before.same_second(head))
        {
            return Some((stamp, text));
        }
        let head = line.get(..line.len().min(LONGEST.saturating_add(1)))?;
        let end = head.iter().position(|byte| matches!(byte, b' ' | b'\n'))?;
        let (head, rest) = line.split_at_checked(end)?;
        // A runtime may leave the space away where nothing follows.
        Some((Self::read(head)?, rest.strip_prefix(b" ").unwrap_or(rest)))
    }

    /// Whether the bytes, cut off somewhere, may be the beginning of a line with a stamp.
    pub(super) fn may_begin(cut: &[u8]) -> bool {
        cut.len() <= LONGEST && cut.iter().copied().all(is_allowed)
    }

    /// Reads a stamp in the usual form that lies in the second of this one.
    fn same_second(&self, text: &[u8]) -> Option<Self> {
        let (second, fraction) = text.split_at_checked(UP_TO_FRACTION)?;
        let (b'Z', digits) = fraction.split_last()? else { return None };
        if self.length != USUAL || self.text.get(..UP_TO_FRACTION)? != second || self.text.get(USUAL - 1)? != &b'Z' {
            return None;
        }
        let mut nanosecond = 0_i32;
        for digit in digits {
            let value = digit.wrapping_sub(b'0');
            if value > 9 {
                return None;
            }
            nanosecond = nanosecond.wrapping_mul(10).wrapping_add(i32::from(value));
        }
        let at = Timestamp::new(whole_second(self.at)?.as_second(), nanosecond).ok()?;
        Self::new(text, at)
    }

    fn read(text: &[u8]) -> Option<Self> {
        // The parser takes more than RFC 3339: a text of the container should not pass for a stamp.
        let [_, _, _, _, b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _, _, ..] = text else { return None };
        if text.len() > LONGEST || !text.iter().copied().all(is_allowed) {
            return None;
        }
        let at = std::str::from_utf8(text).ok()?.parse().ok()?;
        Self::new(text, at)
    }

    fn new(text: &[u8], at: Timestamp) -> Option<Self> {
        let mut stamp = Self { text: [0; LONGEST], length: text.len(), at };
        stamp.text.get_mut(..text.len())?.copy_from_slice(text);
        Some(stamp)
    }

    fn as_bytes(&self) -> &[u8] {
        self.text.get(..self.length).unwrap_or_default()
    }
}

/// The whole second in which an instant lies. `None` only at the end of all time.
pub(super) fn whole_second(at: Timestamp) -> Option<Timestamp> {
    // The fraction of an instant before 1970 is negative.
    let below = i64::from(at.subsec_nanosecond() < 0);
    Timestamp::from_second(at.as_second().saturating_sub(below)).ok()
}

fn is_allowed(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'-' | b':' | b'.' | b'+' | b'T' | b'Z')
}

impl PartialEq for Stamp {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Stamp {}

impl PartialOrd for Stamp {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Stamp {
    fn cmp(&self, other: &Self) -> Ordering {
        self.at.cmp(&other.at)
    }
}

impl FromStr for Stamp {
    type Err = StampError;

    fn from_str(text: &str) -> Result<Self, StampError> {
        Self::read(text.as_bytes()).ok_or_else(|| StampError { text: text.to_owned() })
    }
}

impl TryFrom<String> for Stamp {
    type Error = StampError;

    fn try_from(text: String) -> Result<Self, StampError> {
        text.parse()
    }
}

impl From<Stamp> for String {
    fn from(stamp: Stamp) -> Self {
        stamp.as_str().to_owned()
    }
}

impl fmt::Display for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

impl fmt::Debug for Stamp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

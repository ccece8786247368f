//! Where reading stands: what finds the last line again, in this process or after a crash.

use serde::{Deserialize, Serialize};

use super::stamp::Stamp;

/// How much of a line's text the digest covers: enough to tell lines apart, too little to cost anything.
const DIGESTED: usize = 1024;

/// How far a log was passed on; for the journal, and for [`LogReader::resume`](super::LogReader::resume).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The last line. `None`: no line with a stamp was passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<Last>,
    /// The greatest stamp so far, where that is not the last: the clock stepped back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) latest: Option<Stamp>,
    /// Lines without a stamp passed on behind the last line.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) unstamped: u64,
}

/// The last line that was passed on, whole or in part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Last {
    pub(super) stamp: Stamp,
    /// Lines in a row with this stamp, up to this one: at least 1.
    pub(super) count: u64,
    /// Bytes of its text passed on so far, while its line end has not come. 0: it is whole.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub(super) passed: u64,
    /// Of its text. Stamp and count alone take another line for it when the clock stepped back onto the same nanosecond,
    /// or when rotation cut a row of equal stamps; both would lose or double lines unseen.
    pub(super) digest: u32,
}

impl Position {
    /// The stamp of the last line. `None`: no line with a stamp was passed on.
    pub fn stamp(&self) -> Option<&Stamp> {
        self.last.as_ref().map(|last| &last.stamp)
    }

    /// Counts the next line, of which `passed` bytes are passed on (0: all). Its digest follows in [`Self::sign`].
    pub(super) fn advance(&mut self, stamp: Stamp, passed: u64) {
        let count = match &self.last {
            Some(last) if last.stamp == stamp => last.count.saturating_add(1),
            Some(last) => {
                let latest = self.latest.unwrap_or(last.stamp).max(last.stamp);
                self.latest = (latest > stamp).then_some(latest);
                1
            }
            None => 1,
        };
        self.last = Some(Last { stamp, count, passed, digest: 0 });
        self.unstamped = 0;
    }

    /// Notes the text of the last line, or its beginning.
    pub(super) fn sign(&mut self, text: &[u8]) {
        if let Some(last) = &mut self.last {
            last.digest = digest(text, last.passed);
        }
    }
}

impl Last {
    /// Whether a line is this one: the `count`th in a row with its stamp, and with this text or beginning of it.
    pub(super) fn is(&self, stamp: &Stamp, count: u64, text: &[u8]) -> bool {
        self.stamp == *stamp && self.count == count && self.digest == digest(text, self.passed)
    }
}

/// FNV-1a of the beginning of a line, line end left out. Stored in journals: it must stay the same.
pub(super) fn digest(text: &[u8], passed: u64) -> u32 {
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let known = if passed == 0 { DIGESTED } else { usize::try_from(passed).unwrap_or(DIGESTED).min(DIGESTED) };
    text.iter().take(known).fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

fn is_zero(number: &u64) -> bool {
    *number == 0
}

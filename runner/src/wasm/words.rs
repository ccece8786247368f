//! Limits, names and foreign text as messages show them.

use std::fmt;
use std::time::Duration;

/// A time limit as people write it.
pub(super) struct Time(pub(super) Duration);

impl fmt::Display for Time {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_secs(), self.0.subsec_millis()) {
            (seconds, 0) => write!(formatter, "{seconds} s"),
            _ => write!(formatter, "{} ms", self.0.as_millis()),
        }
    }
}

/// A size limit in the largest unit that gives a whole number.
pub(super) struct Bytes(pub(super) u64);

impl fmt::Display for Bytes {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (unit, shift) in [("GiB", 30), ("MiB", 20), ("KiB", 10)] {
            let whole = self.0 >> shift;
            if whole > 0 && whole << shift == self.0 {
                return write!(formatter, "{whole} {unit}");
            }
        }
        write!(formatter, "{} bytes", Count(self.0))
    }
}

/// A number with a comma at each thousand.
pub(super) struct Count(pub(super) u64);

impl fmt::Display for Count {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 1_000 {
            return write!(formatter, "{}", self.0);
        }
        write!(formatter, "{},{:03}", Count(self.0 / 1_000), self.0 % 1_000)
    }
}

/// Names in backticks, with commas.
pub(super) struct List<'a>(pub(super) &'a [String]);

impl fmt::Display for List<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, name) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(", ")?;
            }
            write!(formatter, "`{name}`")?;
        }
        Ok(())
    }
}

/// The beginning of a text that a component chose, long enough for any honest one.
pub(super) struct Short<'a>(pub(super) &'a str);

const SHORT_CHARS: usize = 200;

impl fmt::Display for Short<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.char_indices().nth(SHORT_CHARS).and_then(|(end, _)| self.0.get(..end)) {
            Some(begin) => write!(formatter, "{begin}…"),
            None => formatter.write_str(self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_read_as_people_write_them() {
        assert_eq!(Time(Duration::from_secs(30)).to_string(), "30 s");
        assert_eq!(Time(Duration::from_millis(1500)).to_string(), "1500 ms");
        assert_eq!(Bytes(64 << 20).to_string(), "64 MiB");
        assert_eq!(Bytes(1 << 30).to_string(), "1 GiB");
        assert_eq!(Bytes(1_000_000).to_string(), "1,000,000 bytes");
        assert_eq!(Count(1_001).to_string(), "1,001");
    }

    #[test]
    fn a_long_text_ends_early() {
        assert_eq!(Short("é").to_string(), "é");
        assert_eq!(Short(&"é".repeat(SHORT_CHARS)).to_string(), "é".repeat(SHORT_CHARS));
        assert_eq!(Short(&"é".repeat(1_000)).to_string(), "é".repeat(SHORT_CHARS) + "…");
    }
}

//! Regular expressions of a workflow file: the same engine checks them when the file is read and runs them later.
//!
//! The syntax is that of the crate `regex-lite`: no look-around and no back references, so that a search takes time
//! linear in the text; `\d`, `\w` and `\s` know ASCII only.

use regex_lite::{Regex, RegexBuilder};

/// Largest compiled size in bytes: the pattern of a file is short, and there may be thousands.
const LARGEST: usize = 1 << 20;

/// A regular expression.
#[derive(Debug, Clone)]
pub struct Pattern(Regex);

impl Pattern {
    /// Reads a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(text: &str) -> Result<Pattern, String> {
        RegexBuilder::new(text).size_limit(LARGEST).build().map(Pattern).map_err(|error| error.to_string())
    }

    /// Whether it is found anywhere in `text`.
    pub fn is_in(&self, text: &str) -> bool {
        self.0.is_match(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_found_anywhere() {
        let pattern = Pattern::new("b+$").unwrap();
        assert!(pattern.is_in("abb") && !pattern.is_in("abba"));
    }

    #[test]
    fn a_wrong_pattern_says_why() {
        for wrong in ["a(", "[a", "(?=a)", "a{1000}{1000}{1000}"] {
            assert!(!Pattern::new(wrong).unwrap_err().is_empty(), "{wrong}");
        }
    }
}

//! Names that say which attempt a Job is: the name of the Job and the values of its labels.
//!
//! They depend on run, workflow, step and attempt only, so whoever knows these finds the Job again.

use model::names::{JobName, RunId};
use model::syntax::Syntax;
use sha2::{Digest as _, Sha256};

/// Longest readable part of a name; with `-` and the hash it stays far below the 63 characters of a label.
const READABLE: usize = 40;

/// Name of the Job of one attempt: what is readable of the step's name, and a hash of what identifies the attempt.
#[expect(clippy::expect_used, reason = "prefix and hash hold only what the name of a Job may hold; the tests try hard")]
pub(super) fn job_name(run_id: &RunId, step: &str, attempt: u32) -> JobName {
    let hash = short_hash(&format!("{run_id}\n{step}\n{attempt}"));
    format!("{}-{hash}", prefix(step)).parse().expect("a letter, then letters, digits and dashes")
}

/// The value of a label that stands for `text`: the text itself, or a short form with a hash of the whole.
pub(crate) fn label_value(text: &str) -> String {
    if Syntax::LabelValue.check(text).is_ok() {
        return text.to_owned();
    }
    let fitting = |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let readable: String =
        text.chars().take(READABLE).map(|character| if fitting(character) { character } else { '-' }).collect();
    let readable = readable.trim_matches(|character: char| !character.is_ascii_alphanumeric());
    let hash = short_hash(text);
    if readable.is_empty() { hash } else { format!("{readable}-{hash}") }
}

/// The readable part of a Job's name: it begins with a letter, because a pod's host name begins with it.
fn prefix(step: &str) -> String {
    let readable: String = step
        .chars()
        .map(
            |character| {
                if character == '_' || character.is_whitespace() { '-' } else { character.to_ascii_lowercase() }
            },
        )
        .filter(|character| matches!(character, 'a'..='z' | '0'..='9' | '-'))
        .skip_while(|character| !character.is_ascii_lowercase())
        .take(READABLE)
        .collect();
    match readable.trim_end_matches('-') {
        "" => "step".to_owned(),
        readable => readable.to_owned(),
    }
}

/// The first 50 bits of SHA-256 as 10 characters of `a-z2-7`, highest bits first.
pub(crate) fn short_hash(text: &str) -> String {
    let bytes: [u8; 32] = Sha256::digest(text).into();
    let bits = bytes.iter().take(7).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte)) >> 6;
    (0..10).rev().map(|place| base32(bits >> (5 * place))).collect()
}

/// The character of the lowest five bits, as in RFC 4648 but in lower case.
fn base32(bits: u64) -> char {
    let value = u8::try_from(bits & 31).unwrap_or_default();
    char::from(if value < 26 { b'a' + value } else { b'2' + (value - 26) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_what_can_be_read_of_the_name() {
        for (step, expected) in [
            ("load_data", "load-data"),
            ("01 Extract: Öl", "extract-l"),
            ("Extract", "extract"),
            ("a.b/c", "abc"),
            ("__a__", "a"),
            ("-", "step"),
            ("", "step"),
            ("123", "step"),
            ("日本", "step"),
            ("onExit", "onexit"),
            ("tab\there", "tab-here"),
            (&"x".repeat(100), &"x".repeat(40)),
            (&format!("{}-tail", "x".repeat(39)), &"x".repeat(39)),
        ] {
            assert_eq!(prefix(step), expected, "{step:?}");
        }
    }

    #[test]
    fn the_hash_is_base32_of_sha256() {
        // `printf abc | sha256sum | xxd -r -p | base32`
        assert_eq!(short_hash("abc"), "xj4bnp4pah");
        assert_eq!(short_hash(""), "4oymiquy7q");
    }

    #[test]
    fn every_step_name_makes_a_job_name() {
        let run_id: RunId = "2026-01-31_x".parse().unwrap();
        let longest = "x".repeat(300);
        for step in ["load_data", "", "-", "Ö", "0", "9-", "a\nb", "\u{0}", "…", &longest] {
            for attempt in [1, 2, u32::MAX] {
                let name = job_name(&run_id, step, attempt);
                assert!(name.as_str().len() <= 51, "{name}");
            }
        }
        assert_eq!(job_name(&run_id, &longest, 1).as_str().len(), 51);
    }

    #[test]
    fn run_step_and_attempt_each_change_the_name() {
        let name = |run: &str, step: &str, attempt| job_name(&run.parse().unwrap(), step, attempt);
        let one = name("r", "a", 1);
        assert_eq!(one, name("r", "a", 1));
        for other in [name("q", "a", 1), name("r", "a", 2), name("r", "A", 1), name("r", "a ", 1)] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_text_that_fits_a_label_stays_as_it_is() {
        for text in ["", "a", "A.b_c-1", &"x".repeat(63)] {
            assert_eq!(label_value(text), text);
        }
    }

    #[test]
    fn another_text_is_shortened_and_marked() {
        for (text, readable) in [
            ("01 Extract: Öl", "01-Extract---l-"),
            ("ends-", "ends-"),
            ("-_.", ""),
            ("日本", ""),
            (&"x".repeat(64), &format!("{}-", "x".repeat(40))),
            (&format!("{}.{}", "x".repeat(39), "y".repeat(30)), &format!("{}-", "x".repeat(39))),
        ] {
            let value = label_value(text);
            assert_eq!(value, format!("{readable}{}", short_hash(text)));
            assert_eq!(Syntax::LabelValue.check(&value), Ok(()));
        }
    }
}

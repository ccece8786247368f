//! Directives, the lines that begin with `%` before a document: what the parser leaves undone about them.
//!
//! The parser accepts any version and, inside a directive, counts bytes where it counts characters everywhere else.

use std::borrow::Cow;

use super::places::BREAKS;

/// Stands for a character that is more than one byte; it can stand in no tag, so nothing gets a meaning by it.
const STAND_IN: &str = "^";

/// The text as the parser is to read it: character for character the same, but its directives are ASCII.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if text.is_ascii() {
        return Cow::Borrowed(text);
    }
    let mut plain = String::new();
    let mut copied = 0;
    for (start, line) in lines(text).filter(|(_, line)| !line.is_ascii()) {
        plain.push_str(text.get(copied..start).unwrap_or_default());
        // A byte order mark may stand before a directive and has a meaning there.
        let directive = line.trim_start_matches('\u{feff}');
        plain.push_str(line.get(..line.len() - directive.len()).unwrap_or_default());
        plain.push_str(&directive.replace(|character: char| !character.is_ascii(), STAND_IN));
        copied = start + line.len();
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    plain.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(plain)
}

/// The version that a directive asks for and its place in bytes, when it is no version 1.
///
/// <https://yaml.org/spec/1.2.2/#681-yaml-directives>: a higher major version is rejected.
pub(super) fn foreign_version(text: &str) -> Option<(usize, &str)> {
    lines(text).find_map(|(start, line)| {
        let mut words = line.trim_start_matches('\u{feff}').split([' ', '\t']).filter(|word| !word.is_empty());
        let version = words.next().filter(|name| *name == "%YAML").and_then(|_| words.next())?;
        let (major, minor) = version.split_once('.')?;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let is_foreign = digits(major) && digits(minor) && major.trim_start_matches('0') != "1";
        is_foreign.then(|| (start + line.find('%').unwrap_or(0), version))
    })
}

/// The lines with directives and where they begin: at the start of the text and behind the end of a document.
fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut start = 0;
    let mut before_document = true;
    text.split(BREAKS).filter_map(move |line| {
        let at = start;
        start += line.len() + 1;
        let plain = line.trim_start_matches('\u{feff}');
        if plain.starts_with('%') {
            return before_document.then_some((at, line));
        }
        let says_nothing = plain.trim_start().is_empty() || plain.trim_start().starts_with('#');
        before_document = before_document && says_nothing || plain.starts_with("...");
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_directives_are_made_plain() {
        for (text, plainly) in [
            ("%X é ü\n---\n- é\n", "%X ^ ^\n---\n- é\n"),
            ("# é\r\n\r%TAG ! é:\r\n---\n%é", "# é\r\n\r%TAG ! ^:\r\n---\n%é"),
            ("\u{feff}%é\n", "\u{feff}%^\n"),
            ("a: é\n%é\n", "a: é\n%é\n"),
            ("a: 'é\n  %é'\n...\n%é\n--- é", "a: 'é\n  %é'\n...\n%^\n--- é"),
        ] {
            assert_eq!(plain(text), plainly);
            assert_eq!(plain(text).chars().count(), text.chars().count());
        }
    }

    #[test]
    fn a_version_is_foreign_when_its_major_is_not_one() {
        for text in ["%YAML 3.0\n---\n", "# a\n%YAML\t2.1 # é\n---", "\u{feff}%YAML 0.9\n", "...\n%YAML 10.1\n"] {
            assert!(foreign_version(text).is_some(), "{text:?}");
        }
        for text in ["%YAML 1.2\n---", "%YAML 1.99\n---", "%YAML x.y", "%YAML", "a: 1\n%YAML 3.0\n", "%YAMLS 3.0\n", ""]
        {
            assert_eq!(foreign_version(text), None, "{text:?}");
        }
    }
}

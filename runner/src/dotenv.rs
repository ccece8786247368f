//! Files with variables, as `.env`: `NAME=value` line by line.
//!
//! Values are literal: nothing in them is resolved, and none is ever repeated in a message, because many are secrets. The
//! readers of the ecosystem put variables into values, let them span lines, or guess what a broken line means, which the
//! format of the workflow file does not.

use std::path::Path;

use crate::small_file::{self, Unread};

/// Largest file, in bytes: an environment that is larger could not be given to a process.
const LARGEST: u64 = 1 << 20;

/// Variables with their values, in the order of the files and lines; of several with one name the last one counts.
pub type Variables = Vec<(String, String)>;

/// What is wrong with a file, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {wrong}", line.map(|line| format!(":{line}")).unwrap_or_default())]
pub struct DotenvError {
    /// The file.
    pub file: String,
    /// The line, from 1; none: it is about the file.
    pub line: Option<u32>,
    /// What.
    pub wrong: Wrong,
}

/// What can be wrong.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Wrong {
    /// The file cannot be read.
    #[error("{0}")]
    File(Unread),
    /// It is no text.
    #[error("the line is no UTF-8 text")]
    NotUtf8,
    /// Something else than `NAME=value`.
    #[error("expected `NAME=value`")]
    NoEquals,
    /// What stands before the `=` is no name.
    #[error("what stands before `=` is no name")]
    Name,
    /// A quote is not closed in its line.
    #[error("the quote {quote} is not closed")]
    Unclosed {
        /// The quote.
        quote: char,
    },
    /// Something follows the closing quote.
    #[error("something follows the closing quote {quote}")]
    BehindQuote {
        /// The quote.
        quote: char,
    },
    /// No process can have it in its environment.
    #[error("the value holds a zero byte")]
    ZeroByte,
}

impl DotenvError {
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self.wrong {
            Wrong::File(_) => None,
            Wrong::NotUtf8 => Some("save the file as UTF-8"),
            Wrong::NoEquals => Some("begin a comment with `#`"),
            Wrong::Name => Some("a name has letters, digits and `_`, and begins with no digit"),
            Wrong::Unclosed { .. } => {
                Some("a value ends with its line: write `\\n` between double quotes for a line end")
            }
            Wrong::BehindQuote { .. } => {
                Some("put the whole value between quotes; a comment needs a blank before its `#`")
            }
            Wrong::ZeroByte => Some("put such a value into a file"),
        }
    }
}

/// The variables of files, relative ones below `folder`. A file that is not there is skipped.
///
/// # Errors
/// All problems of all files.
pub fn read(folder: &Path, files: &[String]) -> Result<Variables, Vec<DotenvError>> {
    let mut variables = Variables::new();
    let mut errors = Vec::new();
    for file in files {
        match small_file::read(&folder.join(file), LARGEST) {
            Ok(bytes) => match parse(&bytes) {
                Ok(found) => variables.extend(found),
                Err(wrong) => errors.extend(wrong.into_iter().map(|(line, wrong)| DotenvError {
                    file: file.clone(),
                    line: Some(line),
                    wrong,
                })),
            },
            Err(Unread::Missing) => {}
            Err(unread) => {
                errors.push(DotenvError { file: file.clone(), line: None, wrong: Wrong::File(unread) });
            }
        }
    }
    if errors.is_empty() { Ok(variables) } else { Err(errors) }
}

/// The variables of a text, or all its problems, each with its line from 1.
fn parse(bytes: &[u8]) -> Result<Variables, Vec<(u32, Wrong)>> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
    let mut variables = Variables::new();
    let mut wrong = Vec::new();
    let mut lines = (1..).zip(bytes.split(|byte| *byte == b'\n'));
    while let Some((number, line)) = lines.next() {
        match variable(line) {
            Ok(found) => variables.extend(found),
            Err(problem) => {
                if let Wrong::Unclosed { quote } = problem {
                    // A value over several lines is one mistake. Where it ends is where the next quote stands.
                    let closes = |line: &[u8]| line.contains(&(quote as u8));
                    if let Some(inside) = lines.clone().position(|(_, line)| closes(line)) {
                        lines.nth(inside);
                    }
                }
                wrong.push((number, problem));
            }
        }
    }
    if wrong.is_empty() { Ok(variables) } else { Err(wrong) }
}

/// The variable of a line; none: it has none.
fn variable(line: &[u8]) -> Result<Option<(String, String)>, Wrong> {
    let line = std::str::from_utf8(line).map_err(|_| Wrong::NotUtf8)?;
    let line = line.strip_suffix('\r').unwrap_or(line).trim_matches(is_blank);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let (name, value) = line.split_once('=').ok_or(Wrong::NoEquals)?;
    let name = name.trim_end_matches(is_blank);
    let name = match name.strip_prefix("export") {
        Some(rest) if rest.starts_with(is_blank) => rest.trim_start_matches(is_blank),
        _ => name,
    };
    if !is_name(name) {
        return Err(Wrong::Name);
    }
    let value = value_of(value)?;
    if value.contains('\0') {
        return Err(Wrong::ZeroByte);
    }
    Ok(Some((name.to_owned(), value)))
}

fn is_blank(character: char) -> bool {
    matches!(character, ' ' | '\t')
}

fn is_name(text: &str) -> bool {
    text.starts_with(|first: char| first == '_' || first.is_ascii_alphabetic())
        && text.chars().all(|character| character == '_' || character.is_ascii_alphanumeric())
}

/// The value that stands behind `=`.
fn value_of(written: &str) -> Result<String, Wrong> {
    let text = written.trim_start_matches(is_blank);
    let quote = match text.chars().next() {
        Some(quote @ ('\'' | '"')) => quote,
        // As in a shell: `#` begins a comment only behind a blank.
        _ => return Ok(without_comment(written).trim_matches(is_blank).to_owned()),
    };
    let inside = text.get(1..).unwrap_or_default();
    let (value, behind) = if quote == '\'' {
        let (value, behind) = inside.split_once('\'').ok_or(Wrong::Unclosed { quote })?;
        (value.to_owned(), behind)
    } else {
        double_quoted(inside).ok_or(Wrong::Unclosed { quote })?
    };
    if without_comment(behind).trim_matches(is_blank).is_empty() {
        Ok(value)
    } else {
        Err(Wrong::BehindQuote { quote })
    }
}

fn without_comment(text: &str) -> &str {
    let begins = |(at, _): &(usize, &str)| text.get(..*at).is_some_and(|before| before.ends_with(is_blank));
    match text.match_indices('#').find(begins) {
        Some((at, _)) => text.get(..at).unwrap_or_default(),
        None => text,
    }
}

/// The text up to the closing quote, and what follows it; none: it is not closed. A backslash before another character
/// stays, as in a shell.
fn double_quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '"' => return Some((value, characters.as_str())),
            '\\' => match characters.next()? {
                'n' => value.push('\n'),
                't' => value.push('\t'),
                plain @ ('"' | '\\' | '$') => value.push(plain),
                other => value.extend(['\\', other]),
            },
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use std::fs;

    use proptest::prelude::*;

    use super::*;

    fn parsed(text: &str) -> Result<Variables, Vec<(u32, String)>> {
        parse(text.as_bytes())
            .map_err(|wrong| wrong.into_iter().map(|(line, wrong)| (line, wrong.to_string())).collect())
    }

    #[test]
    fn values_are_read_as_written() {
        for (line, value) in [
            ("A=b", "b"),
            ("A=", ""),
            ("A= ", ""),
            ("A = b ", "b"),
            ("\texport  A=b", "b"),
            ("export=b", "b"),
            ("A=b c", "b c"),
            ("A=b=c==", "b=c=="),
            ("A=b # c", "b"),
            ("A=b#c", "b#c"),
            ("A=#c", "#c"),
            ("A= #c", ""),
            ("A=it's", "it's"),
            (r"A=a\n$B ${B}", r"a\n$B ${B}"),
            (r#"A='a\n"$B" # b'"#, r#"a\n"$B" # b"#),
            (r"A='b' # c", "b"),
            (r#"A="a\n\t\"\\\$ \d # b""#, "a\n\t\"\\$ \\d # b"),
            (r#"A="$B" "#, "$B"),
            ("A=ä ö", "ä ö"),
            ("A=b\r", "b"),
        ] {
            let name = if line.starts_with("export=") { "export" } else { "A" };
            assert_eq!(parsed(line), Ok(vec![(name.to_owned(), value.to_owned())]), "{line}");
        }
        for nothing in ["", " ", "# A=b", "  # A=b", "\u{feff}", "\u{feff}# A=b\r"] {
            assert_eq!(parsed(nothing), Ok(Vec::new()), "{nothing:?}");
        }
    }

    #[test]
    fn every_broken_line_is_told_with_its_number_and_without_its_text() {
        let text = "A=b\nhunter2\nA B=hunter2\n1A=hunter2\nC: hunter2\nD='hunter2\nE=\"hunter2\\\"\nF='a'b\nG=\0\nexport H\n=x\n";
        let expected = [
            (2, "expected `NAME=value`"),
            (3, "what stands before `=` is no name"),
            (4, "what stands before `=` is no name"),
            (5, "expected `NAME=value`"),
            (6, "the quote ' is not closed"),
            // Line 7 and the next are inside that quote.
            (9, "the value holds a zero byte"),
            (10, "expected `NAME=value`"),
            (11, "what stands before `=` is no name"),
        ];
        let expected = expected.map(|(line, words)| (line, words.to_owned())).to_vec();
        assert_eq!(parsed(text), Err(expected));
        assert_eq!(parsed("F='a'b"), Err(vec![(1, "something follows the closing quote '".to_owned())]));
        assert_eq!(parsed("F=\"a\"#b"), Err(vec![(1, "something follows the closing quote \"".to_owned())]));
        assert_eq!(parse(b"A=b\nC=\xff\n"), Err(vec![(2, Wrong::NotUtf8)]));
    }

    #[test]
    fn a_value_over_several_lines_is_one_mistake() {
        let text = "A=\"-----BEGIN\nMIIE==\n-----END\"\nB=c\nD\n";
        let lines: Vec<u32> = parse(text.as_bytes()).unwrap_err().into_iter().map(|(line, _)| line).collect();
        assert_eq!(lines, [1, 5]);
        assert_eq!(parse(b"A=\"b\nC\n").unwrap_err().len(), 2);
    }

    #[test]
    fn files_are_read_in_order_and_missing_ones_are_skipped() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one"), "A=1\nB=1\n").unwrap();
        fs::write(folder.path().join("two"), "B=2\n").unwrap();
        let files = ["one", "none", "two"].map(str::to_owned);
        let found = read(folder.path(), &files).unwrap();
        assert_eq!(
            found,
            [("A", "1"), ("B", "1"), ("B", "2")].map(|(name, value)| (name.to_owned(), value.to_owned()))
        );
    }

    #[test]
    fn the_problems_of_all_files_come_at_once() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("one"), "A=1\nB\n").unwrap();
        fs::write(folder.path().join("large"), vec![b'#'; (1 << 20) + 1]).unwrap();
        fs::create_dir(folder.path().join("folder")).unwrap();
        let files = ["one", "folder", "large"].map(str::to_owned);
        let errors = read(folder.path(), &files).unwrap_err();
        let words: Vec<String> = errors.iter().map(DotenvError::to_string).collect();
        let expected =
            ["one:2: expected `NAME=value`", "folder: it is a folder", "large: it is larger than 1048576 bytes"];
        assert_eq!(words, expected);
    }

    proptest! {
        #[test]
        fn any_value_can_be_written_between_double_quotes(value in r#"[^\x00\r]{0,40}"#) {
            let mut quoted = String::new();
            for character in value.chars() {
                match character {
                    '\n' => quoted.push_str("\\n"),
                    '\t' => quoted.push_str("\\t"),
                    '"' | '\\' | '$' => quoted.extend(['\\', character]),
                    other => quoted.push(other),
                }
            }
            let text = format!("A=\"{quoted}\" # end\nB='x'\n");
            prop_assert_eq!(parsed(&text), Ok(vec![("A".to_owned(), value), ("B".to_owned(), "x".to_owned())]));
        }

        #[test]
        fn a_line_is_a_variable_or_nothing_or_one_problem(lines in proptest::collection::vec(r#"[A='"\\#n \t$]{0,12}"#, 0..8)) {
            // Each line by itself: an open quote hides what follows.
            for line in lines {
                match parse(line.as_bytes()) {
                    Ok(found) => prop_assert!(found.len() <= 1),
                    Err(wrong) => prop_assert!(wrong.len() == 1 && wrong[0].0 == 1),
                }
            }
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let lines = bytes.split(|byte| *byte == b'\n').count();
            match parse(&bytes) {
                Ok(found) => prop_assert!(found.len() <= lines),
                Err(wrong) => prop_assert!(wrong.iter().all(|(line, _)| *line as usize <= lines)),
            }
        }
    }
}

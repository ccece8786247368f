//! Reads Rust sources as words and the paths they form, without comments and text literals.
//!
//! Not a parser: it knows enough to see `std::fs` in `use std::{collections::BTreeMap, fs}` and not to see it in a
//! comment, a message or a doc test.

/// A word or sign, and the line it is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) line: usize,
    pub(crate) text: &'a str,
}

/// A path as the code means it, `use` groups spelled out; `name!` is the call of a macro.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Named {
    pub(crate) line: usize,
    pub(crate) path: String,
}

impl Named {
    /// Whether the path is this one or goes on from it.
    pub(crate) fn starts_with(&self, path: &str) -> bool {
        self.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
    }
}

/// The words and signs of a source text.
pub(crate) fn tokens(source: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut line = 1;
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            _ if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            _ if rest.starts_with("/*") => block_comment(rest),
            '"' => text_literal(rest),
            '\'' => quote(rest),
            _ if first.is_alphanumeric() || first == '_' => {
                let word = rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len());
                prefixed_literal(rest, word).unwrap_or(word)
            }
            _ if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        let (text, next) = rest.split_at(length);
        let is_code = first.is_alphanumeric() || first == '_' || first.is_ascii_punctuation();
        let is_comment = text.starts_with("//") || text.starts_with("/*");
        if is_code && !is_comment && !text.contains(['"', '\'']) {
            tokens.push(Token { line, text });
        }
        line += text.matches('\n').count();
        rest = next;
    }
    tokens
}

/// Every path that the tokens form, single words included.
pub(crate) fn names(tokens: &[Token<'_>]) -> Vec<Named> {
    let mut names = Vec::new();
    let mut rest = tokens;
    while !rest.is_empty() {
        rest = name(rest, "", &mut names);
    }
    names
}

/// Reads one path with what hangs below it; gives what follows. A token that starts no path is passed over.
fn name<'t, 'a>(tokens: &'t [Token<'a>], prefix: &str, names: &mut Vec<Named>) -> &'t [Token<'a>] {
    let Some((first, rest)) = tokens.split_first() else { return tokens };
    if first.text == "{" && !prefix.is_empty() {
        return group(rest, prefix, names);
    }
    if !first.text.starts_with(|c: char| c.is_alphabetic() || c == '_') {
        return rest;
    }
    let path = format!("{prefix}{}", first.text);
    match rest {
        [colons, next, ..] if colons.text == "::" && (next.text == "{" || is_word(next)) => {
            name(rest.get(1..).unwrap_or_default(), &format!("{path}::"), names)
        }
        [bang, next, ..] if bang.text == "!" && ["(", "[", "{"].contains(&next.text) => {
            names.push(Named { line: first.line, path: path + "!" });
            rest
        }
        _ => {
            names.push(Named { line: first.line, path });
            rest
        }
    }
}

/// Reads `a, b::c}` below a prefix; gives what follows the brace.
fn group<'t, 'a>(tokens: &'t [Token<'a>], prefix: &str, names: &mut Vec<Named>) -> &'t [Token<'a>] {
    let mut rest = tokens;
    while let Some((first, after)) = rest.split_first() {
        match first.text {
            "}" => return after,
            "as" => rest = after.get(1..).unwrap_or_default(),
            _ => rest = name(rest, prefix, names),
        }
    }
    rest
}

fn is_word(token: &Token<'_>) -> bool {
    token.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Length of a block comment; they nest.
fn block_comment(rest: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += tail.chars().next().map_or(1, char::len_utf8);
        }
    }
    rest.len()
}

/// Length of a text in double quotes with escapes.
fn text_literal(rest: &str) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Length of a character literal, or of a lifetime with its quote.
fn quote(rest: &str) -> usize {
    let mut characters = rest.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some(_)) => {
            rest.char_indices().skip(3).find(|(_, c)| *c == '\'').map_or(rest.len(), |(at, _)| at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        (Some((at, _)), _) => {
            let name = rest.get(at..).unwrap_or_default();
            at + name.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(name.len())
        }
        _ => rest.len(),
    }
}

/// Length of a literal that starts with a word, as `b"…"` or `r#"…"#`.
fn prefixed_literal(rest: &str, word: usize) -> Option<usize> {
    let (prefix, tail) = rest.split_at_checked(word)?;
    match prefix {
        "b" | "c" if tail.starts_with('"') => Some(word + text_literal(tail)),
        "b" if tail.starts_with('\'') => Some(word + quote(tail)),
        "r" | "br" | "cr" => {
            let hashes = tail.find(|c| c != '#')?;
            let (hashes, text) = tail.split_at_checked(hashes)?;
            let end = format!("\"{hashes}");
            let text = text.strip_prefix('"')?;
            let length = text.find(&end).map_or(text.len(), |at| at + end.len());
            Some(word + hashes.len() + 1 + length)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(source: &str, expected: &[(usize, &str)]) {
        let found = names(&tokens(source));
        let found: Vec<_> = found.iter().map(|named| (named.line, named.path.as_str())).collect();
        assert_eq!(found, expected, "{source}");
    }

    #[test]
    fn use_groups_are_spelled_out() {
        check(
            "use std::{\n  collections::BTreeMap as Map,\n  io::{self, Read},\n  fs,\n};",
            &[
                (1, "use"),
                (2, "std::collections::BTreeMap"),
                (3, "std::io::self"),
                (3, "std::io::Read"),
                (4, "std::fs"),
            ],
        );
    }

    #[test]
    fn paths_and_macros_in_code() {
        check("let a = std::env::var(x);", &[(1, "let"), (1, "a"), (1, "std::env::var"), (1, "x")]);
        check("println!(\"{a}\"); if a != b {}", &[(1, "println!"), (1, "if"), (1, "a"), (1, "b")]);
        check("std::eprintln!();", &[(1, "std::eprintln!")]);
    }

    #[test]
    fn comments_and_literals_are_no_code() {
        for source in [
            "// std::fs",
            "/* a /* std::fs */ b */",
            "\"std::fs \\\" std::fs\"",
            "r#\"std::fs \" \"#",
            "br\"std::fs\\\"",
            "b\"std::fs\"",
            "'x' '\\'' b'y'",
            "'lifetime",
        ] {
            check(source, &[]);
        }
        check("'a' a", &[(1, "a")]);
        check("\"\n\n\" a", &[(3, "a")]);
    }
}

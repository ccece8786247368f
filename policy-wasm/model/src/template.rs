//! The grammar of `${…}`: parsed here for the rules and the runner, evaluated where the values are.
//!
//! `${NAME}`, `$NAME`, `${1}`, `$1`, `${NAME.a.b}`, and of a defined name `${NAME:-text}`, `${NAME:+text}`,
//! `${NAME:start}`, `${NAME:start:length}`. `\$` is a plain `$`. Everything else, `$(…)` and backticks too, is text:
//! nothing is ever executed.

/// Largest number of bytes between `${` and `}`.
const LONGEST: usize = 8 * 1024;

/// A piece of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part<'a> {
    /// Text as it is.
    Text(&'a str),
    /// `\$`: a plain `$` that starts nothing.
    Dollar,
    /// A variable.
    Variable(Variable<'a>),
}

/// A variable in a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable<'a> {
    /// The whole of it as written: what stays when it is not defined.
    pub written: &'a str,
    /// The name before the first dot, or the number of a positional parameter.
    pub name: &'a str,
    /// What follows the name, without its dot: a path into a JSON value, or the second half of `params.NAME`.
    pub path: Option<&'a str>,
    /// What is done with the value.
    pub operation: Option<Operation<'a>>,
}

/// What is done with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation<'a> {
    /// `:-text`: the text when the value is empty.
    Default(&'a str),
    /// `:+text`: the text when the value is not empty.
    Alternative(&'a str),
    /// `:start` and `:start:length`, in characters.
    Slice {
        /// Characters left out at the beginning.
        start: usize,
        /// Characters that are kept; none: all.
        length: Option<usize>,
    },
}

/// Whether `text` holds a variable.
pub fn has_variable(text: &str) -> bool {
    text.contains('$') && parse(text).iter().any(|part| matches!(part, Part::Variable(_)))
}

/// The pieces of a text, in order.
pub fn parse(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut from) = (0, 0);
    while let Some(dollar) = text.get(from..).and_then(|rest| rest.find('$')).map(|offset| from + offset) {
        if dollar > start && text.as_bytes().get(dollar - 1) == Some(&b'\\') {
            parts.extend(piece(text, start, dollar - 1));
            parts.push(Part::Dollar);
            start = dollar + 1;
            from = start;
            continue;
        }
        match variable(text.get(dollar..).unwrap_or_default()) {
            Some(found) => {
                parts.extend(piece(text, start, dollar));
                start = dollar + found.written.len();
                from = start;
                parts.push(Part::Variable(found));
            }
            None => from = dollar + 1,
        }
    }
    parts.extend(piece(text, start, text.len()));
    parts
}

fn piece(text: &str, from: usize, to: usize) -> Option<Part<'_>> {
    text.get(from..to).filter(|piece| !piece.is_empty()).map(Part::Text)
}

/// The variable at the beginning of `text`, which begins with `$`.
fn variable(text: &str) -> Option<Variable<'_>> {
    let after = text.get(1..)?;
    let Some(inside) = after.strip_prefix('{') else {
        let name = leading_name(after)?;
        return Some(Variable { written: text.get(..name.len() + 1)?, name, path: None, operation: None });
    };
    // Looked for only where it can be a variable, and not further than any text would be: `${` may come a million times.
    leading_name(inside)?;
    let end = inside.bytes().take(LONGEST).position(|byte| byte == b'}')?;
    let written = text.get(..end + 3)?;
    let inside = inside.get(..end)?;
    let name = leading_name(inside)?;
    let rest = inside.get(name.len()..)?;
    let (path, rest) = match rest.strip_prefix('.') {
        Some(path) => {
            let end = path
                .find(|character: char| !(character.is_alphanumeric() || matches!(character, '_' | '-' | '.')))
                .unwrap_or(path.len());
            let (path, rest) = path.split_at_checked(end)?;
            if path.split('.').any(str::is_empty) {
                return None;
            }
            (Some(path), rest)
        }
        None => (None, rest),
    };
    let operation = if rest.is_empty() { None } else { Some(operation(rest.strip_prefix(':')?)?) };
    Some(Variable { written, name, path, operation })
}

/// A name, or the digits of a positional parameter.
fn leading_name(text: &str) -> Option<&str> {
    let first = text.bytes().next()?;
    let fits = |byte: u8| {
        if first.is_ascii_digit() { byte.is_ascii_digit() } else { byte.is_ascii_alphanumeric() || byte == b'_' }
    };
    if first != b'_' && !first.is_ascii_alphanumeric() {
        return None;
    }
    let end = text.bytes().position(|byte| !fits(byte)).unwrap_or(text.len());
    text.get(..end)
}

fn operation(text: &str) -> Option<Operation<'_>> {
    if let Some(default) = text.strip_prefix('-') {
        return Some(Operation::Default(default));
    }
    if let Some(alternative) = text.strip_prefix('+') {
        return Some(Operation::Alternative(alternative));
    }
    let number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten();
    match text.split_once(':') {
        Some((start, length)) => Some(Operation::Slice { start: number(start)?, length: Some(number(length)?) }),
        None => Some(Operation::Slice { start: number(text)?, length: None }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(written: &'static str, name: &'static str) -> Variable<'static> {
        Variable { written, name, path: None, operation: None }
    }

    #[test]
    fn every_form_is_read() {
        let one = |text| match parse(text).as_slice() {
            [Part::Variable(variable)] => variable.clone(),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(one("${NAME}"), named("${NAME}", "NAME"));
        assert_eq!(one("$NAME"), named("$NAME", "NAME"));
        assert_eq!(one("$1"), named("$1", "1"));
        assert_eq!(one("${12}"), named("${12}", "12"));
        assert_eq!(one("${A.b.0}"), Variable { path: Some("b.0"), ..named("${A.b.0}", "A") });
        let default = Variable { operation: Some(Operation::Default("x y")), ..named("${A:-x y}", "A") };
        assert_eq!(one("${A:-x y}"), default);
        let slice = Some(Operation::Slice { start: 2, length: Some(3) });
        assert_eq!(one("${A:2:3}"), Variable { operation: slice, ..named("${A:2:3}", "A") });
    }

    #[test]
    fn what_is_no_variable_is_text() {
        for text in ["", "$", "$(date)", "`date`", "${}", "${A", "${A!}", "${-}", "a $ b", "${A:x}", "${.a}", "${A..b}"]
        {
            assert!(!has_variable(text), "{text}");
        }
        assert_eq!(parse(r"a\$B"), [Part::Text("a"), Part::Dollar, Part::Text("B")]);
        assert_eq!(parse("$$A"), [Part::Text("$"), Part::Variable(named("$A", "A"))]);
    }

    proptest::proptest! {
        #[test]
        fn parts_put_together_give_the_text(text in r"[a$\\{}.:1_+-]{0,30}") {
            let joined: String = parse(&text)
                .iter()
                .map(|part| match part {
                    Part::Text(text) => (*text).to_owned(),
                    Part::Dollar => r"\$".to_owned(),
                    Part::Variable(variable) => variable.written.to_owned(),
                })
                .collect();
            proptest::prop_assert_eq!(joined, text);
        }
    }
}

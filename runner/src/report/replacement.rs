//! The fix of a problem as text to put in place of what is written, for editors that offer it.
//!
//! A fix is the value that would do at the path of the problem. What is marked in the file is not always that value: it
//! may be the place above it, when the value itself is missing. So nothing is replaced but one scalar on one line, whose
//! key or list mark stands right before it.

use model::path::{self, Segment};
use model::problem::Problem;
use serde_json::Value;

/// What the marked part of `line` is to be replaced with; none: the fix cannot be said that way.
pub(super) fn replacement(problem: &Problem, line: &str) -> Option<String> {
    let fix = problem.fix.as_ref()?;
    let (before, written, after) = marked(problem, line)?;
    let scalar: Value = serde_yaml::from_str(written).ok().filter(|value| !is_collection(value))?;
    let is_value = match path::parse(&problem.path)?.pop()? {
        Segment::Key(key) => {
            let is_key = scalar.as_str().unwrap_or(written) == key && after.trim_start().starts_with(':');
            if is_key {
                // The key itself is wrong.
                return fix.as_str().map(plain_or_quoted);
            }
            ends_with_key(before, &key)
        }
        // A policy may name an item of a list that the step does not have.
        Segment::Index(_) => problem.policy == model::report::CORE && before.trim_end().ends_with(['-', '[', ',']),
    };
    is_value.then(|| match fix {
        Value::String(text) => plain_or_quoted(text),
        // JSON is YAML in flow style.
        other => other.to_string(),
    })
}

/// The marked part of a line, and what stands around it. None when it is empty or reaches beyond the line.
pub(super) fn marked<'a>(problem: &Problem, line: &'a str) -> Option<(&'a str, &'a str, &'a str)> {
    let (column, end) = (problem.column?, problem.end.filter(|end| Some(end.line) == problem.line)?);
    let at = |column: u32| {
        let index = usize::try_from(column).ok()?.checked_sub(1)?;
        Some(line.char_indices().nth(index).map_or(line.len(), |(byte, _)| byte))
    };
    let (from, to) = (at(column)?, at(end.column)?);
    let written = line.get(from..to).filter(|written| !written.is_empty())?;
    Some((line.get(..from)?, written, line.get(to..)?))
}

fn is_collection(value: &Value) -> bool {
    value.is_array() || value.is_object()
}

/// Whether `before` ends with this key and its colon.
fn ends_with_key(before: &str, key: &str) -> bool {
    let Some(before) = before.trim_end().strip_suffix(':').map(str::trim_end) else { return false };
    [key.to_owned(), format!("\"{key}\""), format!("'{key}'")].iter().any(|key| {
        before
            .strip_suffix(key.as_str())
            .is_some_and(|rest| rest.is_empty() || rest.ends_with([' ', '\t', '{', ',', '\u{feff}']))
    })
}

/// A text as YAML: plain where every reader takes it for that text, else in double quotes.
fn plain_or_quoted(text: &str) -> String {
    // Words that YAML 1.1 takes for booleans.
    const WORDS: [&str; 6] = ["y", "n", "yes", "no", "on", "off"];
    let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_')
        && text.chars().all(|character| character.is_ascii_alphanumeric() || "_-./".contains(character));
    let is_text = serde_yaml::from_str::<Value>(text).is_ok_and(|value| value.is_string());
    if is_word && is_text && !WORDS.contains(&text.to_ascii_lowercase().as_str()) {
        text.to_owned()
    } else {
        Value::from(text).to_string()
    }
}

#[cfg(test)]
mod tests {
    use model::problem::{End, Severity};
    use serde_json::json;

    use super::*;

    fn replaced(path: &str, line: &str, written: &str, fix: Value) -> Option<String> {
        let column = line[..line.find(written).unwrap()].chars().count() as u32 + 1;
        let problem = Problem {
            code: "p/r".to_owned(),
            severity: Severity::Error,
            message: "no".to_owned(),
            path: path.to_owned(),
            step: None,
            policy: model::report::CORE.to_owned(),
            file: Some("dag.yaml".to_owned()),
            line: Some(1),
            column: Some(column),
            end: Some(End { line: 1, column: column + written.chars().count() as u32 }),
            help: None,
            related: Vec::new(),
            url: None,
            fix: Some(fix),
        };
        replacement(&problem, line)
    }

    #[test]
    fn a_scalar_or_its_key_is_replaced() {
        for (path, line, written, fix, expected) in [
            ("a.backoff_limit", "    backoff_limit: \"3\"", "\"3\"", json!(3), "3"),
            ("a.privileged", "{é: 1, privileged: true}", "true", json!(false), "false"),
            ("a.value", "'value' : 1", "1", json!("1"), "\"1\""),
            ("a.imagee", "  imagee: x", "imagee", json!("image"), "image"),
            ("a.depends", "depends: exctract", "exctract", json!("extract"), "extract"),
            ("a.depends[1]", "depends: [a, exctract]", "exctract", json!("extract"), "extract"),
            ("a.args", "args: x", "x", json!(["x"]), "[\"x\"]"),
            ("a.word", "word: x", "x", json!("no"), "\"no\""),
        ] {
            assert_eq!(replaced(path, line, written, fix).as_deref(), Some(expected), "{line}");
        }
    }

    #[test]
    fn what_is_not_the_value_stays() {
        for (path, line, written) in [
            ("steps[0].config.image", "  - id: a", "a"),
            ("steps[0].config.image", "- echo hello", "echo hello"),
            ("a.b.c", "b: {d: 1}", "{d: 1}"),
            ("a.image", "no-image: x", "x"),
            ("a.image", "image: *x", "*x"),
        ] {
            assert_eq!(replaced(path, line, written, json!("y")), None, "{line}");
        }
    }
}

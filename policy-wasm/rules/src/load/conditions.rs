//! Conditions and the patterns in them.

use model::path;
use model::pattern::Pattern;
use model::problem::{CoreProblem, code};
use model::template::has_variable;
use model::workflow::{Condition, PATTERN_PREFIX};

use crate::yaml::{Content, Node, cut, push};

/// Reads `preconditions`: a text, a mapping, or a list of both. What has the wrong type has its problem already.
pub(super) fn preconditions(node: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Vec<Condition> {
    match &node.content {
        Content::List(items) => items
            .iter()
            .enumerate()
            .filter_map(|(index, item)| condition(item, &path::index(at, index), source, problems))
            .collect(),
        _ => condition(node, at, source, problems).into_iter().collect(),
    }
}

fn condition(node: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Option<Condition> {
    let text = |key: &str| match &node.entry(key)?.value.content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    };
    match &node.content {
        Content::Text(text) => Some(Condition { condition: text.clone(), ..Condition::default() }),
        Content::Mapping(_) => {
            if let Some(expected) = node.entry("expected") {
                pattern_of(&expected.value, &path::key(at, "expected"), source, problems);
            }
            let negate =
                node.entry("negate").is_some_and(|entry| matches!(entry.value.content, Content::Boolean(true, _)));
            Some(Condition { condition: text("condition")?, expected: text("expected"), negate })
        }
        _ => None,
    }
}

/// Checks a text that is a pattern when it begins with `re:`. One with a variable is read when it is put in.
pub(super) fn pattern_of(node: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) {
    let Content::Text(text) = &node.content else { return };
    if let Some(pattern) = text.strip_prefix(PATTERN_PREFIX)
        && !has_variable(pattern)
        && let Some(problem) = pattern_problem(pattern)
    {
        push(problems, problem.at(at, Some(node.span.position(source))));
    }
}

/// Why a text is no regular expression; none: it is one.
pub(super) fn pattern_problem(text: &str) -> Option<CoreProblem> {
    let error = Pattern::new(text).err()?;
    let help = if ["(?=", "(?!", "(?<=", "(?<!"].iter().any(|look| text.contains(look)) {
        "look-around is not known here: write the text that must be found"
    } else {
        "a backslash makes a special character plain: `\\(`"
    };
    Some(
        CoreProblem::error(code::FORMAT, format!("`{}` is no regular expression: {}", cut(text), cut(&error)))
            .help(help),
    )
}

//! What follows the end of an attempt: `continue_on`, `retry_policy`, `repeat_policy`.
//!
//! Types, unknown keys and missing ones are said by the tables; here the values are read, and judged together.

use model::path;
use model::problem::{CoreProblem, code};
use model::template::{self, Part};
use model::workflow::{Condition, ContinueOn, Count, REPEAT_POLICY, Repeat, RepeatPolicy, RetryPolicy};

use super::conditions;
use crate::typed::last_key;
use crate::yaml::{Content, Entry, Node, Span, cut, integer, number, push};

/// Reads one of these blocks.
pub(super) struct Attempts<'a> {
    pub(super) at: &'a str,
    pub(super) source: u32,
    pub(super) problems: &'a mut Vec<CoreProblem>,
}

impl Attempts<'_> {
    fn say(&mut self, problem: CoreProblem, path: &str, span: Span) {
        push(self.problems, problem.at(path, Some(span.position(self.source))));
    }

    /// `continue_on`: a word or a mapping.
    pub(super) fn continue_on(&mut self, node: &Node) -> ContinueOn {
        if let Content::Text(word) = &node.content {
            return ContinueOn { failed: word == "failed", skipped: word == "skipped", ..ContinueOn::default() };
        }
        if let (Some(failed), Some(failure)) = (node.entry("failed"), node.entry("failure")) {
            let problem =
                CoreProblem::error(code::EXCLUSIVE, "`failure` is the same as `failed`; only one can stand here")
                    .help("keep `failed`")
                    .related(Some(failed.key_span.position(self.source)), "`failed` is here");
            self.say(problem, &path::key(self.at, "failure"), failure.key_span);
        }
        if let Some(entry) = node.entry("output") {
            let at = path::key(self.at, "output");
            match &entry.value.content {
                Content::List(items) => {
                    for (index, item) in items.iter().enumerate() {
                        conditions::pattern_of(item, &path::index(&at, index), self.source, self.problems);
                    }
                }
                _ => conditions::pattern_of(&entry.value, &at, self.source, self.problems),
            }
        }
        ContinueOn {
            failed: is_true(node, "failed") || is_true(node, "failure"),
            skipped: is_true(node, "skipped"),
            exit_code: codes(node).unwrap_or_default(),
            output: node.entry("output").map(|entry| texts(&entry.value)).unwrap_or_default(),
            mark_success: is_true(node, "mark_success"),
        }
    }

    /// `retry_policy`; none: what is required is not there, which is said.
    pub(super) fn retry_policy(&mut self, node: &Node) -> Option<RetryPolicy> {
        let limit = self.count(node, "limit");
        let interval_sec = self.count(node, "interval_sec");
        let max_interval_sec = self.count(node, "max_interval_sec");
        Some(RetryPolicy {
            limit: limit?,
            interval_sec: interval_sec?,
            exit_code: codes(node),
            backoff: backoff(node),
            max_interval_sec,
        })
    }

    /// `repeat_policy`, what is not written filled in.
    pub(super) fn repeat_policy(&mut self, node: &Node) -> RepeatPolicy {
        let text = |key: &str| match &node.entry(key)?.value.content {
            Content::Text(text) => Some(text.clone()),
            _ => None,
        };
        let expected = text("expected");
        let condition =
            text("condition").map(|condition| Condition { condition, expected: expected.clone(), negate: false });
        let exit_code = codes(node);
        let repeat = match node.entry("repeat").map(|entry| &entry.value.content) {
            Some(Content::Text(word)) if word == "while" => Some(Repeat::While),
            Some(Content::Text(word)) if word == "until" => Some(Repeat::Until),
            Some(Content::Boolean(true, _)) => Some(Repeat::While),
            Some(_) => None,
            None if condition.is_some() && expected.is_some() => Some(Repeat::Until),
            None if condition.is_some() || exit_code.is_some() => Some(Repeat::While),
            None => None,
        };
        if let Some(entry) = node.entry("expected") {
            conditions::pattern_of(&entry.value, &path::key(self.at, "expected"), self.source, self.problems);
        }
        self.repeat_together(node, repeat);
        RepeatPolicy {
            repeat,
            condition,
            exit_code,
            interval_sec: self.count(node, "interval_sec"),
            limit: self.count(node, "limit"),
            backoff: backoff(node),
            max_interval_sec: self.count(node, "max_interval_sec"),
        }
    }

    /// What the keys of a `repeat_policy` need of each other.
    fn repeat_together(&mut self, node: &Node, repeat: Option<Repeat>) {
        // A misspelt key is one mistake: it may be the one that is missing.
        if node.entries().iter().any(|entry| REPEAT_POLICY.field(&entry.key).is_none()) {
            return;
        }
        let condition = node.entry("condition");
        let codes = node.entry("exit_code");
        if let (Some(condition), Some(codes)) = (condition, codes) {
            let problem =
                CoreProblem::warning(code::DOUBTFUL, "`exit_code` has no effect beside `condition`, which decides")
                    .help("keep one of them")
                    .related(Some(condition.key_span.position(self.source)), "`condition` is here");
            self.say(problem, &path::key(self.at, "exit_code"), codes.key_span);
        }
        if let (Some(expected), None) = (node.entry("expected"), condition) {
            let problem = CoreProblem::error(code::REQUIRED, "`expected` needs a `condition` to compare with")
                .help("add `condition: ${NAME}`, or remove `expected`");
            return self.say(problem, &path::key(self.at, "expected"), expected.key_span);
        }
        let Some(entry) = node.entry("repeat") else { return };
        if let (Content::Text(word), Some(_), None, None) = (&entry.value.content, repeat, condition, codes) {
            let help = match repeat {
                Some(Repeat::While) => {
                    "add `condition: …` or `exit_code: [ … ]`; to repeat while it succeeds write `repeat: true`"
                }
                _ => "add `condition: …` or `exit_code: [ … ]`",
            };
            let problem = CoreProblem::error(code::REQUIRED, format!("`repeat: {word}` needs a condition")).help(help);
            self.say(problem, &path::key(self.at, "repeat"), entry.value.span);
        }
    }

    /// A number, or text with one variable.
    fn count(&mut self, node: &Node, key: &str) -> Option<Count> {
        let entry = node.entry(key)?;
        let text = match &entry.value.content {
            Content::Integer(written) => {
                return integer(written).and_then(|number| u64::try_from(number).ok()).map(Count::Number);
            }
            Content::Text(text) => text,
            _ => return None,
        };
        let variables = template::parse(text).iter().filter(|part| matches!(part, Part::Variable(_))).count();
        match variables {
            1 => Some(Count::Text(text.clone())),
            _ => {
                let at = path::key(self.at, key);
                self.say(count_problem(entry, text, variables, &at), &at, entry.value.span);
                None
            }
        }
    }
}

fn count_problem(entry: &Entry, text: &str, variables: usize, at: &str) -> CoreProblem {
    let key = &entry.key;
    if variables > 1 {
        return CoreProblem::error(code::FORMAT, format!("`{key}` can hold one variable, found `{}`", cut(text)))
            .help(format!("put both into one variable of `env`, and write `{key}: ${{NAME}}`"));
    }
    let problem = CoreProblem::error(
        code::TYPE,
        format!("`{}` must be an integer or text with one variable, found {}", last_key(at), entry.value.found()),
    );
    match text.trim().parse::<u32>() {
        Ok(number) => problem.help(format!("remove the quotes: `{key}: {number}`")).fix(number),
        Err(_) => problem.help(format!("write `{key}: 3`, or `{key}: ${{NAME}}`")),
    }
}

fn is_true(node: &Node, key: &str) -> bool {
    node.entry(key).is_some_and(|entry| matches!(entry.value.content, Content::Boolean(true, _)))
}

/// The codes under `exit_code`, without those that are wrong; none: the key is not there.
fn codes(node: &Node) -> Option<Vec<u8>> {
    let code = |node: &Node| match &node.content {
        Content::Integer(written) => integer(written).and_then(|code| u8::try_from(code).ok()),
        _ => None,
    };
    let entry = node.entry("exit_code")?;
    Some(match &entry.value.content {
        Content::List(items) => items.iter().filter_map(code).collect(),
        _ => code(&entry.value).into_iter().collect(),
    })
}

/// `true` is 2; none: all waits are equal.
fn backoff(node: &Node) -> Option<f64> {
    match &node.entry("backoff")?.value.content {
        Content::Boolean(true, _) => Some(2.0),
        Content::Integer(written) | Content::Float(written) => number(written),
        _ => None,
    }
}

/// One text or a list of texts, without what is none.
pub(super) fn texts(node: &Node) -> Vec<String> {
    let text = |node: &Node| match &node.content {
        Content::Text(text) => Some(text.clone()),
        _ => None,
    };
    match &node.content {
        Content::List(items) => items.iter().filter_map(text).collect(),
        _ => text(node).into_iter().collect(),
    }
}

//! The words of the schema's problems: what was wanted, what was found, what to type.

use model::field::{Blank, Field, Integer, Kind, Mapping, Text, Word};
use model::path;
use model::problem::{CoreProblem, code};

use crate::suggest::{self, Meant};
use crate::yaml::{Content, Node, cut};

/// The last key of a path with its indexes, as the user would call the value: `values[0]`, `limits["a.b/c"]`.
pub(crate) fn last_key(path: &str) -> &str {
    let mut here = path;
    while let Some(parent) = path::parent(here) {
        if let Some(key) = path.get(parent.len()..).and_then(|rest| rest.strip_prefix('.')) {
            return key;
        }
        here = parent;
    }
    path
}

/// A path in a message; the block itself has none.
pub(super) fn shown(path: &str) -> String {
    if path.is_empty() { "the block".to_owned() } else { format!("`{}`", last_key(path)) }
}

pub(super) fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

pub(super) fn bounds_of_length(min: usize, max: usize) -> String {
    match (min, max) {
        (0, max) => format!("at most {}", count(max, "item")),
        (min, usize::MAX) => format!("at least {}", count(min, "item")),
        (min, max) => format!("{min} to {}", count(max, "item")),
    }
}

/// The key of a config that is meant by one that stands beside it.
pub(crate) fn config_key(key: &str) -> Option<&'static str> {
    let snake = suggest::snake_case(key);
    model::workflow::CONFIG_KEYS.fields.iter().map(|field| field.key).find(|known| *known == snake)
}

/// The key that is probably meant by one that is not known.
pub(super) fn meant<'a>(mapping: &'a Mapping, key: &str) -> Option<&'a str> {
    match suggest::key(key, mapping.fields.iter().map(|field| field.key)) {
        Meant::Key(meant) => Some(meant),
        _ => None,
    }
}

/// A key is not known in its mapping.
pub(crate) fn unknown_problem(mapping: &Mapping, key: &str) -> CoreProblem {
    let problem = CoreProblem::error(code::UNKNOWN_FIELD, format!("unknown key `{}`", cut(key)));
    let keys = mapping.fields.iter().map(|field| field.key);
    if mapping.name == model::workflow::STEP.name
        && let Some(field) = config_key(key)
    {
        return problem.help(format!("put it under `config`: `config: {{{field}: …}}`"));
    }
    match suggest::key(key, keys.clone()) {
        Meant::Key(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
        Meant::NotSupported if mapping.name != model::workflow::WORKFLOW_FILE.name => {
            CoreProblem { message: format!("`{}` is not supported by the Kubernetes executor", cut(key)), ..problem }
                .help(format!("keys that can stand here: {}", listed(keys)))
        }
        Meant::NotSupported | Meant::Unknown => problem.help(format!("keys that can stand here: {}", listed(keys))),
    }
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn missing_problem(field: &Field) -> CoreProblem {
    let words = match &field.kind {
        Kind::Text(text) if !text.words.is_empty() => format!(": {}", alternatives(text.words)),
        _ => String::new(),
    };
    CoreProblem::error(code::REQUIRED, format!("`{}` is missing", field.key))
        .help(format!("add `{}`{words}", field.key))
}

pub(crate) fn blank_problem(path: &str) -> CoreProblem {
    CoreProblem::error(code::REQUIRED, format!("`{}` is blank", last_key(path)))
        .help(format!("give `{}` a value", last_key(path)))
}

pub(super) fn variable_problem(path: &str, written: &str) -> CoreProblem {
    CoreProblem::error(
        code::VARIABLE,
        format!("no variable can stand in `{}`, found `{}`", last_key(path), cut(written)),
    )
    .help("write the value itself: it must be known when the file is read")
}

fn alternatives(words: &[Word]) -> String {
    words.iter().map(|word| format!("`{}`", word.text)).collect::<Vec<_>>().join(", ")
}

/// Whether a text is one of the allowed words; blank ones are where blank means something.
pub(crate) fn word_fits(text: &Text, written: &str) -> bool {
    let word = if text.trim { written.trim() } else { written };
    text.words.is_empty()
        || (text.blank == Blank::Unset && word.trim().is_empty())
        || text
            .words
            .iter()
            .any(|allowed| if text.any_case { allowed.text.eq_ignore_ascii_case(word) } else { allowed.text == word })
}

/// A text is not one of the allowed words.
pub(crate) fn word_problem(text: &Text, path: &str, written: &str) -> CoreProblem {
    let name = last_key(path);
    let problem = CoreProblem::error(
        code::ENUM,
        format!("`{}` is no `{name}`, expected one of {}", cut(written), alternatives(text.words)),
    );
    if name == "image_pull_policy" && written.trim().eq_ignore_ascii_case("fallback") {
        return problem.help("`fallback` is a word of Docker steps; Kubernetes has `IfNotPresent`").fix("IfNotPresent");
    }
    if name == "action" && written == "FailIndex" {
        return problem
            .help("`FailIndex` needs an indexed Job, and the Job of a step is not; use `FailJob`")
            .fix("FailJob");
    }
    let nearest = text
        .words
        .iter()
        .find(|word| word.text.eq_ignore_ascii_case(written.trim()))
        .map(|word| word.text)
        .or_else(|| suggest::nearest(written.trim(), text.words.iter().map(|word| word.text)));
    match nearest {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
        None => problem,
    }
}

pub(super) fn range_problem(bounds: Integer, path: &str, written: &str) -> CoreProblem {
    let problem = CoreProblem::error(
        code::RANGE,
        format!("`{}` must be from {} to {}, found `{}`", last_key(path), bounds.min, bounds.max, cut(written)),
    );
    match (bounds.min, written.starts_with('-')) {
        (0, true) => problem.help("write 0 or a positive number"),
        _ => problem,
    }
}

/// Nothing stands behind a key.
pub(super) fn null_problem(kind: &Kind, path: &str) -> CoreProblem {
    let key = last_key(path);
    let problem = CoreProblem::error(code::TYPE, format!("`{key}` must be {}, found nothing", kind.wanted()));
    if key.ends_with(']') {
        return problem.help("remove the item, or give it a value");
    }
    let empty = match kind {
        Kind::Text(text) if text.words.is_empty() && matches!(text.blank, Blank::Unset | Blank::Value) => "`\"\"`",
        Kind::List(_) => "`[]`",
        Kind::Mapping(mapping) if mapping.fields.iter().any(|field| field.required) => "its keys",
        Kind::Map(_) | Kind::Mapping(_) => "`{}`",
        _ => "a value",
    };
    let example = match key {
        "empty_dir" => "for a volume source write `empty_dir: {}`; ",
        _ => "",
    };
    problem.help(format!("{example}null unsets nothing: remove the key, or write {empty}"))
}

/// A value has the wrong YAML type.
pub(crate) fn type_problem(kind: &Kind, node: &Node, path: &str) -> CoreProblem {
    let key = last_key(path);
    let problem = CoreProblem::error(code::TYPE, format!("`{key}` must be {}, found {}", kind.wanted(), node.found()));
    let quoted = |written: &str| format!("\"{written}\"");
    match (kind, &node.content) {
        (Kind::Text(_), Content::Integer(written) | Content::Float(written) | Content::Boolean(_, written)) => {
            problem.help(format!("quote it: `{}`", example(key, &quoted(written)))).fix(written.clone())
        }
        (Kind::Integer(_), Content::Text(text)) => match text.trim().parse::<i64>() {
            Ok(number) => {
                problem.help(format!("remove the quotes: `{}`", example(key, &number.to_string()))).fix(number)
            }
            Err(_) => problem.help("write a whole number"),
        },
        (Kind::Integer(_), _) => problem.help("write a whole number"),
        (Kind::Boolean, _) => problem.help("write `true` or `false` without quotes"),
        (Kind::List(_), Content::Mapping(_)) if key == "env" => {
            problem.help("write a list: `env: [{name: A, value: \"b\"}]`")
        }
        (Kind::List(list), Content::Text(text)) if matches!(list.item, Kind::Text(_)) => problem
            .help(format!("write a list: `{}`", example(key, &format!("[{}]", cut(text)))))
            .fix(vec![text.clone()]),
        (Kind::List(_), _) => problem.help(format!("write a list: `{key}: [ … ]`, or items that begin with `- `")),
        (Kind::Map(_) | Kind::Mapping(_), Content::List(_)) => {
            problem.help(format!("write a mapping: `{key}: {{ … }}`, or indented `key: value` lines without `- `"))
        }
        (Kind::Map(_) | Kind::Mapping(_), _) => {
            problem.help(format!("write a mapping: `{key}: {{ … }}`, or indented `key: value` lines"))
        }
        (Kind::Text(_), _) => problem.help("write a single text"),
        (Kind::OneOf(_), _) => problem.help(format!("write {}", kind.wanted())),
        _ => problem,
    }
}

/// `key: value` as it would be typed; an item of a list has no key.
fn example(key: &str, value: &str) -> String {
    match path::parse(key).as_deref() {
        Some([.., path::Segment::Index(_)]) => value.to_owned(),
        Some([.., path::Segment::Key(last)]) => format!("{last}: {value}"),
        _ => format!("{key}: {value}"),
    }
}

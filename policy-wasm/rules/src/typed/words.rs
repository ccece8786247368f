//! The words of the schema's problems: what was wanted, what was found, what to type.

use model::field::{Blank, Field, Integer, Kind, Mapping, Text, Word};
use model::path;
use model::problem::{CoreProblem, code};

use crate::suggest::{self, Meant};
use crate::yaml::{Content, Node, cut, number};

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
    if let Some(item) = key.strip_prefix('-').filter(|item| item.starts_with(char::is_alphabetic)) {
        return problem.help(format!("put a space after the dash: `- {}: …`", cut(item)));
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

/// The words, of many the first ones.
fn some_of(words: &[Word]) -> String {
    const SHOWN: usize = 12;
    let rest = if words.len() > SHOWN { ", …" } else { "" };
    format!("{}{rest}", alternatives(words.get(..SHOWN).unwrap_or(words)))
}

fn alternatives(words: &[Word]) -> String {
    let told = words.iter().filter(|word| !word.text.is_empty());
    told.map(|word| format!("`{}`", word.text)).collect::<Vec<_>>().join(", ")
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
        format!("`{}` is no `{name}`, expected one of {}", cut(written), some_of(text.words)),
    );
    if name == "image_pull_policy" && written.trim().eq_ignore_ascii_case("fallback") {
        return problem.help("`fallback` is a word of Docker steps; Kubernetes has `IfNotPresent`").fix("IfNotPresent");
    }
    if name == "action" && written == "FailIndex" {
        return problem
            .help("`FailIndex` needs an indexed Job, and the Job of a step is not; use `FailJob`")
            .fix("FailJob");
    }
    let written = written.trim();
    // `TERM` for `SIGTERM`, `int` for `integer`.
    let abbreviated = |word: &&Word| {
        written.len() >= 3
            && written.is_ascii()
            && (word.text.get(..written.len()).is_some_and(|start| start.eq_ignore_ascii_case(written))
                || word.text.strip_prefix("SIG").is_some_and(|name| name.eq_ignore_ascii_case(written)))
    };
    let nearest = text
        .words
        .iter()
        .find(|word| word.text.eq_ignore_ascii_case(written))
        .or_else(|| text.words.iter().find(abbreviated))
        .map(|word| word.text)
        .or_else(|| suggest::nearest(written, text.words.iter().map(|word| word.text)));
    match nearest {
        Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
        None => problem,
    }
}

pub(super) fn range_problem(bounds: Integer, path: &str, written: &str) -> CoreProblem {
    let wanted = match bounds.max {
        i64::MAX => format!("at least {}", bounds.min),
        max => format!("from {} to {max}", bounds.min),
    };
    let problem =
        CoreProblem::error(code::RANGE, format!("`{}` must be {wanted}, found `{}`", last_key(path), cut(written)));
    match (bounds.min, written.starts_with('-')) {
        (0, true) => problem.help("write 0 or a positive number"),
        (1, negative) if negative || written == "0" => problem.help("write 1 or more"),
        _ => problem,
    }
}

pub(super) fn number_problem(above: Option<i64>, path: &str, written: &str) -> CoreProblem {
    let key = last_key(path);
    match above.filter(|_| number(written).is_some()) {
        Some(bound) => {
            CoreProblem::error(code::RANGE, format!("`{key}` must be greater than {bound}, found `{}`", cut(written)))
                .help(format!("write a number as `{}`", example(key, &format!("{}.5", bound))))
        }
        None => CoreProblem::error(code::RANGE, format!("`{key}` must be a finite number, found `{}`", cut(written)))
            .help("write its digits"),
    }
}

/// A key is known elsewhere and refused here.
pub(super) fn unsupported_problem(mapping: &Mapping, key: &str) -> CoreProblem {
    let message = format!("`{key}` is not supported: leaving it out would change what runs");
    let problem = CoreProblem::error(code::UNSUPPORTED, message);
    let instead = INSTEAD.iter().find(|(name, known, _)| *name == mapping.name && *known == key);
    match instead {
        Some((_, _, help)) => problem.help(*help),
        None => problem.help("remove it"),
    }
}

/// What to type instead of a key that is refused: name of its mapping, key, help.
const INSTEAD: &[(&str, &str, &str)] = &[
    ("Workflow", "container", "make steps of it: `type: k8s` with `config: {image: …}`"),
    ("Workflow", "worker_selector", "remove it, or write `worker_selector: local`"),
    ("Workflow", "tools", "use an image that has the tools"),
    ("Workflow", "artifacts", "let a step copy them, or mount a volume"),
    ("Workflow", "step_types", "write the steps out"),
    ("Workflow", "actions", "write the steps out"),
    ("Workflow", "tasks", "write the steps out under `steps`"),
    ("Step", "exec", "write `command: [ … ]`"),
    ("Step", "shell_packages", "use an image that has the packages"),
    ("Step", "container", "write `type: k8s` with `config: {image: …}`"),
    ("Step", "call", "write the steps of the other workflow here"),
    ("Step", "params", "write the values into `env`"),
    ("Step", "parallel", "write a step for each item"),
    ("Step", "foreach", "write a step for each item"),
    ("Step", "routes", "use `preconditions` on the steps it leads to"),
    ("Step", "dependencies", "write `depends`"),
    ("Step", "outputs", "write `output: NAME`"),
    ("Condition", "eval", "write a shell command: `condition: test …`"),
    ("Secret", "ref", "write `provider` and `key`: `{name: TOKEN, provider: env, key: TOKEN}`"),
    ("Parameter", "eval", "write a `default`, or give the value: `-p NAME=VALUE`"),
];

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
        (Kind::OneOf(kinds), _) => match kinds.iter().find(|kind| is_meant(kind, &node.content)) {
            Some(meant) => CoreProblem { message: problem.message, ..type_problem(meant, node, path) },
            None => problem.help(format!("write {}", wanted_of(kinds))),
        },
        (Kind::Text(text), _) if !text.words.is_empty() && !node.scalar().is_some_and(|word| word_fits(text, word)) => {
            problem.help(format!("write one of {}", some_of(text.words)))
        }
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
        (Kind::Number(_), Content::Text(text)) => match text.trim().parse::<f64>() {
            Ok(_) => problem.help(format!("remove the quotes: `{}`", example(key, text.trim()))),
            Err(_) => problem.help("write a number"),
        },
        (Kind::Number(_), _) => problem.help("write a number"),
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
        _ => problem,
    }
}

/// Whether a value of another type is most probably this one, wrongly quoted or not quoted.
fn is_meant(kind: &Kind, content: &Content) -> bool {
    match (kind, content) {
        (Kind::Text(text), Content::Integer(_) | Content::Boolean(..)) => text.words.is_empty(),
        (Kind::Integer(_), Content::Text(text)) => text.trim().parse::<i64>().is_ok(),
        (Kind::Number(_), Content::Text(text)) => number(text.trim()).is_some(),
        (Kind::Boolean, Content::Text(text)) => matches!(text.trim(), "true" | "false"),
        (Kind::Integer(_), Content::Float(_)) => true,
        _ => false,
    }
}

/// What one of these kinds would be, words told one by one.
fn wanted_of(kinds: &[Kind]) -> String {
    let wanted = |kind: &Kind| match kind {
        Kind::Text(text) if !text.words.is_empty() => some_of(text.words),
        other => other.wanted(),
    };
    let mut wanted: Vec<String> = kinds.iter().map(wanted).collect();
    wanted.dedup();
    wanted.join(" or ")
}

/// `key: value` as it would be typed; an item of a list has no key.
fn example(key: &str, value: &str) -> String {
    match path::parse(key).as_deref() {
        Some([.., path::Segment::Index(_)]) => value.to_owned(),
        Some([.., path::Segment::Key(last)]) => format!("{last}: {value}"),
        _ => format!("{key}: {value}"),
    }
}

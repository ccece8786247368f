//! Variables: names and texts as written. Nothing is resolved here.

use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::Variable;

use crate::yaml::{Content, Entry, Node, cut, push};

/// Names the runner sets itself.
const MANAGED: &[&str] = &[
    "DAG_NAME",
    "DAG_RUN_ID",
    "DAG_RUN_WORK_DIR",
    "DAG_RUN_LOG_FILE",
    "DAG_PARAMS_JSON",
    "DAG_RUN_STEP_NAME",
    "DAG_RUN_STATUS",
];

/// Whether a text is a name: a letter or `_`, then letters, digits and `_`.
pub(super) fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

/// Why `name` cannot be defined; none: it can.
pub(super) fn name_problem(name: &str) -> Option<CoreProblem> {
    if !is_name(name) {
        return Some(
            CoreProblem::error(
                code::FORMAT,
                format!("`{}` is no variable name: a letter or `_`, then letters, digits and `_`", cut(name)),
            )
            .help(match proposal(name) {
                Some(proposal) => format!("write `{proposal}`"),
                None => "choose another name".to_owned(),
            }),
        );
    }
    MANAGED.contains(&name).then(|| {
        CoreProblem::error(code::RESERVED, format!("`{name}` is set by the runner")).help("choose another name")
    })
}

/// A name that is like one that is none.
fn proposal(name: &str) -> Option<String> {
    let plain = name.trim();
    let digit = plain.chars().next().filter(char::is_ascii_digit).map(|_| '_');
    let letters = plain.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '_' });
    let proposal: String = digit.into_iter().chain(letters).take(60).collect();
    let useful = proposal.chars().any(|character| character.is_ascii_alphabetic());
    (useful && is_name(&proposal) && !MANAGED.contains(&proposal.as_str())).then_some(proposal)
}

/// Checks the key of an entry that defines a variable.
pub(super) fn check_name(entry: &Entry, block: &str, source: u32, problems: &mut Vec<CoreProblem>) {
    if let Some(problem) = name_problem(&entry.key) {
        push(problems, problem.at(path::key(block, &entry.key), Some(entry.key_span.position(source))));
    }
}

/// Reads `env`: a mapping, a list of mappings, or a list of `NAME=value`.
pub(super) fn env(node: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Vec<Variable> {
    let mut variables = Vec::new();
    let mut from_mapping = |entries: &[Entry], at: &str, problems: &mut Vec<CoreProblem>| {
        for entry in entries {
            check_name(entry, at, source, problems);
            if let Some(value) = scalar(entry, at, source, problems) {
                variables.push(Variable { name: entry.key.clone(), value });
            }
        }
    };
    match &node.content {
        Content::Mapping(entries) => from_mapping(entries, at, problems),
        Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                let at = path::index(at, index);
                match &item.content {
                    Content::Mapping(entries) => from_mapping(entries, &at, problems),
                    Content::Text(text) => match text.split_once('=') {
                        Some((name, value)) => {
                            let entry = Entry {
                                key: name.trim().to_owned(),
                                is_odd: false,
                                key_span: item.span,
                                value: Node { content: Content::Text(value.to_owned()), span: item.span },
                            };
                            from_mapping(&[entry], &at, problems);
                        }
                        None => push(
                            problems,
                            CoreProblem::error(code::FORMAT, format!("`{}` defines no variable", cut(text)))
                                .at(at, Some(item.span.position(source)))
                                .help("write `NAME=value`, or `NAME: value`"),
                        ),
                    },
                    _ => {}
                }
            }
        }
        _ => {}
    }
    variables
}

/// The text of a value as written; null is the empty text; none: it is no scalar, which is said.
pub(super) fn scalar(entry: &Entry, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Option<String> {
    match &entry.value.content {
        Content::Null => Some(String::new()),
        Content::List(_) | Content::Mapping(_) => {
            push(
                problems,
                CoreProblem::error(
                    code::TYPE,
                    format!("`{}` must be text, a number or a boolean, found {}", cut(&entry.key), entry.value.found()),
                )
                .at(path::key(at, &entry.key), Some(entry.value.span.position(source)))
                .help("a list or mapping as one text needs quotes"),
            );
            None
        }
        _ => entry.value.scalar().map(str::to_owned),
    }
}

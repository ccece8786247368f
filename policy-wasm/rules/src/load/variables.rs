//! Parameters, variables and constants: names and texts as written. Nothing is resolved here.

use std::collections::HashMap;

use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{Parameter, Variable};

use crate::suggest;
use crate::yaml::{Content, Entry, Node, cut};

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

/// Keys of the definition of a parameter.
const DEFINITION: &[&str] = &[
    "name",
    "type",
    "default",
    "required",
    "enum",
    "minimum",
    "maximum",
    "min_length",
    "max_length",
    "pattern",
    "description",
];

/// Whether a text is a name: a letter or `_`, then letters, digits and `_`.
fn is_name(text: &str) -> bool {
    let mut chars = text.chars();
    chars.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && chars.all(|rest| rest.is_ascii_alphanumeric() || rest == '_')
}

/// Why `name` cannot be defined; none: it can.
fn name_problem(name: &str) -> Option<CoreProblem> {
    if !is_name(name) {
        return Some(
            CoreProblem::error(
                code::FORMAT,
                format!("`{}` is no variable name: a letter or `_`, then letters, digits and `_`", cut(name)),
            )
            .help("choose another name"),
        );
    }
    MANAGED.contains(&name).then(|| {
        CoreProblem::error(code::RESERVED, format!("`{name}` is set by the runner")).help("choose another name")
    })
}

/// Checks the key of an entry that defines a variable.
pub(super) fn check_name(entry: &Entry, block: &str, source: u32, problems: &mut Vec<CoreProblem>) {
    if let Some(problem) = name_problem(&entry.key) {
        problems.push(problem.at(path::key(block, &entry.key), Some(entry.key_span.position(source))));
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
                        None => problems.push(
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
fn scalar(entry: &Entry, at: &str, source: u32, problems: &mut Vec<CoreProblem>) -> Option<String> {
    match &entry.value.content {
        Content::Null => Some(String::new()),
        Content::List(_) | Content::Mapping(_) => {
            problems.push(
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

/// The parameters the files declare, base.yaml first.
#[derive(Default)]
pub(super) struct Parameters {
    declared: Vec<Parameter>,
    /// Where the named ones stand in `declared`.
    named: HashMap<String, usize>,
}

impl Parameters {
    /// Reads `params`: text, a mapping, or a list of texts, mappings and definitions.
    pub(super) fn read(&mut self, node: &Node, source: u32, problems: &mut Vec<CoreProblem>) {
        match &node.content {
            Content::Text(text) => self.words(text, "params", node, source, problems),
            Content::Mapping(entries) => {
                if entries.iter().any(|entry| matches!(entry.key.as_str(), "schema" | "eval")) {
                    problems.push(
                        CoreProblem::error(code::UNSUPPORTED, "a schema for parameters is not supported")
                            .at("params", Some(node.span.position(source)))
                            .help("write definitions: `params: [{name: N, type: integer, default: 3}]`"),
                    );
                    return;
                }
                self.entries(entries, "params", source, problems);
            }
            Content::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let at = path::index("params", index);
                    match &item.content {
                        Content::Text(text) => self.words(text, &at, item, source, problems),
                        Content::Mapping(entries) if is_definition(entries) => {
                            self.definition(entries, item, &at, source, problems);
                        }
                        Content::Mapping(entries) => self.entries(entries, &at, source, problems),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn words(&mut self, text: &str, at: &str, node: &Node, source: u32, problems: &mut Vec<CoreProblem>) {
        let position = Some(node.span.position(source));
        // Text that is a JSON object or list is read as such.
        match serde_json::from_str(text) {
            Ok(document @ serde_json::Value::Object(_)) => {
                let written = Node::from_json(&document).placed_at(node.span);
                return self.entries(written.entries(), at, source, problems);
            }
            Ok(serde_json::Value::Array(items)) => {
                for item in &items {
                    let text = item.as_str().map_or_else(|| item.to_string(), str::to_owned);
                    self.declare(None, text);
                }
                return;
            }
            _ => {}
        }
        match shell_words::split(text) {
            Ok(words) => {
                for word in words {
                    match word.split_once('=') {
                        Some((name, value)) if is_name(name) => {
                            problems.extend(name_problem(name).map(|problem| problem.at(at, position)));
                            self.declare(Some(name.to_owned()), value.to_owned());
                        }
                        _ => self.declare(None, word),
                    }
                }
            }
            Err(_) => problems.push(
                CoreProblem::error(code::FORMAT, "a quote in `params` is not closed")
                    .at(at, position)
                    .help("close it, or write the parameters as a mapping"),
            ),
        }
    }

    fn entries(&mut self, entries: &[Entry], at: &str, source: u32, problems: &mut Vec<CoreProblem>) {
        for entry in entries {
            check_name(entry, at, source, problems);
            if let Some(value) = scalar(entry, at, source, problems) {
                self.declare(Some(entry.key.clone()), value);
            }
        }
    }

    fn definition(&mut self, entries: &[Entry], item: &Node, at: &str, source: u32, problems: &mut Vec<CoreProblem>) {
        for entry in entries.iter().filter(|entry| !DEFINITION.contains(&entry.key.as_str())) {
            let problem = CoreProblem::error(code::UNKNOWN_FIELD, format!("unknown key `{}`", cut(&entry.key)))
                .at(path::key(at, &entry.key), Some(entry.key_span.position(source)));
            problems.push(match suggest::nearest(&entry.key, DEFINITION.iter().copied()) {
                Some(meant) => problem.help(format!("did you mean `{meant}`?")).fix(meant),
                None => problem.help(format!("keys of a definition: `{}`", DEFINITION.join("`, `"))),
            });
        }
        let name = item.entry("name").and_then(|entry| entry.value.scalar()).unwrap_or_default().to_owned();
        if let Some(problem) = name_problem(&name) {
            problems.push(problem.at(path::key(at, "name"), Some(item.span.position(source))));
        }
        let default = entries.iter().find(|entry| entry.key == "default");
        let value = default.and_then(|entry| scalar(entry, at, source, problems));
        self.declare(Some(name), value.unwrap_or_default());
    }

    /// A later declaration of the same name wins and stands where the first one stood.
    fn declare(&mut self, name: Option<String>, value: String) {
        let known = name.as_ref().and_then(|name| self.named.get(name)).and_then(|at| self.declared.get_mut(*at));
        if let Some(known) = known {
            known.value = value;
            return;
        }
        self.named.extend(name.clone().map(|name| (name, self.declared.len())));
        self.declared.push(Parameter { name, value });
    }

    /// The values of this run: what was given from outside wins.
    pub(super) fn resolve(self, arguments: &[&str], problems: &mut Vec<CoreProblem>) -> Vec<Parameter> {
        let mut params = self.declared;
        let names: Vec<String> = params.iter().filter_map(|param| param.name.clone()).collect();
        let mut positional = 0;
        for argument in arguments {
            match argument.split_once('=').filter(|(name, _)| is_name(name)) {
                Some((name, value)) => match params.iter_mut().find(|param| param.name.as_deref() == Some(name)) {
                    Some(param) => param.value = value.to_owned(),
                    None if names.is_empty() => {
                        problems.extend(name_problem(name));
                        params.push(Parameter { name: Some(name.to_owned()), value: value.to_owned() });
                    }
                    None => {
                        let problem = CoreProblem::error(
                            code::REFERENCE,
                            format!("the workflow has no parameter `{}`", cut(name)),
                        );
                        let help = match suggest::nearest(name, names.iter().map(String::as_str)) {
                            Some(meant) => format!("did you mean `{meant}`?"),
                            None => format!("its parameters: `{}`", names.join("`, `")),
                        };
                        problems.push(problem.help(help));
                    }
                },
                None => {
                    let mut declared = params.iter_mut().filter(|param| param.name.is_none());
                    match declared.nth(positional) {
                        Some(param) => param.value = (*argument).to_owned(),
                        None => params.push(Parameter { name: None, value: (*argument).to_owned() }),
                    }
                    positional += 1;
                }
            }
        }
        // Positional ones first, in order: `$1` is the first.
        params.sort_by_key(|param| param.name.is_some());
        params
    }
}

fn is_definition(entries: &[Entry]) -> bool {
    entries.iter().any(|entry| entry.key == "name")
        && entries.iter().any(|entry| entry.key != "name" && DEFINITION.contains(&entry.key.as_str()))
}

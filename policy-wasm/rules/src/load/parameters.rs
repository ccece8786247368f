//! Parameters: the forms in which files declare them, and the values that are given from outside.
//!
//! Values are literal: nothing in them is ever resolved or executed.

mod definition;

use std::collections::{BTreeMap, HashMap};

use model::path;
use model::problem::{CoreProblem, code};
use model::workflow::{PARAMETER, Parameter};

use super::variables::{check_name, is_name, name_problem, scalar};
use crate::suggest;
use crate::yaml::{self, Content, Entry, Node, Span, cut, push};
use definition::Judge;

/// The parameters the files declare, base.yaml first.
#[derive(Default)]
pub(super) struct Parameters {
    declared: Vec<Parameter>,
    /// Where the named ones stand in `declared`.
    named: HashMap<String, usize>,
    /// What judges the values of those that have a definition, by their place in `declared`.
    judges: BTreeMap<usize, Judge>,
}

/// Where a declaration stands.
struct Place<'a> {
    at: &'a str,
    span: Span,
    source: u32,
}

impl Parameters {
    /// Reads `params`: text, a mapping, or a list of texts, mappings and definitions.
    pub(super) fn read(&mut self, node: &Node, source: u32, problems: &mut Vec<CoreProblem>) {
        let place = Place { at: "params", span: node.span, source };
        match &node.content {
            Content::Text(text) => self.words(text, &place, problems),
            Content::Mapping(entries) => match schema(entries) {
                Some(entry) => push(
                    problems,
                    CoreProblem::error(code::UNSUPPORTED, "a schema for parameters is not supported")
                        .at(path::key("params", &entry.key), Some(entry.key_span.position(source)))
                        .help("write definitions: `params: [{name: N, type: integer, default: 3}]`"),
                ),
                None => self.entries(entries, &place, problems),
            },
            Content::List(items) => self.items(items, &place, problems),
            _ => {}
        }
    }

    fn items(&mut self, items: &[Node], place: &Place<'_>, problems: &mut Vec<CoreProblem>) {
        for (index, item) in items.iter().enumerate() {
            let at = path::index(place.at, index);
            let place = Place { at: &at, span: item.span, source: place.source };
            match &item.content {
                Content::Text(text) => self.words(text, &place, problems),
                Content::Mapping(entries) if is_definition(entries) => self.definition(item, &place, problems),
                Content::Mapping(entries) => self.entries(entries, &place, problems),
                _ => {}
            }
        }
    }

    /// Text: words, or a JSON object or list.
    fn words(&mut self, text: &str, place: &Place<'_>, problems: &mut Vec<CoreProblem>) {
        if let Some(document) = json(text) {
            let document = document.placed_at(place.span);
            match &document.content {
                Content::Mapping(entries) => return self.entries(entries, place, problems),
                Content::List(items) => {
                    for item in items {
                        match item.scalar() {
                            Some(word) => self.word(word, place, problems),
                            None => self.items(std::slice::from_ref(item), place, problems),
                        }
                    }
                    return;
                }
                _ => {}
            }
        }
        match shell_words::split(text) {
            Ok(words) => {
                for word in words {
                    self.word(&word, place, problems);
                }
            }
            Err(_) => push(
                problems,
                CoreProblem::error(code::FORMAT, "a quote in `params` is not closed")
                    .at(place.at, Some(place.span.position(place.source)))
                    .help("close it, or write the parameters as a mapping"),
            ),
        }
    }

    /// A word: `NAME=value`, or a positional value.
    fn word(&mut self, word: &str, place: &Place<'_>, problems: &mut Vec<CoreProblem>) {
        match word.split_once('=') {
            Some((name, value)) if is_name(name) => {
                if let Some(problem) = name_problem(name) {
                    push(problems, problem.at(place.at, Some(place.span.position(place.source))));
                }
                self.declare(Some(name), value, place);
            }
            _ => {
                self.declare(None, word, place);
            }
        }
    }

    fn entries(&mut self, entries: &[Entry], place: &Place<'_>, problems: &mut Vec<CoreProblem>) {
        for entry in entries {
            check_name(entry, place.at, place.source, problems);
            let before = problems.len();
            let value = scalar(entry, place.at, place.source, problems);
            if entry.value.entries().iter().any(|inner| PARAMETER.field(&inner.key).is_some())
                && let Some(problem) = problems.get_mut(before)
            {
                problem.help =
                    Some(format!("write a definition as an item of a list: `- {{name: {}, …}}`", cut(&entry.key)));
            }
            let at = path::key(place.at, &entry.key);
            let place = Place { at: &at, span: entry.key_span, source: place.source };
            // One that is wrong is declared all the same: nobody is told that it does not exist.
            self.declare(Some(&entry.key), &value.unwrap_or_default(), &place);
        }
    }

    fn definition(&mut self, item: &Node, place: &Place<'_>, problems: &mut Vec<CoreProblem>) {
        let Some((name, judge)) = definition::read(item, place.at, place.source, problems) else { return };
        let span = item.entry("name").map_or(place.span, |entry| entry.value.span);
        let place = &Place { span, ..*place };
        let definition = judge.definition.clone();
        let index = self.declare(Some(&name), definition.default.as_deref().unwrap_or_default(), place);
        if let Some(parameter) = self.declared.get_mut(index) {
            parameter.is_missing = definition.required && definition.default.is_none();
            parameter.definition = Some(definition);
            self.judges.insert(index, judge);
        }
    }

    /// A later declaration of the same name wins as a whole, and stands where the first one stood.
    fn declare(&mut self, name: Option<&str>, value: &str, place: &Place<'_>) -> usize {
        let parameter = Parameter {
            name: name.map(str::to_owned),
            value: value.to_owned(),
            position: Some(place.span.position(place.source)),
            path: place.at.to_owned(),
            ..Parameter::default()
        };
        let known = name.and_then(|name| self.named.get(name).copied());
        if let Some(known) = known.and_then(|at| Some((at, self.declared.get_mut(at)?))) {
            *known.1 = parameter;
            self.judges.remove(&known.0);
            return known.0;
        }
        let index = self.declared.len();
        self.named.extend(name.map(|name| (name.to_owned(), index)));
        self.declared.push(parameter);
        index
    }

    /// The values of this run: what was given from outside wins, and is judged by the definitions.
    pub(super) fn resolve(mut self, arguments: &[&str], problems: &mut Vec<CoreProblem>) -> Vec<Parameter> {
        let names: Vec<String> = self.declared.iter().filter_map(|param| param.name.clone()).collect();
        let positional: Vec<usize> = (0..self.declared.len())
            .filter(|index| self.declared.get(*index).is_some_and(|param| param.name.is_none()))
            .collect();
        let mut next = positional.iter().copied();
        for argument in arguments {
            match argument.split_once('=').filter(|(name, _)| is_name(name)) {
                Some((name, value)) => match self.named.get(name).copied() {
                    Some(index) => self.give(index, value),
                    None if names.is_empty() => {
                        problems.extend(name_problem(name));
                        // Given twice, the last one counts.
                        let given = self.declared.iter_mut().find(|param| param.name.as_deref() == Some(name));
                        match given {
                            Some(param) => param.value = value.to_owned(),
                            None => self.declared.push(given_only(Some(name), value)),
                        }
                    }
                    None => push(problems, unknown(name, &names)),
                },
                None => match next.next() {
                    Some(index) => self.give(index, argument),
                    None => self.declared.push(given_only(None, argument)),
                },
            }
        }
        for (index, judge) in &self.judges {
            let Some(parameter) = self.declared.get(*index) else { continue };
            // A default was judged where it stands.
            if parameter.is_missing || judge.definition.default.as_deref() == Some(parameter.value.as_str()) {
                continue;
            }
            if judge.given {
                for problem in judge.problems("value", &parameter.value) {
                    push(problems, problem.related(parameter.position, "it is defined here"));
                }
            }
        }
        let mut params = self.declared;
        // Positional ones first, in order: `$1` is the first.
        params.sort_by_key(|param| param.name.is_some());
        params
    }

    fn give(&mut self, index: usize, value: &str) {
        if let Some(parameter) = self.declared.get_mut(index) {
            parameter.value = value.to_owned();
            parameter.is_missing = false;
        }
        if let Some(judge) = self.judges.get_mut(&index) {
            judge.given = true;
        }
    }
}

fn given_only(name: Option<&str>, value: &str) -> Parameter {
    Parameter { name: name.map(str::to_owned), value: value.to_owned(), ..Parameter::default() }
}

fn unknown(name: &str, names: &[String]) -> CoreProblem {
    /// Names that are listed; more are read by nobody.
    const LISTED: usize = 30;
    let problem = CoreProblem::error(code::REFERENCE, format!("the workflow has no parameter `{}`", cut(name)));
    let rest = if names.len() > LISTED { ", …" } else { "" };
    let list = names.iter().take(LISTED).map(String::as_str).collect::<Vec<_>>().join("`, `");
    let list = format!("its parameters: `{list}`{rest}");
    problem.help(match suggest::nearest(name, names.iter().map(String::as_str)) {
        Some(meant) => format!("did you mean `{meant}`? {list}"),
        None => list,
    })
}

/// A JSON object or list, with the texts of its numbers and in its order; none: the text is something else.
fn json(text: &str) -> Option<Node> {
    if !text.trim_start().starts_with(['{', '[']) {
        return None;
    }
    let value = serde_json::from_str(text).ok()?;
    // JSON is YAML, but for a few escapes.
    let mut problems = Vec::new();
    let node = yaml::read(text, 0, &mut problems).filter(|_| problems.is_empty());
    Some(node.unwrap_or_else(|| Node::from_json(&value)))
}

/// The key that makes a JSON Schema of a mapping.
fn schema(entries: &[Entry]) -> Option<&Entry> {
    let entry = |key: &str| entries.iter().find(|entry| entry.key == key);
    let inline = || {
        let is_object = entry("type").is_some_and(|entry| entry.value.scalar() == Some("object"));
        entry("properties").filter(|entry| is_object && matches!(entry.value.content, Content::Mapping(_)))
    };
    entry("schema").or_else(|| entry("eval")).or_else(inline)
}

/// Whether a mapping defines a parameter: it has a name, and at least one other key that is known or nearly so. Without
/// a name it has several keys and all are those of a definition, but for one that may be meant as `name`.
fn is_definition(entries: &[Entry]) -> bool {
    let keys = || PARAMETER.fields.iter().map(|field| field.key).chain(PARAMETER.unsupported.iter().copied());
    let is_of_definition = |key: &str| key != "name" && suggest::nearest(&suggest::snake_case(key), keys()).is_some();
    let is_name = |entry: &&Entry| suggest::nearest(&entry.key, ["name"].into_iter()).is_some();
    let known = entries.iter().filter(|entry| PARAMETER.field(&entry.key).is_some()).count();
    let meant = entries.iter().filter(|entry| PARAMETER.field(&entry.key).is_none()).filter(is_name).count();
    entries.iter().any(|entry| entry.key == "name") && entries.iter().any(|entry| is_of_definition(&entry.key))
        || known >= 2 && meant <= 1 && known + meant == entries.len()
}

//! The closed schema: types, unknown keys, null, and every rule that holds in one layer alone.
//!
//! A walk over a tree along the description of its fields. What is right comes out as JSON; what is wrong becomes a
//! problem and is left out, and its path is remembered, so that one mistake gives one problem. An item of a list that
//! is wrong leaves a neutral value in its place: the places of its neighbours stay the written ones.

mod whole;
mod words;

use std::collections::BTreeMap;

use model::field::{Blank, Field, Integer, Kind, List, Map, Mapping, Text, Variables};
use model::layer::{Origin, Place};
use model::path;
use model::problem::{CoreProblem, code};
use model::template::has_variable;
use serde_json::Value;

use crate::yaml::{Content, Entry, Node, Span, integer, number, push};
use whole::{Whole, whole};
pub(crate) use words::{blank_problem, config_key, last_key, word_fits, word_problem};
use words::{
    bounds_of_length, count, meant, missing_problem, null_problem, number_problem, range_problem, shown, type_problem,
    unknown_problem, unsupported_problem, variable_problem,
};

/// What a walk collects besides the value.
#[derive(Debug, Default)]
pub(crate) struct Walked {
    pub(crate) positions: BTreeMap<String, Place>,
    pub(crate) left_out: Vec<String>,
    pub(crate) variables: Vec<String>,
}

/// A walk over one block: where it stands, and what it has found so far.
pub(crate) struct Walk<'a> {
    /// Source of the positions; none: the block does not come from a file.
    pub(crate) source: Option<u32>,
    /// Place of the block in its file, put before the paths of problems.
    pub(crate) prefix: &'a str,
    /// The layer, when the block does not come from a file.
    pub(crate) layer: Option<&'a Origin>,
    /// Whether `${VAR}` has a meaning; in a policy's layer it is plain text.
    pub(crate) interpolated: bool,
    pub(crate) walked: Walked,
    pub(crate) problems: &'a mut Vec<CoreProblem>,
}

/// Where a value stands: its span, and that of its key.
#[derive(Clone, Copy)]
pub(crate) struct Spot {
    pub(crate) key: Option<Span>,
    pub(crate) value: Span,
    /// Nothing is written for the value: problems point at the key.
    empty: bool,
}

impl Spot {
    /// The spot of a value behind a key.
    pub(crate) fn of(entry: &Entry) -> Spot {
        Spot { key: Some(entry.key_span), ..Spot::item(&entry.value) }
    }

    /// The spot of an item of a list.
    pub(crate) fn item(node: &Node) -> Spot {
        Spot { key: None, value: node.span, empty: matches!(node.content, Content::Null) }
    }

    fn problem(self) -> Span {
        self.key.filter(|_| self.empty).unwrap_or(self.value)
    }
}

impl<'a> Walk<'a> {
    /// A walk over a block of source number `source` that stands at `prefix`.
    pub(crate) fn new(source: u32, prefix: &'a str, problems: &'a mut Vec<CoreProblem>) -> Self {
        Walk { source: Some(source), prefix, layer: None, interpolated: true, walked: Walked::default(), problems }
    }

    /// Reports a problem at `span` and remembers that the value at `path` is wrong.
    pub(crate) fn refuse(&mut self, problem: CoreProblem, path: &str, span: Span) {
        self.say(problem, path, span);
        self.walked.left_out.push(path.to_owned());
    }

    /// Reports a problem at `span`; the value stays.
    pub(crate) fn say(&mut self, mut problem: CoreProblem, path: &str, span: Span) {
        problem.path = path::join(self.prefix, path);
        problem.position = self.source.map(|source| span.position(source));
        problem.layer = self.layer.cloned();
        push(self.problems, problem);
    }

    /// Walks a value; none: it is wrong and left out.
    pub(crate) fn value(&mut self, kind: &Kind, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        if let Some(source) = self.source {
            let place = Place { key: spot.key.map(|span| span.position(source)), value: spot.value.position(source) };
            self.walked.positions.insert(path.to_owned(), place);
        }
        match kind {
            Kind::Any => Some(plain(node)),
            _ if matches!(node.content, Content::Null) => {
                self.refuse(null_problem(kind, path), path, spot.problem());
                None
            }
            Kind::Text(text) => self.text(text, node, path, spot),
            Kind::Integer(bounds) => self.integer(*bounds, node, path, spot),
            Kind::Number(above) => self.number(*above, node, path, spot),
            Kind::Boolean => match &node.content {
                Content::Boolean(value, _) => Some(Value::Bool(*value)),
                Content::Text(text) if self.interpolated && has_variable(text) => {
                    self.refuse(variable_problem(path, text), path, spot.value);
                    None
                }
                _ => {
                    self.wrong_type(kind, node, path, spot);
                    None
                }
            },
            Kind::List(list) => self.list(kind, list, node, path, spot),
            Kind::Map(map) => self.map(kind, map, node, path, spot),
            Kind::Mapping(mapping) => self.mapping(kind, mapping, node, path, spot),
            Kind::OneOf(kinds) => match kinds.iter().find(|kind| fits(kind, node)) {
                Some(kind) => self.value(kind, node, path, spot),
                None => {
                    self.wrong_type(kind, node, path, spot);
                    None
                }
            },
        }
    }

    fn text(&mut self, text: &Text, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        let kind = Kind::Text(*text);
        let Content::Text(written) = &node.content else {
            self.wrong_type(&kind, node, path, spot);
            return None;
        };
        if self.interpolated && has_variable(written) {
            match text.variables {
                Variables::Resolved => self.walked.variables.push(path.to_owned()),
                Variables::Refused => {
                    self.refuse(variable_problem(path, written), path, spot.value);
                    return None;
                }
                Variables::Literal => {}
            }
            return Some(Value::String(written.clone()));
        }
        if text.blank == Blank::Refused && written.trim().is_empty() {
            self.refuse(blank_problem(path), path, spot.value);
            return None;
        }
        if text.words_in_layer && !word_fits(text, written) {
            self.refuse(word_problem(text, path, written), path, spot.value);
            return None;
        }
        Some(Value::String(written.clone()))
    }

    fn integer(&mut self, bounds: Integer, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        let number = match &node.content {
            Content::Integer(written) => match integer(written) {
                Some(number) => number,
                None => {
                    self.refuse(range_problem(bounds, path, written), path, spot.value);
                    return None;
                }
            },
            Content::Float(written) => match whole(written) {
                Whole::Number(number) => number,
                Whole::TooLarge => {
                    self.refuse(range_problem(bounds, path, written), path, spot.value);
                    return None;
                }
                Whole::Fraction => {
                    self.wrong_type(&Kind::Integer(bounds), node, path, spot);
                    return None;
                }
            },
            Content::Text(text) if self.interpolated && has_variable(text) => {
                self.refuse(variable_problem(path, text), path, spot.value);
                return None;
            }
            _ => {
                self.wrong_type(&Kind::Integer(bounds), node, path, spot);
                return None;
            }
        };
        if number < bounds.min || number > bounds.max {
            self.refuse(range_problem(bounds, path, &number.to_string()), path, spot.value);
            return None;
        }
        Some(Value::from(number))
    }

    fn number(&mut self, above: Option<i64>, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        let number = match &node.content {
            Content::Integer(written) | Content::Float(written) => number(written),
            Content::Text(text) if self.interpolated && has_variable(text) => {
                self.refuse(variable_problem(path, text), path, spot.value);
                return None;
            }
            _ => {
                self.wrong_type(&Kind::Number(above), node, path, spot);
                return None;
            }
        };
        match number.filter(|number| above.is_none_or(|bound| *number > bound as f64)) {
            Some(number) => serde_json::Number::from_f64(number).map(Value::Number),
            None => {
                let written = node.scalar().unwrap_or_default();
                self.refuse(number_problem(above, path, written), path, spot.value);
                None
            }
        }
    }

    fn list(&mut self, kind: &Kind, list: &List, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        let Content::List(items) = &node.content else {
            self.wrong_type(kind, node, path, spot);
            return None;
        };
        if items.len() < list.min || items.len() > list.max {
            let problem = CoreProblem::error(
                code::RANGE,
                format!(
                    "`{}` must have {}, found {}",
                    last_key(path),
                    bounds_of_length(list.min, list.max),
                    count(items.len(), "item")
                ),
            );
            let problem = if items.is_empty() { problem.help("add an item, or remove the key") } else { problem };
            self.refuse(problem, path, spot.value);
        }
        let values = items
            .iter()
            .enumerate()
            .map(|(index, item)| {
                let at = path::index(path, index);
                self.value(list.item, item, &at, Spot::item(item)).unwrap_or_else(|| neutral(list.item))
            })
            .collect();
        Some(Value::Array(values))
    }

    fn map(&mut self, kind: &Kind, map: &Map, node: &Node, path: &str, spot: Spot) -> Option<Value> {
        let Content::Mapping(entries) = &node.content else {
            self.wrong_type(kind, node, path, spot);
            return None;
        };
        let mut object = serde_json::Map::new();
        for entry in entries {
            let at = path::key(path, &entry.key);
            if let Some(value) = self.value(map.value, &entry.value, &at, Spot::of(entry)) {
                object.insert(entry.key.clone(), value);
            }
        }
        Some(Value::Object(object))
    }

    fn mapping(
        &mut self,
        kind: &Kind,
        mapping: &'static Mapping,
        node: &Node,
        path: &str,
        spot: Spot,
    ) -> Option<Value> {
        let Content::Mapping(entries) = &node.content else {
            self.wrong_type(kind, node, path, spot);
            return None;
        };
        let mut object = serde_json::Map::new();
        for entry in entries {
            let at = path::key(path, &entry.key);
            let Some(field) = self.known(mapping, entry, &at) else { continue };
            if let Some(value) = self.value(&field.kind, &entry.value, &at, Spot::of(entry)) {
                object.insert(entry.key.clone(), value);
            }
        }
        let unknown: Vec<&Entry> = entries.iter().filter(|entry| mapping.field(&entry.key).is_none()).collect();
        let refused = unknown.iter().any(|entry| mapping.unsupported.contains(&entry.key.as_str()));
        for field in mapping.fields.iter().filter(|field| node.entry(field.key).is_none()) {
            // A key that is refused or misspelt is one mistake: what it means counts as set.
            let is_meant = |entry: &&Entry| meant(mapping, &entry.key) == Some(field.key);
            if refused || unknown.iter().any(is_meant) {
                self.walked.left_out.push(path::key(path, field.key));
            } else if field.required {
                self.refuse(missing_problem(field), &path::key(path, field.key), spot.problem());
            }
        }
        self.exactly_one_of(mapping, node, path, spot);
        crate::check::in_layer(self, mapping, node, path, spot);
        Some(Value::Object(object))
    }

    /// The description of an entry's key; none: it is not known here, which is said.
    pub(crate) fn known(&mut self, mapping: &'static Mapping, entry: &Entry, at: &str) -> Option<&'static Field> {
        let key = entry.key.as_str();
        if let Some(field) = mapping.field(key) {
            return Some(field);
        }
        if entry.is_odd {
            // That it is no text was said already.
            self.walked.left_out.push(at.to_owned());
            return None;
        }
        if mapping.ignored.contains(&key) {
            let problem = CoreProblem::warning(
                code::IGNORED,
                format!("`{key}` has no effect here: it belongs to a scheduler or server"),
            );
            self.say(problem, at, entry.key_span);
        } else if mapping.unsupported.contains(&key) {
            self.refuse(unsupported_problem(mapping, key), at, entry.key_span);
        } else {
            self.refuse(unknown_problem(mapping, key), at, entry.key_span);
        }
        None
    }

    fn exactly_one_of(&mut self, mapping: &Mapping, node: &Node, path: &str, spot: Spot) {
        if mapping.exactly_one_of.is_empty() {
            return;
        }
        let alternatives = mapping.exactly_one_of.join("`, `");
        let mut present = node.entries().iter().filter(|entry| mapping.exactly_one_of.contains(&entry.key.as_str()));
        let Some(first) = present.next() else {
            // A misspelt key is one mistake, not two.
            if node.entries().iter().any(|entry| mapping.field(&entry.key).is_none()) {
                self.walked.left_out.push(path.to_owned());
                return;
            }
            let problem = CoreProblem::error(
                code::EXCLUSIVE,
                format!("{} needs exactly one of `{alternatives}`, found none", shown(path)),
            )
            .help(format!("add one of `{alternatives}`"));
            self.refuse(problem, path, spot.problem());
            return;
        };
        for further in present {
            let problem =
                CoreProblem::error(code::EXCLUSIVE, format!("`{}` cannot stand beside `{}`", further.key, first.key))
                    .help(format!("keep exactly one of `{alternatives}`"))
                    .related(self.source.map(|source| first.key_span.position(source)), "the other one is here");
            self.refuse(problem, &path::key(path, &further.key), further.key_span);
            self.walked.left_out.push(path.to_owned());
        }
    }

    fn wrong_type(&mut self, kind: &Kind, node: &Node, path: &str, spot: Spot) {
        self.refuse(type_problem(kind, node, path), path, spot.problem());
    }
}

/// Whether the YAML type of a node is the one of `kind`; which alternative is meant is decided by it alone.
fn fits(kind: &Kind, node: &Node) -> bool {
    match kind {
        Kind::Any => true,
        Kind::Text(_) => matches!(node.content, Content::Text(_)),
        Kind::Integer(_) => matches!(node.content, Content::Integer(_)),
        Kind::Number(_) => matches!(node.content, Content::Integer(_) | Content::Float(_)),
        Kind::Boolean => matches!(node.content, Content::Boolean(..)),
        Kind::List(_) => matches!(node.content, Content::List(_)),
        Kind::Map(_) | Kind::Mapping(_) => matches!(node.content, Content::Mapping(_)),
        Kind::OneOf(kinds) => kinds.iter().any(|kind| fits(kind, node)),
    }
}

/// The value that stands for an item that is left out.
fn neutral(kind: &Kind) -> Value {
    match kind {
        Kind::Text(_) | Kind::Any => Value::String(String::new()),
        Kind::Integer(_) | Kind::Number(_) => Value::from(0),
        Kind::Boolean => Value::Bool(false),
        Kind::List(_) => Value::Array(Vec::new()),
        Kind::Map(_) | Kind::Mapping(_) => Value::Object(serde_json::Map::new()),
        Kind::OneOf(kinds) => kinds.first().map_or(Value::Null, neutral),
    }
}

/// A tree as JSON; numbers that JSON cannot hold stay text.
pub(crate) fn plain(node: &Node) -> Value {
    match &node.content {
        Content::Null => Value::Null,
        Content::Text(text) => Value::String(text.clone()),
        Content::Boolean(value, _) => Value::Bool(*value),
        Content::Integer(written) => integer(written).map_or_else(|| Value::String(written.clone()), Value::from),
        Content::Float(written) => written
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map_or_else(|| Value::String(written.clone()), Value::Number),
        Content::List(items) => Value::Array(items.iter().map(plain).collect()),
        Content::Mapping(entries) => {
            Value::Object(entries.iter().map(|entry| (entry.key.clone(), plain(&entry.value))).collect())
        }
    }
}

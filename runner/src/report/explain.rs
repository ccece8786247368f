//! The effective config of a step, each value with the layer and place it comes from, and what it replaced.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use model::config::CONFIG;
use model::field::Kind;
use model::layer::{Merged, Origin, Overridden, Position, Provenance};
use model::path::{self, Segment, value_at};
use model::workflow::Step;
use serde::Serialize;
use serde_json::Value;

use super::{Failed, escape_line};
use crate::sources::Source;

/// A step explained, for programs.
#[derive(Debug, Serialize)]
pub struct ExplainedStep {
    /// Its name.
    pub step: String,
    /// Its place in the workflow file.
    pub path: String,
    /// The effective config, or the one field that was asked for.
    pub config: Value,
    /// Where each value comes from, by path.
    pub origins: BTreeMap<String, ExplainedOrigin>,
}

/// Where a value comes from, for programs.
#[derive(Debug, Serialize)]
pub struct ExplainedOrigin {
    /// The layer.
    pub layer: Origin,
    /// The file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Line, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Column, from 1, in Unicode scalars.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<u32>,
    /// What lower layers held here, lowest first.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<ExplainedPast>,
}

/// A value that was replaced or cleared, for programs.
#[derive(Debug, Serialize)]
pub struct ExplainedPast {
    /// The value.
    pub value: Value,
    /// Where it came from.
    #[serde(flatten)]
    pub origin: Box<ExplainedOrigin>,
}

impl ExplainedStep {
    /// Explains a step, or one field of it.
    pub fn new(step: &Step, merged: &Merged, field: Option<&str>, sources: &[Source]) -> ExplainedStep {
        let config = match field {
            Some(field) => value_at(&merged.config, field).cloned().unwrap_or(Value::Null),
            None => merged.config.clone(),
        };
        let origins = merged
            .origins
            .iter()
            .filter(|(path, origin)| is_told(path, origin) && field.is_none_or(|field| path::is_within(path, field)))
            .map(|(path, origin)| (path.clone(), explained(origin, sources)))
            .collect();
        ExplainedStep { step: step.name.clone(), path: step.path.clone(), config, origins }
    }
}

fn explained(origin: &Provenance, sources: &[Source]) -> ExplainedOrigin {
    let place = |layer: &Origin, position: Option<Position>| ExplainedOrigin {
        layer: layer.clone(),
        file: position.and_then(|position| file(position, sources)).map(str::to_owned),
        line: position.map(|position| position.line),
        column: position.map(|position| position.column),
        history: Vec::new(),
    };
    let history = origin
        .history
        .iter()
        .map(|past| ExplainedPast { value: past.value.clone(), origin: Box::new(place(&past.layer, past.position)) })
        .collect();
    ExplainedOrigin { history, ..place(&origin.layer, origin.position) }
}

/// A step for people: one line a value. With `field`, the value itself is the first line.
pub fn explain(step: &Step, merged: &Merged, field: Option<&str>, sources: &[Source]) -> String {
    let mut rows: Vec<Row<'_>> = Vec::new();
    for (path, origin) in &merged.origins {
        if !is_told(path, origin) || field.is_some_and(|field| !path::is_within(path, field)) {
            continue;
        }
        let Some(value) = shown(&merged.config, path, origin) else { continue };
        let path = if path.is_empty() { "(the whole block)" } else { path };
        rows.push(Row { path, value, place: place(&origin.layer, origin.position, sources), origin });
    }
    let mut text = String::new();
    match field {
        Some(field) => {
            let value = value_at(&merged.config, field).map_or_else(|| "unset".to_owned(), plain);
            let _ = writeln!(text, "{}", escape_line(&value));
        }
        None => {
            let place = place(&Origin::Step, Some(step.position), sources);
            let _ = writeln!(text, "step `{}`  {place}", escape_line(&step.name));
        }
    }
    let paths = rows.iter().map(|row| row.path.chars().count()).max().unwrap_or(0).min(60);
    let values = rows.iter().map(|row| row.value.chars().count()).max().unwrap_or(0).min(40);
    for Row { path, value, place, origin } in &rows {
        let path = escape_line(path);
        let _ = writeln!(text, "  {path:paths$}  {value:values$}  {place}");
        for past in &origin.history {
            let _ = writeln!(text, "  {:paths$}  {}", "", was(past, origin, sources));
        }
    }
    text
}

/// The whole block is told only when something was cleared with it.
fn is_told(path: &str, origin: &Provenance) -> bool {
    !path.is_empty() || !origin.history.is_empty()
}

/// One line of the explanation.
struct Row<'a> {
    path: &'a str,
    value: String,
    place: String,
    origin: &'a Provenance,
}

/// A value on one line; none: its parts have lines of their own.
fn shown(config: &Value, path: &str, origin: &Provenance) -> Option<String> {
    let value = match value_at(config, path) {
        Some(value) => value,
        // Blank texts are unset, empty collections cleared what was below.
        None if origin.history.is_empty() => return Some("unset".to_owned()),
        None => return Some("cleared".to_owned()),
    };
    let scalars = |items: &[Value]| items.iter().all(|item| !item.is_object() && !item.is_array());
    match value {
        Value::Object(entries) if entries.is_empty() => Some("{}".to_owned()),
        Value::Object(entries) if !origin.history.is_empty() => Some(count(entries.len(), "key")),
        // A mapping is shown by its parts, a list by its items; a list of plain values stands on one line.
        Value::Object(_) => None,
        Value::Array(items) if scalars(items) => Some(escape_line(&plain(value))),
        Value::Array(items) if !origin.history.is_empty() => Some(count(items.len(), "item")),
        Value::Array(_) => None,
        _ if in_plain_list(config, path) => None,
        _ => Some(escape_line(&plain(value))),
    }
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

/// Whether a value is an item of a list of plain values, which has one line for all.
fn in_plain_list(config: &Value, path: &str) -> bool {
    path.ends_with(']')
        && matches!(path::parse(path).and_then(|segments| segments.last().cloned()), Some(Segment::Index(_)))
        && path::parent(path).and_then(|list| value_at(config, list)).is_some_and(Value::is_array)
}

fn was(past: &Overridden, origin: &Provenance, sources: &[Source]) -> String {
    let place = place(&past.layer, past.position, sources);
    let whole_list = matches!(past.value, Value::Array(_)) && !matches!(origin.layer, Origin::Default);
    let note = if whole_list { " (a list replaces the one below as a whole)" } else { "" };
    format!("was {}  {place}{note}", escape_line(&plain(&past.value)))
}

/// A value as it would be written in one line of YAML.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn place(layer: &Origin, position: Option<Position>, sources: &[Source]) -> String {
    match position.and_then(|position| Some((position, file(position, sources)?))) {
        Some((position, file)) => format!("{layer}  {}:{}:{}", escape_line(file), position.line, position.column),
        None => layer.to_string(),
    }
}

fn file(position: Position, sources: &[Source]) -> Option<&str> {
    sources.get(position.source as usize).map(|source| source.name.as_str())
}

/// A field of a config as it would be written, `labels["a.b"]` as `labels["a.b"]` and `labels["a"]` as `labels.a`.
///
/// # Errors
/// The part that does not exist in a config, and the keys that do at that place.
pub fn field_path(written: &str) -> Result<String, Failed> {
    let none = |what: &str, help: Option<String>| Failed::of(format!("no config has a field `{what}`"), help);
    let Some(segments) = path::parse(written).filter(|segments| !segments.is_empty()) else {
        return Err(none(written, Some("write it as `env[0].value` or `labels[\"a.b/c\"]`".to_owned())));
    };
    let mut kind = &CONFIG;
    let mut canonical = String::new();
    for segment in segments {
        kind = match (kind, &segment) {
            (Kind::Mapping(mapping), Segment::Key(key)) => match mapping.field(key) {
                Some(field) => &field.kind,
                None => {
                    let keys: Vec<&str> = mapping.fields.iter().map(|field| field.key).collect();
                    return Err(none(written, Some(format!("keys there: `{}`", keys.join("`, `")))));
                }
            },
            (Kind::Map(map), Segment::Key(_)) => map.value,
            (Kind::List(list), Segment::Index(_)) => list.item,
            _ => return Err(none(written, None)),
        };
        match segment {
            Segment::Key(key) => path::push_key(&mut canonical, &key),
            Segment::Index(index) => path::push_index(&mut canonical, index),
        }
    }
    Ok(canonical)
}

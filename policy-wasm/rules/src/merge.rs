//! Folding layers into the effective config: one rule for all keys, lowest layer first, every value keeps its origin.
//!
//! Mappings merge key by key; text, numbers, booleans and lists replace what is below; `{}` and `[]` clear. Because of
//! `{}` the fold is not associative: layers are taken one by one, from below, and in no other grouping.

use std::collections::BTreeMap;

use model::config::EffectiveConfig;
use model::field::{Blank, Kind, Mapping, Text};
use model::layer::{Layer, MergeStep, Merged, Origin, Overridden, Position, Provenance};
use model::path;
use model::problem::{CoreProblem, Severity, code};
use serde_json::{Map, Value};

use crate::typed::{Spot, Walk};
use crate::yaml::Node;

/// Merges the layers of each step.
///
/// # Errors
/// A rank that names no layer: a fault of the caller.
pub fn merge(layers: &[Layer], steps: &[MergeStep]) -> Result<Vec<Merged>, String> {
    let mut problems_of_layer = Vec::with_capacity(layers.len());
    let mut checked = Vec::with_capacity(layers.len());
    for layer in layers {
        let (layer, problems) = check_layer(layer);
        checked.push(layer);
        problems_of_layer.push(problems);
    }
    steps
        .iter()
        .map(|step| {
            let mut ranks = Vec::with_capacity(step.ranks.len());
            let mut problems = Vec::new();
            for rank in &step.ranks {
                let index = usize::try_from(*rank).unwrap_or(usize::MAX);
                let layer = checked.get(index).ok_or_else(|| {
                    format!("`steps`: step `{}` names layer {rank}, there are {}", step.step, layers.len())
                })?;
                ranks.push(layer.as_ref());
                problems.extend(problems_of_layer.get(index).into_iter().flatten().cloned());
            }
            Ok(merge_step(&step.step, &ranks, problems))
        })
        .collect()
}

/// A layer that did not come from `load` is checked like one that did.
fn check_layer(layer: &Layer) -> (std::borrow::Cow<'_, Layer>, Vec<CoreProblem>) {
    use std::borrow::Cow;
    if layer.origin.is_file() {
        return (Cow::Borrowed(layer), Vec::new());
    }
    let mut problems = Vec::new();
    let node = Node::from_json(&layer.value);
    let mut walk = Walk {
        source: None,
        prefix: "",
        layer: Some(&layer.origin),
        interpolated: false,
        walked: Default::default(),
        problems: &mut problems,
    };
    let value = walk.value(&EffectiveConfig::KIND, &node, "", Spot::item(&node));
    let left_out = walk.walked.left_out;
    let checked = Layer {
        origin: layer.origin.clone(),
        value: value.unwrap_or_else(|| Value::Object(Map::new())),
        positions: BTreeMap::new(),
        left_out,
        variables: Vec::new(),
    };
    (Cow::Owned(checked), problems)
}

/// A value of the merged tree with its origin.
#[derive(Clone)]
struct Leaf {
    /// Which of the step's layers, from 0.
    rank: usize,
    content: Tree,
    history: Vec<Overridden>,
}

/// A mapping that layers merge in, or a value that belongs to one layer as a whole.
#[derive(Clone)]
enum Tree {
    Mapping(BTreeMap<String, Leaf>),
    Whole(Value),
}

fn merge_step(step: &str, layers: &[&Layer], mut problems: Vec<CoreProblem>) -> Merged {
    let mut root = Leaf { rank: 0, content: Tree::Mapping(BTreeMap::new()), history: Vec::new() };
    let mut left_out: Vec<(usize, &str)> = Vec::new();
    let mut cleared: Vec<Overridden> = Vec::new();
    let mut variables: Vec<(usize, &str)> = Vec::new();
    for (rank, layer) in layers.iter().enumerate() {
        let Value::Object(object) = &layer.value else { continue };
        if object.is_empty() && layer.left_out.is_empty() {
            // `{}` of a step or a policy says nothing; of a file's `kubernetes` it clears everything.
            if matches!(layer.origin, Origin::Base | Origin::Dag) {
                let below = std::mem::replace(&mut root.content, Tree::Mapping(BTreeMap::new()));
                if matches!(&below, Tree::Mapping(entries) if !entries.is_empty()) {
                    let below = Leaf { rank: root.rank, content: below, history: Vec::new() };
                    cleared.extend(history_with(below, layers, ""));
                    // Which layer cleared it is history, too.
                    let position = layer.positions.get("").map(|place| place.value);
                    cleared.push(Overridden { layer: layer.origin.clone(), value: layer.value.clone(), position });
                }
                left_out.clear();
                variables.clear();
            }
            continue;
        }
        root.rank = rank;
        fold_mapping(&mut root, object, rank, layers, "");
        left_out.extend(layer.left_out.iter().map(|path| (rank, path.as_str())));
        variables.extend(layer.variables.iter().map(|path| (rank, path.as_str())));
    }
    overridden(&root, layers, &mut problems);
    let mut origins = BTreeMap::new();
    // Whatever no layer holds is missing in the step's own config.
    let own = layers.iter().find(|layer| layer.origin == Origin::Step);
    let place = own.and_then(|layer| layer.positions.get(""));
    if place.is_some() || !cleared.is_empty() {
        let position = place.map(|place| place.key.unwrap_or(place.value));
        origins.insert(String::new(), Provenance { layer: Origin::Step, position, key: None, history: cleared });
    }
    let mut normal = Normal { layers, origins };
    let config = normal.mapping(&EffectiveConfig::MAPPING, root, "");
    let origins = normal.origins;
    // A variable is open only where the layer that holds it won.
    let mut variables: Vec<String> = variables
        .into_iter()
        .filter(|(rank, path)| {
            let layer = layers.get(*rank).map(|layer| &layer.origin);
            let position = layers.get(*rank).and_then(|layer| layer.positions.get(*path)).map(|place| place.value);
            origins.get(*path).is_some_and(|origin| Some(&origin.layer) == layer && origin.position == position)
        })
        .map(|(_, path)| path.to_owned())
        .collect();
    variables.sort();
    variables.dedup();
    // What is wrong in a lower layer says nothing where a higher one replaced it.
    let mut left_out: Vec<String> = left_out
        .into_iter()
        .filter(|(rank, path)| !layers.iter().skip(rank + 1).any(|layer| replaces(layer, path)))
        .map(|(_, path)| path.to_owned())
        .collect();
    left_out.sort();
    left_out.dedup();
    for problem in &mut problems {
        problem.step = Some(step.to_owned());
    }
    Merged { step: step.to_owned(), config: Value::Object(config), origins, left_out, variables, problems }
}

/// Whether a layer puts something else at `path`, or at a place above it.
fn replaces(layer: &Layer, path: &str) -> bool {
    let mut here = &layer.value;
    let mut at = String::new();
    for segment in path::parse(path).unwrap_or_default() {
        let inner = match segment {
            path::Segment::Key(key) => {
                path::push_key(&mut at, &key);
                here.get(&key)
            }
            path::Segment::Index(_) => return false,
        };
        match inner {
            None => return false,
            Some(Value::Object(object)) if !object.is_empty() || is_hollow(layer, &at) => {}
            Some(_) => return !layer.left_out.contains(&at),
        }
        here = inner.unwrap_or(&Value::Null);
    }
    false
}

/// Whether the mapping at `path` is empty only because everything in it was left out: it says nothing and clears nothing.
fn is_hollow(layer: &Layer, path: &str) -> bool {
    layer.left_out.iter().any(|left_out| left_out != path && path::is_within(left_out, path))
}

/// Lays one layer's mapping over what is there.
fn fold_mapping(target: &mut Leaf, higher: &Map<String, Value>, rank: usize, layers: &[&Layer], at: &str) {
    let Tree::Mapping(entries) = &mut target.content else { return };
    for (key, value) in higher {
        let path = path::key(at, key);
        let below = entries.remove(key);
        let folded = fold(below, value, rank, layers, &path);
        entries.insert(key.clone(), folded);
    }
}

/// The table of merging, row by row.
fn fold(below: Option<Leaf>, higher: &Value, rank: usize, layers: &[&Layer], path: &str) -> Leaf {
    match higher {
        Value::Object(object) if !object.is_empty() || layers.get(rank).is_some_and(|layer| is_hollow(layer, path)) => {
            let mut target = match below {
                Some(leaf @ Leaf { content: Tree::Mapping(_), .. }) => leaf,
                other => Leaf {
                    rank,
                    content: Tree::Mapping(BTreeMap::new()),
                    history: other.map(|leaf| history_with(leaf, layers, path)).unwrap_or_default(),
                },
            };
            target.rank = rank;
            fold_mapping(&mut target, object, rank, layers, path);
            target
        }
        _ => Leaf {
            rank,
            content: Tree::Whole(higher.clone()),
            history: below.map(|leaf| history_with(leaf, layers, path)).unwrap_or_default(),
        },
    }
}

/// The history of what replaces `leaf`: its own, then what it was.
fn history_with(leaf: Leaf, layers: &[&Layer], path: &str) -> Vec<Overridden> {
    let Leaf { rank, content, mut history } = leaf;
    match content {
        Tree::Whole(value) => {
            let (layer, position) = origin(layers, rank, path);
            history.push(Overridden { layer, value, position });
        }
        // A mapping may come from several layers: each is told with its own part.
        Tree::Mapping(entries) => {
            let mut parts: BTreeMap<usize, Map<String, Value>> = BTreeMap::new();
            collect_parts(entries, layers, &mut parts, &mut Vec::new());
            for (rank, part) in parts {
                let (layer, position) = origin(layers, rank, path);
                history.push(Overridden { layer, value: Value::Object(part), position });
            }
        }
    }
    history
}

/// Splits a merged mapping into what each layer holds of it.
fn collect_parts(
    entries: BTreeMap<String, Leaf>,
    layers: &[&Layer],
    parts: &mut BTreeMap<usize, Map<String, Value>>,
    keys: &mut Vec<String>,
) {
    for (key, leaf) in entries {
        keys.push(key);
        for past in leaf.history {
            if let Some(rank) = layers.iter().position(|layer| layer.origin == past.layer) {
                insert_at(parts.entry(rank).or_default(), keys, past.value);
            }
        }
        match leaf.content {
            Tree::Mapping(inner) => collect_parts(inner, layers, parts, keys),
            Tree::Whole(value) => insert_at(parts.entry(leaf.rank).or_default(), keys, value),
        }
        keys.pop();
    }
}

/// Puts a value into nested mappings, making those that are missing.
fn insert_at(object: &mut Map<String, Value>, keys: &[String], value: Value) {
    match keys {
        [] => {}
        [last] => {
            object.insert(last.clone(), value);
        }
        [first, rest @ ..] => {
            let inner = object.entry(first.clone()).or_insert_with(|| Value::Object(Map::new()));
            if let Value::Object(inner) = inner {
                insert_at(inner, rest, value);
            }
        }
    }
}

fn origin(layers: &[&Layer], rank: usize, path: &str) -> (Origin, Option<Position>) {
    match layers.get(rank) {
        Some(layer) => (layer.origin.clone(), layer.positions.get(path).map(|place| place.value)),
        None => (Origin::Default, None),
    }
}

/// Tells each value of the file that a policy's override changes.
fn overridden(root: &Leaf, layers: &[&Layer], problems: &mut Vec<CoreProblem>) {
    fn visit(leaf: &Leaf, path: &str, layers: &[&Layer], problems: &mut Vec<CoreProblem>) {
        match &leaf.content {
            Tree::Mapping(entries) => {
                for (key, inner) in entries {
                    visit(inner, &path::key(path, key), layers, problems);
                }
            }
            Tree::Whole(value) => {
                let Some(Origin::Policy(policy)) = layers.get(leaf.rank).map(|layer| &layer.origin) else { return };
                let file =
                    leaf.history.iter().rev().find(|past| past.layer.is_file() || past.layer == Origin::CommandLine);
                let Some(past) = file.filter(|past| past.value != *value) else { return };
                let mut problem = CoreProblem {
                    severity: Severity::Info,
                    ..CoreProblem::error(
                        code::OVERRIDDEN,
                        format!("policy `{policy}` sets {value} here, the file says {}", past.value),
                    )
                };
                problem.path = path.to_owned();
                problem.position = past.position;
                problem.layer = Some(past.layer.clone());
                problems.push(problem);
            }
        }
    }
    visit(root, "", layers, problems);
}

/// Makes the normal form and notes where everything comes from.
struct Normal<'a> {
    layers: &'a [&'a Layer],
    origins: BTreeMap<String, Provenance>,
}

impl Normal<'_> {
    fn mapping(&mut self, mapping: &Mapping, leaf: Leaf, at: &str) -> Map<String, Value> {
        let mut object = Map::new();
        let mut entries = match leaf.content {
            Tree::Mapping(entries) => entries,
            Tree::Whole(_) => BTreeMap::new(),
        };
        for field in mapping.fields {
            let leaf = entries.remove(field.key);
            if leaf.is_none() && !has_default(&field.kind) {
                continue;
            }
            let path = path::key(at, field.key);
            let value = leaf.and_then(|leaf| self.leaf(&field.kind, leaf, &path));
            let value = value.filter(|value| field.keep_empty || !is_empty(value));
            if let Some(value) = value.or_else(|| self.default(&field.kind, &path)) {
                object.insert(field.key.to_owned(), value);
            }
        }
        object
    }

    fn leaf(&mut self, kind: &Kind, leaf: Leaf, path: &str) -> Option<Value> {
        let (layer, position) = origin(self.layers, leaf.rank, path);
        let place = Provenance { layer, position, key: None, history: leaf.history };
        self.origins.insert(path.to_owned(), place);
        match leaf.content {
            Tree::Whole(value) => self.whole(kind, value, leaf.rank, path),
            Tree::Mapping(entries) => match kind {
                Kind::Mapping(mapping) => {
                    let leaf = Leaf { rank: leaf.rank, content: Tree::Mapping(entries), history: Vec::new() };
                    Some(Value::Object(self.mapping(mapping, leaf, path)))
                }
                Kind::Map(map) => {
                    let mut object = Map::new();
                    for (key, inner) in entries {
                        let (at, rank) = (path::key(path, &key), inner.rank);
                        if let Some(value) = self.leaf(map.value, inner, &at) {
                            object.insert(key, value);
                        }
                        self.note_key(rank, &at);
                    }
                    Some(Value::Object(object))
                }
                _ => None,
            },
        }
    }

    /// A value that belongs to one layer as a whole; inside a list mappings are normalised, too.
    fn whole(&mut self, kind: &Kind, value: Value, rank: usize, path: &str) -> Option<Value> {
        match (kind, value) {
            (Kind::Text(text), Value::String(written)) => normal_text(text, written).map(Value::String),
            (Kind::List(list), Value::Array(items)) => {
                let mut items: Vec<Value> = items
                    .into_iter()
                    .enumerate()
                    .map(|(index, item)| {
                        let at = path::index(path, index);
                        self.note(rank, &at);
                        self.whole(list.item, item, rank, &at).unwrap_or_else(|| Value::String(String::new()))
                    })
                    .collect();
                if list.unique == Some("") && items.iter().all(Value::is_i64) {
                    self.sort(&mut items, path);
                }
                Some(Value::Array(items))
            }
            (Kind::Map(map), Value::Object(object)) => Some(Value::Object(
                object
                    .into_iter()
                    .filter_map(|(key, value)| {
                        let at = path::key(path, &key);
                        self.note(rank, &at);
                        self.note_key(rank, &at);
                        Some((key, self.whole(map.value, value, rank, &at)?))
                    })
                    .collect(),
            )),
            (Kind::Mapping(mapping), Value::Object(mut object)) => {
                let mut normal = Map::new();
                for field in mapping.fields {
                    let value = object.remove(field.key);
                    if value.is_none() && !has_default(&field.kind) {
                        continue;
                    }
                    let at = path::key(path, field.key);
                    let value = value.and_then(|value| {
                        self.note(rank, &at);
                        self.whole(&field.kind, value, rank, &at)
                    });
                    let value = value.filter(|value| field.keep_empty || !is_empty(value));
                    if let Some(value) = value.or_else(|| self.default(&field.kind, &at)) {
                        normal.insert(field.key.to_owned(), value);
                    }
                }
                Some(Value::Object(normal))
            }
            (_, value) => Some(value),
        }
    }

    /// Exit codes: Kubernetes wants them ascending. Each keeps its place.
    fn sort(&mut self, items: &mut Vec<Value>, path: &str) {
        let mut placed: Vec<(Value, Option<Provenance>)> = items
            .drain(..)
            .enumerate()
            .map(|(index, item)| (item, self.origins.remove(&path::index(path, index))))
            .collect();
        placed.sort_by_key(|(item, _)| item.as_i64());
        for (index, (item, place)) in placed.into_iter().enumerate() {
            self.origins.extend(place.map(|place| (path::index(path, index), place)));
            items.push(item);
        }
    }

    /// The built-in value. A blank text that stands for it becomes history.
    fn default(&mut self, kind: &Kind, path: &str) -> Option<Value> {
        let value = match kind {
            Kind::Text(text) => Value::from(text.default?),
            Kind::Integer(integer) => Value::from(integer.default?),
            _ => return None,
        };
        let mut history = Vec::new();
        if let Some(blank) = self.origins.remove(path) {
            history = blank.history;
            history.push(Overridden { layer: blank.layer, value: Value::from(""), position: blank.position });
        }
        self.origins.insert(path.to_owned(), Provenance { layer: Origin::Default, position: None, key: None, history });
        Some(value)
    }

    /// The key of an open mapping is the user's own: a problem may be about it.
    fn note_key(&mut self, rank: usize, path: &str) {
        let place = self.layers.get(rank).and_then(|layer| layer.positions.get(path));
        if let Some(origin) = self.origins.get_mut(path) {
            origin.key = place.and_then(|place| place.key);
        }
    }

    fn note(&mut self, rank: usize, path: &str) {
        let (layer, position) = origin(self.layers, rank, path);
        self.origins.insert(path.to_owned(), Provenance { layer, position, key: None, history: Vec::new() });
    }
}

/// Whether [`Normal::default`] knows a value.
fn has_default(kind: &Kind) -> bool {
    match kind {
        Kind::Text(text) => text.default.is_some(),
        Kind::Integer(integer) => integer.default.is_some(),
        _ => false,
    }
}

/// An empty collection: the part is not there, or was cleared.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

/// Trimmed, words as Kubernetes spells them, blank ones unset.
fn normal_text(text: &Text, written: String) -> Option<String> {
    let trimmed = if text.trim { written.trim().to_owned() } else { written };
    let blank = if text.trim { trimmed.is_empty() } else { trimmed.trim().is_empty() };
    if text.blank == Blank::Unset && blank {
        return None;
    }
    let word = text.words.iter().find(|word| text.any_case && word.text.eq_ignore_ascii_case(&trimmed));
    Some(word.map_or(trimmed, |word| word.text.to_owned()))
}

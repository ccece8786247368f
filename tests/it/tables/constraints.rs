//! What the model's own tables say about each field: the code of every rule, and where its problem is shown.

use model::config::EffectiveConfig;
use model::field::{Blank, Kind, Mapping, Reserved, Text, Variables};
use model::problem::code;
use model::workflow::{STEP, WORKFLOW_FILE};

use super::shape::Shape;

/// A rule of a field. The same field may stand at several places.
pub(super) struct Constraint {
    /// The mapping and the key.
    pub(super) field: String,
    pub(super) code: &'static str,
    pub(super) at: Shape,
}

/// Fields whose words are told with another code: other providers exist, and are refused.
const UNSUPPORTED_WORDS: &str = "Secret.provider";

/// Every rule that the tables hold about a single field, at every place where the field may stand.
pub(super) fn all() -> Vec<Constraint> {
    let mut found = Vec::new();
    mapping(&EffectiveConfig::MAPPING, &["config".to_owned()], &mut found);
    mapping(&WORKFLOW_FILE, &[], &mut found);
    mapping(&STEP, &["step".to_owned()], &mut found);
    found
}

fn mapping(mapping: &'static Mapping, at: &[String], found: &mut Vec<Constraint>) {
    for field in mapping.fields {
        let name = format!("{}.{}", mapping.name, field.key);
        let here = below(at, field.key);
        if field.required {
            found.push(Constraint { field: name.clone(), code: code::REQUIRED, at: here.clone() });
        }
        kind(&field.kind, &name, here, found);
    }
    for (keys, code) in [(mapping.ignored, code::IGNORED), (mapping.unsupported, code::UNSUPPORTED)] {
        for key in keys {
            found.push(Constraint { field: format!("{}.{key}", mapping.name), code, at: below(at, key) });
        }
    }
    if !mapping.exactly_one_of.is_empty() {
        found.push(Constraint { field: mapping.name.to_owned(), code: code::EXCLUSIVE, at: at.to_vec() });
    }
}

fn kind(of: &'static Kind, field: &str, at: Shape, found: &mut Vec<Constraint>) {
    let mut add = |code, at: &Shape| found.push(Constraint { field: field.to_owned(), code, at: at.clone() });
    match of {
        Kind::Text(text) => {
            let others = field == UNSUPPORTED_WORDS;
            let told = |code| if code == code::ENUM && others { code::UNSUPPORTED } else { code };
            codes_of_text(text).for_each(|code| add(told(code), &at));
        }
        Kind::Integer(bounds) => {
            add(code::RANGE, &at);
            if bounds.doubtful.is_some() {
                add(code::DOUBTFUL, &at);
            }
        }
        Kind::Number(Some(_)) => add(code::RANGE, &at),
        Kind::Number(None) | Kind::Boolean | Kind::Any => {}
        Kind::List(list) => {
            if list.min > 0 || list.max < usize::MAX {
                add(code::RANGE, &at);
            }
            let item = below(&at, "[]");
            match list.unique {
                Some("") => add(code::DUPLICATE, &item),
                Some(key) => add(code::DUPLICATE, &below(&item, key)),
                None => {}
            }
            kind(list.item, field, item, found);
        }
        Kind::Map(map) => {
            let value = below(&at, "KEY");
            if map.keys.is_some() {
                add(code::FORMAT, &value);
            }
            if map.reserved != Reserved::NONE {
                add(code::RESERVED, &value);
            }
            kind(map.value, field, value, found);
        }
        // The config is told once, not again for each of its places.
        Kind::Mapping(inner) if inner.name == EffectiveConfig::MAPPING.name => {}
        Kind::Mapping(inner) => mapping(inner, &at, found),
        Kind::OneOf(kinds) => kinds.iter().for_each(|one| kind(one, field, at.clone(), found)),
    }
}

fn codes_of_text(text: &'static Text) -> impl Iterator<Item = &'static str> {
    let is_refused = matches!(text.blank, Blank::Refused | Blank::RefusedWhenMerged);
    [
        (text.variables == Variables::Refused).then_some(code::VARIABLE),
        is_refused.then_some(code::REQUIRED),
        (!text.words.is_empty()).then_some(code::ENUM),
        text.syntax.map(|syntax| syntax.code()),
        text.expected.map(|_| code::DOUBTFUL),
    ]
    .into_iter()
    .flatten()
}

fn below(at: &[String], part: &str) -> Shape {
    at.iter().cloned().chain([part.to_owned()]).collect()
}

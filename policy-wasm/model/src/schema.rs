//! The JSON Schemas: of the workflow file, made from the same tables that the rules read, and of the shapes that cross
//! the component boundary, derived from the types.
//!
//! What a table says is checked by the schema; rules that look at two values, or only doubt, are not in it. So an editor
//! shows most mistakes while they are typed, and refuses nothing that a step may have in its effective config.

use std::collections::BTreeSet;

use serde_json::{Map as Object, Value, json};

use crate::config::EffectiveConfig;
use crate::field::{Blank, Field, Integer, Kind, List, Map, Mapping, Text, Variables, Word};
use crate::workflow::{HANDLER_ON, STEP, WORKFLOW_FILE};

const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// The schema of the workflow file.
pub fn workflow_file() -> Value {
    let mut definitions = Definitions::default();
    let mut root = definitions.closed(&WORKFLOW_FILE);
    // One text is the only value under which this key changes nothing.
    insert(&mut root, &["properties", "worker_selector"], json!({ "const": "local", "description": NO_EFFECT }));
    definitions.steps(&mut root);
    document("workflow-file.json", "Workflow file", root, definitions)
}

/// The schema of an effective config.
pub fn config() -> Value {
    let mut definitions = Definitions::default();
    let root = definitions.closed(&EffectiveConfig::MAPPING);
    document("config.json", "Effective config", root, definitions)
}

/// Every schema file with its name.
#[cfg(feature = "schema")]
pub fn documents() -> Vec<(&'static str, Value)> {
    use crate::{layer, problem, report, review, workflow};

    fn derived<T: schemars::JsonSchema>(file: &'static str) -> (&'static str, Value) {
        let mut schema = schemars::schema_for!(T).to_value();
        insert(&mut schema, &["$id"], Value::String(id(file)));
        (file, schema)
    }

    vec![
        ("workflow-file.json", workflow_file()),
        ("config.json", config()),
        derived::<workflow::Workflow>("workflow.json"),
        derived::<layer::Position>("position.json"),
        derived::<layer::Layer>("layer.json"),
        derived::<layer::MergeStep>("merge-step.json"),
        derived::<layer::Merged>("merged.json"),
        derived::<problem::CoreProblem>("problem.json"),
        derived::<report::Answers>("answers.json"),
        derived::<report::Report>("report.json"),
        derived::<review::ReviewWorkflow>("review-workflow.json"),
        derived::<review::ReviewStep>("review-step.json"),
    ]
}

fn id(file: &str) -> String {
    format!("{}/schemas/{file}", env!("CARGO_PKG_REPOSITORY"))
}

fn document(file: &str, title: &str, root: Value, definitions: Definitions) -> Value {
    let mut schema = json!({ "$schema": DIALECT, "$id": id(file), "title": title });
    if let (Value::Object(schema), Value::Object(root)) = (&mut schema, root) {
        schema.extend(root);
        schema.insert("$defs".to_owned(), Value::Object(definitions.done));
    }
    schema
}

/// What a key says that is read without effect.
const NO_EFFECT: &str = "accepted, has no effect";

/// Keys of one mapping that cannot stand together, beside those of [`Mapping::exactly_one_of`].
const NOT_TOGETHER: &[(&str, [&str; 2])] = &[("EnvVar", ["value", "value_from"]), ("Step", ["config", "with"])];

/// The definitions that the root refers to, by name; made on demand.
#[derive(Default)]
struct Definitions {
    done: Object<String, Value>,
    begun: BTreeSet<&'static str>,
}

impl Definitions {
    /// A reference to the definition of `mapping`.
    fn reference(&mut self, mapping: &'static Mapping) -> Value {
        if self.begun.insert(mapping.name) {
            let definition = self.closed(mapping);
            self.done.insert(mapping.name.to_owned(), definition);
        }
        json!({ "$ref": format!("#/$defs/{}", mapping.name) })
    }

    /// A mapping with these keys and no others.
    fn closed(&mut self, mapping: &'static Mapping) -> Value {
        let mut properties = Object::new();
        for field in mapping.fields {
            properties.insert(field.key.to_owned(), self.field(field));
        }
        for key in mapping.ignored {
            properties.insert((*key).to_owned(), json!({ "deprecated": true, "description": NO_EFFECT }));
        }
        let mut schema = json!({
            "description": prose(mapping.doc),
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        let required: Vec<&str> = mapping.fields.iter().filter(|field| field.required).map(|field| field.key).collect();
        if !required.is_empty() {
            insert(&mut schema, &["required"], json!(required));
        }
        if !mapping.exactly_one_of.is_empty() {
            let ways: Vec<Value> = mapping.exactly_one_of.iter().map(|key| json!({ "required": [key] })).collect();
            insert(&mut schema, &["oneOf"], Value::Array(ways));
        }
        for (_, keys) in NOT_TOGETHER.iter().filter(|(name, _)| *name == mapping.name) {
            // Of two blocks, one with nothing behind its key counts as absent.
            let there: Object<String, Value> =
                keys.iter().map(|key| ((*key).to_owned(), json!({ "not": { "type": "null" } }))).collect();
            insert(&mut schema, &["not"], json!({ "required": keys, "properties": there }));
        }
        schema
    }

    fn field(&mut self, field: &'static Field) -> Value {
        let mut schema = match self.kind(&field.kind) {
            Value::Object(schema) => schema,
            // `true`: anything fits.
            _ => Object::new(),
        };
        let mut description = prose(field.doc);
        if let Some(expected) = expectation(&field.kind) {
            description.push_str(&format!(" Should be {expected}."));
        }
        schema.insert("description".to_owned(), Value::String(description));
        Value::Object(schema)
    }

    fn kind(&mut self, kind: &'static Kind) -> Value {
        match kind {
            Kind::Text(text) => self::text(text),
            Kind::Integer(integer) => self::integer(*integer),
            Kind::Number(None) => json!({ "type": "number" }),
            Kind::Number(Some(bound)) => json!({ "type": "number", "exclusiveMinimum": bound }),
            Kind::Boolean => json!({ "type": "boolean" }),
            Kind::List(list) => self.list(list),
            Kind::Map(map) => self.map(map),
            Kind::Mapping(mapping) => self.reference(mapping),
            Kind::OneOf(kinds) => {
                let ways: Vec<Value> = kinds.iter().map(|kind| self.kind(kind)).collect();
                if ways.contains(&Value::Bool(true)) { Value::Bool(true) } else { json!({ "anyOf": ways }) }
            }
            Kind::Any => Value::Bool(true),
        }
    }

    fn list(&mut self, list: &'static List) -> Value {
        let mut schema = json!({ "type": "array", "items": self.kind(list.item) });
        if list.min > 0 {
            insert(&mut schema, &["minItems"], json!(list.min));
        }
        if list.max < usize::MAX {
            insert(&mut schema, &["maxItems"], json!(list.max));
        }
        if list.unique == Some("") {
            insert(&mut schema, &["uniqueItems"], Value::Bool(true));
        }
        schema
    }

    fn map(&mut self, map: &'static Map) -> Value {
        let mut schema = json!({ "type": "object", "additionalProperties": self.kind(map.value) });
        let mut names = Object::new();
        if let Some(pattern) = map.keys.and_then(|syntax| syntax.pattern()) {
            names.insert("pattern".to_owned(), json!(pattern));
        }
        let prefixes = map.reserved.prefixes.iter().map(|prefix| json!({ "pattern": format!("^{}", escaped(prefix)) }));
        let keys = (!map.reserved.keys.is_empty()).then(|| json!({ "enum": map.reserved.keys }));
        let reserved: Vec<Value> = keys.into_iter().chain(prefixes).collect();
        if !reserved.is_empty() {
            names.insert("not".to_owned(), json!({ "anyOf": reserved }));
        }
        if !names.is_empty() {
            insert(&mut schema, &["propertyNames"], Value::Object(names));
        }
        schema
    }

    /// The forms of steps that a table cannot say: texts, groups, the mapping form, handlers, `with`.
    fn steps(&mut self, root: &mut Value) {
        let step = self.reference(&STEP);
        let group = json!({ "$ref": "#/$defs/Steps" });
        self.done.insert(
            "Steps".to_owned(),
            json!({
                "description": "Steps in a list: a mapping each, a text (the command of a command step), or a list of steps.",
                "type": "array",
                "items": { "anyOf": [{ "type": "string" }, step.clone(), group] },
            }),
        );
        insert(
            root,
            &["properties", "steps", "anyOf"],
            json!([
                { "$ref": "#/$defs/Steps", "minItems": 1 },
                { "type": "object", "additionalProperties": { "anyOf": [{ "type": "string" }, step] }, "minProperties": 1 },
            ]),
        );
        for handler in HANDLER_ON.fields {
            let schema = json!({ "$ref": "#/$defs/Step", "description": prose(handler.doc) });
            if let Some(on) = self.done.get_mut(HANDLER_ON.name) {
                insert(on, &["properties", handler.key], schema);
            }
        }
        self.with();
        // A block with nothing behind its key counts as absent.
        if let Some(Value::Object(step)) = self.done.get_mut(STEP.name).and_then(|step| step.get_mut("properties")) {
            or_nothing(step, "config", "EffectiveConfig");
            or_nothing(step, "with", "With");
        }
        if let Some(Value::Object(root)) = root.get_mut("properties") {
            or_nothing(root, "kubernetes", "EffectiveConfig");
        }
    }

    /// `with` holds what `config` does, and what the newer forms of a step put beside it.
    fn with(&mut self) {
        let mut with = self.closed(&EffectiveConfig::MAPPING);
        insert(&mut with, &["description"], json!("The config of a step, and the keys that its newer forms put here."));
        for key in ["command", "shell", "shell_args"] {
            if let Some(field) = STEP.field(key) {
                let schema = self.field(field);
                insert(&mut with, &["properties", key], schema);
            }
        }
        self.done.insert("With".to_owned(), with);
    }
}

/// Lets `key` refer to `definition`, or hold nothing.
fn or_nothing(properties: &mut Object<String, Value>, key: &str, definition: &str) {
    if let Some(Value::Object(schema)) = properties.get_mut(key) {
        schema.remove("$ref");
        schema.insert("anyOf".to_owned(), json!([{ "$ref": format!("#/$defs/{definition}") }, { "type": "null" }]));
    }
}

fn integer(integer: Integer) -> Value {
    let mut schema = json!({ "type": "integer", "minimum": integer.min, "maximum": integer.max });
    if let Some(default) = integer.default {
        insert(&mut schema, &["default"], json!(default));
    }
    schema
}

fn text(text: &Text) -> Value {
    let mut ways: Vec<Value> = text.words.iter().map(|word| known(*word)).collect();
    if !text.words.is_empty() && (text.any_case || text.trim) {
        let words: Vec<String> = text.words.iter().map(|word| spelt(word.text, text.any_case)).collect();
        ways.push(json!({ "pattern": around(&words.join("|"), text.trim) }));
    }
    if let Some(pattern) = text.syntax.and_then(|syntax| syntax.pattern()) {
        let inner = pattern.strip_prefix('^').unwrap_or(pattern);
        match inner.strip_suffix('$') {
            Some(inner) if text.trim => ways.push(json!({ "pattern": around(inner, true) })),
            _ => ways.push(json!({ "pattern": pattern })),
        }
    }
    // Only where something else is refused does it need saying what fits beside it.
    let closed = !ways.is_empty();
    match text.blank {
        Blank::Unset if closed => ways.push(json!({ "pattern": r"^\s*$" })),
        // A blank text in one layer may be replaced by a higher one.
        Blank::Unset | Blank::Value | Blank::RefusedWhenMerged => {}
        Blank::Refused if closed => {}
        Blank::Refused => ways.push(json!({ "pattern": r"\S" })),
    }
    if closed && text.variables == Variables::Resolved {
        ways.push(json!({ "pattern": r"\$" }));
    }
    let mut schema = Object::from_iter([("type".to_owned(), json!("string"))]);
    match ways.as_mut_slice() {
        [] => {}
        [Value::Object(only)] => schema.append(only),
        _ => {
            schema.insert("anyOf".to_owned(), Value::Array(ways));
        }
    }
    if let Some(default) = text.default {
        schema.insert("default".to_owned(), json!(default));
    }
    Value::Object(schema)
}

fn known(word: Word) -> Value {
    json!({ "const": word.text, "description": prose(word.doc) })
}

/// A regular expression for `word`, in this case or in any.
fn spelt(word: &str, any_case: bool) -> String {
    if !any_case {
        return escaped(word);
    }
    word.chars().map(|letter| format!("[{}{}]", letter.to_ascii_uppercase(), letter.to_ascii_lowercase())).collect()
}

/// An anchored regular expression for `inner`, with outer white space if that is removed before use.
fn around(inner: &str, trim: bool) -> String {
    if trim { format!(r"^\s*(?:{inner})\s*$") } else { format!("^(?:{inner})$") }
}

fn escaped(text: &str) -> String {
    let special = |character: char| !character.is_ascii_alphanumeric() && !matches!(character, '/' | '-' | '_' | ' ');
    text.chars().fold(String::new(), |mut escaped, character| {
        if special(character) {
            escaped.push('\\');
        }
        escaped.push(character);
        escaped
    })
}

/// What the text should be, in the words of a description; breaking it is only doubtful.
fn expectation(kind: &Kind) -> Option<&'static str> {
    match kind {
        Kind::Text(text) => text.expected.map(|syntax| syntax.expected()),
        _ => None,
    }
}

/// The lines of a doc comment as one.
fn prose(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<&str>>().join(" ")
}

/// Puts `value` at the end of `path`, where everything above it is there.
fn insert(schema: &mut Value, path: &[&str], value: Value) {
    let Some((last, above)) = path.split_last() else { return };
    let target = above.iter().try_fold(schema, |here, key| here.get_mut(key));
    if let Some(Value::Object(object)) = target {
        object.insert((*last).to_owned(), value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All schemas inside a schema, with the place of each.
    fn walk(schema: &Value, path: &str, visit: &mut impl FnMut(&str, &Value)) {
        visit(path, schema);
        match schema {
            Value::Object(object) => {
                for (key, inner) in object {
                    walk(inner, &format!("{path}/{key}"), visit);
                }
            }
            Value::Array(items) => {
                items.iter().enumerate().for_each(|(at, item)| walk(item, &format!("{path}/{at}"), visit))
            }
            _ => {}
        }
    }

    #[test]
    fn every_reference_has_its_definition() {
        for schema in [workflow_file(), config()] {
            walk(&schema, "", &mut |path, here| {
                if let Some(reference) = here.get("$ref").and_then(Value::as_str) {
                    let name = reference.strip_prefix("#/$defs/").unwrap_or_else(|| panic!("{path}: {reference}"));
                    assert!(schema["$defs"].get(name).is_some(), "{path}: {reference}");
                }
            });
        }
    }

    #[test]
    fn every_key_is_described() {
        let schema = workflow_file();
        walk(&schema, "", &mut |path, here| {
            if path.ends_with("/properties") && !path.ends_with("/not/properties") {
                for (key, property) in here.as_object().expect(path) {
                    let description = property["description"].as_str().unwrap_or_default();
                    assert!(!description.is_empty() && !description.contains('\n'), "{path}/{key}");
                }
            }
        });
    }

    #[test]
    fn steps_have_all_their_forms() {
        let schema = workflow_file();
        assert_eq!(schema["properties"]["steps"]["anyOf"][0]["$ref"], "#/$defs/Steps");
        let named = &schema["properties"]["steps"]["anyOf"][1]["additionalProperties"]["anyOf"];
        assert_eq!(named, &json!([{ "type": "string" }, { "$ref": "#/$defs/Step" }]));
        assert_eq!(schema["$defs"]["HandlerOn"]["properties"]["exit"]["$ref"], "#/$defs/Step");
        assert_eq!(schema["$defs"]["Step"]["additionalProperties"], false);
        assert_eq!(
            schema["$defs"]["With"]["properties"]["command"]["description"],
            "What runs: text or a list of words."
        );
        assert_eq!(schema["$defs"]["EffectiveConfig"]["properties"].get("command"), None);
        assert_eq!(schema["required"], json!(["steps"]));
        assert_eq!(schema["properties"]["schedule"]["deprecated"], true);
        assert_eq!(schema["properties"].get("container"), None);
    }

    #[test]
    fn values_carry_what_the_tables_say() {
        let config = config();
        let properties = &config["properties"];
        assert_eq!(properties["backoff_limit"]["maximum"], i32::MAX);
        assert_eq!(properties["backoff_limit"]["default"], 0);
        assert_eq!(properties["namespace"]["default"], "default");
        assert_eq!(
            properties["cleanup_policy"]["anyOf"],
            json!([
                { "const": "delete", "description": "It is deleted." },
                { "const": "keep", "description": "It stays." },
                { "pattern": r"^\s*(?:[Dd][Ee][Ll][Ee][Tt][Ee]|[Kk][Ee][Ee][Pp])\s*$" },
                { "pattern": r"^\s*$" },
            ])
        );
        assert_eq!(properties["labels"]["propertyNames"]["not"]["anyOf"][1], json!({ "pattern": "^runner/" }));
        assert_eq!(config["$defs"]["ValueFrom"]["oneOf"][2], json!({ "required": ["field_ref"] }));
        assert_eq!(config["$defs"]["OnExitCodes"]["properties"]["values"]["uniqueItems"], true);
        assert_eq!(config["$defs"]["PodFailurePolicyRule"]["required"], json!(["action"]));
    }

    #[cfg(feature = "schema")]
    #[test]
    fn every_document_names_itself() {
        for (file, schema) in documents() {
            assert_eq!(schema["$id"], id(file));
            assert_eq!(schema["$schema"], DIALECT);
        }
    }
}

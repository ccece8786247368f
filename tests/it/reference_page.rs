//! `docs/reference.md`: every key of the workflow file, made from the schema that editors use.
//!
//! `BLESS=1` writes the page. What the schema cannot say, as how values become a Job, stands in hand-written pages.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{golden, root};

const HEAD: &str = "# Reference of the workflow file

Every key, made from the schema that `runner schema` prints. What is said about mistakes is in [rules.md](rules.md).

A required key is **bold**. Where a key takes text, `${VAR}` is put in just before the step starts, unless the page says
otherwise; where it takes a number, a boolean or a word, none may stand.
";

/// The chapters: what the schema calls a mapping, and what the page calls it. All that these name comes behind them.
const CHAPTERS: [(&str, &str); 2] = [("Step", "A step"), ("EffectiveConfig", "`kubernetes` and `config`")];

/// Words of a value that are all named.
const MOST_WORDS: usize = 8;

struct Page<'a> {
    schema: &'a Value,
    told: BTreeSet<String>,
    text: String,
}

impl<'a> Page<'a> {
    fn definition(&self, name: &str) -> Option<&'a Value> {
        self.schema.get("$defs")?.get(name)
    }

    /// The table of a mapping.
    fn table(&mut self, title: &str, level: &str, mapping: &'a Value) -> Result<()> {
        let description = mapping.get("description").and_then(Value::as_str).unwrap_or_default();
        writeln!(self.text, "\n{level} {title}\n\n{description}\n\n| key | value | meaning |\n|---|---|---|")?;
        let required: Vec<&str> =
            mapping.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = mapping.get("properties").and_then(Value::as_object).context("a mapping without keys")?;
        let is_ignored = |value: &Value| value.get("deprecated").and_then(Value::as_bool) == Some(true);
        for (key, value) in properties.iter().filter(|(_, value)| !is_ignored(value)) {
            let key = if required.contains(&key.as_str()) { format!("**`{key}`**") } else { format!("`{key}`") };
            let meaning = value.get("description").and_then(Value::as_str).unwrap_or_default().replace('|', "\\|");
            let words = words(value).replace('|', "\\|");
            writeln!(self.text, "| {key} | {words} | {meaning} |")?;
        }
        let ignored = properties.iter().filter(|(_, value)| is_ignored(value)).map(|(key, _)| format!("`{key}`"));
        let ignored: Vec<String> = ignored.collect();
        if !ignored.is_empty() {
            writeln!(self.text, "\nAccepted with a warning, without effect: {}.", ignored.join(", "))?;
        }
        Ok(())
    }

    /// What a mapping names, and what that names, each once.
    fn named_by(&mut self, value: &'a Value) -> Result<()> {
        for name in references(value) {
            if !self.told.insert(name.clone()) {
                continue;
            }
            let definition = self.definition(&name).with_context(|| format!("`{name}` is not defined"))?;
            if definition.get("properties").is_some() {
                self.table(&format!("`{name}`"), "###", definition)?;
            } else {
                let description = definition.get("description").and_then(Value::as_str).unwrap_or_default();
                writeln!(self.text, "\n### `{name}`\n\n{description}\n\nValue: {}.", words(definition))?;
            }
            self.named_by(definition)?;
        }
        Ok(())
    }
}

/// The names a value refers to, in the order in which they stand.
fn references(value: &Value) -> Vec<String> {
    match value {
        Value::Object(entries) => {
            let own = entries.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next());
            let inner = entries.values().flat_map(references);
            own.map(str::to_owned).into_iter().chain(inner).collect()
        }
        Value::Array(items) => items.iter().flat_map(references).collect(),
        _ => Vec::new(),
    }
}

/// What a value may be, in words.
fn words(value: &Value) -> String {
    if let Some(name) = value.get("$ref").and_then(Value::as_str).and_then(|name| name.rsplit('/').next()) {
        return format!("[`{name}`](#{})", name.to_lowercase());
    }
    if let Some(word) = value.get("const") {
        return word.as_str().map_or_else(|| format!("`{word}`"), |word| format!("`{word}`"));
    }
    if let Some(choices) = value.get("anyOf").and_then(Value::as_array) {
        let mut said: Vec<String> = Vec::new();
        for choice in choices.iter().filter(|choice| choice.get("type").and_then(Value::as_str) != Some("null")) {
            let words = words(choice);
            // A pattern alone narrows text down; the meaning says how.
            if !words.is_empty() && !said.contains(&words) {
                said.push(words);
            }
        }
        match said.as_slice() {
            [] => {}
            [first, second, ..] if said.len() > MOST_WORDS => {
                return format!("one of {} words, as {first}, {second}", said.len());
            }
            said => return said.join(" or "),
        }
    }
    let number = |key: &str| value.get(key).and_then(Value::as_i64);
    match value.get("type").and_then(Value::as_str) {
        Some("string") => "text".to_owned(),
        Some("boolean") => "`true` or `false`".to_owned(),
        Some(kind @ ("integer" | "number")) => match (number("minimum"), number("maximum")) {
            (Some(least), Some(most)) if most < i64::from(i32::MAX) => format!("{kind}, {least} to {most}"),
            (Some(least), _) => format!("{kind}, at least {least}"),
            _ => kind.to_owned(),
        },
        Some("array") => match value.get("items").map(words).filter(|items| !items.is_empty()) {
            Some(items) if items.contains(" or ") => format!("list (each {items})"),
            Some(items) => format!("list of {items}"),
            None => "list".to_owned(),
        },
        Some("object") => match value.get("additionalProperties").map(words).filter(|values| !values.is_empty()) {
            Some(values) => format!("mapping of {values}"),
            None => "mapping".to_owned(),
        },
        _ => String::new(),
    }
}

#[test]
fn the_page_of_keys_is_what_the_schema_says() -> Result<()> {
    let schema = model::schema::workflow_file();
    let mut page = Page { schema: &schema, told: BTreeSet::new(), text: HEAD.to_owned() };
    page.told.extend(CHAPTERS.map(|(name, _)| name.to_owned()));
    page.table("The file", "##", &schema)?;
    page.named_by(schema.get("properties").context("a schema without keys")?)?;
    for (name, title) in CHAPTERS {
        let definition = page.definition(name).with_context(|| format!("`{name}` is not defined"))?;
        // Headings are where other tables point to.
        writeln!(page.text, "\n<a id=\"{}\"></a>", name.to_lowercase())?;
        page.table(title, "##", definition)?;
        page.named_by(definition)?;
    }
    golden(&root().join("docs/reference.md"), &page.text)
}

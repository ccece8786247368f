//! How large a Job is, and what makes it so: servers refuse objects beyond a limit without saying what is too much.

use serde_json::Value;

use super::Job;

/// The largest Job that is sent, in bytes. etcd takes 1.5 MiB in one request, and the server adds to what it gets.
/// <https://etcd.io/docs/latest/dev-guide/limit/>
const LARGEST: usize = 1024 * 1024;
/// Fields that are named.
const NAMED: usize = 3;

impl Job {
    /// Why it is too large to be sent, if it is.
    pub fn too_large(&self) -> Option<String> {
        let bytes = serde_json::to_vec(&self.manifest).map_or(0, |text| text.len());
        (bytes > LARGEST)
            .then(|| format!("the Job has {bytes} bytes, at most {LARGEST} are sent; {}", self.largest_fields()))
    }

    /// Its largest fields, in words.
    pub fn largest_fields(&self) -> String {
        // A manifest is made of maps with text keys.
        let manifest = serde_json::to_value(&self.manifest).unwrap_or_default();
        let mut sizes = Vec::new();
        measure(String::new(), &manifest, &mut sizes);
        sizes.sort_by(|(one, one_size), (other, other_size)| other_size.cmp(one_size).then_with(|| one.cmp(other)));
        let named: Vec<String> =
            sizes.iter().take(NAMED).map(|(path, size)| format!("`{path}` ({size} bytes)")).collect();
        format!("its largest fields are {}", named.join(", "))
    }
}

/// The sizes of all texts, with their paths; entries of lists go by their name where they have one.
fn measure(path: String, value: &Value, sizes: &mut Vec<(String, usize)>) {
    match value {
        Value::Object(fields) => {
            for (name, value) in fields {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                measure(path, value, sizes);
            }
        }
        Value::Array(entries) => {
            for (index, entry) in entries.iter().enumerate() {
                let path = match entry.get("name").and_then(Value::as_str) {
                    Some(name) => format!("{path}.{name}"),
                    None => format!("{path}[{index}]"),
                };
                measure(path, entry, sizes);
            }
        }
        Value::String(text) => sizes.push((path, text.len())),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

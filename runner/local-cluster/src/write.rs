//! Creating and changing objects: what every write goes through, whether a client or a controller makes it.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use crate::clock::seconds;
use crate::object::{Key, Metadata, Object, map_mut, metadata_mut, set};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::store::Store;
use crate::{defaults, validate};

/// What etcd takes in one request.
const OBJECT_LIMIT: usize = 1536 * 1024;

/// The part of an object a request may change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    /// All but the status.
    Main,
    /// The status alone.
    Status,
}

/// Creates an object in a namespace (empty for cluster-wide kinds). With `dry_run` everything is checked and nothing kept.
pub(crate) fn create(
    store: &mut Store,
    now: Timestamp,
    resource: Resource,
    namespace: &str,
    object: Value,
    dry_run: bool,
) -> Result<Object, Refusal> {
    create_as(store, now, resource, namespace, object, dry_run, |_| {})
}

/// The same; `finish` has the last word before the object is stored.
pub(crate) fn create_as(
    store: &mut Store,
    now: Timestamp,
    resource: Resource,
    namespace: &str,
    mut object: Value,
    dry_run: bool,
    finish: impl FnOnce(&mut Value),
) -> Result<Object, Refusal> {
    if !object.version().is_empty() {
        return Err(Refusal::bad_request("resourceVersion should not be set on objects to be created"));
    }
    name_object(store, resource, namespace, &mut object)?;
    check_namespace(store, resource, namespace, object.name())?;
    let name = object.name().to_owned();
    let meta = metadata_mut(&mut object);
    set(meta, "uid", Uuid::new_v4().to_string());
    set(meta, "creationTimestamp", seconds(now));
    for field in ["deletionTimestamp", "deletionGracePeriodSeconds", "managedFields", "selfLink", "generation"] {
        meta.remove(field);
    }
    if resource.has_generation() {
        set(meta, "generation", 1);
    }
    map_mut(&mut object).remove("status");
    defaults::apply(resource, &mut object);
    defaults::begin(resource, &mut object);
    validate::create(resource, &object)?;
    check_size(&object)?;
    let key = Key::new(resource, namespace, &name);
    if let Some(existing) = store.get(&key) {
        return Err(Refusal::already_exists(resource, &name, existing.is_being_deleted()));
    }
    finish(&mut object);
    Ok(if dry_run { Arc::new(object) } else { store.put(&key, object) })
}

/// Writes a part of an object in place of what is there.
pub(crate) fn update(
    store: &mut Store,
    key: &Key,
    object: Value,
    part: Part,
    dry_run: bool,
) -> Result<Object, Refusal> {
    let (resource, name) = (key.resource, key.name.as_str());
    let Some(before) = store.get(key).cloned() else { return Err(Refusal::not_found(resource, name)) };
    if !object.name().is_empty() && object.name() != name {
        return Err(Refusal::bad_request(format!(
            "the name of the object ({}) does not match the name on the URL ({name})",
            object.name()
        )));
    }
    if !object.uid().is_empty() && object.uid() != before.uid() {
        return Err(Refusal::uid_differs(resource, name, object.uid(), before.uid()));
    }
    if !object.version().is_empty() && object.version() != before.version() {
        return Err(Refusal::modified(resource, name));
    }
    let mut after = match part {
        Part::Main => {
            let mut after = object;
            set(map_mut(&mut after), "status", before.get("status").cloned().unwrap_or_default());
            after
        }
        Part::Status => {
            let mut after = Value::clone(&before);
            set(map_mut(&mut after), "status", object.get("status").cloned().unwrap_or_default());
            after
        }
    };
    keep_system_metadata(&before, &mut after);
    check_finalizers(resource, &before, &after)?;
    defaults::apply(resource, &mut after);
    if resource.has_generation() && before.get("spec") != after.get("spec") {
        let generation = before.pointer("/metadata/generation").and_then(Value::as_i64).unwrap_or_default();
        set(metadata_mut(&mut after), "generation", generation.saturating_add(1));
    }
    validate::update(resource, &before, &after)?;
    check_size(&after)?;
    if dry_run {
        return Ok(Arc::new(after));
    }
    Ok(store.settle(key, after).into_object())
}

/// A name the server makes: `base` and five characters of its alphabet, which spells no words.
fn generate(base: &str) -> String {
    const ALPHABET: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";
    // 63 characters, less the five.
    let base: String = base.chars().take(58).collect();
    let random = Uuid::new_v4();
    let letters = random.as_bytes().iter().rev().take(5);
    let suffix =
        letters.filter_map(|byte| ALPHABET.get(usize::from(*byte) % ALPHABET.len())).map(|letter| char::from(*letter));
    base.chars().chain(suffix).collect()
}

fn name_object(store: &Store, resource: Resource, namespace: &str, object: &mut Value) -> Result<(), Refusal> {
    let found = object.namespace().to_owned();
    let meta = metadata_mut(object);
    if !found.is_empty() && found != namespace {
        return Err(Refusal::bad_request(
            "the namespace of the provided object does not match the namespace sent on the request",
        ));
    }
    if !namespace.is_empty() {
        set(meta, "namespace", namespace);
    }
    let is_named = meta.get("name").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    let base = meta.get("generateName").and_then(Value::as_str).unwrap_or_default().to_owned();
    if !is_named && !base.is_empty() {
        let free = |name: &String| store.get(&Key::new(resource, namespace, name)).is_none();
        let name = std::iter::repeat_with(|| generate(&base)).take(8).find(free);
        set(meta, "name", name.unwrap_or_else(|| generate(&base)));
    }
    Ok(())
}

fn check_namespace(store: &Store, resource: Resource, namespace: &str, name: &str) -> Result<(), Refusal> {
    if !resource.is_namespaced() {
        return Ok(());
    }
    match store.get(&Key::new(Resource::Namespaces, "", namespace)) {
        None => Err(Refusal::not_found(Resource::Namespaces, namespace)),
        Some(found) if found.is_being_deleted() => Err(Refusal::namespace_terminating(resource, name, namespace)),
        Some(_) => Ok(()),
    }
}

fn keep_system_metadata(before: &Value, after: &mut Value) {
    let meta = metadata_mut(after);
    for field in [
        "name",
        "generateName",
        "namespace",
        "uid",
        "creationTimestamp",
        "deletionTimestamp",
        "deletionGracePeriodSeconds",
        "generation",
    ] {
        let kept = before.pointer(&format!("/metadata/{field}")).cloned().unwrap_or_default();
        set(meta, field, kept);
    }
    meta.remove("managedFields");
}

/// What is being deleted takes no new finalizers, or it might never go.
fn check_finalizers(resource: Resource, before: &Value, after: &Value) -> Result<(), Refusal> {
    if !before.is_being_deleted() {
        return Ok(());
    }
    let new: Vec<&str> = after.finalizers().into_iter().filter(|finalizer| !before.has_finalizer(finalizer)).collect();
    if new.is_empty() {
        return Ok(());
    }
    let cause = crate::refusal::Cause {
        reason: "FieldValueForbidden",
        field: "metadata.finalizers".to_owned(),
        message: format!(
            "Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers {new:?}"
        ),
    };
    Err(Refusal::invalid(resource, before.name(), &[cause]))
}

fn check_size(object: &Value) -> Result<(), Refusal> {
    let size = serde_json::to_vec(object).map_or(usize::MAX, |bytes| bytes.len());
    if size > OBJECT_LIMIT {
        return Err(Refusal::new(500, "InternalError", "etcdserver: request is too large"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn generated_names_are_short_and_differ() {
        let name = generate(&"a".repeat(80));
        assert_eq!(name.len(), 63);
        assert_ne!(generate("a-"), generate("a-"));
    }
}

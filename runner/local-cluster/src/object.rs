//! Objects as the store holds them: JSON with a few accessors for the metadata everything here needs.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::resource::Resource;

/// A stored object. Shared, never changed in place: a write makes a new one.
pub(crate) type Object = Arc<Value>;

/// Reads metadata of an object.
pub(crate) trait Metadata {
    /// A text of `metadata`, empty when it is absent.
    fn meta(&self, field: &str) -> &str;
    fn finalizers(&self) -> Vec<&str>;
    fn owners(&self) -> Vec<Owner<'_>>;

    fn name(&self) -> &str {
        self.meta("name")
    }
    fn namespace(&self) -> &str {
        self.meta("namespace")
    }
    fn uid(&self) -> &str {
        self.meta("uid")
    }
    fn version(&self) -> &str {
        self.meta("resourceVersion")
    }
    fn is_being_deleted(&self) -> bool {
        !self.meta("deletionTimestamp").is_empty()
    }
    fn has_finalizer(&self, finalizer: &str) -> bool {
        self.finalizers().contains(&finalizer)
    }
}

/// An entry of `metadata.ownerReferences`.
pub(crate) struct Owner<'a> {
    pub(crate) uid: &'a str,
    pub(crate) is_controller: bool,
    pub(crate) blocks_deletion: bool,
}

impl Metadata for Value {
    fn meta(&self, field: &str) -> &str {
        self.get("metadata").and_then(|meta| meta.get(field)).and_then(Value::as_str).unwrap_or_default()
    }

    fn finalizers(&self) -> Vec<&str> {
        let list = self.pointer("/metadata/finalizers").and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }

    fn owners(&self) -> Vec<Owner<'_>> {
        let list = self.pointer("/metadata/ownerReferences").and_then(Value::as_array);
        let flag = |owner: &Value, field: &str| owner.get(field).and_then(Value::as_bool).unwrap_or_default();
        list.into_iter()
            .flatten()
            .filter_map(|owner| {
                Some(Owner {
                    uid: owner.get("uid")?.as_str()?,
                    is_controller: flag(owner, "controller"),
                    blocks_deletion: flag(owner, "blockOwnerDeletion"),
                })
            })
            .collect()
    }
}

/// `metadata` for writing; made when the object has none.
pub(crate) fn metadata_mut(object: &mut Value) -> &mut Map<String, Value> {
    child_mut(object, "metadata")
}

/// The map under `field` for writing; whatever else stood there is replaced by an empty map.
pub(crate) fn child_mut<'a>(object: &'a mut Value, field: &str) -> &'a mut Map<String, Value> {
    let parent = map_mut(object);
    map_mut(parent.entry(field).or_insert(Value::Null))
}

/// `value` as a map for writing; whatever else it was becomes an empty map.
pub(crate) fn map_mut(value: &mut Value) -> &mut Map<String, Value> {
    if !value.is_object() {
        *value = Value::Object(Map::new());
    }
    match value {
        Value::Object(map) => map,
        // INVARIANT: made an object three lines above.
        _ => unreachable!("not an object"),
    }
}

/// Sets `field` to `value`, or removes it for `Null`.
pub(crate) fn set(map: &mut Map<String, Value>, field: &str, value: impl Into<Value>) {
    match value.into() {
        Value::Null => drop(map.remove(field)),
        value => drop(map.insert(field.to_owned(), value)),
    }
}

/// Takes `finalizer` off the object.
pub(crate) fn remove_finalizer(object: &mut Value, finalizer: &str) {
    let rest: Vec<Value> =
        object.finalizers().into_iter().filter(|found| *found != finalizer).map(Value::from).collect();
    let rest = if rest.is_empty() { Value::Null } else { Value::from(rest) };
    set(metadata_mut(object), "finalizers", rest);
}

/// Puts `finalizer` on the object, once.
pub(crate) fn add_finalizer(object: &mut Value, finalizer: &str) {
    if !object.has_finalizer(finalizer) {
        let list = metadata_mut(object).entry("finalizers").or_insert_with(|| Value::Array(Vec::new()));
        match list {
            Value::Array(list) => list.push(finalizer.into()),
            other => *other = Value::from(vec![finalizer]),
        }
    }
}

/// The object as one of the Kubernetes types. The store holds nothing that failed this when it was written.
pub(crate) fn typed<T: DeserializeOwned>(object: &Value) -> Option<T> {
    T::deserialize(object).ok()
}

/// Where an object lives: resource, namespace (empty for cluster-wide kinds) and name.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Key {
    pub(crate) resource: Resource,
    pub(crate) namespace: String,
    pub(crate) name: String,
}

impl Key {
    pub(crate) fn new(resource: Resource, namespace: &str, name: &str) -> Self {
        Self { resource, namespace: namespace.to_owned(), name: name.to_owned() }
    }
}

//! Events: what the controllers and the node say about an object. The same words again raise a count.

use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::clock::seconds;
use crate::object::{Key, Metadata, map_mut, set};
use crate::resource::Resource;
use crate::store::Store;

/// Something worth telling about an object.
#[derive(Clone, Debug)]
pub(crate) struct Happening<'a> {
    pub(crate) is_warning: bool,
    pub(crate) reason: &'a str,
    pub(crate) message: &'a str,
    /// Who says so: `job-controller`, `default-scheduler`, `kubelet`.
    pub(crate) component: &'a str,
    /// The part of the object that is meant, as `spec.containers{step}`; empty for all of it.
    pub(crate) field_path: &'a str,
}

/// Records an Event about `object`. One about an object whose namespace goes is dropped: nothing new is made there.
pub(crate) fn record(store: &mut Store, now: Timestamp, object: &Value, happening: &Happening<'_>) {
    let namespace = if object.namespace().is_empty() { "default" } else { object.namespace() };
    let parent = store.get(&Key::new(Resource::Namespaces, "", namespace));
    if parent.is_none_or(|parent| parent.is_being_deleted()) {
        return;
    }
    let mut hasher = DefaultHasher::new();
    (object.uid(), happening.reason, happening.message, happening.field_path).hash(&mut hasher);
    let name = format!("{}.{:016x}", object.name(), hasher.finish());
    let key = Key::new(Resource::Events, namespace, &name);
    let now_text = seconds(now);
    if store.get(&key).is_some() {
        store.modify(&key, |event| {
            let count = event.get("count").and_then(Value::as_i64).unwrap_or_default();
            set(map_mut(event), "count", count.saturating_add(1));
            set(map_mut(event), "lastTimestamp", now_text);
        });
        return;
    }
    let text = |field: &str| object.get(field).and_then(Value::as_str).unwrap_or_default();
    let mut involved = json!({
        "apiVersion": text("apiVersion"), "kind": text("kind"), "name": object.name(), "namespace": object.namespace(),
        "uid": object.uid(), "resourceVersion": object.version(),
    });
    if !happening.field_path.is_empty() {
        set(map_mut(&mut involved), "fieldPath", happening.field_path);
    }
    let event = json!({
        "apiVersion": "v1", "kind": "Event",
        "metadata": {
            "name": name, "namespace": namespace, "uid": Uuid::new_v4().to_string(), "creationTimestamp": now_text,
        },
        "involvedObject": involved,
        "type": if happening.is_warning { "Warning" } else { "Normal" },
        "reason": happening.reason,
        "message": happening.message,
        "source": {"component": happening.component},
        "reportingComponent": happening.component,
        "reportingInstance": "",
        "firstTimestamp": now_text,
        "lastTimestamp": now_text,
        "eventTime": null,
        "count": 1,
    });
    store.put(&key, event);
}

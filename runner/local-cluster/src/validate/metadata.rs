//! `metadata`: name, labels, annotations, finalizers, owners.

use serde_json::Value;

use super::{Causes, name};
use crate::object::Metadata;
use crate::resource::Resource;

/// All annotations of an object together, keys and values.
const ANNOTATIONS_LIMIT: usize = 256 * 1024;

pub(super) fn check(resource: Resource, object: &Value, causes: &mut Causes) {
    let rule = if resource == Resource::Namespaces { name::dns_label } else { name::dns_subdomain };
    if object.name().is_empty() {
        causes.required("metadata.name", "name or generateName is required");
    } else if let Some(problem) = rule(object.name()) {
        causes.invalid("metadata.name", object.name(), &problem);
    }
    if let Some(meta) = object.get("metadata") {
        check_labels(meta.get("labels"), "metadata.labels", causes);
        check_annotations(meta.get("annotations"), "metadata.annotations", causes);
    }
    for (index, finalizer) in object.finalizers().into_iter().enumerate() {
        let is_own = matches!(finalizer, "orphan" | "foregroundDeletion");
        let field = format!("metadata.finalizers[{index}]");
        if let Some(problem) = name::label_key(finalizer) {
            causes.invalid(field, finalizer, &problem);
        } else if !finalizer.contains('/') && !is_own {
            let detail = "name is neither a standard finalizer name nor is it fully qualified";
            causes.invalid(field, finalizer, detail);
        }
    }
    let owners = object.pointer("/metadata/ownerReferences").and_then(Value::as_array);
    for (index, owner) in owners.into_iter().flatten().enumerate() {
        for field in ["apiVersion", "kind", "name", "uid"] {
            if owner.get(field).and_then(Value::as_str).is_none_or(str::is_empty) {
                causes.invalid(format!("metadata.ownerReferences[{index}].{field}"), "", "must not be empty");
            }
        }
    }
    if object.owners().iter().filter(|owner| owner.is_controller).count() > 1 {
        let detail = "Only one reference can have Controller set to true";
        causes.invalid("metadata.ownerReferences", Value::Null, detail);
    }
}

/// Labels, whose keys and values both have rules.
pub(super) fn check_labels(labels: Option<&Value>, field: &str, causes: &mut Causes) {
    for (key, value) in labels.and_then(Value::as_object).into_iter().flatten() {
        if let Some(problem) = name::label_key(key) {
            causes.invalid(field, key.as_str(), &problem);
        }
        let value = value.as_str().unwrap_or_default();
        if let Some(problem) = name::label_value(value) {
            causes.invalid(field, value, &problem);
        }
    }
}

/// Annotations, whose keys have rules and whose size is limited.
pub(super) fn check_annotations(annotations: Option<&Value>, field: &str, causes: &mut Causes) {
    let mut size = 0_usize;
    for (key, value) in annotations.and_then(Value::as_object).into_iter().flatten() {
        if let Some(problem) = name::label_key(&key.to_lowercase()) {
            causes.invalid(field, key.as_str(), &problem);
        }
        size = size.saturating_add(key.len()).saturating_add(value.as_str().unwrap_or_default().len());
    }
    if size > ANNOTATIONS_LIMIT {
        causes.too_long(field, ANNOTATIONS_LIMIT);
    }
}

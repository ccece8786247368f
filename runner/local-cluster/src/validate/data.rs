//! ConfigMaps, Secrets and Events.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{Causes, name};
use crate::object::Metadata;

const SIZE_LIMIT: usize = 1024 * 1024;

pub(super) fn check_config_map(object: &Value, causes: &mut Causes) {
    let plain = object.get("data").and_then(Value::as_object);
    let binary = object.get("binaryData").and_then(Value::as_object);
    let mut size = 0_usize;
    for (key, value) in plain.into_iter().flatten() {
        check_key("data", key, causes);
        size = size.saturating_add(value.as_str().unwrap_or_default().len());
        if binary.is_some_and(|binary| binary.contains_key(key)) {
            causes.invalid(format!("data[{key}]"), key.as_str(), "duplicate of key present in binaryData");
        }
    }
    for (key, value) in binary.into_iter().flatten() {
        check_key("binaryData", key, causes);
        size = size.saturating_add(decoded_size(value));
    }
    check_size("", size, causes);
}

pub(super) fn check_secret(object: &Value, causes: &mut Causes) {
    let data = object.get("data").and_then(Value::as_object);
    let mut size = 0_usize;
    for (key, value) in data.into_iter().flatten() {
        check_key("data", key, causes);
        size = size.saturating_add(decoded_size(value));
    }
    check_size("data", size, causes);
    let needed: &[&str] = match object.get("type").and_then(Value::as_str).unwrap_or_default() {
        "kubernetes.io/dockerconfigjson" => &[".dockerconfigjson"],
        "kubernetes.io/tls" => &["tls.crt", "tls.key"],
        "kubernetes.io/ssh-auth" => &["ssh-privatekey"],
        _ => &[],
    };
    for key in needed.iter().filter(|key| !data.is_some_and(|data| data.contains_key(**key))) {
        causes.required(format!("data[{key}]"), "");
    }
}

/// An immutable object stays as it is, and immutable.
pub(super) fn check_update(before: &Value, object: &Value, causes: &mut Causes) {
    if before.get("immutable").and_then(Value::as_bool) == Some(true) {
        if object.get("immutable").and_then(Value::as_bool) != Some(true) {
            causes.forbidden("immutable", "field is immutable when `immutable` is set");
        }
        for field in ["data", "binaryData"] {
            if before.get(field) != object.get(field) {
                causes.forbidden(field, "field is immutable when `immutable` is set");
            }
        }
    }
    if let (Some(old), Some(new)) = (before.get("type"), object.get("type"))
        && old != new
    {
        causes.invalid("type", new.clone(), "field is immutable");
    }
}

pub(super) fn check_event(object: &Value, causes: &mut Causes) {
    let involved = object.pointer("/involvedObject/namespace").and_then(Value::as_str).unwrap_or_default();
    // An event about something without a namespace is kept in `default`.
    let expected = if involved.is_empty() { "default" } else { involved };
    if expected != object.namespace() && !(involved.is_empty() && object.namespace() == "kube-system") {
        causes.invalid("involvedObject.namespace", involved, "does not match event.namespace");
    }
}

fn check_key(field: &str, key: &str, causes: &mut Causes) {
    if let Some(problem) = name::data_key(key) {
        causes.invalid(format!("{field}[{key}]"), key, &problem);
    }
}

fn decoded_size(value: &Value) -> usize {
    STANDARD.decode(value.as_str().unwrap_or_default()).map_or(0, |bytes| bytes.len())
}

fn check_size(field: &str, size: usize, causes: &mut Causes) {
    if size > SIZE_LIMIT {
        causes.too_long(field, SIZE_LIMIT);
    }
}

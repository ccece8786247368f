//! The shape of objects: types as Kubernetes has them, unknown fields found and dropped.
//!
//! The types of `k8s-openapi` are the schema: an object goes through them once when it is written. What they cannot hold
//! is refused, what they do not know is dropped, as the real server does.

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Event, Namespace, Node, Pod, Secret};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::object::set;
use crate::quantity;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// An object in the shape of its kind, and the fields that were dropped.
pub(crate) struct Shaped {
    pub(crate) object: Value,
    /// Paths as `spec.template.foo`.
    pub(crate) unknown: Vec<String>,
}

/// Brings `sent` into the shape of its kind.
///
/// # Errors
///
/// 400 when it is another kind, or a value has the wrong type.
pub(crate) fn shape(resource: Resource, mut sent: Value) -> Result<Shaped, Refusal> {
    check_type(resource, &mut sent)?;
    numbers_to_quantities(&mut sent);
    let object = match resource {
        Resource::Namespaces => through::<Namespace>(resource, &sent),
        Resource::Nodes => through::<Node>(resource, &sent),
        Resource::ConfigMaps => through::<ConfigMap>(resource, &sent),
        Resource::Secrets => through::<Secret>(resource, &sent),
        Resource::Events => through::<Event>(resource, &sent),
        Resource::Pods => through::<Pod>(resource, &sent),
        Resource::Jobs => through::<Job>(resource, &sent),
    }?;
    let mut unknown = Vec::new();
    find_unknown(&sent, &object, "", &mut unknown);
    let mut object = object;
    write_quantities(&mut object).map_err(|field| {
        let (kind, problem) = (resource.kind(), quantity::PROBLEM);
        Refusal::bad_request(format!("{kind} in version \"v1\" cannot be handled as a {kind}: {field}: {problem}"))
    })?;
    drop_empty(&mut object, "");
    Ok(Shaped { object, unknown })
}

fn check_type(resource: Resource, sent: &mut Value) -> Result<(), Refusal> {
    let Some(map) = sent.as_object_mut() else {
        return Err(Refusal::bad_request("the object provided is unrecognized (must be of type object)"));
    };
    for (field, expected) in [("apiVersion", resource.api_version()), ("kind", resource.kind())] {
        let found = map.get(field).and_then(Value::as_str).unwrap_or_default();
        if found.is_empty() {
            set(map, field, expected);
        } else if found != expected {
            let what = if field == "kind" { "kind" } else { "API version" };
            return Err(Refusal::bad_request(format!(
                "the {what} in the data ({found}) does not match the expected {what} ({expected})"
            )));
        }
    }
    Ok(())
}

fn through<T: DeserializeOwned + Serialize>(resource: Resource, sent: &Value) -> Result<Value, Refusal> {
    let version = resource.api_version().rsplit('/').next().unwrap_or_default();
    let kind = resource.kind();
    let unfit = |error: serde_json::Error| {
        Refusal::bad_request(format!("{kind} in version \"{version}\" cannot be handled as a {kind}: {error}"))
    };
    serde_json::to_value(T::deserialize(sent).map_err(unfit)?).map_err(unfit)
}

/// Kubernetes takes `cpu: 2` for the quantity `"2"`.
fn numbers_to_quantities(value: &mut Value) {
    match value {
        Value::Object(map) => {
            for (field, child) in map.iter_mut() {
                match (field.as_str(), &mut *child) {
                    ("limits" | "requests" | "capacity" | "allocatable", Value::Object(amounts)) => {
                        amounts.values_mut().for_each(number_to_text);
                    }
                    ("sizeLimit", amount) => number_to_text(amount),
                    _ => numbers_to_quantities(child),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(numbers_to_quantities),
        _ => {}
    }
}

/// Brings all quantities into the server's own form.
///
/// # Errors
///
/// The field that holds something else.
fn write_quantities(value: &mut Value) -> Result<(), String> {
    match value {
        Value::Object(map) => {
            for (field, child) in map.iter_mut() {
                match (field.as_str(), &mut *child) {
                    ("limits" | "requests" | "capacity" | "allocatable", Value::Object(amounts)) => {
                        amounts.values_mut().try_for_each(write_quantity).map_err(|()| field.clone())?;
                    }
                    ("sizeLimit", amount) => write_quantity(amount).map_err(|()| field.clone())?,
                    _ => write_quantities(child)?,
                }
            }
            Ok(())
        }
        Value::Array(list) => list.iter_mut().try_for_each(write_quantities),
        _ => Ok(()),
    }
}

fn write_quantity(value: &mut Value) -> Result<(), ()> {
    let Some(text) = value.as_str() else { return Ok(()) };
    *value = quantity::canonical(text).ok_or(())?.into();
    Ok(())
}

/// Where the server keeps no difference between an empty text, or `false`, and nothing: the field that holds such
/// objects, and their fields.
const NOTHING: [(&str, &[&str]); 6] = [
    ("env", &["value"]),
    ("envFrom", &["prefix"]),
    ("tolerations", &["key", "operator", "value", "effect"]),
    ("volumeMounts", &["subPath", "subPathExpr", "readOnly"]),
    ("emptyDir", &["medium"]),
    ("persistentVolumeClaim", &["readOnly"]),
];

fn drop_empty(value: &mut Value, field: &str) {
    match value {
        Value::Object(map) => {
            if let Some((_, fields)) = NOTHING.iter().find(|(holder, _)| *holder == field) {
                let is_nothing = |value: &Value| value == "" || value == &Value::Bool(false);
                map.retain(|field, value| !(fields.contains(&field.as_str()) && is_nothing(value)));
            }
            map.iter_mut().for_each(|(field, child)| drop_empty(child, field));
        }
        Value::Array(list) => list.iter_mut().for_each(|child| drop_empty(child, field)),
        _ => {}
    }
}

fn number_to_text(value: &mut Value) {
    if value.is_number() {
        *value = value.to_string().into();
    }
}

fn find_unknown(sent: &Value, kept: &Value, path: &str, unknown: &mut Vec<String>) {
    match (sent, kept) {
        (Value::Object(sent), Value::Object(kept)) => {
            for (field, child) in sent {
                let path = if path.is_empty() { field.clone() } else { format!("{path}.{field}") };
                match kept.get(field) {
                    Some(kept) => find_unknown(child, kept, &path, unknown),
                    None if child.is_null() => {}
                    None => unknown.push(path),
                }
            }
        }
        (Value::Array(sent), Value::Array(kept)) => {
            for (index, (sent, kept)) in sent.iter().zip(kept).enumerate() {
                find_unknown(sent, kept, &format!("{path}[{index}]"), unknown);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn unknown_fields_are_dropped_and_named() {
        let sent = json!({"metadata": {"name": "a", "creationTimestamp": null}, "spec": {
            "speed": 1, "template": {"spec": {"containers": [{"name": "step", "imge": "x"}]}}}});
        let shaped = shape(Resource::Jobs, sent).unwrap();
        assert_eq!(shaped.unknown, ["spec.speed", "spec.template.spec.containers[0].imge"]);
        assert_eq!(shaped.object.pointer("/spec/speed"), None);
        assert_eq!(shaped.object.pointer("/kind"), Some(&json!("Job")));
    }

    #[test]
    fn wrong_types_and_kinds_are_refused() {
        let refused = |sent: Value| shape(Resource::Jobs, sent).map(|shaped| shaped.object).unwrap_err().message;
        let text = refused(json!({"spec": {"backoffLimit": "3"}}));
        assert!(text.starts_with("Job in version \"v1\" cannot be handled as a Job: "), "{text}");
        let text = refused(json!({"kind": "CronJob"}));
        assert_eq!(text, "the kind in the data (CronJob) does not match the expected kind (Job)");
    }

    #[test]
    fn quantities_and_empty_texts_are_kept_in_the_servers_form() {
        let sent = json!({"spec": {"containers": [{
            "name": "a", "env": [{"name": "E", "value": ""}], "resources": {"limits": {"memory": "0.5Gi"}}}]}});
        let container = shape(Resource::Pods, sent).unwrap().object["spec"]["containers"][0].take();
        assert_eq!(container["env"], json!([{"name": "E"}]));
        assert_eq!(container["resources"]["limits"]["memory"], "512Mi");
        let sent = json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"memory": "1 GB"}}}]}});
        assert_eq!(shape(Resource::Pods, sent).map(|shaped| shaped.object).unwrap_err().code, 400);
    }

    #[test]
    fn a_number_is_a_quantity() {
        let sent = json!({"spec": {"containers": [{"name": "a", "resources": {"limits": {"cpu": 2}}}]}});
        let shaped = shape(Resource::Pods, sent).unwrap();
        assert_eq!(shaped.object.pointer("/spec/containers/0/resources/limits/cpu"), Some(&json!("2")));
    }
}

//! The environment of a container: `envFrom`, `env`, references and `$(NAME)`.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use k8s_openapi::api::core::v1::{Container, EnvVarSource, Pod};
use serde_json::Value;

use crate::object::{Key, Object};
use crate::resource::Resource;
use crate::store::Store;

/// Variables by name. Values are bytes: a Secret may hold anything.
pub(super) type Environment = BTreeMap<String, Vec<u8>>;

/// Looks up all variables of a container.
///
/// # Errors
///
/// The kubelet's words for what is missing; it may still appear.
pub(super) fn resolve(store: &Store, key: &Key, pod: &Pod, container: &Container) -> Result<Environment, String> {
    let mut found = Environment::new();
    for source in container.env_from.iter().flatten() {
        let prefix = source.prefix.as_deref().unwrap_or_default();
        let (resource, name, optional) = match (&source.config_map_ref, &source.secret_ref) {
            (Some(map), _) => (Resource::ConfigMaps, &map.name, map.optional),
            (None, Some(secret)) => (Resource::Secrets, &secret.name, secret.optional),
            (None, None) => continue,
        };
        match find(store, key, resource, name) {
            Some(object) => {
                for (name, value) in data(resource, &object) {
                    found.insert(format!("{prefix}{name}"), value);
                }
            }
            None if optional == Some(true) => {}
            None => return Err(missing(resource, name)),
        }
    }
    for variable in container.env.iter().flatten() {
        let value = match &variable.value_from {
            Some(source) => refer(store, key, pod, source)?,
            None => Some(expand(variable.value.as_deref().unwrap_or_default().as_bytes(), &found)),
        };
        if let Some(value) = value {
            found.insert(variable.name.clone(), value);
        }
    }
    Ok(found)
}

/// `None` for what is optional and missing.
fn refer(store: &Store, key: &Key, pod: &Pod, source: &EnvVarSource) -> Result<Option<Vec<u8>>, String> {
    if let Some(reference) = &source.field_ref {
        return field(key, pod, &reference.field_path).map(Some);
    }
    let (resource, name, entry, optional) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(map), _) => (Resource::ConfigMaps, &map.name, &map.key, map.optional == Some(true)),
        (None, Some(secret)) => (Resource::Secrets, &secret.name, &secret.key, secret.optional == Some(true)),
        (None, None) => return Err("the local cluster does not know this source of a variable".to_owned()),
    };
    let Some(object) = find(store, key, resource, name) else {
        return if optional { Ok(None) } else { Err(missing(resource, name)) };
    };
    match data(resource, &object).into_iter().find(|(found, _)| found == entry) {
        Some((_, value)) => Ok(Some(value)),
        None if optional => Ok(None),
        None => Err(format!("couldn't find key {entry} in {} {}/{name}", resource.kind(), key.namespace)),
    }
}

pub(super) fn find(store: &Store, key: &Key, resource: Resource, name: &str) -> Option<Object> {
    store.get(&Key::new(resource, &key.namespace, name)).cloned()
}

pub(super) fn missing(resource: Resource, name: &str) -> String {
    format!("{} \"{name}\" not found", resource.kind().to_lowercase())
}

/// The entries of a ConfigMap or Secret.
pub(super) fn data(resource: Resource, object: &Value) -> Vec<(String, Vec<u8>)> {
    let entries = |field: &str, is_encoded: bool| {
        let map = object.get(field).and_then(Value::as_object);
        map.into_iter()
            .flatten()
            .map(|(key, value)| {
                let text = value.as_str().unwrap_or_default();
                let bytes =
                    if is_encoded { STANDARD.decode(text).unwrap_or_default() } else { text.as_bytes().to_vec() };
                (key.clone(), bytes)
            })
            .collect::<Vec<_>>()
    };
    match resource {
        Resource::Secrets => entries("data", true),
        _ => [entries("data", false), entries("binaryData", true)].concat(),
    }
}

/// A field of the pod itself.
fn field(key: &Key, pod: &Pod, path: &str) -> Result<Vec<u8>, String> {
    let meta = &pod.metadata;
    let entry = |start: &str, map: &Option<BTreeMap<String, String>>| {
        let name = path.strip_prefix(start)?.strip_suffix("']")?;
        Some(map.as_ref().and_then(|map| map.get(name)).cloned().unwrap_or_default())
    };
    let value = match path {
        "metadata.name" => key.name.clone(),
        "metadata.namespace" => key.namespace.clone(),
        "metadata.uid" => meta.uid.clone().unwrap_or_default(),
        "spec.nodeName" => super::NODE.to_owned(),
        "spec.serviceAccountName" => {
            pod.spec.as_ref().and_then(|spec| spec.service_account_name.clone()).unwrap_or_default()
        }
        "status.hostIP" | "status.hostIPs" | "status.podIP" | "status.podIPs" => "127.0.0.1".to_owned(),
        _ => entry("metadata.labels['", &meta.labels)
            .or_else(|| entry("metadata.annotations['", &meta.annotations))
            .ok_or_else(|| format!("unsupported fieldPath: {path}"))?,
    };
    Ok(value.into_bytes())
}

/// Puts variables in place of `$(NAME)`. A name that is not known stays as written, `$$` is a `$`.
pub(super) fn expand(text: &[u8], known: &Environment) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'$' {
            out.push(*first);
            continue;
        }
        match after.split_first() {
            Some((b'$', after)) => {
                out.push(b'$');
                rest = after;
            }
            Some((b'(', inner)) => {
                let end = inner.iter().position(|byte| *byte == b')');
                let Some((name, after)) = end.and_then(|end| inner.split_at_checked(end)) else {
                    out.push(b'$');
                    continue;
                };
                match std::str::from_utf8(name).ok().and_then(|name| known.get(name)) {
                    Some(value) => out.extend_from_slice(value),
                    None => out.extend([b"$(", name, b")"].concat()),
                }
                rest = after.get(1..).unwrap_or_default();
            }
            _ => out.push(b'$'),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_parentheses_are_expanded() {
        let known = Environment::from([("A".to_owned(), b"1".to_vec()), ("B_C".to_owned(), b"$(A)".to_vec())]);
        for (text, expected) in [
            ("x$(A)y", "x1y"),
            ("$(A)$(A)", "11"),
            ("$(B_C)", "$(A)"),
            ("$(NONE)", "$(NONE)"),
            ("$$(A)", "$(A)"),
            ("$$", "$"),
            ("$A ${A} $", "$A ${A} $"),
            ("$(A", "$(A"),
            ("é$(A)", "é1"),
        ] {
            assert_eq!(String::from_utf8(expand(text.as_bytes(), &known)).unwrap(), expected, "{text}");
        }
    }
}

//! What the server says about itself: version, health and the kinds it knows.

use serde_json::{Value, json};

use super::Reply;
use crate::refusal::Refusal;
use crate::resource::Resource;

/// The Kubernetes version whose behaviour is imitated.
const MAJOR: &str = "1";
const MINOR: &str = "34";

pub(super) fn answer(path: &str) -> Result<Reply, Refusal> {
    let value = match path {
        "livez" | "readyz" | "healthz" => return Ok(Reply::Text("ok".into())),
        "version" => json!({
            "major": MAJOR, "minor": MINOR, "gitVersion": format!("v{MAJOR}.{MINOR}.0+local"),
            "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
            "goVersion": "", "compiler": "rustc",
            "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
        }),
        "api" => json!({"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []}),
        "apis" => json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": [batch()]}),
        "apis/batch" => {
            let mut group = batch();
            if let Some(group) = group.as_object_mut() {
                group.insert("kind".to_owned(), "APIGroup".into());
                group.insert("apiVersion".to_owned(), "v1".into());
            }
            group
        }
        "api/v1" => resources("", "v1"),
        "apis/batch/v1" => resources("batch", "batch/v1"),
        "openapi/v3" => json!({"paths": {
            "api/v1": {"serverRelativeURL": "/openapi/v3/api/v1"},
            "apis/batch/v1": {"serverRelativeURL": "/openapi/v3/apis/batch/v1"},
        }}),
        "openapi/v3/api/v1" => field_validation("", "api/v1"),
        "openapi/v3/apis/batch/v1" => field_validation("batch", "apis/batch/v1"),
        _ => return Err(Refusal::no_such_path()),
    };
    Ok(Reply::ok(value))
}

/// As much of a schema as tells `kubectl` that the server itself finds unknown fields, so that it need not.
fn field_validation(group: &str, path: &str) -> Value {
    let mut paths = serde_json::Map::new();
    for resource in Resource::ALL.into_iter().filter(|resource| resource.group() == group) {
        let scope = if resource.is_namespaced() { "namespaces/{namespace}/" } else { "" };
        let patch = json!({
            "parameters": [{"name": "fieldValidation", "in": "query", "schema": {"type": "string"}}],
            "responses": {},
            "x-kubernetes-action": "patch",
            "x-kubernetes-group-version-kind": {"group": group, "kind": resource.kind(), "version": "v1"},
        });
        paths.insert(format!("/{path}/{scope}{}/{{name}}", resource.plural()), json!({ "patch": patch }));
    }
    json!({"openapi": "3.0.0", "info": {"title": "Kubernetes", "version": MINOR}, "paths": paths})
}

fn batch() -> Value {
    let version = json!({"groupVersion": "batch/v1", "version": "v1"});
    json!({"name": "batch", "versions": [version], "preferredVersion": version})
}

fn resources(group: &str, version: &str) -> Value {
    let mut list = Vec::new();
    for resource in Resource::ALL.into_iter().filter(|resource| resource.group() == group) {
        let mut entry = json!({
            "name": resource.plural(), "singularName": resource.kind().to_lowercase(),
            "namespaced": resource.is_namespaced(), "kind": resource.kind(), "verbs": verbs(resource),
        });
        if let Some(entry) = entry.as_object_mut() {
            if !resource.short_names().is_empty() {
                entry.insert("shortNames".to_owned(), resource.short_names().into());
            }
            if resource.is_in_category_all() {
                entry.insert("categories".to_owned(), vec!["all"].into());
            }
        }
        list.push(entry);
        let part = |name: &str, verbs: &[&str]| {
            json!({
                "name": format!("{}/{name}", resource.plural()), "singularName": "",
                "namespaced": resource.is_namespaced(), "kind": resource.kind(), "verbs": verbs,
            })
        };
        if resource.has_status() {
            list.push(part("status", &["get", "patch", "update"]));
        }
        if resource == Resource::Pods {
            list.push(part("log", &["get"]));
        }
        if resource == Resource::Namespaces {
            list.push(part("finalize", &["update"]));
        }
    }
    json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": list})
}

fn verbs(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Namespaces => &["create", "delete", "get", "list", "patch", "update", "watch"],
        Resource::Nodes => &["get", "list", "patch", "update", "watch"],
        _ => &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"],
    }
}

//! delete and deletecollection.

use http::StatusCode;
use serde_json::{Value, json};

use super::{Asked, Reply, query};
use crate::object::{Key, Metadata, Object};
use crate::pod::{self, Disruption};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::shared::Shared;
use crate::store::{Deleted, Deletion};

/// Namespaces the real server does not give away either.
const FIXED_NAMESPACES: [&str; 2] = ["default", "kube-system"];

pub(super) fn object(shared: &Shared, key: &Key, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let (how, dry_run) = query::deletion(asked.query, asked.body)?;
    if key.resource == Resource::Namespaces && FIXED_NAMESPACES.contains(&key.name.as_str()) {
        return Err(Refusal::forbidden(key.resource, &key.name, "this namespace may not be deleted"));
    }
    if key.resource == Resource::Nodes {
        return Err(Refusal::forbidden(key.resource, &key.name, "the local cluster has one node and needs it"));
    }
    let warnings = warn_of_orphans(key.resource, &how);
    let now = shared.now();
    let mut store = shared.store();
    let deleted = if dry_run { Deleted::Gone(store.check_delete(key, &how)?) } else { store.delete(key, &how, now)? };
    drop(store);
    let value = match deleted {
        Deleted::Pending(object) => Value::clone(&object),
        // Pods are the one kind here whose last state is returned.
        Deleted::Gone(object) if key.resource == Resource::Pods => Value::clone(&object),
        Deleted::Gone(object) => success(key, &object),
    };
    Ok(Reply::Json { status: StatusCode::OK, value, warnings })
}

pub(super) fn collection(
    shared: &Shared,
    resource: Resource,
    namespace: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    if matches!(resource, Resource::Namespaces | Resource::Nodes) || namespace.is_none() {
        return Err(Refusal::method_not_allowed());
    }
    let selector = asked.query.selector(resource)?;
    let (how, dry_run) = query::deletion(asked.query, asked.body)?;
    let now = shared.now();
    let mut store = shared.store();
    let chosen: Vec<(Key, Object)> = store
        .list(resource, namespace)
        .filter(|(_, object)| selector.matches(object))
        .map(|(key, object)| (key.clone(), object.clone()))
        .collect();
    let mut items = Vec::new();
    for (key, object) in chosen {
        if !dry_run {
            store.delete(&key, &how, now)?;
        }
        items.push(Value::clone(&object));
    }
    let version = store.version().to_string();
    Ok(Reply::Json {
        status: StatusCode::OK,
        value: json!({
            "kind": format!("{}List", resource.kind()), "apiVersion": resource.api_version(),
            "metadata": {"resourceVersion": version}, "items": items,
        }),
        warnings: warn_of_orphans(resource, &how),
    })
}

/// Ends a pod as whoever drains its node does. There are no disruption budgets that could forbid it.
pub(super) fn evict(shared: &Shared, key: &Key, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let sent: Value = serde_json::from_slice(asked.body)
        .map_err(|error| Refusal::bad_request(format!("the eviction cannot be read: {error}")))?;
    if !sent.name().is_empty() && sent.name() != key.name {
        return Err(Refusal::bad_request("name in URL does not match name in Eviction object"));
    }
    let options = sent.get("deleteOptions").cloned().unwrap_or_default();
    let is_dry_run = asked.query.is_dry_run()? || options.get("dryRun").is_some();
    if is_dry_run {
        shared.store().get(key).ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    } else {
        pod::disrupt(shared, key, Disruption::Drain)?;
    }
    let value = json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    Ok(Reply::Json { status: StatusCode::CREATED, value, warnings: Vec::new() })
}

fn success(key: &Key, object: &Value) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
        "details": {
            "name": key.name, "group": key.resource.group(), "kind": key.resource.plural(), "uid": object.uid(),
        },
    })
}

fn warn_of_orphans(resource: Resource, how: &Deletion) -> Vec<String> {
    if resource == Resource::Jobs && how.propagation.is_none() {
        return vec!["child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning".to_owned()];
    }
    Vec::new()
}

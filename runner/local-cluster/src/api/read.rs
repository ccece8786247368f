//! get, list and watch.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use futures_util::StreamExt;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Asked, Reply, table};
use crate::body;
use crate::object::{Key, Object};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::shared::Shared;
use crate::store::Expired;
use crate::watch::{self, Start, Watch};

/// Where a list in pieces goes on: the version all pieces show, and the last object sent.
#[derive(Debug, Serialize, Deserialize)]
struct Continuation {
    version: u64,
    namespace: String,
    name: String,
}

pub(super) fn get(shared: &Shared, key: &Key, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let found = find(shared, key, asked.struck.rewind())?;
    let object = found.ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    if asked.wants_table() {
        return Ok(Reply::ok(table::of(key.resource, [&object], json!({}), shared.now())));
    }
    Ok(Reply::Encoded(object.to_string().into()))
}

/// An object as it is, or as it was at a version.
fn find(shared: &Shared, key: &Key, version: Option<u64>) -> Result<Option<Object>, Refusal> {
    let store = shared.store();
    let Some(version) = version else { return Ok(store.get(key).cloned()) };
    Ok(store.list_at(key.resource, version).map_err(expired)?.remove(key))
}

fn expired(_: Expired) -> Refusal {
    Refusal::expired(super::EXPIRED_CONTINUE)
}

pub(super) fn list(
    shared: &Shared,
    resource: Resource,
    namespace: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    let query = asked.query;
    let selector = query.selector(resource)?;
    let limit = query.number("limit")?.and_then(|limit| usize::try_from(limit).ok()).filter(|limit| *limit > 0);
    let continuation = match query.text("continue") {
        "" => None,
        token => Some(decode_token(token)?),
    };
    let store = shared.store();
    let asked_version = query.version()?;
    if let Some(version) = asked_version.filter(|version| *version > store.version()) {
        return Err(Refusal::version_too_large(version, store.version()));
    }
    let pinned = asked.struck.rewind().or_else(|| continuation.as_ref().map(|token| token.version));
    let (version, all): (u64, BTreeMap<Key, Object>) = match (pinned, query.text("resourceVersionMatch")) {
        (Some(version), _) => (version, store.list_at(resource, version).map_err(expired)?),
        (None, "Exact") => {
            let version = asked_version.unwrap_or_else(|| store.version());
            let expired =
                |_| Refusal::expired(format!("The resourceVersion for the provided list is too old: {version}"));
            (version, store.list_at(resource, version).map_err(expired)?)
        }
        (None, _) => {
            let objects = store.list(resource, namespace);
            (store.version(), objects.map(|(key, object)| (key.clone(), object.clone())).collect())
        }
    };
    drop(store);
    let after = continuation.map(|token| Key::new(resource, &token.namespace, &token.name));
    let mut rest: Vec<(Key, Object)> = all
        .into_iter()
        .filter(|(key, _)| namespace.is_none_or(|namespace| namespace == key.namespace))
        .filter(|(key, object)| after.as_ref().is_none_or(|after| key > after) && selector.matches(object))
        .collect();
    let mut meta = json!({"resourceVersion": version.to_string()});
    if let Some(limit) = limit.filter(|limit| *limit < rest.len()) {
        let remaining = rest.len().saturating_sub(limit);
        rest.truncate(limit);
        if let (Some((last, _)), Some(meta)) = (rest.last(), meta.as_object_mut()) {
            meta.insert("continue".to_owned(), encode_token(version, last).into());
            // The real server does not count what a selector might still leave out.
            if query.text("labelSelector").is_empty() && query.text("fieldSelector").is_empty() {
                meta.insert("remainingItemCount".to_owned(), remaining.into());
            }
        }
    }
    let items: Vec<&Object> = rest.iter().map(|(_, object)| object).collect();
    if asked.wants_table() {
        return Ok(Reply::ok(table::of(resource, items, meta, shared.now())));
    }
    let list = List {
        kind: format!("{}List", resource.kind()),
        api_version: resource.api_version(),
        metadata: meta,
        items: items.into_iter().map(AsRef::as_ref).collect(),
    };
    Ok(Reply::Encoded(serde_json::to_vec(&list).map_err(Refusal::internal)?.into()))
}

/// A list as it is written, without copies of what it holds.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<'a> {
    kind: String,
    api_version: &'static str,
    metadata: Value,
    items: Vec<&'a Value>,
}

fn encode_token(version: u64, last: &Key) -> String {
    let token = json!({"version": version, "namespace": last.namespace, "name": last.name});
    URL_SAFE_NO_PAD.encode(token.to_string())
}

fn decode_token(text: &str) -> Result<Continuation, Refusal> {
    let bad = || Refusal::bad_request("continue key is not valid: invalid continue token");
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| bad())?;
    serde_json::from_slice(&bytes).map_err(|_| bad())
}

pub(super) fn watch(
    shared: &Arc<Shared>,
    resource: Resource,
    namespace: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    let selector = asked.query.selector(resource)?;
    open(shared, resource, namespace, selector, asked)
}

/// `GET …/NAME?watch=true`: the old form of a watch on one object.
pub(super) fn watch_one(shared: &Arc<Shared>, key: &Key, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let selector = Selector::parse(key.resource, "", &format!("metadata.name={}", key.name))?;
    let namespace = key.resource.is_namespaced().then_some(key.namespace.as_str());
    open(shared, key.resource, namespace, selector, asked)
}

fn open(
    shared: &Arc<Shared>,
    resource: Resource,
    namespace: Option<&str>,
    selector: Selector,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    let query = asked.query;
    let sends_state = match query.text("sendInitialEvents") {
        "" => None,
        _ => Some(query.flag("sendInitialEvents")),
    };
    if sends_state.is_some() && query.text("resourceVersionMatch") != "NotOlderThan" {
        return Err(Refusal::new(
            422,
            "Invalid",
            "ListOptions.meta.k8s.io \"\" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan",
        ));
    }
    let current = shared.store().version();
    let start = match (sends_state, query.version()?) {
        (Some(true), _) => Start::StateThenMark,
        (Some(false), None | Some(0)) => Start::After(current),
        (None, None | Some(0)) => Start::State,
        (_, Some(version)) if version > current => return Err(Refusal::version_too_large(version, current)),
        (_, Some(version)) => Start::After(version),
    };
    let start = asked.struck.rewind().map_or(start, Start::After);
    let timeout = query.number("timeoutSeconds")?.and_then(|seconds| u64::try_from(seconds).ok());
    let watch = Watch {
        resource,
        namespace: namespace.map(str::to_owned),
        selector,
        start,
        has_bookmarks: query.flag("allowWatchBookmarks"),
        timeout: timeout.filter(|seconds| *seconds > 0).map(Duration::from_secs),
        show: if asked.wants_table() { show_row } else { show_object },
    };
    let events = watch::open(shared.clone(), watch).map(Ok::<Bytes, std::io::Error>);
    Ok(Reply::Stream { content_type: super::JSON, body: body::stream(events) })
}

fn show_object(_: &Shared, _: Resource, object: &Object) -> Value {
    Value::clone(object)
}

fn show_row(shared: &Shared, resource: Resource, object: &Object) -> Value {
    table::of(resource, [object], json!({}), shared.now())
}

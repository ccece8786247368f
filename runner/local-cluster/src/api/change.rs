//! create, update and patch.

use http::StatusCode;
use serde_json::Value;

use super::route::Sub;
use super::{Asked, Reply, protobuf};
use crate::object::{Key, map_mut};
use crate::refusal::{Cause, Refusal};
use crate::resource::Resource;
use crate::schema;
use crate::shared::Shared;
use crate::write::{self, Part};

const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";
const OPERATIONS: &str = "application/json-patch+json";

pub(super) fn create(
    shared: &Shared,
    resource: Resource,
    namespace: Option<&str>,
    asked: &Asked<'_>,
) -> Result<Reply, Refusal> {
    let mut sent = read_object(asked)?;
    asked.struck.admit(&mut sent)?;
    if resource.is_namespaced() && namespace.is_none() {
        return Err(Refusal::bad_request("an empty namespace may not be set during creation"));
    }
    let shaped = schema::shape(resource, sent)?;
    let warnings = judge_unknown(resource, &shaped.unknown, asked)?;
    let dry_run = asked.query.is_dry_run()?;
    let namespace = namespace.unwrap_or_default();
    let now = shared.now();
    let forget = |object: &mut Value| asked.struck.forget(object);
    let created = write::create_as(&mut shared.store(), now, resource, namespace, shaped.object, dry_run, forget)?;
    Ok(Reply::Json { status: StatusCode::CREATED, value: Value::clone(&created), warnings })
}

pub(super) fn update(shared: &Shared, key: &Key, sub: Sub, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let sent = read_object(asked)?;
    if sub == Sub::Finalize {
        // Namespaces go when they are empty; their own finalizer is not imitated further.
        return super::read::get(shared, key, asked);
    }
    let shaped = schema::shape(key.resource, sent)?;
    let warnings = judge_unknown(key.resource, &shaped.unknown, asked)?;
    let dry_run = asked.query.is_dry_run()?;
    let written = write::update(&mut shared.store(), key, shaped.object, part(sub), dry_run)?;
    Ok(Reply::Json { status: StatusCode::OK, value: Value::clone(&written), warnings })
}

pub(super) fn patch(shared: &Shared, key: &Key, sub: Sub, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let kind = asked.content_type();
    if ![MERGE, STRATEGIC, OPERATIONS].contains(&kind) {
        return Err(Refusal::unsupported_media_type(kind, &format!("{OPERATIONS}, {MERGE}, {STRATEGIC}")));
    }
    let sent: Value = serde_json::from_slice(asked.body)
        .map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    let dry_run = asked.query.is_dry_run()?;
    let mut store = shared.store();
    let before = store.get(key).cloned().ok_or_else(|| Refusal::not_found(key.resource, &key.name))?;
    let mut patched = Value::clone(&before);
    match kind {
        OPERATIONS => apply_operations(key, &mut patched, sent)?,
        _ => {
            let mut sent = sent;
            if kind == STRATEGIC {
                drop_directives(&mut sent);
            }
            json_patch::merge(&mut patched, &sent);
        }
    }
    let shaped = schema::shape(key.resource, patched)?;
    let warnings = judge_unknown(key.resource, &shaped.unknown, asked)?;
    let written = write::update(&mut store, key, shaped.object, part(sub), dry_run)?;
    Ok(Reply::Json { status: StatusCode::OK, value: Value::clone(&written), warnings })
}

fn part(sub: Sub) -> Part {
    match sub {
        Sub::Status => Part::Status,
        Sub::Whole | Sub::Log | Sub::Eviction | Sub::Finalize => Part::Main,
    }
}

fn apply_operations(key: &Key, object: &mut Value, sent: Value) -> Result<(), Refusal> {
    let operations: json_patch::Patch =
        serde_json::from_value(sent).map_err(|error| Refusal::bad_request(format!("error decoding patch: {error}")))?;
    json_patch::patch(object, &operations).map_err(|error| {
        let cause = Cause { reason: "FieldValueInvalid", field: "patch".to_owned(), message: error.to_string() };
        Refusal::invalid(key.resource, &key.name, &[cause])
    })
}

/// A strategic patch is taken as a merge patch: right for everything but lists, which are replaced as a whole. What
/// only directs the merging of lists is dropped.
fn drop_directives(patch: &mut Value) {
    match patch {
        Value::Object(map) => {
            map.retain(|field, _| {
                !field.starts_with("$setElementOrder/") && field != "$retainKeys" && field != "$patch"
            });
            map.values_mut().for_each(drop_directives);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_directives),
        _ => {}
    }
}

fn read_object(asked: &Asked<'_>) -> Result<Value, Refusal> {
    let kind = asked.content_type();
    if kind == protobuf::MEDIA_TYPE
        && let Some(object) = protobuf::read(asked.body)
    {
        return Ok(object);
    }
    if !kind.is_empty() && kind != super::JSON {
        return Err(Refusal::unsupported_media_type(kind, super::JSON));
    }
    let mut object: Value = serde_json::from_slice(asked.body)
        .map_err(|error| Refusal::bad_request(format!("couldn't get version/kind; json parse error: {error}")))?;
    // Kept by the server alone, and not imitated.
    if let Some(meta) = map_mut(&mut object).get_mut("metadata").and_then(Value::as_object_mut) {
        meta.remove("managedFields");
    }
    Ok(object)
}

/// Fields that do not exist: an error, a warning or nothing, as the client asked.
fn judge_unknown(resource: Resource, unknown: &[String], asked: &Asked<'_>) -> Result<Vec<String>, Refusal> {
    let said = unknown.iter().map(|path| format!("unknown field \"{path}\""));
    match asked.query.text("fieldValidation") {
        "Ignore" => Ok(Vec::new()),
        "Strict" if !unknown.is_empty() => {
            let kind = resource.kind();
            let version = resource.api_version().rsplit('/').next().unwrap_or_default();
            let all: Vec<String> = said.collect();
            Err(Refusal::bad_request(format!(
                "{kind} in version \"{version}\" cannot be handled as a {kind}: strict decoding error: {}",
                all.join(", ")
            )))
        }
        "Strict" | "Warn" | "" => Ok(said.collect()),
        other => Err(Refusal::new(
            422,
            "Invalid",
            format!(
                "fieldValidation: Unsupported value: \"{other}\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
            ),
        )),
    }
}

//! What the API says no with: a Kubernetes `Status` object with its code, reason and details.

use std::fmt::Display;

use serde_json::{Value, json};

use crate::resource::Resource;

/// A refused request. The texts are Kubernetes' own words, because clients match on them.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message} ({code} {reason})")]
pub struct Refusal {
    /// The HTTP status.
    pub code: u16,
    /// The machine-readable reason, for example `AlreadyExists`.
    pub reason: &'static str,
    /// The server's words.
    pub message: String,
    details: Option<Value>,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &'static str, message: impl Into<String>) -> Self {
        Self { code, reason, message: message.into(), details: None }
    }

    fn about(mut self, resource: Resource, name: &str) -> Self {
        self.details = Some(json!({"name": name, "group": resource.group(), "kind": resource.plural()}));
        self
    }

    fn with_causes(mut self, causes: Value) -> Self {
        match self.details.as_mut().and_then(Value::as_object_mut) {
            Some(details) => drop(details.insert("causes".to_owned(), causes)),
            None => self.details = Some(json!({ "causes": causes })),
        }
        self
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    /// An answer for a path that is none of ours.
    pub(crate) fn no_such_path() -> Self {
        let mut refusal = Self::new(404, "NotFound", "the server could not find the requested resource");
        refusal.details = Some(json!({}));
        refusal
    }

    pub(crate) fn not_found(resource: Resource, name: &str) -> Self {
        Self::new(404, "NotFound", format!("{} \"{name}\" not found", resource.qualified())).about(resource, name)
    }

    pub(crate) fn already_exists(resource: Resource, name: &str, is_being_deleted: bool) -> Self {
        let prefix = if is_being_deleted { "object is being deleted: " } else { "" };
        let message = format!("{prefix}{} \"{name}\" already exists", resource.qualified());
        Self::new(409, "AlreadyExists", message).about(resource, name)
    }

    pub(crate) fn conflict(resource: Resource, name: &str, why: impl Display) -> Self {
        let message = format!("Operation cannot be fulfilled on {} \"{name}\": {why}", resource.qualified());
        Self::new(409, "Conflict", message).about(resource, name)
    }

    pub(crate) fn modified(resource: Resource, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(resource, name, why)
    }

    pub(crate) fn uid_differs(resource: Resource, name: &str, asked: &str, found: &str) -> Self {
        let why = format!("Precondition failed: UID in precondition: {asked}, UID in object meta: {found}");
        Self::conflict(resource, name, why)
    }

    pub(crate) fn version_differs(resource: Resource, name: &str, asked: &str, found: &str) -> Self {
        let why = format!(
            "Precondition failed: ResourceVersion in precondition: {asked}, ResourceVersion in object meta: {found}"
        );
        Self::conflict(resource, name, why)
    }

    pub(crate) fn forbidden(resource: Resource, name: &str, why: impl Display) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", resource.qualified());
        Self::new(403, "Forbidden", message).about(resource, name)
    }

    pub(crate) fn namespace_terminating(resource: Resource, name: &str, namespace: &str) -> Self {
        let message = format!("namespace {namespace} is being terminated");
        Self::forbidden(
            resource,
            name,
            format!("unable to create new content in namespace {namespace} because it is being terminated"),
        )
        .with_causes(json!([{"reason": "NamespaceTerminating", "message": message, "field": "metadata.namespace"}]))
    }

    pub(crate) fn invalid(resource: Resource, name: &str, causes: &[Cause]) -> Self {
        let all: Vec<String> = causes.iter().map(|cause| format!("{}: {}", cause.field, cause.message)).collect();
        let said = match all.as_slice() {
            [one] => one.clone(),
            several => format!("[{}]", several.join(", ")),
        };
        let message = format!("{} \"{name}\" is invalid: {said}", resource.qualified_kind());
        let causes =
            causes.iter().map(|cause| json!({"reason": cause.reason, "message": cause.message, "field": cause.field}));
        let mut refusal = Self::new(422, "Invalid", message).with_causes(causes.collect());
        if let Some(details) = refusal.details.as_mut().and_then(Value::as_object_mut) {
            details.insert("name".to_owned(), name.into());
            details.insert("group".to_owned(), resource.group().into());
            details.insert("kind".to_owned(), resource.kind().into());
        }
        refusal
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn version_too_large(asked: u64, current: u64) -> Self {
        Self::new(504, "Timeout", format!("Timeout: Too large resource version: {asked}, current: {current}"))
            .with_causes(json!([{"reason": "ResourceVersionTooLarge", "message": "Too large resource version"}]))
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(405, "MethodNotAllowed", "the server does not allow this method on the requested resource")
    }

    pub(crate) fn unsupported_media_type(found: &str, supported: &str) -> Self {
        let message = format!(
            "the body of the request was in an unknown format - accepted media types include: {supported} (found {found})"
        );
        Self::new(415, "UnsupportedMediaType", message)
    }

    pub(crate) fn not_acceptable() -> Self {
        Self::new(406, "NotAcceptable", "only the following media types are accepted: application/json")
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        let message = format!("Request entity too large: limit is {limit}");
        Self::new(413, "RequestEntityTooLarge", message)
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(401, "Unauthorized", "Unauthorized")
    }

    pub(crate) fn internal(message: impl Display) -> Self {
        Self::new(500, "InternalError", format!("Internal error occurred: {message}"))
    }

    /// The node of a pod does not answer, so that nobody can read its log.
    pub(crate) fn unreachable(namespace: &str, pod: &str, container: &str) -> Self {
        let url = format!("https://127.0.0.1:10250/containerLogs/{namespace}/{pod}/{container}");
        let message = format!("Get \"{url}\": dial tcp 127.0.0.1:10250: connect: no route to host");
        Self::new(500, "InternalError", message)
    }

    /// The `Status` object of the answer.
    #[must_use]
    pub fn to_status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "reason": self.reason, "code": self.code,
        });
        if let (Some(details), Some(status)) = (&self.details, status.as_object_mut()) {
            status.insert("details".to_owned(), details.clone());
        }
        status
    }
}

/// One thing wrong with an object, as the `causes` of a 422 list it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Cause {
    pub(crate) reason: &'static str,
    pub(crate) field: String,
    pub(crate) message: String,
}

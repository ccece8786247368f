//! The API: a request in, an answer out. Which verb means what is here; how each is done is in the modules below.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WARNING};
use http::request::Parts;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde_json::Value;

use crate::body::{self, Body};
use crate::fault::{ConnectionLost, Struck};
use crate::refusal::Refusal;
use crate::requests;
use crate::shared::Shared;

mod change;
mod discovery;
mod protobuf;
pub(crate) mod query;
mod read;
mod remove;
pub(crate) mod route;
mod table;

use query::Query;
use route::{Route, Sub};

/// What the real server reads of a body.
const BODY_LIMIT: usize = 3 * 1024 * 1024;
const JSON: &str = "application/json";
/// What a list in pieces is told when its version is gone.
pub(crate) const EXPIRED_CONTINUE: &str = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter.";

/// What a request came to.
pub(crate) enum Reply {
    Json {
        status: StatusCode,
        value: Value,
        warnings: Vec<String>,
    },
    /// Already encoded JSON, for what would be large as values.
    Encoded(Bytes),
    Stream {
        content_type: &'static str,
        body: Body,
    },
    Text(Bytes),
}

impl Reply {
    fn ok(value: Value) -> Self {
        Self::Json { status: StatusCode::OK, value, warnings: Vec::new() }
    }
}

/// A request that has been read, with all that decides its answer.
pub(crate) struct Asked<'a> {
    pub(crate) parts: &'a Parts,
    pub(crate) query: &'a Query,
    pub(crate) body: &'a [u8],
    /// What fault hooks do to what is read or written.
    pub(crate) struck: &'a Struck,
}

impl Asked<'_> {
    /// The media type of the body without its parameters.
    fn content_type(&self) -> &str {
        let header = self.parts.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        header.split(';').next().unwrap_or_default().trim()
    }

    fn wants_table(&self) -> bool {
        // The client's first wish counts; what it would also take comes later in the list.
        accept(self.parts).split(',').next().unwrap_or_default().contains("as=Table")
    }
}

fn accept(parts: &Parts) -> &str {
    parts.headers.get(ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or("*/*")
}

/// Answers a request.
///
/// # Errors
///
/// Only a fault hook that takes the connection away.
pub(crate) async fn answer<B>(shared: Arc<Shared>, request: Request<B>) -> Result<Response<Body>, ConnectionLost>
where
    B: http_body::Body + Send,
    B::Data: Send,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if shared.stop.is_cancelled() {
        return Err(ConnectionLost::Refused);
    }
    let (parts, body) = request.into_parts();
    let route = Route::parse(parts.uri.path());
    let query = Query::parse(parts.uri.query().unwrap_or_default());
    let verb = route.verb(&parts.method, query.flag("watch"));
    let (resource, namespace, name) = route.describe();
    let note = |name: &str| {
        shared.requests.note(requests::Request {
            verb,
            resource: resource.clone(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            is_dry_run: query.text("dryRun") == "All",
        });
    };
    let body = match Limited::new(body, BODY_LIMIT).collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) if error.is::<LengthLimitError>() => {
            note(name);
            return Ok(refuse(&Refusal::too_large(BODY_LIMIT)));
        }
        // The client went away; there is nobody to answer.
        Err(_) => return Err(ConnectionLost::Reset),
    };
    // The name of an object that is being created stands in its body.
    let named = if name.is_empty() && verb == "create" { name_in(&body) } else { name.to_owned() };
    note(&named);
    if !shared.credentials.accept(bearer(&parts)) {
        return Ok(refuse(&Refusal::unauthorized()));
    }
    let mut struck = shared.faults.strike(verb, &resource, &named, None);
    if !query.text("continue").is_empty() {
        struck = struck.and(shared.faults.strike("continue", &resource, &named, None));
    }
    let asked = Asked { parts: &parts, query: &query, body: &body, struck: &struck };
    let carry_out = || match dispatch(&shared, &route, &asked) {
        Ok(reply) => encode(reply),
        Err(refusal) => refuse(&refusal),
    };
    struck.apply(&shared.clock, carry_out).await
}

fn bearer(parts: &Parts) -> &str {
    let header = parts.headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
    header.strip_prefix("Bearer ").unwrap_or_default()
}

fn name_in(body: &[u8]) -> String {
    use crate::object::Metadata;

    let object = protobuf::read(body).or_else(|| serde_json::from_slice::<Value>(body).ok());
    object.map(|object| object.name().to_owned()).unwrap_or_default()
}

fn dispatch(shared: &Arc<Shared>, route: &Route, asked: &Asked<'_>) -> Result<Reply, Refusal> {
    let accepted = accept(asked.parts);
    let is_text = matches!(route, Route::Object { sub: Sub::Log, .. } | Route::Unknown);
    if !is_text && !["json", "application/*", "*/*"].iter().any(|kind| accepted.contains(kind)) {
        return Err(Refusal::not_acceptable());
    }
    let method = &asked.parts.method;
    match route {
        Route::Unknown => Err(Refusal::no_such_path()),
        Route::Server(path) if method == Method::GET => discovery::answer(path),
        Route::Server(_) => Err(Refusal::method_not_allowed()),
        Route::Collection { resource, namespace } => match *method {
            Method::GET if asked.query.flag("watch") => read::watch(shared, *resource, namespace.as_deref(), asked),
            Method::GET => read::list(shared, *resource, namespace.as_deref(), asked),
            Method::POST => change::create(shared, *resource, namespace.as_deref(), asked),
            Method::DELETE => remove::collection(shared, *resource, namespace.as_deref(), asked),
            _ => Err(Refusal::method_not_allowed()),
        },
        Route::Object { key, sub: Sub::Log } if method == Method::GET => crate::log::answer(shared, key, asked.query),
        Route::Object { key, sub: Sub::Eviction } if method == Method::POST => remove::evict(shared, key, asked),
        Route::Object { sub: Sub::Log | Sub::Eviction, .. } => Err(Refusal::method_not_allowed()),
        Route::Object { key, sub } => match *method {
            Method::GET if asked.query.flag("watch") => read::watch_one(shared, key, asked),
            Method::GET => read::get(shared, key, asked),
            Method::PUT => change::update(shared, key, *sub, asked),
            Method::PATCH => change::patch(shared, key, *sub, asked),
            Method::DELETE if *sub == Sub::Whole => remove::object(shared, key, asked),
            _ => Err(Refusal::method_not_allowed()),
        },
    }
}

fn encode(reply: Reply) -> Response<Body> {
    match reply {
        Reply::Json { status, value, warnings } => {
            let mut response = respond(status, JSON, body::full(value.to_string()));
            for header in warnings.iter().filter_map(|text| warning(text)) {
                response.headers_mut().append(WARNING, header);
            }
            response
        }
        Reply::Encoded(bytes) => respond(StatusCode::OK, JSON, body::full(bytes)),
        Reply::Stream { content_type, body } => respond(StatusCode::OK, content_type, body),
        Reply::Text(bytes) => respond(StatusCode::OK, "text/plain; charset=utf-8", body::full(bytes)),
    }
}

/// A warning as a header; `None` when the text cannot stand in one.
pub(crate) fn warning(text: &str) -> Option<HeaderValue> {
    let text = text.replace(['\\', '"'], "'");
    HeaderValue::from_str(&format!("299 - \"{text}\"")).ok()
}

/// The answer that says no.
pub(crate) fn refuse(refusal: &Refusal) -> Response<Body> {
    let status = StatusCode::from_u16(refusal.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = respond(status, JSON, body::full(refusal.to_status().to_string()));
    if status == StatusCode::GATEWAY_TIMEOUT {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}

fn respond(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

//! Faults for tests: what goes wrong with a chosen request, stream or pod.
//!
//! A hook says where (`on(verb, resource, name)`), when (`nth`, `first`, `from`) and what. Verbs are those of requests, and
//! three of the cluster itself: `schedule`, `admit` and `run`, each asked once a pod. A new kind of fault is a variant of
//! [`Fault`], a method of [`Hook`], and the one place that acts on it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Response, StatusCode};

use crate::body::{self, Body};
use crate::clock::Clock;
use crate::pod::Script;
use crate::refusal::Refusal;

mod stream;

/// The connection is gone, and no answer came: what a fault hook can do to a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection was lost")]
pub struct ConnectionLost;

/// The hooks of a cluster. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    rules: Arc<Mutex<Vec<Rule>>>,
}

#[derive(Debug)]
struct Rule {
    place: Place,
    when: When,
    seen: u64,
    fault: Fault,
}

#[derive(Clone, Debug)]
struct Place {
    verb: String,
    resource: String,
    name: String,
}

#[derive(Clone, Copy, Debug)]
enum When {
    Always,
    Nth(u64),
    First(u64),
    From(u64),
}

/// What happens. Which of them mean something depends on the verb.
#[derive(Clone, Debug)]
enum Fault {
    Answer(Answer),
    /// The request is carried out, and then answered like this, or not at all.
    CommitThen(Option<Answer>),
    Refuse,
    Delay(Duration),
    Interrupt(After, Interruption),
    Unschedulable {
        lasting: Option<Duration>,
        message: String,
    },
    Reject {
        reason: String,
        message: String,
    },
    Script {
        container: String,
        script: Script,
    },
}

/// An answer in place of the cluster's own.
#[derive(Clone, Debug)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Bytes,
}

impl Answer {
    /// A `Status` object with this code and text. An unknown code counts as 500.
    #[must_use]
    pub fn status(code: u16, message: &str) -> Self {
        let status = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let refusal = Refusal::new(status.as_u16(), reason(status.as_u16()), message);
        Self::new(status, "application/json", refusal.to_status().to_string())
    }

    /// 200 with this text in place of what belongs there.
    #[must_use]
    pub fn text(body: impl Into<Bytes>) -> Self {
        Self::new(StatusCode::OK, "text/plain", body)
    }

    fn new(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Self {
        Self { status, headers: vec![(CONTENT_TYPE, HeaderValue::from_static(content_type))], body: body.into() }
    }

    /// With a header more, for example `Retry-After`. One that is no header is left out.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &str) -> Self {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), value.parse()) {
            self.headers.retain(|(existing, _)| *existing != name);
            self.headers.push((name, value));
        }
        self
    }

    /// With another body.
    #[must_use]
    pub fn with_body(mut self, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self
    }

    fn to_response(&self) -> Response<Body> {
        let mut response = Response::new(body::full(self.body.clone()));
        *response.status_mut() = self.status;
        response.headers_mut().extend(self.headers.iter().cloned());
        response
    }

    /// The words a controller reports when its own request was answered like this.
    pub(crate) fn message(&self) -> String {
        let status: Option<serde_json::Value> = serde_json::from_slice(&self.body).ok();
        let message = status.as_ref().and_then(|status| status.get("message")).and_then(serde_json::Value::as_str);
        message.map_or_else(|| String::from_utf8_lossy(&self.body).into_owned(), str::to_owned)
    }
}

fn reason(code: u16) -> &'static str {
    match code {
        400 => "BadRequest",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        405 => "MethodNotAllowed",
        409 => "Conflict",
        410 => "Expired",
        413 => "RequestEntityTooLarge",
        422 => "Invalid",
        429 => "TooManyRequests",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "InternalError",
    }
}

/// How far a stream gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// So many bytes.
    Bytes(usize),
    /// So many line ends.
    Lines(usize),
    /// So long.
    Time(Duration),
}

/// What then becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interruption {
    /// It ends as if that were all.
    Eof,
    /// It ends with an error.
    Reset,
    /// It stays open and nothing more comes.
    Stall,
}

impl Faults {
    /// Begins a hook. The verb is `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`,
    /// `schedule`, `admit`, `run`; the resource `jobs`, `pods`, `pods/log` …; each may be `*`. A name may end in `*`. The
    /// name of what is created is known; a pod that a Job makes is asked for as `<job>-`.
    pub fn on(&self, verb: &str, resource: &str, name: &str) -> Hook {
        let place = Place { verb: verb.to_owned(), resource: resource.to_owned(), name: name.to_owned() };
        Hook { faults: self.clone(), place, when: When::Always }
    }

    /// Takes all hooks away.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// What the hooks have for this moment; counts it.
    pub(crate) fn strike(&self, verb: &str, resource: &str, name: &str) -> Struck {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = Vec::new();
        for rule in rules.iter_mut().filter(|rule| rule.place.matches(verb, resource, name)) {
            rule.seen = rule.seen.saturating_add(1);
            let strikes = match rule.when {
                When::Always => true,
                When::Nth(n) => rule.seen == n,
                When::First(n) => rule.seen <= n,
                When::From(n) => rule.seen >= n,
            };
            if strikes {
                faults.push(rule.fault.clone());
            }
        }
        Struck { faults }
    }
}

impl Place {
    fn matches(&self, verb: &str, resource: &str, name: &str) -> bool {
        let name_fits = match self.name.strip_suffix('*') {
            Some(start) => name.starts_with(start),
            None => self.name == name,
        };
        (self.verb == "*" || self.verb == verb) && (self.resource == "*" || self.resource == resource) && name_fits
    }
}

/// A hook that is being described; it is set by the method that says what happens.
#[derive(Debug)]
#[must_use = "a hook does nothing until it is told what happens"]
pub struct Hook {
    faults: Faults,
    place: Place,
    when: When,
}

impl Hook {
    /// Only the `n`th time, counted from 1.
    pub fn nth(mut self, n: u64) -> Self {
        self.when = When::Nth(n);
        self
    }

    /// Only the first `n` times.
    pub fn first(mut self, n: u64) -> Self {
        self.when = When::First(n);
        self
    }

    /// The `n`th time and from then on.
    pub fn from(mut self, n: u64) -> Self {
        self.when = When::From(n);
        self
    }

    /// The request is not carried out and gets this answer. Of a Job's own pods: none is made, an Event says why.
    pub fn answer(self, answer: Answer) {
        self.set(Fault::Answer(answer));
    }

    /// The request is carried out, and the client is told this.
    pub fn commit_then(self, answer: Answer) {
        self.set(Fault::CommitThen(Some(answer)));
    }

    /// The request is carried out, and the connection breaks before the answer.
    pub fn commit_then_cut(self) {
        self.set(Fault::CommitThen(None));
    }

    /// The connection breaks before the request is carried out.
    pub fn refuse(self) {
        self.set(Fault::Refuse);
    }

    /// The request waits; then it is carried out, or meets the next hook.
    pub fn delay(self, by: Duration) {
        self.set(Fault::Delay(by));
    }

    /// The body of the answer ends early, or stalls.
    pub fn interrupt(self, after: After, how: Interruption) {
        self.set(Fault::Interrupt(after, how));
    }

    /// (`schedule`) The scheduler finds no node, for so long or for ever, and says this.
    pub fn unschedulable(self, lasting: Option<Duration>, message: &str) {
        self.set(Fault::Unschedulable { lasting, message: message.to_owned() });
    }

    /// (`admit`) The node refuses the pod, with a reason as `OutOfcpu`.
    pub fn reject(self, reason: &str, message: &str) {
        self.set(Fault::Reject { reason: reason.to_owned(), message: message.to_owned() });
    }

    /// (`run`) The container is this script in place of a process.
    pub fn script(self, container: &str, script: Script) {
        self.set(Fault::Script { container: container.to_owned(), script });
    }

    fn set(self, fault: Fault) {
        let Self { faults, place, when } = self;
        let rule = Rule { place, when, seen: 0, fault };
        faults.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }
}

/// The faults that struck once.
#[derive(Debug)]
pub(crate) struct Struck {
    faults: Vec<Fault>,
}

impl Struck {
    /// Answers a request, with what the faults do to it.
    pub(crate) async fn apply(
        self,
        clock: &Clock,
        carry_out: impl FnOnce() -> Response<Body>,
    ) -> Result<Response<Body>, ConnectionLost> {
        let mut interruptions = Vec::new();
        for fault in self.faults {
            match fault {
                Fault::Delay(by) => clock.sleep(by).await,
                Fault::Refuse => return Err(ConnectionLost),
                Fault::Answer(answer) => return Ok(answer.to_response()),
                Fault::CommitThen(answer) => {
                    carry_out();
                    return answer.map(|answer| answer.to_response()).ok_or(ConnectionLost);
                }
                Fault::Interrupt(after, how) => interruptions.push((after, how)),
                // Of the scheduler and the node.
                Fault::Unschedulable { .. } | Fault::Reject { .. } | Fault::Script { .. } => {}
            }
        }
        let mut response = carry_out();
        for (after, how) in interruptions {
            response = response.map(|body| stream::interrupt(body, clock.clone(), after, how));
        }
        Ok(response)
    }

    /// The answer a request of the cluster's own controllers gets, if it is refused.
    pub(crate) fn refusal(&self) -> Option<&Answer> {
        self.faults.iter().find_map(|fault| if let Fault::Answer(answer) = fault { Some(answer) } else { None })
    }

    pub(crate) fn unschedulable(&self) -> Option<(Option<Duration>, &str)> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Unschedulable { lasting, message } => Some((*lasting, message.as_str())),
            _ => None,
        })
    }

    pub(crate) fn rejection(&self) -> Option<(&str, &str)> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Reject { reason, message } => Some((reason.as_str(), message.as_str())),
            _ => None,
        })
    }

    pub(crate) fn script(&self, name: &str) -> Option<Script> {
        self.faults.iter().find_map(|fault| match fault {
            Fault::Script { container, script } if container == name => Some(script.clone()),
            _ => None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_counts_only_what_it_is_about() {
        let faults = Faults::default();
        faults.on("get", "pods/log", "a-*").nth(2).refuse();
        let count = |verb, resource, name| faults.strike(verb, resource, name).faults.len();
        assert_eq!(count("get", "pods/log", "a-1"), 0);
        assert_eq!(count("get", "pods", "a-1"), 0);
        assert_eq!(count("list", "pods/log", "a-1"), 0);
        assert_eq!(count("get", "pods/log", "b"), 0);
        assert_eq!(count("get", "pods/log", "a-2"), 1);
        assert_eq!(count("get", "pods/log", "a-2"), 0);
        faults.clear();
        faults.on("*", "*", "*").first(1).refuse();
        faults.on("*", "*", "*").from(2).refuse();
        assert_eq!([count("get", "x", ""), count("get", "x", ""), count("get", "x", "")], [1, 1, 1]);
    }
}

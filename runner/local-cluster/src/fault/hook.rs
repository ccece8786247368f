//! One hook: where, when, and what happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Value, json};

use super::admission::{Injected, Kind};
use super::answer::refusal;
use super::stream::Then;
use super::{After, Answer, ConnectionLost, Fault, Faults, Interruption, Place, Rule, Watched, When};
use crate::clock::later;
use crate::pod::Script;
use crate::refusal::Refusal;
use crate::watch;

/// What a server says to a watch that begins too far back; the numbers are anybody's.
const TOO_OLD: &str = "too old resource version: 1 (2)";

/// Whether an object is meant.
#[derive(Clone)]
pub(super) struct Condition(pub(super) Arc<dyn Fn(&Value) -> bool + Send + Sync>);

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condition")
    }
}

/// A hook that is being described; it is set by the method that says what happens.
///
/// A method that means something only with certain verbs says which.
#[derive(Debug)]
#[must_use = "a hook does nothing until it is told what happens"]
pub struct Hook {
    pub(super) faults: Faults,
    pub(super) place: Place,
    pub(super) when: When,
    pub(super) after: Duration,
    pub(super) lasting: Option<Duration>,
    pub(super) condition: Option<Condition>,
}

/// When it strikes.
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

    /// Not before so long from now; what comes earlier is not counted.
    pub fn after(mut self, time: Duration) -> Self {
        self.after = time;
        self
    }

    /// Only for so long, from now or from the end of [`after`](Self::after); what comes later is not counted.
    pub fn lasting(mut self, time: Duration) -> Self {
        self.lasting = Some(time);
        self
    }

    /// (`send`, `conclude`, `remove`) Only for objects that fit; others are not counted. What is passed must not use the
    /// cluster: it is asked while the cluster is at work.
    pub fn when(mut self, fits: impl Fn(&Value) -> bool + Send + Sync + 'static) -> Self {
        self.condition = Some(Condition(Arc::new(fits)));
        self
    }
}

/// Requests and the bodies of their answers.
impl Hook {
    /// The request is not carried out and gets this answer. Of a Job's own pods: none is made, an Event says why.
    pub fn answer(self, answer: Answer) {
        self.set(Fault::Answer(answer));
    }

    /// 200 with this text in place of a log, a list, an object.
    pub fn body(self, text: impl Into<Bytes>) {
        self.answer(Answer::text(text));
    }

    /// The body of the answer gets so far; then this text comes and it ends.
    pub fn body_after(self, after: After, text: impl Into<Bytes>) {
        self.set(Fault::Interrupt(after, Then::Text(text.into())));
    }

    /// The request is carried out, and the client is told this.
    pub fn commit_then(self, answer: Answer) {
        self.set(Fault::CommitThen(Ok(answer)));
    }

    /// The request is carried out, and the connection breaks before the answer.
    pub fn commit_then_cut(self) {
        self.set(Fault::CommitThen(Err(ConnectionLost::Reset)));
    }

    /// There is no connection for the request, and it is not carried out.
    pub fn connect(self, lost: ConnectionLost) {
        self.set(Fault::Lose(lost));
    }

    /// The connection breaks before the request is carried out.
    pub fn refuse(self) {
        self.connect(ConnectionLost::Reset);
    }

    /// The request waits; then it is carried out, or meets the next hook. A pod that a Job makes appears so much later,
    /// even when the Job has gone by then.
    pub fn delay(self, by: Duration) {
        self.set(Fault::Delay(by));
    }

    /// The body of the answer ends early, or stalls: of a log, a list, a watch.
    pub fn interrupt(self, after: After, how: Interruption) {
        self.set(Fault::Interrupt(after, how.into()));
    }

    /// The answer carries this text as a `Warning` header.
    pub fn warning(self, text: &str) {
        self.set(Fault::Warn(text.to_owned()));
    }

    /// (`get`, `list`, `watch`) The answer shows the state at an older version, as that of a server that lags behind. See
    /// [`version`](crate::LocalCluster::version).
    pub fn rewind(self, version: u64) {
        self.set(Fault::Rewind(version));
    }

    /// The version is gone, 410: (`watch`) the request is refused, (`send`, `mark`) an `ERROR` event ends the stream,
    /// (`continue`) the next piece of a list is refused.
    pub fn gone(self) {
        let fault = match self.place.verb.as_str() {
            "send" | "mark" => Fault::Watched(Watched::Error(Refusal::expired(TOO_OLD))),
            "continue" => Fault::Answer(Answer::status(410, crate::api::EXPIRED_CONTINUE)),
            _ => Fault::Answer(Answer::status(410, TOO_OLD)),
        };
        self.set(fault);
    }
}

/// Objects that are being created.
impl Hook {
    /// (`create`) An admission webhook changes what was sent: by a merge patch, where `null` takes a field out and the
    /// server fills in its default, or by a list of JSON patch operations. One that does not fit is answered with 500.
    pub fn mutate(self, patch: Value) {
        self.set(Fault::Mutate(patch));
    }

    /// (`create`) The server does not know this field, written as a JSON pointer: it is not stored, nor its default.
    pub fn forget(self, pointer: &str) {
        self.set(Fault::Forget(pointer.to_owned()));
    }

    /// (`create` of pods) The pod gets another container, the first of all.
    pub fn sidecar(self, name: &str, script: Script) {
        self.inject(name, Kind::Sidecar, script);
    }

    /// (`create` of pods) The pod gets another init container, the first of all.
    pub fn init(self, name: &str, script: Script) {
        self.inject(name, Kind::Init, script);
    }

    /// (`create` of pods) The pod gets a sidecar of the newer kind: an init container that runs beside the others.
    pub fn native_sidecar(self, name: &str, script: Script) {
        self.inject(name, Kind::NativeSidecar, script);
    }

    fn inject(self, name: &str, kind: Kind, script: Script) {
        // A pod that a Job makes is asked for as `<job>-` and has a longer name when it runs.
        let suffix = if self.place.name.ends_with('-') { "*" } else { "" };
        let runs_as = format!("{}{suffix}", self.place.name);
        self.faults.on("run", "pods", &runs_as).script(name, script);
        self.set(Fault::Inject(Injected { name: name.to_owned(), kind }));
    }
}

/// Events of watches.
impl Hook {
    /// What is due comes so much later; with `None`, never.
    ///
    /// (`send`, `mark`) The event, and all behind it in the same stream. (`conclude`) What the Job controller has to say
    /// about the end of a Job; meanwhile it does nothing for this Job, unless that is deleted. (`remove`) The end of an
    /// object that is being deleted: a finalizer holds it.
    pub fn hold(self, lasting: impl Into<Option<Duration>>) {
        self.set(Fault::Hold(lasting.into()));
    }

    /// (`send`, `mark`) The event is lost. To see bookmarks only, lose all that is sent.
    pub fn lose(self) {
        self.set(Fault::Watched(Watched::Lose));
    }

    /// (`send`, `mark`) The event comes twice.
    pub fn repeat(self) {
        self.set(Fault::Watched(Watched::Repeat));
    }

    /// (`send`) The event comes behind the next one.
    pub fn swap(self) {
        self.set(Fault::Watched(Watched::Swap));
    }

    /// (`send`, `mark`) The event is of this type, known or not.
    pub fn retype(self, kind: &str) {
        self.set(Fault::Watched(Watched::Retype(kind.to_owned())));
    }

    /// (`send`, `mark`) In place of the event comes one of type `ERROR`, and the stream ends; (`watch`) the stream begins
    /// with it.
    pub fn error(self, code: u16, message: &str) {
        let refusal = refusal(code, message);
        let fault = match self.place.verb.as_str() {
            "send" | "mark" => Fault::Watched(Watched::Error(refusal)),
            _ => Fault::Answer(Answer::json(watch::line("ERROR", &json!(refusal.to_status())))),
        };
        self.set(fault);
    }
}

/// Jobs and pods.
impl Hook {
    /// (`create` of pods, asked for as `<job>-`) The Job controller makes none; an Event says why, if there is a reason.
    pub fn no_pods(self, why: Option<&str>) {
        self.set(Fault::NoPods(why.map(str::to_owned)));
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

    /// (`run`) The logs of the pod begin anew when they would exceed so many bytes. Only the newest file can be read, and
    /// a stream goes on with it, as the kubelet's; a stream that is two files behind leaves one out and brings the newest twice.
    pub fn rotate_log(self, size: u64) {
        self.set(Fault::RotateLog(size));
    }

    fn set(self, fault: Fault) {
        let Self { faults, place, when, after, lasting, condition } = self;
        let now = faults.clock.now();
        let begin = later(now, after).unwrap_or(Timestamp::MAX);
        let end = lasting.and_then(|lasting| later(begin, lasting)).unwrap_or(Timestamp::MAX);
        faults.add(Rule { place, when, window: begin..end, condition, seen: 0, fault });
    }
}

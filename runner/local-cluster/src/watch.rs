//! Watches: the changes of a kind of objects as a stream of events.
//!
//! A watch is read by whoever takes its bytes: it remembers the last version it sent and reads on from the history when
//! asked for more. It has no task and no queue, so a reader that stops costs nothing, and gets 410 when it comes back too
//! late.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{Stream, unfold};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::clock::later;
use crate::object::{Object, metadata_mut, set};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::selector::Selector;
use crate::shared::Shared;
use crate::store::{Change, Expired};

mod queue;

use queue::{Event, Next, Queue, Shown};

/// How often an idle watch says which version it has reached, as the API server does.
const BOOKMARK_EVERY: Duration = Duration::from_secs(60);
/// How long a watch lasts when nobody said; the API server picks half an hour to an hour.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(45 * 60);
/// Events put into one chunk, so that a long list is not held as text.
const EVENTS_A_CHUNK: usize = 64;

/// What to watch.
pub(crate) struct Watch {
    pub(crate) resource: Resource,
    pub(crate) namespace: Option<String>,
    pub(crate) selector: Selector,
    pub(crate) start: Start,
    pub(crate) has_bookmarks: bool,
    pub(crate) timeout: Option<Duration>,
    /// How objects are shown.
    pub(crate) show: fn(&Shared, Resource, &Object) -> Value,
}

/// Where to begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Start {
    /// With what is there, as `ADDED`, then its changes.
    State,
    /// The same, with a bookmark that marks the end of what was there.
    StateThenMark,
    /// With the changes after this version.
    After(u64),
}

struct Running {
    watch: Watch,
    shared: Arc<Shared>,
    versions: watch::Receiver<u64>,
    seen: u64,
    queue: Queue,
    /// A mark to send when the queue has drained.
    owes_mark: bool,
    next_bookmark: Timestamp,
    end: Timestamp,
    is_over: bool,
}

/// Starts a watch. It ends at its timeout, with the cluster, or with an `ERROR` event when its version is too old.
pub(crate) fn open(shared: Arc<Shared>, watch: Watch) -> impl Stream<Item = Bytes> + Send {
    let versions = shared.versions();
    let now = shared.now();
    let end = later(now, watch.timeout.unwrap_or(DEFAULT_TIMEOUT)).unwrap_or(Timestamp::MAX);
    let mut queue = Queue::default();
    let seen = match watch.start {
        Start::After(version) => version,
        Start::State | Start::StateThenMark => {
            let store = shared.store();
            let objects = store.list(watch.resource, watch.namespace.as_deref());
            for (_, object) in objects.filter(|(_, object)| watch.selector.matches(object)) {
                queue.send(&shared, watch.resource, Event::new("ADDED", object.clone()));
            }
            store.version()
        }
    };
    let running = Running {
        owes_mark: watch.start == Start::StateThenMark,
        watch,
        versions,
        seen,
        queue,
        next_bookmark: later(now, BOOKMARK_EVERY).unwrap_or(Timestamp::MAX),
        end,
        is_over: false,
        shared,
    };
    unfold(running, async |mut running| running.next().await.map(|bytes| (bytes, running)))
}

impl Running {
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.queue.next(self.shared.now(), EVENTS_A_CHUNK) {
                Next::Events(events) => return Some(self.encode(events)),
                Next::Held(until) => {
                    self.wait_for_held(until).await?;
                    continue;
                }
                Next::Closed => return None,
                Next::Nothing if self.is_over => return None,
                Next::Nothing => {}
            }
            if std::mem::take(&mut self.owes_mark) {
                self.mark(true);
                continue;
            }
            // Marked as seen before the history is read: a change in between wakes the wait below.
            self.versions.borrow_and_update();
            if let Err(expired) = self.fill() {
                let message = format!("too old resource version: {} ({})", self.seen, expired.oldest);
                self.queue.fail(&Refusal::expired(message));
                continue;
            }
            if !self.queue.is_empty() {
                continue;
            }
            tokio::select! {
                changed = self.versions.changed() => if changed.is_err() { return None },
                () = self.shared.stop.cancelled() => return None,
                () = self.shared.clock.sleep_until(self.end) => {
                    self.is_over = true;
                    if self.watch.has_bookmarks {
                        self.mark(false);
                    }
                }
                () = self.shared.clock.sleep_until(self.next_bookmark), if self.watch.has_bookmarks => {
                    self.next_bookmark = later(self.shared.now(), BOOKMARK_EVERY).unwrap_or(Timestamp::MAX);
                    self.mark(false);
                }
            }
        }
    }

    /// Waits until a held event may go out; `None` when the stream ends before.
    async fn wait_for_held(&self, until: Option<Timestamp>) -> Option<()> {
        let held = async {
            match until {
                Some(until) => self.shared.clock.sleep_until(until).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = held => Some(()),
            () = self.shared.clock.sleep_until(self.end) => None,
            () = self.shared.stop.cancelled() => None,
        }
    }

    /// Takes over what happened since the last look.
    fn fill(&mut self) -> Result<(), Expired> {
        let shared = self.shared.clone();
        let store = shared.store();
        for change in store.changes_after(self.seen)? {
            if change.key.resource == self.watch.resource
                && self.watch.namespace.as_ref().is_none_or(|namespace| *namespace == change.key.namespace)
                && let Some((kind, object)) = event(change, &self.watch.selector)
            {
                self.queue.send(&shared, self.watch.resource, Event::new(kind, object));
            }
        }
        self.seen = store.version();
        Ok(())
    }

    fn encode(&self, events: Vec<Event>) -> Bytes {
        let mut chunk = Vec::new();
        for event in events {
            chunk.extend_from_slice(&match event.object {
                Shown::Stored(object) => {
                    line(&event.kind, &(self.watch.show)(&self.shared, self.watch.resource, &object))
                }
                Shown::Plain(object) => line(&event.kind, &object),
            });
        }
        chunk.into()
    }

    fn mark(&mut self, ends_initial_state: bool) {
        let mut object = json!({
            "kind": self.watch.resource.kind(),
            "apiVersion": self.watch.resource.api_version(),
            "metadata": {"resourceVersion": self.seen.to_string(), "creationTimestamp": null},
        });
        if ends_initial_state {
            set(metadata_mut(&mut object), "annotations", json!({"k8s.io/initial-events-end": "true"}));
        }
        self.queue.mark(&self.shared, self.watch.resource, object);
    }
}

/// What a change is to somebody who sees only what the selector lets through.
fn event(change: &Change, selector: &Selector) -> Option<(&'static str, Object)> {
    let was_seen = change.before.as_ref().is_some_and(|before| selector.matches(before));
    let is_seen = !change.is_removal && selector.matches(&change.after);
    match (was_seen, is_seen) {
        (false, true) => Some(("ADDED", change.after.clone())),
        (true, true) => Some(("MODIFIED", change.after.clone())),
        (true, false) if change.is_removal => Some(("DELETED", change.after.clone())),
        (true, false) => {
            // It left the selection: shown as it was last seen, with the version of the change.
            let mut last = change.before.as_deref().cloned().unwrap_or_default();
            set(metadata_mut(&mut last), "resourceVersion", change.version.to_string());
            Some(("DELETED", last.into()))
        }
        (false, false) => None,
    }
}

/// One event as a line of the stream.
pub(crate) fn line(kind: &str, object: &Value) -> Bytes {
    format!("{}\n", json!({"type": kind, "object": object})).into()
}

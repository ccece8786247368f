//! The events a watch is about to send, and what fault hooks do to them on the way.

use std::borrow::Cow;
use std::collections::VecDeque;

use jiff::Timestamp;
use serde_json::Value;

use crate::clock::later;
use crate::fault::Watched;
use crate::object::{Metadata, Object};
use crate::refusal::Refusal;
use crate::resource::Resource;
use crate::shared::Shared;

/// One event before it is written.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) kind: Cow<'static, str>,
    pub(super) object: Shown,
    hold: Hold,
}

/// What an event is about.
#[derive(Clone, Debug)]
pub(super) enum Shown {
    /// An object of the store, still to be brought into the form the client asked for.
    Stored(Object),
    /// A bookmark or a `Status`.
    Plain(Value),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hold {
    Not,
    Until(Timestamp),
    Forever,
}

impl Event {
    pub(super) fn new(kind: &'static str, object: Object) -> Self {
        Self { kind: kind.into(), object: Shown::Stored(object), hold: Hold::Not }
    }

    fn plain(kind: &'static str, object: Value) -> Self {
        Self { kind: kind.into(), object: Shown::Plain(object), hold: Hold::Not }
    }

    fn object(&self) -> &Value {
        match &self.object {
            Shown::Stored(object) => object,
            Shown::Plain(object) => object,
        }
    }
}

/// Events in the order in which they go out.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: VecDeque<Event>,
    /// Goes out behind the next one.
    swapped: Option<Event>,
    /// Nothing comes behind the last.
    is_closed: bool,
}

/// What the queue has to give.
#[derive(Debug)]
pub(super) enum Next {
    Events(Vec<Event>),
    /// The first may not go out before; with `None`, never.
    Held(Option<Timestamp>),
    Nothing,
    Closed,
}

impl Queue {
    /// Takes over a change of an object.
    pub(super) fn send(&mut self, shared: &Shared, resource: Resource, event: Event) {
        if let Some(event) = self.meddle(shared, "send", resource, event) {
            self.events.push_back(event);
            self.events.extend(self.swapped.take());
        }
    }

    /// Takes over a bookmark; it may not overtake what still has to go out.
    pub(super) fn mark(&mut self, shared: &Shared, resource: Resource, mark: Value) {
        if self.events.is_empty()
            && self.swapped.is_none()
            && let Some(event) = self.meddle(shared, "mark", resource, Event::plain("BOOKMARK", mark))
        {
            self.events.push_back(event);
        }
    }

    /// An error is the last event of a stream.
    pub(super) fn fail(&mut self, refusal: &Refusal) {
        self.events.push_back(Event::plain("ERROR", refusal.to_status()));
        self.is_closed = true;
    }

    /// Lets the hooks have an event; what they leave of it goes out next.
    fn meddle(&mut self, shared: &Shared, verb: &str, resource: Resource, mut event: Event) -> Option<Event> {
        if self.is_closed {
            return None;
        }
        let struck = shared.faults.strike(verb, resource.plural(), event.object().name(), Some(event.object()));
        if let Some(lasting) = struck.hold() {
            let until = lasting.and_then(|lasting| later(shared.now(), lasting));
            event.hold = until.map_or(Hold::Forever, Hold::Until);
        }
        for watched in struck.watched() {
            match watched {
                Watched::Lose => return None,
                Watched::Repeat => self.events.push_back(event.clone()),
                Watched::Retype(kind) => event.kind = kind.clone().into(),
                Watched::Error(refusal) => {
                    self.fail(refusal);
                    return None;
                }
                Watched::Swap => {
                    // Two in a row: the first has waited for one.
                    self.events.extend(self.swapped.replace(event));
                    return None;
                }
            }
        }
        Some(event)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The next events that may go out, at most so many.
    pub(super) fn next(&mut self, now: Timestamp, limit: usize) -> Next {
        let is_due = |event: &&Event| match event.hold {
            Hold::Not => true,
            Hold::Until(then) => then <= now,
            Hold::Forever => false,
        };
        let count = self.events.iter().take(limit).take_while(is_due).count();
        if count > 0 {
            return Next::Events(self.events.drain(..count).collect());
        }
        match self.events.front().map(|event| event.hold) {
            Some(Hold::Until(then)) => Next::Held(Some(then)),
            Some(_) => Next::Held(None),
            None if self.is_closed => Next::Closed,
            None => Next::Nothing,
        }
    }
}

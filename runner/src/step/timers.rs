//! The clock of an attempt: how long each wait has lasted, and when events are listed.
//!
//! A wait begins when the judgement first names it and is forgotten when it no longer does.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::at;
use super::verdict::{EventsOf, Wait};
use super::waits::{WaitKind, Waits};
use crate::event::{Events, Waiting};

/// A wait that lasts no longer is the cluster's ordinary pace, and of no interest.
pub(super) const UNTOLD: Duration = Duration::from_secs(1);

/// The waits that run.
#[derive(Debug)]
pub(super) struct Timers {
    limits: Waits,
    /// Whose clock stamps what is shown.
    events: Events,
    running: Vec<Running>,
}

#[derive(Debug, Clone)]
struct Running {
    wait: Wait,
    end: Instant,
    /// For people.
    since: Timestamp,
    until: Option<Timestamp>,
    /// From then on it is shown.
    show: Instant,
}

impl Timers {
    pub(super) fn new(limits: &Waits, events: &Events) -> Timers {
        Timers { limits: limits.clone(), events: events.clone(), running: Vec::new() }
    }

    /// From now on these waits run and no others.
    pub(super) fn run(&mut self, waits: Vec<Wait>) {
        self.running = waits.into_iter().map(|wait| self.begin_or_go_on(wait)).collect();
    }

    fn begin_or_go_on(&self, wait: Wait) -> Running {
        if let Some(running) = self.running.iter().find(|running| running.wait.is_same(&wait)) {
            return Running { wait, ..running.clone() };
        }
        let limit = wait.limit(&self.limits);
        let (now, since) = (Instant::now(), self.events.now());
        let until = since.checked_add(limit).ok();
        // The next of a kind that is on the screen already is shown at once.
        let is_shown = self.running.iter().any(|before| before.wait.kind == wait.kind && before.show <= now);
        let show = if is_shown { now } else { now + UNTOLD };
        Running { wait, end: now + limit, since, until, show }
    }

    /// The kinds of those that have lasted their limit.
    pub(super) fn expired(&self) -> BTreeSet<WaitKind> {
        let now = Instant::now();
        self.running.iter().filter(|running| running.end <= now).map(|running| running.wait.kind).collect()
    }

    /// Comes when the next one is to be shown, or has lasted its limit.
    pub(super) async fn next(&self) {
        let now = Instant::now();
        let moments = self.running.iter().flat_map(|running| [running.end, running.show]);
        at(moments.filter(|moment| *moment > now).min()).await;
    }

    /// For the screen: those that have lasted long enough to be noticed.
    pub(super) fn noticed(&self) -> Vec<Waiting> {
        let now = Instant::now();
        self.all(|running| running.show <= now)
    }

    /// For the screen: all of them.
    pub(super) fn shown(&self) -> Vec<Waiting> {
        self.all(|_| true)
    }

    fn all(&self, fits: impl Fn(&Running) -> bool) -> Vec<Waiting> {
        let shown = |running: &Running| Waiting {
            kind: running.wait.kind.as_str(),
            words: running.wait.words.clone(),
            since: running.since,
            until: running.until,
        };
        self.running.iter().filter(|running| fits(running)).map(shown).collect()
    }
}

/// When the events of an object are listed: seldom, and only while something about it is missing.
#[derive(Debug, Default)]
pub(super) struct Lookups {
    asked: Vec<Asked>,
}

#[derive(Debug)]
struct Asked {
    events_of: EventsOf,
    since: Instant,
    done: usize,
}

impl Asked {
    fn due(&self) -> Option<Instant> {
        Some(self.since + *self.events_of.why.schedule().get(self.done)?)
    }
}

impl Lookups {
    /// From now on these objects are looked up and no others.
    pub(super) fn ask(&mut self, objects: Vec<EventsOf>) {
        self.asked.retain(|asked| objects.contains(&asked.events_of));
        for events_of in objects {
            if !self.asked.iter().any(|asked| asked.events_of == events_of) {
                self.asked.push(Asked { events_of, since: Instant::now(), done: 0 });
            }
        }
    }

    /// Comes with the uid of an object whose time has come.
    ///
    /// # Cancellation
    /// Nothing is forgotten.
    pub(super) async fn next(&mut self) -> String {
        at(self.asked.iter().filter_map(Asked::due).min()).await;
        let due = self.asked.iter_mut().filter(|asked| asked.due().is_some()).min_by_key(|asked| asked.due());
        match due {
            Some(asked) => {
                asked.done += 1;
                asked.events_of.uid.clone()
            }
            None => std::future::pending().await,
        }
    }
}

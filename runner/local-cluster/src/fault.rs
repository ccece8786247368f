//! Faults for tests: what goes wrong with a chosen request, stream, object or pod.
//!
//! A hook says where (`on(verb, resource, name)`), when (`nth`, `first`, `from`, `after`, `lasting`, `when`) and what. A new kind of fault is a
//! variant of [`Fault`], a method of [`Hook`], and the one place that acts on it. What others do to a cluster without being
//! asked, as evicting a pod, is in `operator`.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;

use crate::clock::Clock;
use crate::pod::Script;
use crate::refusal::Refusal;

mod admission;
mod answer;
mod hook;
mod lost;
mod stream;
mod struck;

pub use answer::Answer;
pub use hook::Hook;
pub use lost::ConnectionLost;
pub use stream::{After, Interruption};
pub(crate) use struck::{Creation, Struck};

use admission::Injected;
use hook::Condition;
use stream::Then;

/// Verbs of the cluster itself. `*` does not mean them: who breaks all requests breaks no watch event.
const OWN_VERBS: [&str; 8] = ["continue", "schedule", "admit", "run", "send", "mark", "conclude", "remove"];

/// The hooks of a cluster. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    clock: Clock,
    rules: Arc<Mutex<Vec<Rule>>>,
}

#[derive(Debug)]
struct Rule {
    place: Place,
    when: When,
    window: Range<Timestamp>,
    condition: Option<Condition>,
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
    CommitThen(Result<Answer, ConnectionLost>),
    Lose(ConnectionLost),
    Delay(Duration),
    Interrupt(After, Then),
    Warn(String),
    Rewind(u64),
    Mutate(Value),
    /// The JSON pointer of a field.
    Forget(String),
    Inject(Injected),
    Hold(Option<Duration>),
    Watched(Watched),
    NoPods(Option<String>),
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
    RotateLog(u64),
}

/// What happens to an event of a watch.
#[derive(Clone, Debug)]
pub(crate) enum Watched {
    Lose,
    Repeat,
    Swap,
    Retype(String),
    Error(Refusal),
}

impl Faults {
    pub(crate) fn new(clock: Clock) -> Self {
        Self { clock, rules: Arc::default() }
    }

    /// Begins a hook. Verb and resource may be `*`, a name may end in `*`. The resource is `jobs`, `pods`, `pods/log` …
    ///
    /// Verbs are those of requests: `get`, `list`, `watch`, `create`, `update`, `patch`, `delete`, `deletecollection`. The
    /// name of what is created is known; a pod that a Job makes is asked for as `<job>-`.
    ///
    /// The others are not part of `*`: `continue` (a further piece of a list, besides `list`); `send` and `mark` (a watch
    /// is about to send an event or a bookmark; each watch asks for itself); `schedule`, `admit`, `run` (once a pod);
    /// `conclude` (the Job controller knows how a Job ends, once a Job); `remove` (the deletion of an object begins).
    pub fn on(&self, verb: &str, resource: &str, name: &str) -> Hook {
        let place = Place { verb: verb.to_owned(), resource: resource.to_owned(), name: name.to_owned() };
        Hook { faults: self.clone(), place, when: When::Always, after: Duration::ZERO, lasting: None, condition: None }
    }

    /// Takes all hooks away.
    pub fn clear(&self) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    fn add(&self, rule: Rule) {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner).push(rule);
    }

    /// What the hooks have for this moment; counts it. Hooks that look at the object strike only where there is one.
    pub(crate) fn strike(&self, verb: &str, resource: &str, name: &str, object: Option<&Value>) -> Struck {
        let mut rules = self.rules.lock().unwrap_or_else(PoisonError::into_inner);
        let mut faults = Vec::new();
        // Outside of tests there are none; this is asked for every event of every watch.
        if rules.is_empty() {
            return Struck { faults };
        }
        let now = self.clock.now();
        let is_meant = |rule: &&mut Rule| rule.window.contains(&now) && rule.is_about(verb, resource, name, object);
        for rule in rules.iter_mut().filter(is_meant) {
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

impl Rule {
    fn is_about(&self, verb: &str, resource: &str, name: &str, object: Option<&Value>) -> bool {
        self.place.matches(verb, resource, name)
            && self.condition.as_ref().is_none_or(|Condition(fits)| object.is_some_and(|object| fits(object)))
    }
}

impl Place {
    fn matches(&self, verb: &str, resource: &str, name: &str) -> bool {
        let verb_fits = if self.verb == "*" { !OWN_VERBS.contains(&verb) } else { self.verb == verb };
        verb_fits && (self.resource == "*" || self.resource == resource) && name_fits(&self.name, name)
    }
}

/// Whether a name is meant by one that may end in `*`.
pub(crate) fn name_fits(wanted: &str, name: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => wanted == name,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_hook_counts_only_what_it_is_about() {
        let faults = Faults::default();
        faults.on("get", "pods/log", "a-*").nth(2).refuse();
        let count = |verb, resource, name| faults.strike(verb, resource, name, None).faults.len();
        assert_eq!(count("get", "pods/log", "a-1"), 0);
        assert_eq!(count("get", "pods", "a-1"), 0);
        assert_eq!(count("list", "pods/log", "a-1"), 0);
        assert_eq!(count("get", "pods/log", "b"), 0);
        assert_eq!(count("get", "pods/log", "a-2"), 1);
        assert_eq!(count("get", "pods/log", "a-2"), 0);
        faults.clear();
        faults.on("*", "*", "*").first(1).refuse();
        faults.on("*", "*", "*").from(2).refuse();
        assert_eq!(count("send", "x", ""), 0);
        assert_eq!([count("get", "x", ""), count("get", "x", ""), count("get", "x", "")], [1, 1, 1]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_hook_has_its_time() {
        let clock = Clock::starting_at("2026-01-01T00:00:00Z".parse().unwrap());
        let faults = Faults::new(clock.clone());
        let seconds = Duration::from_secs;
        faults.on("get", "pods", "p").after(seconds(10)).lasting(seconds(20)).first(2).refuse();
        let mut struck = Vec::new();
        for _ in 0..7 {
            struck.push(faults.strike("get", "pods", "p", None).faults.len());
            clock.sleep(seconds(5)).await;
        }
        assert_eq!(struck, [0, 0, 1, 1, 0, 0, 0]);
        faults.on("get", "pods", "p").lasting(seconds(5)).refuse();
        assert_eq!(faults.strike("get", "pods", "p", None).faults.len(), 1);
        clock.sleep(seconds(5)).await;
        assert_eq!(faults.strike("get", "pods", "p", None).faults.len(), 0);
    }

    #[test]
    fn a_hook_may_look_at_the_object() {
        let faults = Faults::default();
        faults.on("send", "pods", "*").when(|pod| pod["status"]["phase"] == "Running").nth(2).lose();
        let count = |phase: &str| {
            let pod = json!({"status": {"phase": phase}});
            faults.strike("send", "pods", "p", Some(&pod)).faults.len()
        };
        assert_eq!([count("Running"), count("Pending"), count("Running"), count("Running")], [0, 0, 1, 0]);
        assert_eq!(faults.strike("send", "pods", "p", None).faults.len(), 0);
    }
}

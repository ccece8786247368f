//! The judgement on one attempt: a pure function of the [facts](crate::step::facts) and of the waits that are over.
//!
//! No clock, no requests. Rows have names, `V01` to `V40`: tests and comments use them. Success takes the program's code
//! 0 **and** the Job's word; conditions decide, never counters; a failure never has code 0; what nobody saw is unknown.
//!
//! ```text
//! the Job said its last word, or is gone      word      V01 V02 V04 V23-V30 V40
//! it is silent: what is awaited, and until?   silent    V03 V06 V12 V25 V37-V39
//!   the pod does not start                    start     V14 V15 V17-V22
//! how a pod ended badly                       end       V05 V07-V11 V13 V16 V39
//! ```

mod case;
mod end;
mod silent;
mod start;
mod text;
mod word;

use std::collections::BTreeSet;
use std::time::Duration;

use crate::event::AttemptState;
use crate::outcome::Verdict;
use crate::step::facts::{Facts, JobFacts, Warning};
use crate::step::waits::{WaitKind, Waits};

use case::Case;

/// So many warnings are shown in a verdict.
const MOST_WARNINGS: usize = 5;

/// What the facts say about an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// It is not decided.
    Open(Open),
    /// It is decided. The first decision stands, whatever is seen later.
    Decided(Box<Decision>),
}

/// An attempt that is not decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Open {
    /// How far it is.
    pub state: AttemptState,
    /// What is waited for that should not take long. A wait begins when it is first named and ends when it is no longer
    /// named; [`Wait::is_same`] tells which is which.
    pub waits: Vec<Wait>,
    /// Whose events should be listed, by the schedule of each.
    pub events_of: Vec<EventsOf>,
    /// What else should be told at once, each line a single time.
    pub remarks: Vec<String>,
}

/// Something that is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wait {
    /// What kind of wait.
    pub kind: WaitKind,
    /// Uid of the Job or pod.
    pub of: String,
    /// What is waited for, with the cluster's own words.
    pub words: String,
    /// How long, beside the limit of the kind.
    pub allowance: Allowance,
}

/// How long a wait lasts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowance {
    /// The limit of its kind.
    Limit,
    /// Ten times the limit, at least 60 seconds; it counts from the creation of the Job.
    Tenfold,
    /// The limit after this time, which the cluster takes for itself: the grace period of a pod, or the pause before the
    /// next one.
    After(Duration),
}

/// The least that is given to a cluster which does not say why there is no pod.
const LEAST_TENFOLD: Duration = Duration::from_secs(60);

impl Wait {
    /// How long it may last.
    pub fn limit(&self, waits: &Waits) -> Duration {
        let limit = waits.get(self.kind);
        match self.allowance {
            Allowance::Limit => limit,
            Allowance::Tenfold => limit.saturating_mul(10).max(LEAST_TENFOLD),
            Allowance::After(time) => limit.saturating_add(time),
        }
    }

    /// Whether it goes on in `other`: only the words may differ.
    pub fn is_same(&self, other: &Wait) -> bool {
        (self.kind, &self.of, self.allowance) == (other.kind, &other.of, other.allowance)
    }
}

/// An object whose events should be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventsOf {
    /// Uid of the Job or pod.
    pub uid: String,
    /// Why.
    pub why: EventsWhy,
}

/// Why events should be listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventsWhy {
    /// The Job has no pod.
    NoPod,
    /// The containers of the pod are not made.
    NoContainer,
    /// The report of a failure without exit code.
    Report,
}

impl EventsWhy {
    /// When to list them: so long after this was first asked for. Nothing else about events is asked on a timer.
    pub fn schedule(self) -> &'static [Duration] {
        // Soon enough for whoever watches the screen, then three times as long each time.
        const NO_POD: [Duration; 4] =
            [Duration::from_secs(10), Duration::from_secs(30), Duration::from_secs(90), Duration::from_secs(270)];
        // Pulling and mounting take some time when all is well.
        const NO_CONTAINER: [Duration; 4] =
            [Duration::from_secs(20), Duration::from_secs(60), Duration::from_secs(180), Duration::from_secs(540)];
        match self {
            EventsWhy::NoPod => &NO_POD,
            EventsWhy::NoContainer => &NO_CONTAINER,
            EventsWhy::Report => &[Duration::ZERO],
        }
    }
}

/// An attempt that is decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// How it ended.
    pub verdict: Verdict,
    /// What is left of its Job.
    pub job: JobAtEnd,
    /// Whose events should be listed once for the report; then [`Decision::add_warnings`].
    pub events_of: Vec<EventsOf>,
    /// The init container that failed: the last lines of its log belong into the report.
    pub failed_init: Option<FailedInit>,
}

/// What is left of the Job of an attempt that is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobAtEnd {
    /// It has said its last word.
    Ended,
    /// It was judged while it was alive: something may still start.
    Alive,
    /// It is gone, or going.
    Gone,
}

/// An init container that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FailedInit {
    /// Name of its pod.
    pub pod: String,
    /// Its own name.
    pub container: String,
}

impl Decision {
    /// Puts the newest warnings that are known, at most 5, under the message, but those that it holds already.
    pub fn add_warnings(&mut self, facts: &Facts) {
        let job = facts.job().into_iter().flat_map(|job| &job.events.warnings);
        let pods = facts.pods_in_order();
        let ours = pods.iter().filter(|(_, pod)| Some(&pod.name) == self.verdict.pod.as_ref());
        let mut warnings: Vec<&Warning> = ours.flat_map(|(_, pod)| &pod.events.warnings).chain(job).collect();
        warnings.sort_by(|one, other| other.cmp(one));
        warnings.truncate(MOST_WARNINGS);
        for warning in warnings.into_iter().rev() {
            let words = text::reason_and_message(&warning.reason, &warning.message);
            if !self.verdict.message.contains(&words) {
                self.verdict.message.push_str("\nwarning: ");
                self.verdict.message.push_str(&words);
            }
        }
    }
}

/// Judges an attempt. `expired` holds the kinds of those waits named by the judgement before that have lasted their
/// limit; kinds that are no longer named do not count.
///
/// A deletion of the Job is judged as somebody else's: after its own DELETE the caller asks no more.
pub fn judge(facts: &Facts, expired: &BTreeSet<WaitKind>) -> Judgement {
    let Some(job_uid) = facts.uid() else { return open(AttemptState::Creating, Vec::new()) };
    let unseen = JobFacts::default();
    let job = facts.job().unwrap_or(&unseen);
    let case = Case { facts, job_uid, job, pods: facts.pods_in_order(), expired };
    if let Some(word) = &job.end {
        return word::by_word(&case, word, true);
    }
    if case.is_job_gone() {
        return word::without_job(&case);
    }
    if let Some(word) = &job.target {
        return word::by_word(&case, word, false);
    }
    if job.is_suspended {
        // Waits stand still, and the end of a pod says nothing: another one comes when the Job goes on (F75).
        let state = case.state();
        return open(if state == AttemptState::Draining { AttemptState::Running } else { state }, Vec::new());
    }
    silent::judge(&case)
}

fn open(state: AttemptState, waits: Vec<Wait>) -> Judgement {
    Judgement::Open(Open { state, waits, events_of: Vec::new(), remarks: Vec::new() })
}

#[cfg(test)]
mod law;
#[cfg(test)]
mod tests;

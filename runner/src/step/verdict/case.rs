//! What is judged, and what is found: the attempt as all rows see it, and a verdict before its pod is named.

use std::collections::BTreeSet;

use crate::event::AttemptState;
use crate::outcome::{Outcome, Verdict};
use crate::step::facts::{Facts, JobFacts, PodFacts};
use crate::step::waits::WaitKind;

use super::{Allowance, Decision, EventsOf, EventsWhy, FailedInit, JobAtEnd, Judgement, Wait, end};

/// What is judged.
pub(super) struct Case<'a> {
    pub(super) facts: &'a Facts,
    pub(super) job_uid: &'a str,
    pub(super) job: &'a JobFacts,
    /// In order of creation.
    pub(super) pods: Vec<(&'a str, &'a PodFacts)>,
    pub(super) expired: &'a BTreeSet<WaitKind>,
}

impl<'a> Case<'a> {
    /// A Job whose deletion began makes no more pods and stops those it has.
    pub(super) fn is_job_gone(&self) -> bool {
        self.job.is_gone || self.job.is_deleting || self.facts.is_namespace_gone()
    }

    pub(super) fn has_expired(&self, kind: WaitKind) -> bool {
        self.expired.contains(&kind)
    }

    /// The newest pod that is not over, else the newest.
    pub(super) fn current(&self) -> Option<(&'a str, &'a PodFacts)> {
        self.pods.iter().rev().find(|(_, pod)| !pod.is_over()).or_else(|| self.pods.last()).copied()
    }

    /// The pod that decides a failure: the last to end.
    pub(super) fn last_to_end(&self) -> Option<&'a PodFacts> {
        self.last_of(|_| true)
    }

    pub(super) fn last_of(&self, fits: impl Fn(&PodFacts) -> bool) -> Option<&'a PodFacts> {
        // Of two that ended at the same time the one that was created later.
        self.pods.iter().map(|(_, pod)| *pod).filter(|pod| fits(pod)).max_by_key(|pod| pod.ended_at())
    }

    /// So many pods that are over have not succeeded.
    pub(super) fn failures(&self) -> usize {
        self.pods.iter().filter(|(_, pod)| pod.is_over() && !pod.has_succeeded()).count()
    }

    /// Whether the Job may replace a failed pod.
    pub(super) fn may_retry(&self) -> bool {
        let limit = usize::try_from(self.job.backoff_limit).unwrap_or_default();
        self.job.has_ignore_rule || self.failures() <= limit
    }

    /// How far the attempt is, as far as its pods tell.
    pub(super) fn state(&self) -> AttemptState {
        let has_begun = self.pods.iter().any(|(_, pod)| pod.has_begun);
        match self.current() {
            Some((_, pod)) if pod.end.is_some() || pod.is_over() => {
                let is_next_due = pod.is_over() && !pod.has_code_0() && self.may_retry();
                if is_next_due { AttemptState::Running } else { AttemptState::Draining }
            }
            _ if has_begun || self.pods.len() > 1 => AttemptState::Running,
            _ => AttemptState::Pending,
        }
    }

    pub(super) fn job_at_end(&self) -> JobAtEnd {
        let has_ended = self.job.end.is_some();
        let will_end = self.job.target.is_some() && self.pods.iter().all(|(_, pod)| pod.is_over());
        if self.is_job_gone() {
            JobAtEnd::Gone
        } else if has_ended || will_end {
            JobAtEnd::Ended
        } else {
            JobAtEnd::Alive
        }
    }

    pub(super) fn wait(&self, kind: WaitKind, of: &str, words: String, allowance: Allowance) -> Wait {
        Wait { kind, of: of.to_owned(), words, allowance }
    }

    /// The end of all judging: a finding about a pod, or about none.
    pub(super) fn decide(&self, pod: Option<&PodFacts>, finding: Finding) -> Judgement {
        let number = pod.and_then(|pod| self.pods.iter().position(|(_, other)| std::ptr::eq(*other, pod)));
        let mut notes = Vec::new();
        if let Some(index) = number
            && self.pods.len() > 1
        {
            notes.push(format!("pod {} of {}", index.saturating_add(1), self.pods.len()));
        }
        notes.extend(finding.notes);
        notes.extend(pod.into_iter().flat_map(end::remarks));
        let is_unexplained = finding.outcome.exit_code().is_none();
        let uid = number.and_then(|index| self.pods.get(index)).map(|(uid, _)| *uid);
        let objects = [Some(self.job_uid), uid].into_iter().flatten().filter(|_| is_unexplained);
        let events_of = objects.map(|uid| EventsOf { uid: uid.to_owned(), why: EventsWhy::Report });
        let verdict = Verdict {
            notes,
            hint: finding.hint,
            pod: pod.map(|pod| pod.name.clone()),
            pods: u32::try_from(self.pods.len()).unwrap_or(u32::MAX),
            ..Verdict::new(finding.outcome, finding.lines.join("\n"))
        };
        Judgement::Decided(Box::new(Decision {
            verdict,
            job: self.job_at_end(),
            events_of: events_of.collect(),
            failed_init: finding.failed_init,
        }))
    }
}

/// How an attempt ended and what is told about it, before it is known which pod it was.
pub(super) struct Finding {
    pub(super) outcome: Outcome,
    pub(super) lines: Vec<String>,
    pub(super) notes: Vec<String>,
    pub(super) hint: Option<String>,
    pub(super) failed_init: Option<FailedInit>,
}

impl Finding {
    /// Empty lines are left out.
    pub(super) fn new(outcome: Outcome, lines: impl IntoIterator<Item = String>) -> Finding {
        let lines = lines.into_iter().filter(|line| !line.is_empty()).collect();
        Finding { outcome, lines, notes: Vec::new(), hint: None, failed_init: None }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Finding {
        Finding { hint: Some(hint.into()), ..self }
    }

    pub(super) fn note(mut self, note: impl Into<String>) -> Finding {
        self.notes.push(note.into());
        self
    }

    pub(super) fn line(mut self, line: String) -> Finding {
        self.lines.extend((!line.is_empty()).then_some(line));
        self
    }
}

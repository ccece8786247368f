//! Hiding secrets in what is told and what is remembered: events and lines of the journal, at the one place that each of
//! them passes. Log text is hidden where it is received, because it comes in pieces.

use crate::event::{EventKind, Leftover, StepEnd};
use crate::journal::Entry;
use crate::outcome::Verdict;

use super::Mask;

impl Mask {
    fn words(&self, text: &mut String) {
        if self.is_in(text) {
            *text = self.text(text).into_owned();
        }
    }

    fn verdict(&self, verdict: &mut Verdict) {
        let Verdict { outcome: _, message, notes, hint, pod: _, pods: _ } = verdict;
        self.words(message);
        notes.iter_mut().chain(hint).for_each(|text| self.words(text));
    }

    fn end(&self, end: &mut StepEnd) {
        self.words(&mut end.message);
        if let Some(verdict) = &mut end.verdict {
            self.verdict(verdict);
        }
        for line in &mut end.last_lines {
            *line = self.all(std::mem::take(line));
        }
    }

    fn leftover(&self, leftover: &mut Leftover) {
        self.words(&mut leftover.reason);
        self.words(&mut leftover.command);
    }

    /// Hides them in what is told.
    pub fn event(&self, kind: &mut EventKind) {
        if self.is_empty() {
            return;
        }
        match kind {
            EventKind::StepWaiting { waits } => waits.iter_mut().for_each(|wait| self.words(&mut wait.words)),
            EventKind::StepRetrying { after, .. } => self.words(after),
            EventKind::StepEnded(end) => self.end(end),
            EventKind::Note { text } | EventKind::Warning { text } => self.words(text),
            EventKind::Fatal { text, help } => {
                self.words(text);
                help.iter_mut().for_each(|help| self.words(help));
            }
            EventKind::Leftover(leftover) => self.leftover(leftover),
            // Names, numbers, and log text that is hidden already.
            EventKind::RunStarted { .. }
            | EventKind::StepStarted { .. }
            | EventKind::StepState { .. }
            | EventKind::StepLog { .. }
            | EventKind::StepGap { .. }
            | EventKind::Stopping { .. }
            | EventKind::Resumable { .. }
            | EventKind::RunEnded { .. } => {}
        }
    }

    /// Hides them in what is remembered.
    pub fn entry(&self, entry: &mut Entry) {
        if self.is_empty() {
            return;
        }
        match entry {
            Entry::AttemptEnded { verdict, .. } => self.verdict(verdict),
            Entry::Leftover { leftover, .. } => self.leftover(leftover),
            Entry::StepEnded(end) => {
                self.words(&mut end.message);
                if let Some(verdict) = &mut end.verdict {
                    self.verdict(verdict);
                }
            }
            // Whether it holds one was asked before, and decides more than what is written.
            Entry::OutputCaptured { .. } => {}
            Entry::RunStarted { .. }
            | Entry::RunResumed
            | Entry::ClusterOpened { .. }
            | Entry::JobIntended { .. }
            | Entry::JobCreated { .. }
            | Entry::ProcessIntended { .. }
            | Entry::ProcessStarted { .. }
            | Entry::LogPosition(_)
            | Entry::JobCleaned { .. }
            | Entry::Stopping { .. }
            | Entry::Detached
            | Entry::RunEnded { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::journal::StepEnded;
    use crate::outcome::{Outcome, Reason};

    /// A failure with a secret in everything that has words.
    fn end() -> StepEnd {
        let mut verdict = Verdict::new(Outcome::failed(None, Reason::CreateRefused), "refused hunter2");
        verdict.notes = vec!["note hunter2".to_owned()];
        verdict.hint = Some("hint hunter2".to_owned());
        StepEnd { last_lines: vec!["line hunter2".into()], ..StepEnd::of(verdict, Duration::ZERO) }
    }

    #[test]
    fn no_secret_stands_in_what_is_told() {
        let mask = Mask::new(["hunter2"]).unwrap();
        let leftover = Leftover {
            kind: "job".to_owned(),
            namespace: "batch".to_owned(),
            name: "a".to_owned(),
            reason: "hunter2".to_owned(),
            command: "kubectl hunter2".to_owned(),
        };
        for mut kind in [
            EventKind::StepEnded(Box::new(end())),
            EventKind::Note { text: "a hunter2".to_owned() },
            EventKind::Warning { text: "a hunter2".to_owned() },
            EventKind::Fatal { text: "a hunter2".to_owned(), help: Some("hunter2".to_owned()) },
            EventKind::StepRetrying { next: 2, wait: Duration::ZERO, after: "hunter2".to_owned() },
            EventKind::Leftover(Box::new(leftover.clone())),
        ] {
            mask.event(&mut kind);
            let shown = format!("{kind:?}");
            assert!(shown.contains(super::super::HIDDEN) && !shown.contains("hunter2"), "{shown}");
        }
        let (step, attempt) = ("a".to_owned(), 1);
        let verdict = end().verdict.unwrap();
        for mut entry in [
            Entry::AttemptEnded { step: step.clone(), attempt, verdict, owed: crate::step::Owed::Nothing },
            Entry::Leftover { step, attempt, leftover },
            Entry::StepEnded(StepEnded::of("a", &end())),
        ] {
            mask.entry(&mut entry);
            let written = serde_json::to_string(&entry).unwrap();
            assert!(written.contains(super::super::HIDDEN) && !written.contains("hunter2"), "{written}");
        }
    }
}

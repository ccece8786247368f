//! What is known of a run so far: each event is put in, the trees are drawn from it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::text::width;
use crate::event::{AttemptState, Event, EventKind, JobName, Leftover, StepEnd, Waiting};
use crate::outcome::{RunStatus, StepStatus};
use crate::report::escape_line;

/// A run.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Its id.
    pub(super) run: String,
    /// Name of its workflow.
    pub(super) workflow: String,
    /// When it began.
    pub(super) started: Option<Timestamp>,
    /// How it ended.
    pub(super) ended: Option<RunEnd>,
    /// Whether it could not begin, or not go on.
    fatal: bool,
    /// What was left in a cluster.
    pub(super) leftovers: Vec<Leftover>,
    /// The command that takes it up again.
    pub(super) resume: Option<String>,
    steps: Vec<StepProgress>,
    places: HashMap<Arc<str>, usize>,
    /// Columns of the longest name.
    widest: usize,
}

/// How a run ended.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunEnd {
    /// Its status.
    pub(super) status: RunStatus,
    /// How long it took.
    pub(super) took: Duration,
}

/// A step.
#[derive(Debug)]
pub(super) struct StepProgress {
    /// Its name, fit for a line of the screen.
    pub(super) name: String,
    /// The number of its newest attempt.
    pub(super) attempt: u32,
    /// When its newest attempt began.
    pub(super) started: Option<Timestamp>,
    /// The Job of its newest attempt.
    pub(super) job: Option<JobName>,
    /// State of its newest attempt.
    pub(super) state: Option<AttemptState>,
    /// Whether its Job is suspended.
    pub(super) suspended: bool,
    /// What it waits for.
    pub(super) waits: Vec<Waiting>,
    /// The attempt that it waits for.
    pub(super) retry: Option<Retry>,
    /// Last line of its log, fit for a line of the screen; only the live tree asks for it.
    pub(super) last_line: String,
    /// How it ended.
    pub(super) end: Option<Box<StepEnd>>,
    /// Whether it is a handler.
    handler: bool,
}

/// An attempt that is to come.
#[derive(Debug)]
pub(super) struct Retry {
    /// Its number.
    pub(super) next: u32,
    /// When.
    pub(super) until: Timestamp,
    /// How the one before ended, fit for a line of the screen.
    pub(super) after: String,
}

/// How many steps there are of each kind.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Counts {
    /// Ended well.
    pub(super) succeeded: usize,
    /// Ended badly.
    pub(super) failed: usize,
    /// Were not to run.
    pub(super) skipped: usize,
    /// Were stopped, or kept from starting.
    pub(super) aborted: usize,
    /// Have begun and not ended.
    pub(super) running: usize,
    /// Never began.
    pub(super) not_started: usize,
}

impl Progress {
    /// The steps in file order, then the handlers, without those that were not due.
    pub(super) fn steps(&self) -> impl Iterator<Item = &StepProgress> {
        self.steps.iter().filter(|step| !step.is_idle_handler())
    }

    /// The place of a step among all, from 0.
    pub(super) fn place(&self, step: &str) -> usize {
        self.places.get(step).copied().unwrap_or_default()
    }

    /// Columns of the longest name, at most `most`.
    pub(super) fn name_width(&self, most: usize) -> usize {
        self.widest.min(most)
    }

    /// How many steps there are of each kind.
    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for step in self.steps() {
            let count = match step.status() {
                StepStatus::Succeeded => &mut counts.succeeded,
                StepStatus::Failed => &mut counts.failed,
                StepStatus::Skipped => &mut counts.skipped,
                StepStatus::Aborted => &mut counts.aborted,
                StepStatus::Running | StepStatus::Retrying => &mut counts.running,
                StepStatus::NotStarted => &mut counts.not_started,
            };
            *count += 1;
        }
        counts
    }

    /// What is known of a step; none: it was never heard of.
    pub(super) fn step(&mut self, name: &str) -> Option<&mut StepProgress> {
        let place = *self.places.get(name)?;
        self.steps.get_mut(place)
    }

    /// The same; one that was never announced gets a place after all others.
    fn step_or_new(&mut self, name: &Arc<str>) -> Option<&mut StepProgress> {
        if !self.places.contains_key(name) {
            let step = StepProgress::new(name);
            self.widest = self.widest.max(width(&step.name));
            self.places.insert(name.clone(), self.steps.len());
            self.steps.push(step);
        }
        self.step(name)
    }

    /// Puts an event in.
    pub(super) fn take(&mut self, event: Event) {
        let Event { time, step, attempt, kind } = event;
        match kind {
            EventKind::RunStarted { run, workflow, steps, handlers, folder: _ } => {
                self.run = run;
                self.workflow = workflow;
                self.started = Some(time);
                for name in steps {
                    self.step_or_new(&name);
                }
                for name in handlers {
                    if let Some(handler) = self.step_or_new(&name) {
                        handler.handler = true;
                    }
                }
            }
            EventKind::Resumable { command } => self.resume = Some(command),
            EventKind::Leftover(leftover) => self.leftovers.push(*leftover),
            EventKind::RunEnded { status, exit_code: _, took } => self.ended = Some(RunEnd { status, took }),
            EventKind::StepLog { .. }
            | EventKind::StepGap { .. }
            | EventKind::Note { .. }
            | EventKind::Warning { .. }
            | EventKind::Stopping { .. } => {}
            EventKind::Fatal { .. } => self.fatal = true,
            kind @ (EventKind::StepStarted { .. }
            | EventKind::StepRetrying { .. }
            | EventKind::StepState { .. }
            | EventKind::StepWaiting { .. }
            | EventKind::StepEnded(_)) => {
                if let Some(step) = step.and_then(|name| self.step_or_new(&name)) {
                    step.take(time, attempt, kind);
                }
            }
        }
    }

    /// Whether the first event has come.
    pub(super) fn has_begun(&self) -> bool {
        self.started.is_some()
    }

    /// Whether its end is worth a tree: it was not given up before its first step.
    pub(super) fn has_steps_to_tell(&self) -> bool {
        let touched = |step: &StepProgress| step.started.is_some() || step.end.is_some();
        self.started.is_some() && (!self.fatal || self.steps.iter().any(touched))
    }
}

impl StepProgress {
    fn new(name: &str) -> StepProgress {
        StepProgress {
            name: escape_line(name),
            attempt: 0,
            started: None,
            job: None,
            state: None,
            suspended: false,
            waits: Vec::new(),
            retry: None,
            last_line: String::new(),
            end: None,
            handler: false,
        }
    }

    fn take(&mut self, time: Timestamp, attempt: Option<u32>, kind: EventKind) {
        self.attempt = self.attempt.max(attempt.unwrap_or_default());
        match kind {
            EventKind::StepStarted { job, log: _ } => {
                self.started = Some(time);
                self.retry = None;
                self.job = job;
                self.state = None;
                self.suspended = false;
                self.waits.clear();
                self.last_line.clear();
                // A step that is taken up again after a crash, or repeated, has not ended any more.
                self.end = None;
            }
            EventKind::StepState { state, pod: _, suspended } => {
                self.state = Some(state);
                self.suspended = suspended;
            }
            EventKind::StepWaiting { waits } => self.waits = waits,
            EventKind::StepRetrying { next, wait, after } => {
                let until = time.checked_add(wait).unwrap_or(Timestamp::MAX);
                self.waits.clear();
                self.state = None;
                self.retry = Some(Retry { next, until, after: escape_line(&after) });
            }
            EventKind::StepEnded(end) => {
                self.retry = None;
                self.waits.clear();
                self.end = Some(end);
            }
            _ => {}
        }
    }

    /// Its status so far.
    pub(super) fn status(&self) -> StepStatus {
        match &self.end {
            Some(end) => end.status,
            None if self.retry.is_some() => StepStatus::Retrying,
            None if self.started.is_some() => StepStatus::Running,
            None => StepStatus::NotStarted,
        }
    }

    /// Whether something of it still happens: it runs, or its Job is waited for after its end.
    pub(super) fn is_active(&self) -> bool {
        match self.end {
            Some(_) => !self.waits.is_empty(),
            None => self.started.is_some(),
        }
    }

    fn is_idle_handler(&self) -> bool {
        self.handler && self.status() == StepStatus::NotStarted
    }
}

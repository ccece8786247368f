//! What the lines of a journal mean: a pure function from lines to the state in which a process left a run.
//!
//! Lines that are missing at the end only mean that less is known, and that more is asked of the cluster: each line is on
//! disk before what it announces is done. So a journal cut behind any line gives a state from which the run goes on.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use super::entry::{Dated, Entry, LogPosition, StepEnded};
use super::folder::{RunFolder, log_file};
use crate::cluster::{Address, Target};
use crate::event::{JobName, Leftover, StepEnd};
use crate::host::{Identity, Signal};
use crate::outcome::{Outcome, RunStatus, StepStatus, Verdict};
use crate::run;
use crate::step::log_file::last_lines;
use crate::step::log_stream::Position;
use crate::step::{Owed, Policy};

/// The state in which a process left a run.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    /// Its id.
    pub run: String,
    /// Name of the workflow.
    pub workflow: String,
    /// Whether it runs on the embedded cluster.
    pub local: bool,
    /// When it began.
    pub started: Timestamp,
    /// When the last line was written.
    pub last: Timestamp,
    /// Whether it goes on.
    pub phase: Phase,
    /// The first signal that stops it, if one has come.
    pub stopped: Option<run::Signal>,
    /// The namespaces that were watched: how the config names the cluster, the namespace, and where that led.
    pub clusters: Vec<(Target, String, Address)>,
    /// Folder of the log files; none: `logs` in the folder of the run.
    pub logs: Option<PathBuf>,
    /// In file order, then the handlers.
    pub steps: Vec<StepHistory>,
    /// How many of them are handlers.
    pub handlers: usize,
    places: HashMap<String, usize>,
}

/// Whether a run goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A process drives it, or has died.
    Going,
    /// Its process has left it alone.
    Detached,
    /// It has ended.
    Ended {
        /// How.
        status: RunStatus,
        /// Exit code of the program.
        exit_code: u8,
    },
}

/// What is known of a step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StepHistory {
    /// Its name.
    pub name: String,
    /// Its attempts, oldest first.
    pub attempts: Vec<RecordedAttempt>,
    /// How it ended.
    pub end: Option<StepEnded>,
    /// Its captured output; the inner none: it holds a secret and was not written.
    pub output: Option<Option<String>>,
    /// Whether its last attempt is given up: nobody will know how that ended, and another one is to begin.
    begins_anew: bool,
}

/// What is known of an attempt.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedAttempt {
    /// Its number, from 1.
    pub number: u32,
    /// When it began.
    pub began: Timestamp,
    /// What was begun.
    pub begun: Begun,
    /// How far its log was read.
    pub log: LogHistory,
    /// How it was decided, and what remained to be done.
    pub ended: Option<(Verdict, Owed)>,
    /// Whether nothing is left to do.
    pub cleaned: bool,
    /// What could not be removed.
    pub leftover: Option<Leftover>,
}

/// What an attempt began.
#[derive(Debug, Clone, PartialEq)]
pub enum Begun {
    /// A Job.
    Job(RecordedJob),
    /// A process of the machine; none: nobody knows whether it was started.
    Process(Option<Identity>),
}

/// What is known of a Job.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordedJob {
    /// How the config names the cluster.
    pub target: Target,
    /// Its namespace and name.
    pub name: JobName,
    /// Digest of the manifest that was sent, or was about to be.
    pub digest: String,
    /// What becomes of it after an ordinary end.
    pub cleanup: Policy,
    /// Grace period of its pods.
    pub grace: Duration,
    /// Its uid; none: nobody knows whether it was created.
    pub uid: Option<String>,
}

/// How far the log of an attempt was read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogHistory {
    /// Pods whose logs are whole in the file, by uid.
    pub whole: HashSet<String>,
    /// The pod whose log was being read, and the last line of it in the file.
    pub open: Option<(String, Position)>,
    /// Bytes of the file up to there.
    pub length: u64,
}

impl LogHistory {
    fn note(&mut self, at: &LogPosition) {
        self.length = at.length;
        if at.whole {
            self.whole.insert(at.pod.clone());
            self.open = None;
        } else {
            self.open = Some((at.pod.clone(), at.position));
        }
    }
}

impl History {
    /// Reads the lines of a journal in their order; none: there is no first one, so nothing has happened.
    pub fn of(lines: impl IntoIterator<Item = Dated>) -> Option<History> {
        let mut lines = lines.into_iter();
        let first = lines.next()?;
        let Entry::RunStarted { version: _, run, workflow, steps, handlers, logs, local } = first.entry else {
            return None;
        };
        let number_of_handlers = handlers.len();
        let steps: Vec<String> = steps.into_iter().chain(handlers).collect();
        let places = steps.iter().cloned().zip(0..).collect();
        let steps = steps.into_iter().map(|name| StepHistory { name, ..StepHistory::default() }).collect();
        let mut history = History {
            run,
            workflow,
            local,
            started: first.time,
            last: first.time,
            phase: Phase::Going,
            stopped: None,
            clusters: Vec::new(),
            logs,
            steps,
            handlers: number_of_handlers,
            places,
        };
        lines.for_each(|line| history.take(line));
        Some(history)
    }

    fn take(&mut self, line: Dated) {
        let Dated { time, entry } = line;
        self.last = self.last.max(time);
        match entry {
            Entry::RunStarted { .. } => {}
            Entry::RunResumed => self.resume(),
            Entry::ClusterOpened { target, namespace, address } => {
                self.clusters.retain(|(known, of, _)| (known, of) != (&target, &namespace));
                self.clusters.push((target, namespace, address));
            }
            Entry::JobIntended { step, attempt, target, job, digest, cleanup, grace_seconds } => {
                let grace = Duration::from_secs(grace_seconds);
                let job = RecordedJob { target, name: job, digest, cleanup, grace, uid: None };
                self.begin(&step, attempt, time, Begun::Job(job));
            }
            Entry::ProcessIntended { step, attempt } => self.begin(&step, attempt, time, Begun::Process(None)),
            Entry::ProcessStarted { step, attempt, process } => {
                self.attempt(&step, attempt, |known| known.begun = Begun::Process(Some(process)));
            }
            Entry::OutputCaptured { step, output } => {
                if let Some(step) = self.step_mut(&step) {
                    step.output = Some(output);
                }
            }
            Entry::JobCreated { step, attempt, uid } => self.attempt(&step, attempt, |known| {
                if let Begun::Job(job) = &mut known.begun {
                    job.uid = Some(uid);
                }
            }),
            Entry::LogPosition(at) => self.attempt(&at.step, at.attempt, |known| known.log.note(&at)),
            Entry::AttemptEnded { step, attempt, verdict, owed } => {
                self.attempt(&step, attempt, |known| known.ended = Some((verdict, owed)));
            }
            Entry::JobCleaned { step, attempt, kept: _ } => self.attempt(&step, attempt, |known| {
                known.cleaned = true;
                known.leftover = None;
            }),
            Entry::Leftover { step, attempt, leftover } => {
                self.attempt(&step, attempt, |known| known.leftover = Some(leftover));
            }
            Entry::StepEnded(end) => {
                if let Some(step) = self.step_mut(&end.step) {
                    step.end = Some(end);
                }
            }
            Entry::Stopping { signal } => {
                self.stopped.get_or_insert(signal);
            }
            Entry::Detached => self.phase = Phase::Detached,
            Entry::RunEnded { status, exit_code } => self.phase = Phase::Ended { status, exit_code },
        }
    }

    /// An attempt begins. One that is intended again began with its first intent.
    fn begin(&mut self, step: &str, number: u32, time: Timestamp, begun: Begun) {
        let Some(step) = self.step_mut(step) else { return };
        step.begins_anew = false;
        let began = step.attempts.iter().find(|known| known.number == number).map_or(time, |known| known.began);
        step.attempts.retain(|known| known.number != number);
        let log = LogHistory::default();
        step.attempts.push(RecordedAttempt { number, began, begun, log, ended: None, cleaned: false, leftover: None });
    }

    /// A run that is taken up goes on; of one that had ended, the steps whose end nobody knows are open again, and with
    /// them those that never began.
    fn resume(&mut self) {
        if matches!(self.phase, Phase::Ended { .. }) {
            for step in &mut self.steps {
                step.reopen();
            }
        }
        self.phase = Phase::Going;
    }

    /// The state in which the run is taken up: as the line that says so will leave it.
    #[must_use]
    pub fn resumed(mut self) -> History {
        self.resume();
        self
    }

    /// Whether it has ended for good: nothing of it is unknown. A run that somebody stopped is not taken up again.
    pub fn is_over(&self) -> bool {
        match self.phase {
            Phase::Going | Phase::Detached => false,
            Phase::Ended { status, .. } => status == RunStatus::Aborted || !self.steps.iter().any(StepHistory::is_lost),
        }
    }

    /// What is known of a step.
    pub fn step(&self, name: &str) -> Option<&StepHistory> {
        self.steps.get(*self.places.get(name)?)
    }

    fn step_mut(&mut self, name: &str) -> Option<&mut StepHistory> {
        self.steps.get_mut(*self.places.get(name)?)
    }

    fn attempt(&mut self, step: &str, number: u32, change: impl FnOnce(&mut RecordedAttempt)) {
        let step = self.step_mut(step);
        if let Some(attempt) = step.and_then(|step| step.attempts.iter_mut().find(|known| known.number == number)) {
            change(attempt);
        }
    }

    /// What was left in a cluster, in file order.
    pub fn leftovers(&self) -> impl Iterator<Item = (&str, &RecordedAttempt, &Leftover)> {
        self.steps.iter().flat_map(|step| {
            let left = step.attempts.iter().filter_map(|attempt| Some((attempt, attempt.leftover.as_ref()?)));
            left.map(|(attempt, leftover)| (step.name.as_str(), attempt, leftover))
        })
    }

    /// The steps, and the handlers.
    pub fn steps_and_handlers(&self) -> (&[StepHistory], &[StepHistory]) {
        let first = self.steps.len().saturating_sub(self.handlers);
        self.steps.split_at_checked(first).unwrap_or((&self.steps, &[]))
    }

    /// Folder of the log files. `folder`: that of the run.
    pub fn log_folder(&self, folder: &Path) -> PathBuf {
        RunFolder::logs_in(folder, self.logs.as_deref())
    }

    /// How long it has lasted, up to its last line.
    pub fn lasted(&self) -> Duration {
        Duration::try_from(self.last.duration_since(self.started)).unwrap_or_default()
    }
}

impl StepHistory {
    /// Its last attempt.
    pub fn last_attempt(&self) -> Option<&RecordedAttempt> {
        self.attempts.last()
    }

    /// Whether it ended, and nobody knows how.
    pub fn is_lost(&self) -> bool {
        let verdict = self.end.as_ref().and_then(|end| end.verdict.as_ref());
        verdict.is_some_and(|verdict| verdict.outcome == Outcome::Lost)
    }

    /// Whether its Job stays in the cluster because the step wants it.
    pub fn keeps_job(&self) -> bool {
        self.end.as_ref().is_some_and(|end| end.kept)
    }

    /// How it ended, if that stays: it was decided and not derived from other steps.
    pub fn decided(&self) -> Option<&StepEnded> {
        self.end.as_ref().filter(|end| end.verdict.is_some() || end.by_condition)
    }

    /// The last attempt, if the step has not ended: it goes on, or it is still to be said what follows it.
    pub fn open_attempt(&self) -> Option<&RecordedAttempt> {
        if self.end.is_some() || self.begins_anew { None } else { self.attempts.last() }
    }

    /// How it ended, as it is shown.
    /// `logs`: the folder of the log files.
    pub fn shown(&self, logs: &Path) -> Option<StepEnd> {
        let end = self.end.as_ref()?;
        let attempt = self.attempts.last();
        let log = attempt.map(|attempt| log_file(logs, &self.name, attempt.number));
        let log = log.filter(|log| log.exists());
        let tail = log.as_deref().filter(|_| end.status == StepStatus::Failed);
        Some(StepEnd {
            status: end.status,
            excused: end.excused,
            verdict: end.verdict.clone(),
            message: end.message.clone(),
            took: end.took(),
            job: attempt.and_then(RecordedAttempt::job).map(|job| job.name.clone()),
            kept: end.kept,
            last_lines: tail.map(last_lines).unwrap_or_default(),
            log,
        })
    }

    /// Its Job is looked at again, if it may still be there; else another attempt is to begin.
    fn reopen(&mut self) {
        if self.is_lost() {
            match self.attempts.last_mut() {
                Some(attempt) if attempt.may_be_there() => attempt.ended = None,
                _ => self.begins_anew = true,
            }
            self.end = None;
        } else if self.decided().is_none() {
            self.end = None;
        }
    }
}

impl RecordedAttempt {
    /// Its Job; none: it is a process of the machine.
    pub fn job(&self) -> Option<&RecordedJob> {
        match &self.begun {
            Begun::Job(job) => Some(job),
            Begun::Process(_) => None,
        }
    }

    /// Ends the process of an attempt that nobody drives any more, with its group. Says whether it was still there.
    pub(crate) fn end_process(&self, run: &str) -> bool {
        let Begun::Process(Some(process)) = &self.begun else { return false };
        // Numbers of processes are used again; its environment says whose it is when its leader has gone.
        let variable = format!("DAG_RUN_ID={run}");
        self.ended.is_none() && process.signal(Signal::KILL, |found| found == variable.as_bytes())
    }

    /// Whether nobody has looked at its Job to the end: it was left alone.
    fn may_be_there(&self) -> bool {
        self.job().is_some() && matches!(self.ended, None | Some((_, Owed::LeaveAlone)))
    }

    /// What is still to be done in the cluster, of an attempt that was decided.
    pub fn owed(&self) -> Option<Owed> {
        self.ended.as_ref().map(|(_, owed)| *owed).filter(|_| !self.cleaned)
    }
}

#[cfg(test)]
mod tests;

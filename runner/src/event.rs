//! Everything that happens in a run, as one closed list: what the screen, the log of events and the journal are told.
//!
//! Events go one way, from the engine to those who show them. Nothing that shows an event can change what happens.

use std::fmt;
use std::path::PathBuf;
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::mask::Mask;
use crate::outcome::{RunStatus, StepStatus, Verdict};

/// Something that happened.
#[derive(Debug)]
pub struct Event {
    /// When, by the clock of this machine.
    pub time: Timestamp,
    /// Which step it is about; none: the run.
    pub step: Option<Arc<str>>,
    /// Which attempt of the step, from 1.
    pub attempt: Option<u32>,
    /// What.
    pub kind: EventKind,
}

/// What happened.
#[derive(Debug)]
pub enum EventKind {
    /// The run begins; always the first event.
    RunStarted {
        /// Id of the run.
        run: String,
        /// Name of the workflow.
        workflow: String,
        /// Names of all steps, in file order.
        steps: Vec<Arc<str>>,
        /// Names of the handlers. One that is not due never begins.
        handlers: Vec<Arc<str>>,
        /// Folder of the run: its journal and its logs.
        folder: PathBuf,
    },
    /// An attempt begins.
    StepStarted {
        /// Its Job; none: it is a process of this machine.
        job: Option<JobName>,
        /// Where its log is written.
        log: PathBuf,
    },
    /// A step waits for its next attempt.
    StepRetrying {
        /// Number of the next attempt.
        next: u32,
        /// After which time that begins, or waits for a place among those that run.
        wait: Duration,
        /// How the attempt before ended, in a few words, as `exit 42`.
        after: String,
    },
    /// An attempt is in another state, or another pod is the one it waits for.
    StepState {
        /// The state.
        state: AttemptState,
        /// Name of the newest pod.
        pod: Option<String>,
        /// Whether somebody suspended the Job.
        suspended: bool,
    },
    /// An attempt waits for something that should not take long. An empty list: it no longer does.
    StepWaiting {
        /// What for.
        waits: Vec<Waiting>,
    },
    /// A piece of the log of a container, or of a process of this machine.
    StepLog {
        /// Name of the pod; none: there is none.
        pod: Option<Arc<str>>,
        /// Which pod of the Job it is, from 1.
        pod_number: u32,
        /// Whole lines with their line ends; the last may lack one when `partial` or when the log ends so.
        text: Bytes,
        /// A piece of a line longer than 1 MiB that goes on in the next event.
        partial: bool,
        /// Held until the text is shown: a slow reader slows the stream and nothing else.
        permit: Option<OwnedSemaphorePermit>,
    },
    /// Lines may be missing from the log.
    StepGap {
        /// Name of the pod.
        pod: Arc<str>,
        /// Stamp of the last line before it, in the node's time.
        last: String,
        /// Stamp of the first line after it; none: there is none.
        next: Option<String>,
    },
    /// A step has ended: its last attempt is decided, or it will have none.
    StepEnded(Box<StepEnd>),
    /// Something worth knowing.
    Note {
        /// In words.
        text: String,
    },
    /// Something that may be wrong.
    Warning {
        /// In words.
        text: String,
    },
    /// Why nothing runs, or the run cannot go on.
    Fatal {
        /// In words.
        text: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// Somebody stops the run.
    Stopping {
        /// Whether nothing is waited for: it is not the first time.
        at_once: bool,
    },
    /// The run is left as it is and can be taken up again.
    Resumable {
        /// The command that does.
        command: String,
    },
    /// Something was left in a cluster.
    Leftover(Box<Leftover>),
    /// The run has ended; always the last event.
    RunEnded {
        /// How.
        status: RunStatus,
        /// Exit code of the program.
        exit_code: u8,
        /// How long it took.
        took: Duration,
    },
}

/// State of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttemptState {
    /// Its Job is being created.
    Creating,
    /// The Job exists, its program does not run yet.
    Pending,
    /// The program runs, or the next pod is due.
    Running,
    /// It is decided; the rest of the log is read.
    Draining,
    /// It has ended.
    Finished,
    /// Nothing of it is left to do.
    Cleaned,
}

impl AttemptState {
    /// The word in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            AttemptState::Creating => "creating",
            AttemptState::Pending => "pending",
            AttemptState::Running => "running",
            AttemptState::Draining => "draining",
            AttemptState::Finished => "finished",
            AttemptState::Cleaned => "cleaned",
        }
    }
}

/// Namespace and name of a Job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobName {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

/// What an attempt waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which wait, as `pull`: the word of `--wait`.
    pub kind: &'static str,
    /// What is waited for, in the cluster's words.
    pub words: String,
    /// Since when.
    pub since: Timestamp,
    /// When it is given up; none: never.
    pub until: Option<Timestamp>,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepEnd {
    /// Its status.
    pub status: StepStatus,
    /// Whether it failed, and its `continue_on` lets others start all the same.
    pub excused: bool,
    /// The verdict on its last attempt; none: it had none.
    pub verdict: Option<Verdict>,
    /// Why it had no attempt, as `upstream extract failed`; else empty.
    pub message: String,
    /// How long it took; none: it never began.
    pub took: Option<Duration>,
    /// The Job of its last attempt.
    pub job: Option<JobName>,
    /// Whether the Job stays in the cluster because the step wants it.
    pub kept: bool,
    /// The log of its last attempt.
    pub log: Option<PathBuf>,
    /// The last lines of that log, at most 20, without their line ends; only of a failure.
    pub last_lines: Vec<Bytes>,
}

impl StepEnd {
    /// The end of a step that had no attempt.
    pub fn without_attempt(status: StepStatus, message: String) -> StepEnd {
        StepEnd {
            status,
            excused: false,
            verdict: None,
            message,
            took: None,
            job: None,
            kept: false,
            log: None,
            last_lines: Vec::new(),
        }
    }

    /// The end of a step by the verdict on its last attempt.
    pub fn of(verdict: Verdict, took: Duration) -> StepEnd {
        let status = verdict.outcome.status();
        let without = StepEnd::without_attempt(status, String::new());
        StepEnd { verdict: Some(verdict), took: Some(took), ..without }
    }
}

/// Something that stays in a cluster although it should not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// `job` or `pod`.
    pub kind: String,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// Why it could not be removed.
    pub reason: String,
    /// The command that removes it; empty: it goes by itself, with the local cluster.
    pub command: String,
}

/// Log text on its way to the screen, in bytes: beyond it streams wait for whoever reads.
const LOG_BUDGET: usize = 4 * 1024 * 1024;

/// Where events go, and the clock that stamps them.
#[derive(Clone)]
pub struct Events {
    listener: Arc<dyn Fn(Event) + Send + Sync>,
    clock: Arc<dyn Fn() -> Timestamp + Send + Sync>,
    log_budget: Arc<Semaphore>,
    mask: Arc<OnceLock<Mask>>,
}

impl fmt::Debug for Events {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Events").field("log_budget", &self.log_budget).finish_non_exhaustive()
    }
}

impl Events {
    /// Events go to this queue. It need not be bounded: there are only so many states a step can have, and log text waits
    /// for its permit.
    pub fn new(queue: Sender<Event>) -> Events {
        // When nobody shows events any more the run goes on.
        Events::told(move |event| drop(queue.send(event)), Timestamp::now)
    }

    /// Events go to a listener, which is called where they happen and so must not wait. Stamps come from a clock that
    /// need not be this machine's.
    pub fn told(
        listener: impl Fn(Event) + Send + Sync + 'static,
        clock: impl Fn() -> Timestamp + Send + Sync + 'static,
    ) -> Events {
        let log_budget = Arc::new(Semaphore::new(LOG_BUDGET));
        Events { listener: Arc::new(listener), clock: Arc::new(clock), log_budget, mask: Arc::default() }
    }

    /// From here on secrets are hidden in everything that is told, by all clones. Only the first call counts.
    pub fn hide(&self, mask: Mask) {
        drop(self.mask.set(mask));
    }

    /// What hides the secrets of the run; an empty one before they were fetched.
    pub fn mask(&self) -> Mask {
        self.mask.get().cloned().unwrap_or_default()
    }

    /// The time by the clock that stamps events.
    pub fn now(&self) -> Timestamp {
        (self.clock)()
    }

    /// Something about the run.
    pub fn run(&self, kind: EventKind) {
        self.send(None, None, kind);
    }

    /// Something about a step.
    pub fn step(&self, step: &Arc<str>, kind: EventKind) {
        self.send(Some(step.clone()), None, kind);
    }

    /// Something about an attempt of a step.
    pub fn attempt(&self, step: &Arc<str>, attempt: u32, kind: EventKind) {
        self.send(Some(step.clone()), Some(attempt), kind);
    }

    /// Waits until a reader has taken enough of the log text before.
    ///
    /// # Cancellation
    /// Nothing is taken.
    pub async fn log_permit(&self, bytes: usize) -> Option<OwnedSemaphorePermit> {
        let bytes = u32::try_from(bytes.min(LOG_BUDGET)).unwrap_or(u32::MAX);
        self.log_budget.clone().acquire_many_owned(bytes).await.ok()
    }

    fn send(&self, step: Option<Arc<str>>, attempt: Option<u32>, mut kind: EventKind) {
        if let Some(mask) = self.mask.get() {
            mask.event(&mut kind);
        }
        (self.listener)(Event { time: self.now(), step, attempt, kind });
    }
}

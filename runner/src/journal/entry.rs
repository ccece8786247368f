//! The lines of a journal.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::cluster::{Address, Target};
use crate::event::{JobName, Leftover, StepEnd};
use crate::host::Identity;
use crate::outcome::{RunStatus, StepStatus, Verdict};
use crate::run::Signal;
use crate::step::log_stream::Position;
use crate::step::{Owed, Policy};

/// Version of the journals that this program writes, and the newest that it reads.
pub const VERSION: u32 = 1;

/// A line of the journal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Entry {
    /// The run begins; always the first line.
    RunStarted {
        /// Version of the journal, [`VERSION`].
        version: u32,
        /// Its id.
        run: String,
        /// Name of the workflow.
        workflow: String,
        /// Names of all steps in file order.
        steps: Vec<String>,
        /// Names of the handlers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        handlers: Vec<String>,
        /// Folder of the log files; none: `logs` in the folder of the run.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        logs: Option<PathBuf>,
        /// Whether it runs on the embedded cluster, which goes with its process.
        local: bool,
    },
    /// Another process takes the run up.
    RunResumed,
    /// A namespace of a cluster is watched from here on.
    ClusterOpened {
        /// How the config names the cluster.
        target: Target,
        /// The namespace.
        namespace: String,
        /// Where that led.
        address: Address,
    },
    /// An attempt is about to create its Job.
    JobIntended {
        /// The step.
        step: String,
        /// The attempt, from 1.
        attempt: u32,
        /// How the config names the cluster.
        target: Target,
        /// The Job.
        job: JobName,
        /// Digest of its manifest.
        digest: String,
        /// What becomes of it after an ordinary end.
        cleanup: Policy,
        /// Grace period of its pods, in seconds.
        grace_seconds: u64,
    },
    /// The Job exists.
    JobCreated {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// Its uid.
        uid: String,
    },
    /// An attempt is about to start a process of this machine.
    ProcessIntended {
        /// The step.
        step: String,
        /// The attempt, from 1.
        attempt: u32,
    },
    /// The process runs.
    ProcessStarted {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// What tells its group from others.
        process: Identity,
    },
    /// The captured output of a step; the last one counts.
    OutputCaptured {
        /// The step.
        step: String,
        /// The output; none: it holds a secret, which is written nowhere.
        output: Option<String>,
    },
    /// So much of the log is in its file. Written each second while the log grows, and at the end of each pod's.
    LogPosition(LogPosition),
    /// The attempt is decided, and its log is read.
    AttemptEnded {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// How.
        verdict: Verdict,
        /// What remains to be done in the cluster.
        owed: Owed,
    },
    /// The Job is not there any more, or is meant to stay. Without this line it is still owed.
    JobCleaned {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// Whether it stays.
        kept: bool,
    },
    /// Something could not be removed.
    Leftover {
        /// The step.
        step: String,
        /// The attempt.
        attempt: u32,
        /// What.
        leftover: Leftover,
    },
    /// A step has ended.
    StepEnded(StepEnded),
    /// Somebody stops the run: no step begins any more.
    Stopping {
        /// How.
        signal: Signal,
    },
    /// The process has left the run alone; its Jobs go on.
    Detached,
    /// The run has ended.
    RunEnded {
        /// How.
        status: RunStatus,
        /// Exit code of the program.
        exit_code: u8,
    },
}

/// How far a log was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogPosition {
    /// The step.
    pub step: String,
    /// The attempt.
    pub attempt: u32,
    /// Uid of the pod.
    pub pod: String,
    /// The last line that is in the file.
    pub position: Position,
    /// Bytes of the file.
    pub length: u64,
    /// Whether nothing more of this pod is to come.
    pub whole: bool,
}

/// How a step ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEnded {
    /// The step.
    pub step: String,
    /// Its status.
    pub status: StepStatus,
    /// Whether it failed, and its `continue_on` lets others start all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excused: bool,
    /// Whether a condition of its own decided: it does not follow from other steps.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub by_condition: bool,
    /// The verdict on its last attempt, or on the step if it came to none; none: it never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// Why it had no attempt.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Milliseconds that it took; none: it never began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub took_ms: Option<u64>,
    /// Whether its Job stays because the step wants it.
    #[serde(default)]
    pub kept: bool,
}

impl StepEnded {
    /// What is remembered of the end of a step: the rest is in other lines, or in the log.
    pub fn of(step: &str, end: &StepEnd) -> StepEnded {
        StepEnded {
            step: step.to_owned(),
            status: end.status,
            excused: end.excused,
            by_condition: false,
            verdict: end.verdict.clone(),
            message: end.message.clone(),
            took_ms: end.took.map(|took| u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            kept: end.kept,
        }
    }

    /// How long it took.
    pub fn took(&self) -> Option<Duration> {
        self.took_ms.map(Duration::from_millis)
    }
}

/// A line with its time.
#[derive(Debug, Clone, PartialEq)]
pub struct Dated {
    /// When it was written, by the clock of that machine.
    pub time: Timestamp,
    /// The line.
    pub entry: Entry,
}

/// A line as it stands in the file.
#[derive(Serialize)]
pub(super) struct Line<'a> {
    pub(super) seq: u64,
    pub(super) time: Timestamp,
    #[serde(flatten)]
    pub(super) entry: &'a Entry,
}

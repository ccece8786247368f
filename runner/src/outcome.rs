//! How steps and runs end: the words that the screen, the journal and scripts share.
//!
//! Unknown is a case of its own: a step whose exit code nobody saw has none, never 0.

use std::fmt;

use serde::{Deserialize, Serialize};

/// State of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    /// It never began.
    NotStarted,
    /// An attempt is in progress.
    Running,
    /// It waits for its next attempt.
    Retrying,
    /// It ended well.
    Succeeded,
    /// It ended badly.
    Failed,
    /// Its condition was not met, or a step it waits for was skipped.
    Skipped,
    /// It was cancelled, or a step it waits for failed.
    Aborted,
}

impl StepStatus {
    /// The word in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            StepStatus::NotStarted => "not_started",
            StepStatus::Running => "running",
            StepStatus::Retrying => "retrying",
            StepStatus::Succeeded => "succeeded",
            StepStatus::Failed => "failed",
            StepStatus::Skipped => "skipped",
            StepStatus::Aborted => "aborted",
        }
    }
}

impl fmt::Display for StepStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// State of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// Steps are in progress.
    Running,
    /// No step failed.
    Succeeded,
    /// Steps failed and others succeeded, and `continue_on` excuses every failure.
    PartiallySucceeded,
    /// A step failed that nothing excuses.
    Failed,
    /// It was cancelled, or its preconditions were not met.
    Aborted,
    /// Its process has left it alone; its Jobs go on.
    Detached,
    /// Its process died; its Jobs go on.
    Interrupted,
}

impl RunStatus {
    /// The word in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            RunStatus::Running => "running",
            RunStatus::Succeeded => "succeeded",
            RunStatus::PartiallySucceeded => "partially_succeeded",
            RunStatus::Failed => "failed",
            RunStatus::Aborted => "aborted",
            RunStatus::Detached => "detached",
            RunStatus::Interrupted => "interrupted",
        }
    }
}

impl fmt::Display for RunStatus {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// Why an attempt did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The program ended with a code other than 0.
    Exit,
    /// The program used more memory than its limit.
    OomKilled,
    /// The program could not be started.
    StartError,
    /// The node was short of something and put the pod out.
    Evicted,
    /// The pod was preempted, drained or collected.
    Disrupted,
    /// The node was shut down.
    NodeShutdown,
    /// The node refused the pod.
    RejectedByNode,
    /// The image cannot be had.
    ImagePull,
    /// A container that somebody added, and that runs before the step, failed.
    InitFailed,
    /// A Secret, ConfigMap or key is missing.
    ContainerConfig,
    /// The container could not be made.
    ContainerCreate,
    /// A volume or the sandbox of the pod did not come.
    PodStart,
    /// No node takes the pod.
    Unschedulable,
    /// The Job made no pod.
    NoPod,
    /// The Job's active deadline passed.
    Deadline,
    /// A rule of the pod failure policy ended the Job.
    PodFailurePolicy,
    /// The Job failed for another reason.
    JobFailed,
    /// Nobody can know how it ended.
    Lost,
    /// There is no cluster for it.
    NoCluster,
    /// The cluster refused the Job.
    CreateRefused,
    /// Somebody else's Job has its name.
    NameConflict,
    /// The cluster did not answer while the Job was created.
    ClusterUnreachable,
    /// The step's time limit passed.
    Timeout,
    /// The run's time limit passed.
    RunTimeout,
    /// Somebody stopped it.
    Cancelled,
    /// With all variables put in, the config is invalid.
    Invalid,
    /// With all variables put in, a policy said no.
    Denied,
    /// A condition could not be evaluated.
    Condition,
    /// The captured output is larger than its limit.
    OutputTooLarge,
    /// The captured output is not complete.
    LogIncomplete,
}

impl Reason {
    /// The word in files and on the screen.
    pub fn as_str(self) -> &'static str {
        match self {
            Reason::Exit => "exit",
            Reason::OomKilled => "oom-killed",
            Reason::StartError => "start-error",
            Reason::Evicted => "evicted",
            Reason::Disrupted => "disrupted",
            Reason::NodeShutdown => "node-shutdown",
            Reason::RejectedByNode => "rejected-by-node",
            Reason::ImagePull => "image-pull",
            Reason::InitFailed => "init-failed",
            Reason::ContainerConfig => "container-config",
            Reason::ContainerCreate => "container-create",
            Reason::PodStart => "pod-start",
            Reason::Unschedulable => "unschedulable",
            Reason::NoPod => "no-pod",
            Reason::Deadline => "deadline",
            Reason::PodFailurePolicy => "pod-failure-policy",
            Reason::JobFailed => "job-failed",
            Reason::Lost => "lost",
            Reason::NoCluster => "no-cluster",
            Reason::CreateRefused => "create-refused",
            Reason::NameConflict => "name-conflict",
            Reason::ClusterUnreachable => "cluster-unreachable",
            Reason::Timeout => "timeout",
            Reason::RunTimeout => "run-timeout",
            Reason::Cancelled => "cancelled",
            Reason::Invalid => "invalid",
            Reason::Denied => "denied",
            Reason::Condition => "condition",
            Reason::OutputTooLarge => "output-too-large",
            Reason::LogIncomplete => "log-incomplete",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "outcome")]
pub enum Outcome {
    /// The program ended with 0, and the cluster agrees.
    Succeeded,
    /// It failed, and it is known how.
    Failed {
        /// The program's own code, when its own end decided; never 0.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        exit_code: Option<i32>,
        /// Why.
        reason: Reason,
    },
    /// The step's time limit passed; its code is 124.
    TimedOut,
    /// It was stopped before its end.
    Cancelled {
        /// By whom: [`Reason::Cancelled`] or [`Reason::RunTimeout`].
        reason: Reason,
    },
    /// Nobody can know how it ended.
    Lost,
}

/// The code that a step has whose time limit passed, as of `timeout(1)`.
const TIMED_OUT: i32 = 124;

impl Outcome {
    /// A failure; a code of 0 is no code of a failure, and is left out.
    pub fn failed(exit_code: Option<i32>, reason: Reason) -> Outcome {
        Outcome::Failed { exit_code: exit_code.filter(|code| *code != 0), reason }
    }

    /// The status of the step.
    pub fn status(&self) -> StepStatus {
        match self {
            Outcome::Succeeded => StepStatus::Succeeded,
            Outcome::Failed { .. } | Outcome::TimedOut | Outcome::Lost => StepStatus::Failed,
            Outcome::Cancelled { .. } => StepStatus::Aborted,
        }
    }

    /// The recorded code; none: there is none.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Outcome::Succeeded => Some(0),
            Outcome::Failed { exit_code, .. } => *exit_code,
            Outcome::TimedOut => Some(TIMED_OUT),
            Outcome::Cancelled { .. } | Outcome::Lost => None,
        }
    }

    /// Why it did not succeed.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Outcome::Succeeded => None,
            Outcome::Failed { reason, .. } | Outcome::Cancelled { reason } => Some(*reason),
            Outcome::TimedOut => Some(Reason::Timeout),
            Outcome::Lost => Some(Reason::Lost),
        }
    }
}

/// How an attempt ended, with everything that is told about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub outcome: Outcome,
    /// The reason in words, with what the cluster said word for word; empty for a success. Lines are separated by line
    /// feeds.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// What else is worth knowing, as `pod 2 of 2`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the user can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
    /// Name of the pod that decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pod: Option<String>,
    /// How many pods the Job had.
    #[serde(default)]
    pub pods: u32,
}

impl Verdict {
    /// A verdict without notes, hint or pod.
    pub fn new(outcome: Outcome, message: impl Into<String>) -> Verdict {
        Verdict { outcome, message: message.into(), notes: Vec::new(), hint: None, pod: None, pods: 0 }
    }
}

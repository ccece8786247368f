//! What is known about a Job.

use k8s_openapi::api::batch::v1::{Job, JobStatus};

use super::{Events, Words, is_newer, version};

/// Kubernetes' own default; the Jobs of this program always say.
const DEFAULT_BACKOFF_LIMIT: i32 = 6;

/// A Job, as far as it decides or explains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::step) struct JobFacts {
    version: Option<u64>,
    pub(in crate::step) is_suspended: bool,
    /// So many failed pods are replaced.
    pub(in crate::step) backoff_limit: i32,
    /// A rule of its pod failure policy lets failures not count, so that any failed pod may be replaced.
    pub(in crate::step) has_ignore_rule: bool,
    /// Seconds.
    pub(in crate::step) active_deadline: Option<i64>,
    /// Its last word: condition `Complete` or `Failed`.
    pub(in crate::step) end: Option<JobWord>,
    /// Its last word as it is sure to be, but pods have to end first: `SuccessCriteriaMet` or `FailureTarget`.
    pub(in crate::step) target: Option<JobWord>,
    /// Its deletion began.
    pub(in crate::step) is_deleting: bool,
    /// What holds it since then.
    pub(super) finalizers: Vec<String>,
    /// It is no longer there.
    pub(in crate::step) is_gone: bool,
    pub(in crate::step) events: Events,
}

/// What a Job says about its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::step) enum JobWord {
    Complete,
    Failed(Words),
}

impl JobFacts {
    pub(super) fn see(&mut self, job: &Job) {
        self.is_deleting |= job.metadata.deletion_timestamp.is_some();
        if let Some(status) = &job.status {
            self.end = self.end.take().or_else(|| word(status, "Complete", "Failed"));
            self.target = self.target.take().or_else(|| word(status, "SuccessCriteriaMet", "FailureTarget"));
        }
        let version = version(&job.metadata);
        if !is_newer(version, self.version) {
            return;
        }
        self.version = version;
        let held = job.metadata.finalizers.iter().flatten().filter(|_| job.metadata.deletion_timestamp.is_some());
        self.finalizers = held.cloned().collect();
        let Some(spec) = &job.spec else { return };
        self.is_suspended = spec.suspend == Some(true);
        self.backoff_limit = spec.backoff_limit.unwrap_or(DEFAULT_BACKOFF_LIMIT);
        let mut rules = spec.pod_failure_policy.iter().flat_map(|policy| &policy.rules);
        self.has_ignore_rule = rules.any(|rule| rule.action == "Ignore");
        self.active_deadline = spec.active_deadline_seconds;
    }
}

/// Conditions decide, never counters: a Job that fails by a rule of its pod failure policy may count no failed pod (F60).
fn word(status: &JobStatus, success: &str, failure: &str) -> Option<JobWord> {
    let mut conditions = status.conditions.iter().flatten().filter(|condition| condition.status == "True");
    conditions.find_map(|condition| match condition.type_.as_str() {
        kind if kind == success => Some(JobWord::Complete),
        kind if kind == failure => {
            Some(JobWord::Failed(Words::new(condition.reason.as_ref(), condition.message.as_ref())))
        }
        _ => None,
    })
}

//! What is due for a Job: a pure function of the Job, its pods and the time.
//!
//! Conditions come in the order of recent Kubernetes: `SuccessCriteriaMet` and then `Complete`, `FailureTarget` and then
//! `Failed`, the second of each only when no pod runs any more.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::batch::v1::{Job, JobCondition, JobSpec, JobStatus, UncountedTerminatedPods};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::TRACKING;
use super::failure_policy::{Judgement, judge};
use crate::clock::later;
use crate::object::Key;

/// The wait after the first failure; doubles with each further one up to the limit. Kubernetes' own numbers.
const BACKOFF: Duration = Duration::from_secs(10);
const BACKOFF_LIMIT: Duration = Duration::from_secs(600);

/// Failures since the last success: what the wait before the next pod hangs on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    failures: u32,
    last: Option<Timestamp>,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// The Job's new status, if it changes.
    pub(super) status: Option<JobStatus>,
    /// So many pods are missing.
    pub(super) create: usize,
    pub(super) delete: Vec<Key>,
    /// Pods that are deleted for no fault of theirs are not counted.
    pub(super) uncounted_deletions: bool,
    /// Pods that have been counted.
    pub(super) release: Vec<Key>,
    /// Warning or not, reason, message.
    pub(super) events: Vec<(bool, String, String)>,
    /// The Job's time after its end is over.
    pub(super) expired: bool,
    /// When to look again, whatever happens.
    pub(super) due: Option<Timestamp>,
}

impl Plan {
    fn due_at(&mut self, then: Option<Timestamp>) {
        self.due = [self.due, then].into_iter().flatten().min();
    }

    /// Whether it is about to say how the Job ends.
    pub(super) fn concludes(&self, job: &Job) -> bool {
        let verdicts = ["SuccessCriteriaMet", "Complete", "FailureTarget", "Failed"];
        let says = |status: &JobStatus| verdicts.iter().filter(|kind| condition(status, kind).is_some()).count();
        self.status.as_ref().is_some_and(|status| says(status) > job.status.as_ref().map_or(0, says))
    }

    fn event(&mut self, is_warning: bool, reason: &str, message: &str) {
        self.events.push((is_warning, reason.to_owned(), message.to_owned()));
    }
}

/// The pods of a Job by what they still do.
struct Pods<'a> {
    active: Vec<&'a (Key, Pod)>,
    terminating: usize,
    ready: usize,
}

/// Works out what is due for a Job.
pub(super) fn plan(job: &Job, pods: &[(Key, Pod)], memory: &mut Memory, now: Timestamp) -> Plan {
    let mut plan = Plan::default();
    let Some(spec) = &job.spec else { return plan };
    let before = job.status.clone().unwrap_or_default();
    if let Some(finished) = condition(&before, "Complete").or_else(|| condition(&before, "Failed")) {
        plan.release = tracked(pods).map(|(key, _)| key.clone()).collect();
        let ttl = spec.ttl_seconds_after_finished.and_then(|seconds| u64::try_from(seconds).ok());
        if let (Some(ttl), Some(Time(finished))) = (ttl, &finished.last_transition_time)
            && job.metadata.deletion_timestamp.is_none()
        {
            let end = later(*finished, Duration::from_secs(ttl));
            plan.expired = end.is_some_and(|end| end <= now);
            plan.due_at(end);
        }
        return plan;
    }
    let mut status = before.clone();
    let is_suspended = spec.suspend == Some(true);
    let is_deleted = job.metadata.deletion_timestamp.is_some();
    if status.start_time.is_none() && !is_suspended {
        status.start_time = Some(Time(now));
    }
    let now_there = sort(pods);

    let mut verdict = pending_verdict(&status).or_else(|| fail_by_policy(spec, pods));
    let counted = count(spec, pods, verdict.is_some(), is_deleted, memory, now);
    let failed = before.failed.unwrap_or_default().saturating_add(counted.failed);
    let succeeded = before.succeeded.unwrap_or_default().saturating_add(counted.succeeded);
    let deadline = deadline(spec, &status);
    if verdict.is_none() {
        if failed > spec.backoff_limit.unwrap_or(6) {
            verdict = Some(Verdict::failed("BackoffLimitExceeded", "Job has reached the specified backoff limit"));
        } else if !is_suspended && deadline.is_some_and(|deadline| deadline <= now) {
            verdict = Some(Verdict::failed("DeadlineExceeded", "Job was active longer than specified deadline"));
        } else if !is_suspended {
            plan.due_at(deadline);
        }
    }

    let mut active = now_there.active.len();
    if let Some(Verdict { is_success: false, .. }) = verdict {
        plan.delete = now_there.active.iter().map(|(key, _)| key.clone()).collect();
        active = 0;
    } else if !is_deleted {
        active = balance(spec, &now_there, succeeded, is_suspended || verdict.is_some(), memory, now, &mut plan);
    }
    if verdict.is_none() && !is_suspended && is_complete(spec, succeeded, active, plan.create) {
        let message = "Reached expected number of succeeded pods";
        verdict =
            Some(Verdict { is_success: true, reason: "CompletionsReached".to_owned(), message: message.to_owned() });
    }

    status.failed = positive(failed, counted_deletions(&verdict, &plan, pods));
    status.succeeded = positive(succeeded, 0);
    status.active = positive(i32::try_from(active).unwrap_or(i32::MAX), 0);
    status.ready = Some(i32::try_from(now_there.ready.min(active)).unwrap_or(i32::MAX));
    let terminating = now_there.terminating.saturating_add(plan.delete.len());
    status.terminating = Some(i32::try_from(terminating).unwrap_or(i32::MAX));
    status.uncounted_terminated_pods = Some(UncountedTerminatedPods::default());
    plan.release.extend(counted.pods);
    if verdict.is_none() && !is_deleted {
        suspend_or_resume(is_suspended, &mut status, &mut plan, now);
    }
    if let Some(verdict) = &verdict {
        if !verdict.is_success {
            plan.release.extend(plan.delete.iter().cloned());
        }
        conclude(verdict, &before, terminating, &mut status, &mut plan, now);
    }
    plan.status = (status != before).then_some(status);
    plan
}

/// How a Job ends.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Verdict {
    is_success: bool,
    reason: String,
    message: String,
}

impl Verdict {
    fn failed(reason: &str, message: &str) -> Self {
        Self { is_success: false, reason: reason.to_owned(), message: message.to_owned() }
    }
}

fn condition<'a>(status: &'a JobStatus, kind: &str) -> Option<&'a JobCondition> {
    let mut conditions = status.conditions.iter().flatten();
    conditions.find(|condition| condition.type_ == kind && condition.status == "True")
}

/// A verdict that was reached before and waits for the last pods.
fn pending_verdict(status: &JobStatus) -> Option<Verdict> {
    let of = |kind: &str, is_success: bool| {
        let found = condition(status, kind)?;
        Some(Verdict {
            is_success,
            reason: found.reason.clone().unwrap_or_default(),
            message: found.message.clone().unwrap_or_default(),
        })
    };
    of("FailureTarget", false).or_else(|| of("SuccessCriteriaMet", true))
}

fn phase(pod: &Pod) -> &str {
    pod.status.as_ref().and_then(|status| status.phase.as_deref()).unwrap_or("Pending")
}

fn has_ended(pod: &Pod) -> bool {
    matches!(phase(pod), "Succeeded" | "Failed")
}

fn tracked(pods: &[(Key, Pod)]) -> impl Iterator<Item = &(Key, Pod)> {
    pods.iter().filter(|(_, pod)| pod.metadata.finalizers.iter().flatten().any(|finalizer| finalizer == TRACKING))
}

fn sort(pods: &[(Key, Pod)]) -> Pods<'_> {
    let running = pods.iter().filter(|(_, pod)| !has_ended(pod));
    let (terminating, active): (Vec<_>, Vec<_>) =
        running.partition(|(_, pod)| pod.metadata.deletion_timestamp.is_some());
    let is_ready = |pod: &Pod| {
        let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
        conditions.any(|condition| condition.type_ == "Ready" && condition.status == "True")
    };
    let ready = active.iter().filter(|(_, pod)| is_ready(pod)).count();
    Pods { active, terminating: terminating.len(), ready }
}

/// Whether a pod has failed as far as its Job is concerned: with `TerminatingOrFailed` also when it is being deleted.
fn has_failed(spec: &JobSpec, pod: &Pod) -> bool {
    let waits_for_end = spec.pod_replacement_policy.as_deref() == Some("Failed") || spec.pod_failure_policy.is_some();
    phase(pod) == "Failed" || (!waits_for_end && pod.metadata.deletion_timestamp.is_some() && phase(pod) != "Succeeded")
}

fn fail_by_policy(spec: &JobSpec, pods: &[(Key, Pod)]) -> Option<Verdict> {
    let policy = spec.pod_failure_policy.as_ref()?;
    let mut failed = tracked(pods).filter(|(_, pod)| has_failed(spec, pod));
    failed.find_map(|(_, pod)| match judge(policy, pod) {
        Judgement::FailJob(message) => Some(Verdict::failed("PodFailurePolicy", &message)),
        Judgement::Ignore | Judgement::Count => None,
    })
}

/// Pods that have ended and were not counted before.
#[derive(Default)]
struct Counted {
    succeeded: i32,
    failed: i32,
    pods: Vec<Key>,
}

fn count(
    spec: &JobSpec,
    pods: &[(Key, Pod)],
    has_verdict: bool,
    is_deleted: bool,
    memory: &mut Memory,
    now: Timestamp,
) -> Counted {
    let mut counted = Counted::default();
    let mut ended: Vec<_> =
        tracked(pods).filter(|(_, pod)| phase(pod) == "Succeeded" || has_failed(spec, pod)).collect();
    ended.sort_by_key(|(_, pod)| end_time(pod));
    for (key, pod) in ended {
        counted.pods.push(key.clone());
        if phase(pod) == "Succeeded" {
            counted.succeeded = counted.succeeded.saturating_add(1);
            *memory = Memory::default();
            continue;
        }
        memory.failures = memory.failures.saturating_add(1);
        memory.last = memory.last.max(Some(end_time(pod).unwrap_or(now)));
        let ignored = spec.pod_failure_policy.as_ref().is_some_and(|policy| judge(policy, pod) == Judgement::Ignore);
        if !ignored {
            counted.failed = counted.failed.saturating_add(1);
        }
    }
    if has_verdict || is_deleted {
        // Nothing more will be decided by them.
        let rest = tracked(pods).filter(|(_, pod)| pod.metadata.deletion_timestamp.is_some());
        let rest: Vec<Key> = rest.map(|(key, _)| key.clone()).filter(|key| !counted.pods.contains(key)).collect();
        counted.pods.extend(rest);
    }
    counted
}

/// When the last container ended; for a pod without one, when its deletion was due.
fn end_time(pod: &Pod) -> Option<Timestamp> {
    let containers = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let ends = containers.filter_map(|container| container.state.as_ref()?.terminated.as_ref()?.finished_at.as_ref());
    ends.map(|Time(end)| *end).max().or_else(|| pod.metadata.deletion_timestamp.as_ref().map(|Time(then)| *then))
}

fn deadline(spec: &JobSpec, status: &JobStatus) -> Option<Timestamp> {
    let seconds = u64::try_from(spec.active_deadline_seconds?).ok()?;
    later(status.start_time.as_ref()?.0, Duration::from_secs(seconds))
}

/// Brings the number of running pods to what is wanted; returns how many of those there are will run on.
fn balance(
    spec: &JobSpec,
    pods: &Pods<'_>,
    succeeded: i32,
    wants_none: bool,
    memory: &Memory,
    now: Timestamp,
    plan: &mut Plan,
) -> usize {
    let active = pods.active.len();
    let number = |value: i32| usize::try_from(value).unwrap_or_default();
    let parallelism = number(spec.parallelism.unwrap_or(1));
    let wanted = match spec.completions {
        _ if wants_none => 0,
        Some(completions) => number(completions.saturating_sub(succeeded)).min(parallelism),
        // A work queue: after the first success no new pods begin.
        None if succeeded > 0 => active.min(parallelism),
        None => parallelism,
    };
    if active > wanted {
        let surplus = pods.active.iter().rev().take(active.saturating_sub(wanted));
        plan.delete = surplus.map(|(key, _)| key.clone()).collect();
        plan.uncounted_deletions = true;
        return wanted;
    }
    let waits_for_end = spec.pod_replacement_policy.as_deref() == Some("Failed");
    let blocked = if waits_for_end { pods.terminating } else { 0 };
    let missing = wanted.saturating_sub(active).saturating_sub(blocked);
    if missing == 0 {
        return active;
    }
    if let Some(then) = resume_time(memory).filter(|then| *then > now) {
        plan.due_at(Some(then));
        return active;
    }
    plan.create = missing;
    active
}

/// When the next pod may begin.
fn resume_time(memory: &Memory) -> Option<Timestamp> {
    let doublings = memory.failures.checked_sub(1)?;
    let wait = BACKOFF.saturating_mul(2_u32.saturating_pow(doublings)).min(BACKOFF_LIMIT);
    later(memory.last?, wait)
}

fn is_complete(spec: &JobSpec, succeeded: i32, active: usize, create: usize) -> bool {
    let is_enough = match spec.completions {
        Some(completions) => succeeded >= completions,
        None => succeeded > 0,
    };
    is_enough && active == 0 && create == 0
}

/// When a Job fails, the pods it stops count as failed.
fn counted_deletions(verdict: &Option<Verdict>, plan: &Plan, pods: &[(Key, Pod)]) -> i32 {
    let is_failure = matches!(verdict, Some(Verdict { is_success: false, .. }));
    let stopped = tracked(pods).filter(|(key, _)| is_failure && plan.delete.contains(key)).count();
    i32::try_from(stopped).unwrap_or(i32::MAX)
}

fn positive(count: i32, more: i32) -> Option<i32> {
    Some(count.saturating_add(more)).filter(|count| *count != 0)
}

fn suspend_or_resume(is_suspended: bool, status: &mut JobStatus, plan: &mut Plan, now: Timestamp) {
    let was_suspended = condition(status, "Suspended").is_some();
    if is_suspended && !was_suspended {
        set_condition(status, "Suspended", "True", "JobSuspended", "Job suspended", now);
        plan.event(false, "Suspended", "Job suspended");
    } else if !is_suspended && was_suspended {
        set_condition(status, "Suspended", "False", "JobResumed", "Job resumed", now);
        status.start_time = Some(Time(now));
        plan.event(false, "Resumed", "Job resumed");
    }
    if is_suspended {
        status.start_time = None;
    }
}

fn conclude(
    verdict: &Verdict,
    before: &JobStatus,
    terminating: usize,
    status: &mut JobStatus,
    plan: &mut Plan,
    now: Timestamp,
) {
    let (first, last) =
        if verdict.is_success { ("SuccessCriteriaMet", "Complete") } else { ("FailureTarget", "Failed") };
    if condition(before, first).is_none() {
        set_condition(status, first, "True", &verdict.reason, &verdict.message, now);
        return;
    }
    // Nothing of the Job runs any more, so what the last condition says is final.
    if terminating > 0 || status.active.is_some() {
        return;
    }
    set_condition(status, last, "True", &verdict.reason, &verdict.message, now);
    if verdict.is_success {
        status.completion_time = Some(Time(now));
        plan.event(false, "Completed", "Job completed");
    } else {
        plan.event(true, &verdict.reason, &verdict.message);
    }
}

fn set_condition(status: &mut JobStatus, kind: &str, value: &str, reason: &str, message: &str, now: Timestamp) {
    let conditions = status.conditions.get_or_insert_default();
    conditions.retain(|condition| condition.type_ != kind);
    conditions.push(JobCondition {
        last_probe_time: Some(Time(now)),
        last_transition_time: Some(Time(now)),
        message: Some(message.to_owned()),
        reason: Some(reason.to_owned()),
        status: value.to_owned(),
        type_: kind.to_owned(),
    });
}

#[cfg(test)]
mod tests;

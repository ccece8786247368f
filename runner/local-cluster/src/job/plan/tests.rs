//! Tables of Jobs and pods, and what is due for them.

use serde_json::{Value, json};

use super::*;
use crate::resource::Resource;

const NOW: &str = "2026-01-01T00:10:00Z";

fn now() -> Timestamp {
    NOW.parse().unwrap()
}

fn job(spec: Value, status: Value) -> Job {
    let mut all = json!({"parallelism": 1, "completions": 1, "backoffLimit": 0, "podReplacementPolicy": "Failed",
        "template": {}});
    json_patch::merge(&mut all, &spec);
    serde_json::from_value(json!({"metadata": {"name": "j", "namespace": "n"}, "spec": all, "status": status})).unwrap()
}

fn pod(name: &str, phase: &str, more: Value) -> (Key, Pod) {
    let mut pod = json!({"metadata": {"name": name, "namespace": "n", "finalizers": [TRACKING]},
        "status": {"phase": phase, "containerStatuses": [{"name": "step",
            "state": {"terminated": {"exitCode": 1, "finishedAt": "2026-01-01T00:09:55Z"}}}]}});
    json_patch::merge(&mut pod, &more);
    (Key::new(Resource::Pods, "n", name), serde_json::from_value(pod).unwrap())
}

fn conditions(plan: &Plan) -> Vec<String> {
    let conditions = plan.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.map(|condition| format!("{}={}", condition.type_, condition.status)).collect()
}

fn plan_of(job: &Job, pods: &[(Key, Pod)]) -> Plan {
    plan(job, pods, &mut Memory::default(), now())
}

#[test]
fn a_new_job_starts_a_pod() {
    let plan = plan_of(&job(json!({}), json!({})), &[]);
    assert_eq!(plan.create, 1);
    let status = plan.status.unwrap();
    // The pod is counted when it has been made.
    assert_eq!((status.active, status.start_time), (None, Some(Time(now()))));
}

#[test]
fn success_is_met_first_and_complete_when_seen_again() {
    let done = [pod("a", "Succeeded", json!({}))];
    let first = plan_of(&job(json!({}), json!({"startTime": NOW, "active": 1})), &done);
    assert_eq!(conditions(&first), ["SuccessCriteriaMet=True"]);
    assert_eq!(first.release.len(), 1);
    let status = first.status.unwrap();
    assert_eq!((status.succeeded, status.active), (Some(1), None));
    let status = serde_json::to_value(status).unwrap();
    let released = [pod("a", "Succeeded", json!({"metadata": {"finalizers": null}}))];
    let second = plan_of(&job(json!({}), status), &released);
    assert_eq!(conditions(&second), ["SuccessCriteriaMet=True", "Complete=True"]);
    assert_eq!(second.status.unwrap().succeeded, Some(1));
    assert_eq!(second.events[0].1, "Completed");
}

#[test]
fn failure_waits_for_the_last_pod() {
    let pods = [pod("a", "Failed", json!({})), pod("b", "Running", json!({}))];
    let spec = json!({"parallelism": 2, "completions": 2});
    let first = plan_of(&job(spec.clone(), json!({"startTime": NOW})), &pods);
    assert_eq!(conditions(&first), ["FailureTarget=True"]);
    assert_eq!(first.delete.len(), 1);
    let status = first.status.unwrap();
    assert_eq!((status.failed, status.terminating), (Some(2), Some(1)));
    let status = serde_json::to_value(status).unwrap();
    let deleting = pod("b", "Running", json!({"metadata": {"finalizers": null, "deletionTimestamp": NOW}}));
    let second = plan_of(&job(spec.clone(), status.clone()), &[deleting]);
    assert_eq!(conditions(&second), Vec::<String>::new(), "nothing changes while a pod runs");
    let third = plan_of(&job(spec, status), &[]);
    assert_eq!(conditions(&third), ["FailureTarget=True", "Failed=True"]);
    assert_eq!(third.events[0].1, "BackoffLimitExceeded");
}

#[test]
fn the_next_pod_waits_ten_seconds_and_then_twice_as_long() {
    let spec = json!({"backoffLimit": 6});
    let mut memory = Memory::default();
    let failed = [pod("a", "Failed", json!({}))];
    let first = plan(&job(spec.clone(), json!({"startTime": NOW})), &failed, &mut memory, now());
    assert_eq!((first.create, first.due), (0, "2026-01-01T00:10:05Z".parse().ok()));
    memory.failures = 3;
    assert_eq!(resume_time(&memory), "2026-01-01T00:10:35Z".parse().ok());
    memory.failures = 30;
    assert_eq!(resume_time(&memory), "2026-01-01T00:19:55Z".parse().ok());
}

#[test]
fn a_deadline_of_zero_fails_at_once_and_a_later_one_is_waited_for() {
    let none = plan_of(&job(json!({"activeDeadlineSeconds": 0}), json!({})), &[]);
    assert_eq!((none.create, conditions(&none)), (0, vec!["FailureTarget=True".to_owned()]));
    let later = plan_of(&job(json!({"activeDeadlineSeconds": 5}), json!({})), &[]);
    assert_eq!((later.create, later.due), (1, "2026-01-01T00:10:05Z".parse().ok()));
}

#[test]
fn a_suspended_job_has_no_pods_and_they_do_not_count() {
    let running = [pod("a", "Running", json!({}))];
    let plan = plan_of(&job(json!({"suspend": true}), json!({"startTime": NOW, "active": 1})), &running);
    assert_eq!(conditions(&plan), ["Suspended=True"]);
    assert!(plan.uncounted_deletions && plan.delete.len() == 1);
    let status = plan.status.unwrap();
    assert_eq!((status.failed, &status.start_time), (None, &None));
    let resumed = plan_of(&job(json!({"suspend": false}), serde_json::to_value(status).unwrap()), &[]);
    assert_eq!(conditions(&resumed), ["Suspended=False"]);
    assert_eq!(resumed.create, 1);
}

#[test]
fn the_failure_policy_fails_the_job_or_ignores_the_pod() {
    let failed = [pod("a", "Failed", json!({}))];
    let rule = |action: &str| {
        json!({"podFailurePolicy": {"rules": [
            {"action": action, "onExitCodes": {"operator": "In", "values": [1]}}]}})
    };
    let plan = plan_of(&job(rule("FailJob"), json!({"startTime": NOW})), &failed);
    let status = plan.status.unwrap();
    let condition = &status.conditions.unwrap()[0];
    assert_eq!(condition.reason.as_deref(), Some("PodFailurePolicy"));
    assert_eq!(
        condition.message.as_deref(),
        Some("Container step for pod n/a failed with exit code 1 matching FailJob rule at index 0")
    );
    let plan = plan_of(&job(rule("Ignore"), json!({"startTime": NOW})), &failed);
    assert_eq!((plan.status.and_then(|status| status.failed), plan.due.is_some()), (None, true));
}

#[test]
fn a_replacement_waits_for_the_end_of_the_old_pod() {
    let going = [pod("a", "Running", json!({"metadata": {"deletionTimestamp": NOW}}))];
    let spec = json!({"backoffLimit": 3});
    assert_eq!(plan_of(&job(spec, json!({"startTime": NOW})), &going).create, 0);
    let spec = json!({"backoffLimit": 3, "podReplacementPolicy": "TerminatingOrFailed"});
    let plan = plan_of(&job(spec, json!({"startTime": NOW})), &going);
    // It counts as failed at once; what is left is the wait of ten seconds.
    assert_eq!((plan.status.and_then(|status| status.failed), plan.due.is_some()), (Some(1), true));
}

#[test]
fn a_finished_job_goes_when_its_time_is_over() {
    let finished = json!({"conditions": [
        {"type": "Complete", "status": "True", "lastTransitionTime": "2026-01-01T00:09:00Z"}]});
    let late = plan_of(&job(json!({"ttlSecondsAfterFinished": 30}), finished.clone()), &[]);
    assert!(late.expired);
    let early = plan_of(&job(json!({"ttlSecondsAfterFinished": 90}), finished.clone()), &[]);
    assert_eq!((early.expired, early.due), (false, "2026-01-01T00:10:30Z".parse().ok()));
    assert_eq!(plan_of(&job(json!({}), finished), &[]).due, None);
}

//! Edges that were met in real clusters, named after the fault.

use super::*;

#[test]
fn f27_a_pod_that_is_first_seen_at_its_end() {
    check(
        &[job(json!({})), pod("a", ended(0))],
        &[],
        &["draining", "wait job of uid-a: container `step` ended with 0, waiting for the Job"],
    );
    check(
        &[job(complete())],
        &[],
        &["draining", "wait job of job-uid: the Job is complete, waiting for its pod to be seen"],
    );
    check(&[job(complete()), pod("a", ended(0))], &[], &["succeeded 0 -, pod a of 1, job Ended"]);
}

#[test]
fn f29_f86_a_pod_that_is_put_out_and_ends_with_0_is_followed_by_the_next() {
    let why = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "Eviction API: evicting");
    let put_out = pod("a", all([ended(0), why.clone(), deleting()]));
    check(
        &[job(json!({})), put_out.clone()],
        &[],
        &["draining", "wait job of uid-a: container `step` ended with 0, waiting for the Job"],
    );
    check(&[job(json!({})), put_out.clone(), pod("b", running())], &[], &["running"]);
    check(
        &[put_out.clone(), pod("b", ended(4)), job(backoff_limit_exceeded())],
        &[],
        &["failed 4 exit, pod b of 2, job Ended", "container `step` ended with 4", "note: pod 2 of 2"],
    );
    check(
        &[put_out.clone(), pod("b", ended(0)), job(complete())],
        &[],
        &["succeeded 0 -, pod b of 2, job Ended", "note: pod 2 of 2"],
    );
    // The program has ended, its pod has not.
    let step = terminated(0, "Completed", "");
    let ending = pod("a", all([beside("Running", step, ("proxy", runs())), why]));
    check(
        &[job(json!({})), ending],
        &[WaitKind::Sidecar],
        &["draining", "wait job of uid-a: container `step` ended with 0, waiting for the Job"],
    );
}

#[test]
fn f31_the_report_says_which_pod_decided() {
    check(
        &[pod("a", all([running(), deleting()])), Seen::PodGone("a"), pod("b", ended(0)), job(complete())],
        &[],
        &["succeeded 0 -, pod b of 2, job Ended", "note: pod 2 of 2"],
    );
}

#[test]
fn f35_an_end_that_nobody_saw_is_no_0() {
    check(
        &[pod("a", running()), Seen::PodGone("a"), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - job-failed, pod a of 1, job Ended",
            "the Job failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
            "nobody saw how pod `a` ended",
        ],
    );
}

#[test]
fn f36_the_state_before_tells_what_the_last_one_does_not() {
    let mut step = container("step", terminated(137, "ContainerStatusUnknown", ""));
    step["lastState"] = terminated(1, "OOMKilled", "");
    let over = json!({"status": {"phase": "Failed", "containerStatuses": [step]}});
    check(
        &[pod("a", over), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 1 oom-killed, pod a of 1, job Ended",
            "container `step` ended with 1 (OOMKilled)",
            "its memory limit is 512Mi",
            "hint: raise `resources.limits.memory`, or let the program use less",
        ],
    );
    let no_limit = json!({"spec": {"containers": [{"name": "step"}]}});
    let killed = all([ended_as(1, "OOMKilled", ""), no_limit]);
    check(
        &[pod("a", killed), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 1 oom-killed, pod a of 1, job Ended",
            "container `step` ended with 1 (OOMKilled)",
            "it has no memory limit: node `node-1` itself ran out of memory",
            "hint: raise `resources.limits.memory`, or let the program use less",
        ],
    );
}

#[test]
fn f37_three_ends_with_137() {
    let evicted = json!({"status": {"reason": "Evicted", "message": "Pod ephemeral local storage usage exceeds 1Gi."}});
    let seen = |killed| [pod("a", killed), job(backoff_limit_exceeded())];
    check(
        &seen(ended_as(137, "OOMKilled", "")),
        &[],
        &[
            "failed 137 oom-killed, pod a of 1, job Ended",
            "container `step` ended with 137 = SIGKILL (OOMKilled)",
            "its memory limit is 512Mi",
            "hint: raise `resources.limits.memory`, or let the program use less",
        ],
    );
    check(
        &seen(all([ended(137), evicted])),
        &[],
        &[
            "failed - evicted, pod a of 1, job Ended",
            "pod `a` was evicted from node `node-1`",
            "Evicted: Pod ephemeral local storage usage exceeds 1Gi.",
            "container `step` ended with 137 = SIGKILL",
            "hint: set `resources.requests` to what the program uses, so that it gets a node that has it",
        ],
    );
    check(
        &seen(ended(137)),
        &[],
        &[
            "failed 137 exit, pod a of 1, job Ended",
            "container `step` ended with 137 = SIGKILL",
            "hint: look for a node that ran out of memory, or for somebody who stopped the program: the cluster does not say who sent SIGKILL",
        ],
    );
}

#[test]
fn f40_native_sidecars_need_nothing() {
    let native = json!({
        "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}], "terminationGracePeriodSeconds": 60},
        "status": {
            "phase": "Running",
            "initContainerStatuses": [container("proxy", runs())],
            "containerStatuses": [container("step", terminated(0, "Completed", ""))],
        },
    });
    check(
        &[job(json!({})), pod("a", native)],
        &[],
        &["draining", "wait sidecar +60s of uid-a: container `step` ended with 0, the node stops `proxy`"],
    );
}

#[test]
fn f41_the_code_of_a_sidecar_is_shown_and_changes_nothing() {
    let step = terminated(5, "Error", "");
    let killed = beside("Failed", step, ("proxy", terminated(137, "Error", "")));
    check(
        &[pod("a", killed), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 5 exit, pod a of 1, job Ended",
            "container `step` ended with 5",
            "note: container `proxy` ended with 137 = SIGKILL",
        ],
    );
}

#[test]
fn f42_a_sidecar_that_dies_is_told_at_once() {
    check(
        &[job(json!({})), pod("a", beside("Running", runs(), ("proxy", terminated(1, "Error", ""))))],
        &[],
        &["running", "remark: container `proxy` ended with 1"],
    );
}

#[test]
fn f49_a_job_that_is_gone_with_its_pods_is_judged_by_their_last_states() {
    check(
        &[Seen::JobGone],
        &[],
        &[
            "failed - lost, pod - of 0, job Gone",
            "somebody deleted the Job before its end was seen",
            "there was no pod",
        ],
    );
    check(
        &[pod_deleted("a", ended(0)), Seen::JobGone],
        &[],
        &["succeeded 0 -, pod a of 1, job Gone", "note: the Job was gone before it said Complete"],
    );
    check(&[pod_deleted("a", ended(0)), job_deleted(complete())], &[], &["succeeded 0 -, pod a of 1, job Gone"]);
}

#[test]
fn f60_conditions_decide_and_not_counters() {
    let message = "Container step for pod team/a failed with exit code 42 matching FailJob rule at index 0";
    let none = json!({"status": {"failed": 0, "succeeded": 0}});
    check(
        &[pod("a", ended(42)), job(all([says("FailureTarget", "PodFailurePolicy", message), none]))],
        &[],
        &[
            "failed 42 pod-failure-policy, pod a of 1, job Ended",
            "`pod_failure_policy.rules[0]` ended the Job",
            "container `step` ended with 42",
            "Container step for pod team/a failed with exit code 42 matching FailJob rule at index 0",
        ],
    );
}

#[test]
fn f75_a_suspended_job_is_waited_for_without_limits() {
    let suspended = job(json!({"spec": {"suspend": true}}));
    let every = &WaitKind::ALL;
    check(std::slice::from_ref(&suspended), every, &["pending"]);
    check(&[suspended.clone(), pod("a", all([ended(143), deleting()]))], every, &["running"]);
    check(&[suspended.clone(), pod("a", waiting("InvalidImageName", ""))], every, &["pending"]);
    // After it the next pod is followed.
    let resumed = job(json!({"spec": {"suspend": false}}));
    check(&[suspended, pod("a", all([ended(143), deleting()])), resumed, pod("b", running())], every, &["running"]);
}

#[test]
fn f76_the_container_is_found_by_name() {
    let step = terminated(52, "Error", "");
    let seen =
        [pod("a", beside("Failed", step, ("aaa", terminated(0, "Completed", "")))), job(backoff_limit_exceeded())];
    check(&seen, &[], &["failed 52 exit, pod a of 1, job Ended", "container `step` ended with 52"]);
}

#[test]
fn f78_a_silent_job_is_neither_success_nor_failure() {
    let seen = [job(json!({})), pod("a", ended(0))];
    check(&seen, &[], &["draining", "wait job of uid-a: container `step` ended with 0, waiting for the Job"]);
    check(
        &seen,
        &[WaitKind::Job],
        &[
            "failed - lost, pod a of 1, job Alive",
            "container `step` ended with 0",
            "the Job said neither Complete nor Failed",
            "hint: look for the Job controller of the cluster: it is stopped, or far behind",
        ],
    );
}

#[test]
fn f79_init_containers_that_hang_and_native_sidecars_that_are_killed() {
    let hangs = json!({
        "spec": {"initContainers": [{"name": "setup"}]},
        "status": {"initContainerStatuses": [container("setup", runs())]},
    });
    check(
        &[job(json!({})), pod("a", all([waiting("PodInitializing", ""), hangs]))],
        &WaitKind::ALL,
        &["pending", "remark: pod `a` waits for init container `setup`"],
    );
    let killed = json!({
        "spec": {"initContainers": [{"name": "proxy", "restartPolicy": "Always"}]},
        "status": {"initContainerStatuses": [container("proxy", terminated(137, "Error", ""))]},
    });
    check(
        &[pod("a", all([ended(0), killed.clone()])), job(complete())],
        &[],
        &["succeeded 0 -, pod a of 1, job Ended"],
    );
    check(
        &[pod("a", all([ended(3), killed])), job(backoff_limit_exceeded())],
        &[],
        &["failed 3 exit, pod a of 1, job Ended", "container `step` ended with 3"],
    );
}

#[test]
fn f85_out_of_memory_with_0_or_143_is_a_warning() {
    check(
        &[pod("a", ended_as(0, "OOMKilled", "")), job(complete())],
        &[],
        &[
            "succeeded 0 -, pod a of 1, job Ended",
            "note: warning: container `step` is marked OOMKilled although it ended with 0; its memory limit is 512Mi",
        ],
    );
    check(
        &[pod("a", ended_as(143, "OOMKilled", "")), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 143 exit, pod a of 1, job Ended",
            "container `step` ended with 143 = SIGTERM (OOMKilled)",
            "note: warning: container `step` is marked OOMKilled although it ended with 143 = SIGTERM; its memory limit is 512Mi",
        ],
    );
}

#[test]
fn a_pod_that_was_not_seen_yet_is_waited_for_when_the_job_has_failed() {
    let failed = job(all([json!({"spec": {"backoffLimit": 1}}), backoff_limit_exceeded()]));
    check(
        std::slice::from_ref(&failed),
        &[],
        &["draining", "wait job of job-uid: the Job has failed, waiting for its pod to be seen"],
    );
    check(
        &[failed.clone(), pod("a", ended(1))],
        &[],
        &["draining", "wait job of job-uid: the Job has failed, waiting for its pod to be seen"],
    );
    check(
        &[failed.clone(), pod("a", ended(1)), pod("b", running())],
        &[],
        &["draining", "wait job of uid-b: the Job says how it ended, waiting for the end of pod `b`"],
    );
    check(
        &[failed, pod("a", ended(1)), pod("b", ended(2))],
        &[],
        &["failed 2 exit, pod b of 2, job Ended", "container `step` ended with 2", "note: pod 2 of 2"],
    );
}

#[test]
fn warnings_stand_once_and_at_most_five_under_the_message() {
    let words: Vec<String> = (0..7).map(|number| format!("words {number}")).collect();
    let many: Vec<(&str, &str)> = words.iter().map(|words| ("FailedCreate", words.as_str())).collect();
    let facts = facts(&history(&[job(json!({})), Seen::Events("job", warnings(&many))]));
    let Judgement::Decided(mut decision) = judge(&facts, &BTreeSet::from([WaitKind::Pod])) else { panic!() };
    decision.add_warnings(&facts);
    let expected = [
        "the Job made no pod",
        "FailedCreate: words 6",
        "warning: FailedCreate: words 2",
        "warning: FailedCreate: words 3",
        "warning: FailedCreate: words 4",
        "warning: FailedCreate: words 5",
    ];
    assert_eq!(decision.verdict.message, expected.join("\n"));
    let asked: Vec<&str> = decision.events_of.iter().map(|events| events.uid.as_str()).collect();
    assert_eq!(asked, ["job-uid"]);
}

//! The Job said its last word, or the program of its pod has ended.

use super::*;

#[test]
fn v01_code_0_and_the_job_is_complete() {
    check(&[pod("a", ended(0)), job(complete())], &[], &["succeeded 0 -, pod a of 1, job Ended"]);
}

#[test]
fn v01_the_job_meets_its_criteria_and_its_pods_have_ended() {
    let met = job(says("SuccessCriteriaMet", "CompletionsReached", ""));
    check(
        &[pod("a", running()), met.clone()],
        &[],
        &["draining", "wait job of uid-a: the Job says how it ended, waiting for the end of pod `a`"],
    );
    check(&[pod("a", ended(0)), met], &[], &["succeeded 0 -, pod a of 1, job Ended"]);
}

#[test]
fn v03_other_containers_keep_the_pod_alive_after_code_0() {
    let seen = [job(json!({})), pod("a", beside("Running", terminated(0, "Completed", ""), ("proxy", runs())))];
    check(
        &seen,
        &[],
        &["draining", "wait sidecar of uid-a: container `step` ended with 0, but `proxy` keeps the pod running"],
    );
    check(
        &seen,
        &[WaitKind::Sidecar],
        &[
            "succeeded 0 -, pod a of 1, job Alive",
            "note: pod `a` was stopped: `proxy` still ran after `step` had ended",
        ],
    );
}

#[test]
fn v04_code_0_but_the_job_failed() {
    let step = terminated(0, "Completed", "");
    let seen =
        [pod("a", beside("Failed", step, ("proxy", terminated(137, "Error", "")))), job(backoff_limit_exceeded())];
    check(
        &seen,
        &[],
        &[
            "failed - job-failed, pod a of 1, job Ended",
            "the Job failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
            "container `step` ended with 0",
            "note: container `proxy` ended with 137 = SIGKILL",
        ],
    );
}

#[test]
fn v05_code_n_and_the_job_failed() {
    check(
        &[pod("a", ended(3)), job(backoff_limit_exceeded())],
        &[],
        &["failed 3 exit, pod a of 1, job Ended", "container `step` ended with 3"],
    );
}

#[test]
fn v06_other_containers_keep_the_pod_alive_after_code_n() {
    let seen = [job(json!({})), pod("a", beside("Running", terminated(3, "Error", ""), ("proxy", runs())))];
    check(
        &seen,
        &[WaitKind::Sidecar],
        &[
            "failed 3 exit, pod a of 1, job Alive",
            "container `step` ended with 3",
            "note: pod `a` was stopped: `proxy` still ran after `step` had ended",
        ],
    );
}

#[test]
fn v07_out_of_memory() {
    check(
        &[pod("a", ended_as(137, "OOMKilled", "")), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 137 oom-killed, pod a of 1, job Ended",
            "container `step` ended with 137 = SIGKILL (OOMKilled)",
            "its memory limit is 512Mi",
            "hint: raise `resources.limits.memory`, or let the program use less",
        ],
    );
}

#[test]
fn v08_the_program_could_not_be_started() {
    let message = "exec: \"lod\": executable file not found in $PATH";
    check(
        &[pod("a", ended_as(128, "StartError", message)), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed 128 start-error, pod a of 1, job Ended",
            "the program could not be started: container `step` ended with 128 (StartError)",
            "exec: \"lod\": executable file not found in $PATH",
            "hint: the program has to be in the image, executable, and made for the node's architecture: check `command`, `working_dir` and `image`",
        ],
    );
    // A program that ends so itself.
    check(
        &[pod("a", ended(127)), job(backoff_limit_exceeded())],
        &[],
        &["failed 127 exit, pod a of 1, job Ended", "container `step` ended with 127"],
    );
}

#[test]
fn v09_evicted() {
    let evicted = json!({"status": {"reason": "Evicted", "message": "The node was low on resource: memory."}});
    check(
        &[pod("a", all([ended(137), evicted])), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - evicted, pod a of 1, job Ended",
            "pod `a` was evicted from node `node-1`",
            "Evicted: The node was low on resource: memory.",
            "container `step` ended with 137 = SIGKILL",
            "hint: set `resources.requests` to what the program uses, so that it gets a node that has it",
        ],
    );
}

#[test]
fn v10_put_out() {
    let why =
        condition("DisruptionTarget", "True", "PreemptionByScheduler", "preempted by a pod with a higher priority");
    check(
        &[pod("a", all([ended(143), why.clone()])), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - disrupted, pod a of 1, job Ended",
            "pod `a` was put out: PreemptionByScheduler: preempted by a pod with a higher priority",
            "container `step` ended with 143 = SIGTERM",
            "hint: repeat such ends with `retry_policy`, or have the pod replaced by a rule `Ignore` for the condition `DisruptionTarget` in `pod_failure_policy`",
        ],
    );
    // Not even code 0 is a success when the Job says otherwise.
    let failed = json!({"status": {"phase": "Failed"}});
    check(
        &[pod("a", all([ended(0), failed, why])), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - disrupted, pod a of 1, job Ended",
            "pod `a` was put out: PreemptionByScheduler: preempted by a pod with a higher priority",
            "container `step` ended with 0",
            "hint: repeat such ends with `retry_policy`, or have the pod replaced by a rule `Ignore` for the condition `DisruptionTarget` in `pod_failure_policy`",
        ],
    );
}

#[test]
fn v10_somebody_deleted_the_pod() {
    let seen = [pod("a", running()), pod("a", all([ended(143), deleting()])), job(backoff_limit_exceeded())];
    let killed = json!({"status": {"containerStatuses": [container("step",
        json!({"terminated": {"exitCode": 143, "reason": "Error", "finishedAt": "2026-01-01T10:10:01Z"}}))]}});
    check(
        &[seen[0].clone(), pod("a", all([ended(143), deleting(), killed.clone()])), seen[2].clone()],
        &[],
        &[
            "failed - disrupted, pod a of 1, job Ended",
            "somebody deleted pod `a` before its end was seen",
            "container `step` ended with 143 = SIGTERM",
        ],
    );
    // What is left of the grace period may be given up without a new stamp.
    let given_up = json!({"metadata": {"deletionGracePeriodSeconds": 0}});
    check(
        &[
            pod("a", all([running(), deleting()])),
            pod("a", all([ended(143), deleting(), killed, given_up])),
            seen[2].clone(),
        ],
        &[],
        &[
            "failed - disrupted, pod a of 1, job Ended",
            "somebody deleted pod `a` before its end was seen",
            "container `step` ended with 143 = SIGTERM",
        ],
    );
    // It had ended before; the deletion is no news.
    check(&seen, &[], &["failed 143 exit, pod a of 1, job Ended", "container `step` ended with 143 = SIGTERM"]);
}

#[test]
fn v11_the_node_was_shut_down() {
    let message = "Pod was terminated in response to imminent node shutdown.";
    let shutdown = json!({"status": {"reason": "Terminated", "message": message}});
    let why = condition("DisruptionTarget", "True", "TerminationByKubelet", message);
    check(
        &[pod("a", all([ended(143), why, shutdown])), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - node-shutdown, pod a of 1, job Ended",
            "node `node-1` was shut down under pod `a`",
            "Terminated: Pod was terminated in response to imminent node shutdown.",
            "container `step` ended with 143 = SIGTERM",
        ],
    );
}

#[test]
fn v13_the_node_refused_the_pod() {
    let message = "Pod was rejected: Node didn't have enough resource: cpu";
    let refused = json!({"status": {"phase": "Failed", "reason": "OutOfcpu", "message": message}});
    check(
        &[pod("a", refused), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - rejected-by-node, pod a of 1, job Ended",
            "node `node-1` refused pod `a`",
            "OutOfcpu: Pod was rejected: Node didn't have enough resource: cpu",
        ],
    );
}

#[test]
fn v16_an_injected_init_container_failed() {
    let init = container("setup", terminated(2, "Error", "no token"));
    let failed = json!({
        "spec": {"initContainers": [{"name": "setup"}]},
        "status": {"phase": "Failed", "initContainerStatuses": [init]},
    });
    let seen = [pod("a", all([waiting("PodInitializing", ""), failed])), job(backoff_limit_exceeded())];
    check(
        &seen,
        &[],
        &[
            "failed - init-failed, pod a of 1, job Ended",
            "init container `setup` ended with 2, so pod `a` never began its program",
            "no token",
        ],
    );
    let Judgement::Decided(decision) = judge(&facts(&history(&seen)), &BTreeSet::new()) else { panic!() };
    assert_eq!(decision.failed_init, Some(FailedInit { pod: "a".to_owned(), container: "setup".to_owned() }));
}

#[test]
fn v23_the_deadline_passed() {
    let spec = json!({"spec": {"activeDeadlineSeconds": 5}});
    let passed =
        all([spec.clone(), says("Failed", "DeadlineExceeded", "Job was active longer than specified deadline")]);
    check(
        &[job(passed.clone())],
        &[],
        &[
            "failed - deadline, pod - of 0, job Ended",
            "the active deadline of 5 s passed",
            "Job was active longer than specified deadline",
            "there was no pod",
            "hint: set a larger `active_deadline`; it counts from the start of the Job, waiting included",
        ],
    );
    check(
        &[pod("a", waiting("ErrImagePull", "not found")), job(passed.clone())],
        &[],
        &[
            "failed - deadline, pod a of 1, job Ended",
            "the active deadline of 5 s passed",
            "Job was active longer than specified deadline",
            "pod `a` had not begun: ErrImagePull: not found",
            "hint: set a larger `active_deadline`; it counts from the start of the Job, waiting included",
        ],
    );
    check(
        &[pod("a", running()), job(passed.clone())],
        &[],
        &[
            "failed - deadline, pod a of 1, job Ended",
            "the active deadline of 5 s passed",
            "Job was active longer than specified deadline",
            "pod `a` was running",
            "hint: set a larger `active_deadline`; it counts from the start of the Job, waiting included",
        ],
    );
    check(
        &[pod("a", ended(0)), job(passed)],
        &[],
        &[
            "failed - deadline, pod a of 1, job Ended",
            "the active deadline of 5 s passed",
            "Job was active longer than specified deadline",
            "pod `a`: container `step` ended with 0",
            "hint: set a larger `active_deadline`; it counts from the start of the Job, waiting included",
        ],
    );
}

#[test]
fn v23_a_pod_that_never_ends_does_not_hide_the_deadline() {
    let target = says("FailureTarget", "DeadlineExceeded", "Job was active longer than specified deadline");
    let seen = [pod("a", all([running(), deleting()])), job(target)];
    check(&seen, &[], &["draining", "wait node +30s of uid-a: pod `a` is being deleted"]);
    check(
        &seen,
        &[WaitKind::Node],
        &[
            "failed - deadline, pod a of 1, job Alive",
            "the active deadline passed",
            "Job was active longer than specified deadline",
            "pod `a` was running",
            "note: node `node-1` does not answer; the program may still run there",
            "hint: set a larger `active_deadline`; it counts from the start of the Job, waiting included",
        ],
    );
}

#[test]
fn v24_a_rule_met_the_code() {
    let message = "Container step for pod team/a failed with exit code 42 matching FailJob rule at index 1";
    check(
        &[pod("a", ended(42)), job(says("Failed", "PodFailurePolicy", message))],
        &[],
        &[
            "failed 42 pod-failure-policy, pod a of 1, job Ended",
            "`pod_failure_policy.rules[1]` ended the Job",
            "container `step` ended with 42",
            "Container step for pod team/a failed with exit code 42 matching FailJob rule at index 1",
        ],
    );
    check(
        &[job(says("Failed", "PodFailurePolicy", message)), pod("a", running())],
        &[],
        &["draining", "wait job of uid-a: the Job says how it ended, waiting for the end of pod `a`"],
    );
}

#[test]
fn v24_a_rule_met_a_condition() {
    let message = "Pod team/a has condition DisruptionTarget matching FailJob rule at index 0";
    let why = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "");
    check(
        &[pod("a", all([ended(143), why])), job(says("Failed", "PodFailurePolicy", message))],
        &[],
        &[
            "failed - pod-failure-policy, pod a of 1, job Ended",
            "`pod_failure_policy.rules[0]` ended the Job",
            "container `step` ended with 143 = SIGTERM",
            "Pod team/a has condition DisruptionTarget matching FailJob rule at index 0",
        ],
    );
}

#[test]
fn v24_a_rule_met_the_code_of_another_container() {
    let message = "Container proxy for pod team/a failed with exit code 9 matching FailJob rule at index 0";
    let step = terminated(143, "Error", "");
    let other = ("proxy", terminated(9, "Error", ""));
    check(
        &[pod("a", beside("Failed", step, other)), job(says("Failed", "PodFailurePolicy", message))],
        &[],
        &[
            "failed - pod-failure-policy, pod a of 1, job Ended",
            "`pod_failure_policy.rules[0]` ended the Job",
            "container `step` ended with 143 = SIGTERM",
            "Container proxy for pod team/a failed with exit code 9 matching FailJob rule at index 0",
            "note: container `proxy` ended with 9",
        ],
    );
}

#[test]
fn v25_a_failed_pod_is_replaced() {
    let more = job(json!({"spec": {"backoffLimit": 2}}));
    check(
        &[more.clone(), pod("a", ended(3))],
        &[],
        &["running", "wait job +10s of uid-a: container `step` ended with 3, waiting for the next pod"],
    );
    check(
        &[more.clone(), pod("a", ended(3)), pod("b", ended(3))],
        &[],
        &["running", "wait job +20s of uid-b: container `step` ended with 3, waiting for the next pod"],
    );
    check(
        &[more, pod("a", ended(3)), pod("b", waiting("ContainerCreating", ""))],
        &[],
        &["running", "events of uid-b: NoContainer"],
    );
    let rules = json!([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}]}]);
    let ignores = job(json!({"spec": {"podFailurePolicy": {"rules": rules}}}));
    let why = condition("DisruptionTarget", "True", "EvictionByEvictionAPI", "");
    check(
        &[ignores, pod("a", all([ended(143), why]))],
        &[],
        &["running", "wait job +10s of uid-a: container `step` ended with 143 = SIGTERM, waiting for the next pod"],
    );
}

#[test]
fn v26_a_later_pod_succeeds() {
    let spec = json!({"spec": {"backoffLimit": 1}});
    check(
        &[pod("a", ended(1)), pod("b", ended(0)), job(all([spec, complete()]))],
        &[],
        &["succeeded 0 -, pod b of 2, job Ended", "note: pod 2 of 2"],
    );
}

#[test]
fn v27_all_pods_failed() {
    let spec = json!({"spec": {"backoffLimit": 1}});
    check(
        &[pod("a", ended(1)), pod("b", ended(7)), job(all([spec, backoff_limit_exceeded()]))],
        &[],
        &["failed 7 exit, pod b of 2, job Ended", "container `step` ended with 7", "note: pod 2 of 2"],
    );
}

#[test]
fn v37_the_job_does_not_say_that_it_is_complete() {
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
fn v38_the_job_does_not_say_that_it_failed() {
    let seen = [job(json!({})), pod("a", ended(3))];
    check(&seen, &[], &["draining", "wait job of uid-a: container `step` ended with 3, waiting for the Job"]);
    check(
        &seen,
        &[WaitKind::Job],
        &["failed 3 exit, pod a of 1, job Alive", "container `step` ended with 3", "note: the Job did not say Failed"],
    );
}

#[test]
fn v39_there_is_no_container_step() {
    let others = json!({
        "spec": {"containers": [{"name": "main"}, {"name": "proxy"}]},
        "status": {"phase": "Running", "containerStatuses": [container("main", runs()), container("proxy", runs())]},
    });
    check(
        &[job(json!({})), pod("a", others)],
        &[],
        &["failed - lost, pod a of 1, job Alive", "pod `a` has no container `step`, but `main`, `proxy`"],
    );
}

#[test]
fn v39_the_node_lost_sight_of_the_container() {
    let message = "The container could not be located when the pod was terminated";
    let unknown = pod("a", ended_as(137, "ContainerStatusUnknown", message));
    check(
        &[unknown.clone(), job(backoff_limit_exceeded())],
        &[],
        &[
            "failed - lost, pod a of 1, job Ended",
            "pod `a`: container `step` ended, nobody knows how (ContainerStatusUnknown)",
            "The container could not be located when the pod was terminated",
        ],
    );
    check(
        &[job(json!({})), unknown],
        &[WaitKind::Job],
        &[
            "failed - lost, pod a of 1, job Alive",
            "pod `a`: container `step` ended, nobody knows how (ContainerStatusUnknown)",
            "The container could not be located when the pod was terminated",
            "note: the Job did not say Failed",
        ],
    );
}

#[test]
fn v39_the_pod_ended_and_does_not_say_how() {
    let over = json!({"status": {"phase": "Failed"}});
    check(
        &[pod("a", over), job(backoff_limit_exceeded())],
        &[],
        &["failed - lost, pod a of 1, job Ended", "pod `a` ended and does not say how `step` did"],
    );
}

#[test]
fn v40_the_job_failed_for_another_reason() {
    let failed = job(says("Failed", "FailedIndexes", "Job has failed indexes"));
    check(
        &[pod("a", ended(3)), failed.clone()],
        &[],
        &[
            "failed 3 job-failed, pod a of 1, job Ended",
            "the Job failed: FailedIndexes: Job has failed indexes",
            "container `step` ended with 3",
        ],
    );
    check(
        &[pod("a", ended(0)), failed.clone()],
        &[],
        &[
            "failed - job-failed, pod a of 1, job Ended",
            "the Job failed: FailedIndexes: Job has failed indexes",
            "container `step` ended with 0",
        ],
    );
    check(
        &[failed],
        &[],
        &["failed - job-failed, pod - of 0, job Ended", "the Job failed: FailedIndexes: Job has failed indexes"],
    );
}

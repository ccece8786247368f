//! The program does not begin, or its pod does not end.

use super::*;

const IMAGE_NOT_FOUND: &str = "failed to pull image \"alpine:3\": not found";

#[test]
fn v12_a_deleted_pod_does_not_end() {
    let why = condition(
        "DisruptionTarget",
        "True",
        "DeletionByTaintManager",
        "Taint manager: deleting due to NoExecute taint",
    );
    let seen = [job(json!({})), pod("a", all([running(), why, deleting()]))];
    check(
        &seen,
        &[],
        &[
            "running",
            "wait node +30s of uid-a: pod `a` is being deleted: DeletionByTaintManager: Taint manager: deleting due to NoExecute taint",
        ],
    );
    check(
        &seen,
        &[WaitKind::Node],
        &[
            "failed - lost, pod a of 1, job Alive",
            "pod `a` was deleted and does not end",
            "node `node-1` does not answer; the program may still run there",
            "DeletionByTaintManager: Taint manager: deleting due to NoExecute taint",
            "hint: look at node `node-1` before the step runs again",
        ],
    );
}

#[test]
fn v12_a_node_is_out_of_sight() {
    let unknown =
        json!({"status": {"phase": "Unknown", "reason": "NodeLost", "message": "Node node-1 is unresponsive"}});
    let seen = [job(json!({})), pod("a", all([running(), unknown]))];
    check(
        &seen,
        &[],
        &["running", "wait node +0s of uid-a: node `node-1` does not answer: NodeLost: Node node-1 is unresponsive"],
    );
    check(
        &seen,
        &[WaitKind::Node],
        &[
            "failed - lost, pod a of 1, job Alive",
            "nobody knows how pod `a` is",
            "node `node-1` does not answer; the program may still run there",
            "NodeLost: Node node-1 is unresponsive",
            "hint: look at node `node-1` before the step runs again",
        ],
    );
}

#[test]
fn v14_an_image_that_will_never_come_is_not_waited_for() {
    let message = "Failed to apply default image tag \"Alpine:3\": invalid reference format";
    check(
        &[job(json!({})), pod("a", waiting("InvalidImageName", message))],
        &[],
        &[
            "failed - image-pull, pod a of 1, job Alive",
            "image `alpine:3` of container `step` cannot be had",
            "InvalidImageName: Failed to apply default image tag \"Alpine:3\": invalid reference format",
            "hint: check `image` and `image_pull_policy`",
        ],
    );
    check(
        &[job(json!({})), pod("a", waiting("ErrImageNeverPull", "not present with pull policy of Never"))],
        &[],
        &[
            "failed - image-pull, pod a of 1, job Alive",
            "image `alpine:3` of container `step` cannot be had",
            "ErrImageNeverPull: not present with pull policy of Never",
            "hint: check `image` and `image_pull_policy`",
        ],
    );
}

#[test]
fn v15_the_image_does_not_come() {
    let seen = [
        job(json!({})),
        pod("a", waiting("ErrImagePull", IMAGE_NOT_FOUND)),
        pod("a", waiting("ImagePullBackOff", "Back-off pulling image \"alpine:3\"")),
    ];
    check(&seen, &[], &["pending", "wait pull of uid-a: ErrImagePull: failed to pull image \"alpine:3\": not found"]);
    check(
        &seen,
        &[WaitKind::Pull],
        &[
            "failed - image-pull, pod a of 1, job Alive",
            "image `alpine:3` of container `step` cannot be had",
            "ErrImagePull: failed to pull image \"alpine:3\": not found",
            "hint: check `image` and `image_pull_secrets`; `--wait pull=DURATION` waits longer",
        ],
    );
    // The wait goes on while the runtime tries again, and ends with the start.
    let mut trying = seen.to_vec();
    trying.push(pod("a", waiting("ContainerCreating", "")));
    check(&trying, &[], &["pending", "wait pull of uid-a: ErrImagePull: failed to pull image \"alpine:3\": not found"]);
    trying.push(pod("a", running()));
    check(&trying, &[WaitKind::Pull], &["running"]);
}

#[test]
fn v17_a_part_of_the_container_is_missing() {
    let seen = [job(json!({})), pod("a", waiting("CreateContainerConfigError", "secret \"db\" not found"))];
    check(&seen, &[], &["pending", "wait config of uid-a: CreateContainerConfigError: secret \"db\" not found"]);
    check(
        &seen,
        &[WaitKind::Config],
        &[
            "failed - container-config, pod a of 1, job Alive",
            "container `step` cannot be configured",
            "CreateContainerConfigError: secret \"db\" not found",
            "hint: make it in the namespace of the Job, or correct its name in the step",
        ],
    );
}

#[test]
fn v18_the_container_cannot_be_made() {
    let seen = [job(json!({})), pod("a", waiting("CreateContainerError", "no such device"))];
    check(&seen, &[], &["pending", "wait config of uid-a: CreateContainerError: no such device"]);
    check(
        &seen,
        &[WaitKind::Config],
        &[
            "failed - container-create, pod a of 1, job Alive",
            "image `alpine:3` of container `step` does not become a container",
            "CreateContainerError: no such device",
            "hint: the message is the container runtime's; `--wait config=DURATION` waits longer",
        ],
    );
    // A slow runtime gets the time of a pull, also for the complaint that follows.
    let slow = [
        job(json!({})),
        pod("a", waiting("CreateContainerError", "context deadline exceeded")),
        pod("a", waiting("CreateContainerError", "name \"step\" is reserved")),
    ];
    check(
        &slow,
        &[WaitKind::Config],
        &["pending", "wait pull of uid-a: CreateContainerError: name \"step\" is reserved"],
    );
    check(
        &slow,
        &[WaitKind::Pull],
        &[
            "failed - container-create, pod a of 1, job Alive",
            "image `alpine:3` of container `step` does not become a container",
            "CreateContainerError: name \"step\" is reserved",
            "hint: the message is the container runtime's; `--wait pull=DURATION` waits longer",
        ],
    );
}

#[test]
fn v19_a_volume_does_not_come() {
    let creating = [job(json!({})), pod("a", waiting("ContainerCreating", ""))];
    check(&creating, &[WaitKind::Mount], &["pending", "events of uid-a: NoContainer"]);
    let mut seen = creating.to_vec();
    seen.push(Seen::Events("a", warnings(&[("FailedMount", "configmap \"settings\" not found")])));
    check(
        &seen,
        &[],
        &[
            "pending",
            "wait mount of uid-a: FailedMount: configmap \"settings\" not found",
            "events of uid-a: NoContainer",
        ],
    );
    check(
        &seen,
        &[WaitKind::Mount],
        &[
            "failed - pod-start, pod a of 1, job Alive",
            "pod `a` does not start on node `node-1`",
            "FailedMount: configmap \"settings\" not found",
            "hint: check `volumes`; `--wait mount=DURATION` waits longer",
        ],
    );
}

#[test]
fn v20_no_node_takes_the_pod() {
    let message = "0/3 nodes are available: 3 Insufficient cpu.";
    let pending =
        all([json!({"spec": {"nodeName": null}}), condition("PodScheduled", "False", "Unschedulable", message)]);
    let seen = [job(json!({})), pod("a", pending)];
    check(
        &seen,
        &[],
        &["pending", "wait schedule of uid-a: no node takes pod `a`: 0/3 nodes are available: 3 Insufficient cpu."],
    );
    check(
        &seen,
        &[WaitKind::Schedule],
        &[
            "failed - unschedulable, pod a of 1, job Alive",
            "no node takes pod `a`",
            "0/3 nodes are available: 3 Insufficient cpu.",
            "hint: ask for less in `resources`, `node_selector`, `affinity`; `--wait schedule=DURATION` waits longer",
        ],
    );
    let gated = condition(
        "PodScheduled",
        "False",
        "SchedulingGated",
        "Scheduling is blocked due to non-empty scheduling gates",
    );
    check(
        &[job(json!({})), pod("a", gated)],
        &[WaitKind::Schedule],
        &["pending", "remark: pod `a` waits: SchedulingGated: Scheduling is blocked due to non-empty scheduling gates"],
    );
}

#[test]
fn v21_an_event_says_why_there_is_no_pod() {
    let refused = "Error creating: pods \"extract-x\" is forbidden: exceeded quota: small";
    let seen = [job(json!({})), Seen::Events("job", warnings(&[("FailedCreate", refused)]))];
    check(
        &seen,
        &[],
        &[
            "pending",
            "wait pod of job-uid: FailedCreate: Error creating: pods \"extract-x\" is forbidden: exceeded quota: small",
            "events of job-uid: NoPod",
        ],
    );
    check(
        &seen,
        &[WaitKind::Pod],
        &[
            "failed - no-pod, pod - of 0, job Alive",
            "the Job made no pod",
            "FailedCreate: Error creating: pods \"extract-x\" is forbidden: exceeded quota: small",
            "hint: ask whoever runs the cluster; `--wait pod=DURATION` waits longer for quota to come free",
        ],
    );
}

#[test]
fn v22_there_is_no_pod_and_nobody_says_why() {
    check(
        &[job(json!({}))],
        &[],
        &["pending", "wait pod x10 of job-uid: the Job has no pod yet", "events of job-uid: NoPod"],
    );
    check(
        &[job(json!({}))],
        &[WaitKind::Pod],
        &[
            "failed - no-pod, pod - of 0, job Alive",
            "the Job made no pod",
            "no event says why",
            "hint: look for the Job controller of the cluster; `kubectl describe job` may say more",
        ],
    );
}

#[test]
fn a_job_whose_uid_is_not_known_is_being_created() {
    assert_eq!(rendered(&judge(&Facts::new(None), &BTreeSet::new())), "creating");
}

#[test]
fn limits_of_waits_follow_what_the_cluster_takes_for_itself() {
    let wait = |allowance| Wait { kind: WaitKind::Pod, of: String::new(), words: String::new(), allowance };
    let mut waits = Waits::default();
    assert_eq!(wait(Allowance::Limit).limit(&waits), Duration::from_secs(60));
    assert_eq!(wait(Allowance::Tenfold).limit(&waits), Duration::from_secs(600));
    assert_eq!(wait(Allowance::After(Duration::from_secs(30))).limit(&waits), Duration::from_secs(90));
    waits.set("pod=0").unwrap();
    assert_eq!(wait(Allowance::Tenfold).limit(&waits), Duration::from_secs(60));
}

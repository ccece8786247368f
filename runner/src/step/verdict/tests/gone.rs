//! The Job is gone.

use super::*;

#[test]
fn v02_code_0_and_the_job_is_gone() {
    check(
        &[pod("a", ended(0)), pod("a", all([ended(0), deleting()])), Seen::JobGone],
        &[],
        &["succeeded 0 -, pod a of 1, job Gone", "note: the Job was gone before it said Complete"],
    );
}

#[test]
fn v28_somebody_deleted_the_job() {
    check(
        &[job_deleted(json!({}))],
        &[],
        &[
            "failed - lost, pod - of 0, job Gone",
            "somebody deleted the Job before its end was seen",
            "there was no pod",
        ],
    );
    check(
        &[pod("a", waiting("ContainerCreating", "")), job_deleted(json!({})), Seen::PodGone("a")],
        &[],
        &[
            "failed - lost, pod a of 1, job Gone",
            "somebody deleted the Job before its end was seen",
            "pod `a` had not begun",
        ],
    );
    // What the pod did may still be on its way.
    let seen = [pod("a", running()), job_deleted(json!({}))];
    check(&seen, &[], &["running", "wait job of uid-a: the Job is gone, waiting for the end of pod `a`"]);
    check(
        &seen,
        &[WaitKind::Job],
        &[
            "failed - lost, pod a of 1, job Gone",
            "somebody deleted the Job before its end was seen",
            "pod `a` was running",
        ],
    );
    // A code after the stop says nothing, not even 0.
    check(
        &[pod("a", running()), job_deleted(json!({})), pod("a", all([ended(0), deleting()]))],
        &[],
        &[
            "failed - lost, pod a of 1, job Gone",
            "somebody deleted the Job before its end was seen",
            "pod `a`: container `step` ended with 0",
        ],
    );
}

#[test]
fn v28_an_end_before_the_deletion_counts() {
    check(
        &[pod("a", ended(3)), job_deleted(json!({})), pod_deleted("a", all([ended(3), deleting()]))],
        &[],
        &[
            "failed 3 exit, pod a of 1, job Gone",
            "container `step` ended with 3",
            "note: the Job was gone before it said Failed",
        ],
    );
    // But not as the end of the attempt when another pod was due.
    let more = json!({"spec": {"backoffLimit": 1}});
    check(
        &[pod("a", ended(3)), job_deleted(more)],
        &[],
        &[
            "failed - lost, pod a of 1, job Gone",
            "somebody deleted the Job before its end was seen",
            "pod `a`: container `step` ended with 3",
        ],
    );
}

#[test]
fn v29_the_deletion_carries_the_last_word() {
    check(&[pod("a", ended(0)), job_deleted(complete())], &[], &["succeeded 0 -, pod a of 1, job Gone"]);
    check(
        &[pod_deleted("a", running()), job_deleted(complete())],
        &[],
        &["succeeded 0 -, pod a of 1, job Gone", "note: nobody saw the program end; the Job says Complete"],
    );
    check(
        &[job_deleted(complete())],
        &[],
        &["succeeded 0 -, pod - of 0, job Gone", "note: nobody saw the program end; the Job says Complete"],
    );
    check(
        &[pod("a", ended(3)), job_deleted(backoff_limit_exceeded())],
        &[],
        &["failed 3 exit, pod a of 1, job Gone", "container `step` ended with 3"],
    );
    check(
        &[job_deleted(backoff_limit_exceeded())],
        &[],
        &[
            "failed - job-failed, pod - of 0, job Gone",
            "the Job failed: BackoffLimitExceeded: Job has reached the specified backoff limit",
        ],
    );
}

#[test]
fn v30_the_namespace_is_gone() {
    check(
        &[job(json!({})), pod("a", running()), Seen::NamespaceGone],
        &[],
        &["failed - lost, pod a of 1, job Gone", "the namespace is gone, and the Job with it", "pod `a` was running"],
    );
}

//! The Job controller, with scripts for containers and hours in milliseconds.

use std::time::Duration;

use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::{Api, DeleteParams, Patch, PatchParams};
use local_cluster::{Answer, Script};
use serde_json::json;

use crate::support::{self, conditions, has, job, phase, why};

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

#[tokio::test(start_paused = true)]
async fn a_job_that_succeeds_says_so_in_the_order_of_recent_kubernetes() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(5)).exit(0));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let seen = cluster.watch_until::<Job>("j", |job| job.is_some_and(|job| has(job, "Complete"))).await;
    let mut order: Vec<Vec<String>> = seen.iter().map(conditions).collect();
    order.dedup();
    let (met, complete) = ("SuccessCriteriaMet".to_owned(), "Complete".to_owned());
    assert_eq!(order, [vec![], vec![met.clone()], vec![met, complete]]);
    let active: Vec<i32> = seen.iter().filter_map(|job| job.status.as_ref()?.active).collect();
    assert!(active.iter().all(|active| *active == 1), "{active:?}");
    let status = seen.last().unwrap().status.clone().unwrap();
    assert_eq!((status.succeeded, status.failed, status.active), (Some(1), None, None));
    assert!(status.start_time.is_some() && status.completion_time.is_some());
    let pods = cluster.pods().await;
    assert_eq!((pods.len(), phase(&pods[0]), pods[0].finalizers().len()), (1, "Succeeded", 0));
    assert!(pods[0].name_any().starts_with("j-"));
    let events = cluster.events().await;
    let reasons: Vec<&str> = events.iter().map(|event| event.split(':').next().unwrap()).collect();
    for reason in ["SuccessfulCreate", "Scheduled", "Created", "Started", "Completed"] {
        assert!(reasons.contains(&reason), "{reason} is not in {events:?}");
    }
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_beyond_the_backoff_limit_fails_the_job() {
    let cluster = support::paused().await;
    cluster.script(Script::new().exit(7));
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let done = cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    assert_eq!(conditions(&done), ["FailureTarget", "Failed"]);
    let expected = ("BackoffLimitExceeded".to_owned(), "Job has reached the specified backoff limit".to_owned());
    assert_eq!(why(&done, "Failed"), expected);
    assert_eq!(done.status.unwrap().failed, Some(1));
    let pods = cluster.pods().await;
    assert_eq!((pods.len(), support::end_of(&pods[0])), (1, (7, "Error".to_owned(), String::new())));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn retries_wait_ten_seconds_and_then_twenty() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("run", "pods", "j-*").first(2).script("step", Script::new().exit(1));
    faults.on("run", "pods", "j-*").from(3).script("step", Script::new().exit(0));
    cluster.create::<Job>(job("j", json!({"backoffLimit": 3}))).await.unwrap();
    let done = cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    let status = done.status.unwrap();
    assert_eq!((status.succeeded, status.failed), (Some(1), Some(2)));
    let made: Vec<i64> = cluster
        .pods()
        .await
        .iter()
        .map(|pod| pod.metadata.creation_timestamp.as_ref().unwrap().0.as_second())
        .collect();
    assert_eq!(made.windows(2).map(|pair| pair[1] - pair[0]).collect::<Vec<_>>(), [10, 20]);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_stops_the_pod_and_the_job_fails_when_it_has_ended() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever().ignoring_stop());
    let spec = json!({"activeDeadlineSeconds": 60, "template": {"spec": {"terminationGracePeriodSeconds": 15}}});
    cluster.create::<Job>(job("j", spec)).await.unwrap();
    let target = cluster.until::<Job>("j", |job| has(job, "FailureTarget")).await;
    assert!(!has(&target, "Failed"));
    assert_eq!((cluster.seconds(), target.status.unwrap().terminating), (60, Some(1)));
    let done = cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    let expected = ("DeadlineExceeded".to_owned(), "Job was active longer than specified deadline".to_owned());
    assert_eq!((cluster.seconds(), why(&done, "Failed")), (75, expected));
    assert!(cluster.pods().await.is_empty());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_deadline_of_zero_needs_no_pod() {
    let cluster = support::paused().await;
    cluster.create::<Job>(job("j", json!({"activeDeadlineSeconds": 0}))).await.unwrap();
    let done = cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    assert_eq!(why(&done, "Failed").0, "DeadlineExceeded");
    assert!(cluster.pods().await.is_empty());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_finished_job_goes_after_its_ttl_with_its_last_state() {
    let cluster = support::paused().await;
    cluster.script(Script::new());
    cluster.create::<Job>(job("j", json!({"ttlSecondsAfterFinished": 100}))).await.unwrap();
    let seen = cluster.watch_until::<Job>("j", |job| job.is_none()).await;
    assert!(has(seen.last().unwrap(), "Complete"));
    assert_eq!(cluster.seconds(), 100);
    assert!(cluster.pods().await.is_empty());
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_suspended_job_loses_its_pod_and_gets_another_when_it_resumes() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(100)));
    let jobs: Api<Job> = cluster.api();
    let suspend = async |value: bool| {
        let patch = Patch::Merge(json!({"spec": {"suspend": value}}));
        jobs.patch("j", &PatchParams::default(), &patch).await.unwrap();
    };
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let pod = cluster.pod_of("j").await;
    cluster.until::<Pod>(&pod, |pod| phase(pod) == "Running").await;
    suspend(true).await;
    let suspended = cluster.until::<Job>("j", |job| has(job, "Suspended")).await;
    let status = suspended.status.unwrap();
    assert_eq!((status.failed, status.active, status.start_time), (None, None, None));
    cluster.until_gone::<Pod>(&pod).await;
    suspend(false).await;
    let done = cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(done.status.unwrap().failed, None);
    let events = cluster.events().await;
    assert!(events.contains(&"Suspended: Job suspended".to_owned()), "{events:?}");
    assert!(events.contains(&"Resumed: Job resumed".to_owned()), "{events:?}");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_policy_fails_the_job_for_one_code_and_ignores_disruption() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("run", "pods", "j-*").nth(1).script("step", Script::new().forever());
    faults.on("run", "pods", "j-*").from(2).script("step", Script::new().exit(42));
    let policy = json!({"backoffLimit": 6, "podFailurePolicy": {"rules": [
        {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]},
        {"action": "FailJob", "onExitCodes": {"containerName": "step", "operator": "In", "values": [42]}},
    ]}});
    cluster.create::<Job>(job("j", policy)).await.unwrap();
    let first = cluster.pod_of("j").await;
    cluster.until::<Pod>(&first, |pod| phase(pod) == "Running").await;
    let pods: Api<Pod> = cluster.api();
    let mut status = pods.get(&first).await.unwrap();
    status.status.as_mut().unwrap().conditions.as_mut().unwrap().push(
        serde_json::from_value(
            json!({"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}),
        )
        .unwrap(),
    );
    pods.replace_status(&first, &Default::default(), &status).await.unwrap();
    pods.delete(&first, &DeleteParams::default()).await.unwrap();
    let done = cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    let (reason, message) = why(&done, "Failed");
    assert_eq!(reason, "PodFailurePolicy");
    assert!(message.ends_with("failed with exit code 42 matching FailJob rule at index 1"), "{message}");
    assert_eq!(done.status.unwrap().failed, Some(1), "the ignored pod does not count");
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn several_pods_run_at_once_up_to_the_parallelism() {
    let cluster = support::paused().await;
    cluster.script(Script::new().sleep(seconds(10)));
    cluster.create::<Job>(job("j", json!({"parallelism": 2, "completions": 5}))).await.unwrap();
    let seen = cluster.watch_until::<Job>("j", |job| job.is_some_and(|job| has(job, "Complete"))).await;
    let most = seen.iter().filter_map(|job| job.status.as_ref()?.active).max();
    assert_eq!((most, seen.last().unwrap().status.as_ref().unwrap().succeeded), (Some(2), Some(5)));
    assert_eq!(cluster.seconds(), 30);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_cannot_be_made_is_an_event_and_is_tried_again() {
    let cluster = support::paused().await;
    cluster.script(Script::new());
    let quota = Answer::status(403, "pods \"j-\" is forbidden: exceeded quota: small");
    cluster.cluster.faults().on("create", "pods", "j-").first(2).answer(quota);
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    let expected = "FailedCreate: Error creating: pods \"j-\" is forbidden: exceeded quota: small";
    assert!(cluster.events().await.contains(&expected.to_owned()));
    assert_eq!(cluster.seconds(), 3);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_deleted_by_somebody_counts_as_failed_and_is_replaced() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    faults.on("run", "pods", "j-*").nth(1).script("step", Script::new().forever());
    faults.on("run", "pods", "j-*").from(2).script("step", Script::new());
    cluster.create::<Job>(job("j", json!({"backoffLimit": 1}))).await.unwrap();
    let first = cluster.pod_of("j").await;
    cluster.until::<Pod>(&first, |pod| phase(pod) == "Running").await;
    cluster.api::<Pod>().delete(&first, &DeleteParams::default()).await.unwrap();
    let done = cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(done.status.unwrap().failed, Some(1));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn hundreds_of_jobs_end() {
    let cluster = support::paused().await;
    cluster.script(Script::new().print("x\n").sleep(seconds(1)));
    for number in 0..300 {
        cluster.create::<Job>(job(&format!("j-{number}"), json!({}))).await.unwrap();
    }
    for number in 0..300 {
        cluster.until::<Job>(&format!("j-{number}"), |job| has(job, "Complete")).await;
    }
    cluster.end().await;
}

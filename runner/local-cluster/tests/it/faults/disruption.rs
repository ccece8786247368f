//! Pods that are ended by others.

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::Pod;
use kube::api::LogParams;
use local_cluster::{Disruption, Script};
use serde_json::{Value, json};

use crate::support::{self, Cluster, end_of, has, has_ended, job, phase, refusal};

async fn running(cluster: &Cluster, spec: Value) -> String {
    cluster.create::<Job>(job("j", spec)).await.unwrap();
    let pod = cluster.pod_of("j").await;
    cluster.until::<Pod>(&pod, |pod| phase(pod) == "Running").await;
    pod
}

/// The condition that says who ended a pod.
fn target(pod: &Pod) -> Option<String> {
    let mut conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.find(|condition| condition.type_ == "DisruptionTarget").and_then(|condition| condition.reason.clone())
}

fn reason(pod: &Pod) -> Option<&str> {
    pod.status.as_ref().and_then(|status| status.reason.as_deref())
}

fn ignoring_disruptions() -> Value {
    json!({"podFailurePolicy": {"rules": [{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}]}})
}

#[tokio::test(start_paused = true)]
async fn an_evicted_or_shut_down_pod_fails_even_with_code_0() {
    for (how, expected) in [(Disruption::Evict, "Evicted"), (Disruption::NodeShutdown, "Terminated")] {
        let cluster = support::paused().await;
        cluster.script(Script::new().forever().stopping_with(0));
        let name = running(&cluster, json!({})).await;
        cluster.cluster.disrupt("default", "j-*", how).unwrap();
        cluster.until::<Job>("j", |job| has(job, "Failed")).await;
        let pod = cluster.until::<Pod>(&name, has_ended).await;
        assert_eq!((phase(&pod), reason(&pod), end_of(&pod).0), ("Failed", Some(expected), 0));
        assert_eq!(target(&pod).as_deref(), Some("TerminationByKubelet"));
        assert_eq!(pod.metadata.deletion_timestamp, None);
        cluster.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn an_eviction_gives_a_grace_period_before_it_shows() {
    let cluster = support::paused().await;
    cluster.script(Script::new().forever().ignoring_stop());
    let name = running(&cluster, json!({"template": {"spec": {"terminationGracePeriodSeconds": 9}}})).await;
    cluster.cluster.disrupt("default", &name, Disruption::Evict).unwrap();
    let seen = cluster.watch_until::<Pod>(&name, |pod| pod.is_some_and(has_ended)).await;
    assert_eq!((cluster.seconds(), end_of(seen.last().unwrap()).0), (9, 137));
    assert!(seen.iter().rev().skip(1).all(|pod| target(pod).is_none()));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_preempted_or_drained_pod_is_marked_and_deleted_and_its_job_makes_another() {
    for (how, expected) in
        [(Disruption::Preempt, "PreemptionByScheduler"), (Disruption::Drain, "EvictionByEvictionAPI")]
    {
        let cluster = support::paused().await;
        let faults = cluster.cluster.faults();
        faults
            .on("run", "pods", "*")
            .nth(1)
            .script("step", Script::new().sleep(Duration::from_secs(5)).disrupted(how).forever());
        faults.on("run", "pods", "*").nth(2).script("step", Script::new());
        let name = running(&cluster, ignoring_disruptions()).await;
        let marked = cluster.until::<Pod>(&name, |pod| pod.metadata.deletion_timestamp.is_some()).await;
        assert_eq!((target(&marked).as_deref(), phase(&marked)), (Some(expected), "Running"));
        let job = cluster.until::<Job>("j", |job| has(job, "Complete")).await;
        let status = job.status.unwrap();
        assert_eq!((status.failed, status.succeeded), (None, Some(1)));
        cluster.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_pod_on_a_lost_node_does_not_end_until_it_is_collected() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    let lines = Script::new().print("1\n").sleep(Duration::from_secs(5)).print("2\n").sleep(Duration::from_secs(60));
    faults.on("run", "pods", "*").nth(1).script("step", lines);
    faults.on("run", "pods", "*").nth(2).script("step", Script::new());
    let name = running(&cluster, ignoring_disruptions()).await;
    let follow = LogParams { follow: true, ..LogParams::default() };
    let mut log = cluster.api::<Pod>().log_stream(&name, &follow).await.unwrap().lines();
    assert_eq!(log.try_next().await.unwrap().as_deref(), Some("1"));
    cluster.cluster.disrupt("default", &name, Disruption::NodeLost).unwrap();
    tokio::time::timeout(Duration::from_secs(600), log.try_next()).await.unwrap_err();
    let pod = cluster.api::<Pod>().get(&name).await.unwrap();
    assert_eq!((phase(&pod), target(&pod).as_deref()), ("Running", Some("DeletionByTaintManager")));
    assert!(pod.metadata.deletion_timestamp.is_some());
    let (code, _, message) = refusal(cluster.api::<Pod>().logs(&name, &LogParams::default()).await);
    assert!(code == 500 && message.ends_with("no route to host"), "{message}");
    assert_eq!(cluster.pods().await.len(), 1);
    cluster.cluster.disrupt("default", &name, Disruption::Collect).unwrap();
    cluster.until_gone::<Pod>(&name).await;
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_pod_is_deleted_just_when_it_ends() {
    let cluster = support::paused().await;
    let deleted = Disruption::Delete(Some(Duration::ZERO));
    let script = Script::new().print("1\n").sleep(Duration::from_secs(1)).disrupted(deleted).exit(0);
    cluster.script(script);
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let name = cluster.pod_of("j").await;
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(refusal(cluster.api::<Pod>().logs(&name, &LogParams::default()).await).0, 404);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_node_cannot_end_a_pod_it_does_not_know() {
    let cluster = support::paused().await;
    assert_eq!(cluster.cluster.disrupt("default", "none", Disruption::Evict).unwrap_err().code, 404);
    cluster.script(Script::new().forever());
    cluster.create::<Pod>(support::pod("p", json!({}))).await.unwrap();
    let early = cluster.cluster.disrupt("default", "p", Disruption::Evict);
    assert_eq!(early.unwrap_err().code, 409);
    cluster.end().await;
}

//! The fault hooks, each at least once.

mod disruption;
mod events;
mod objects;
mod requests;

use std::time::Duration;

use futures_util::{AsyncBufReadExt, TryStreamExt};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::ResourceExt;
use kube::api::{Api, ListParams, LogParams};
use local_cluster::{After, Answer, Interruption, Script};
use serde_json::json;

use crate::support::{self, end_of, has, job, phase, pod, refusal, waits_for};

#[tokio::test(start_paused = true)]
async fn requests_are_refused_cut_or_answered_late() {
    let cluster = support::paused().await;
    let faults = cluster.cluster.faults();
    let maps: Api<ConfigMap> = cluster.api();
    faults.on("list", "configmaps", "*").nth(2).answer(Answer::status(503, "away").with_header("Retry-After", "5"));
    maps.list(&ListParams::default()).await.unwrap();
    assert_eq!(refusal(maps.list(&ListParams::default()).await), (503, "ServiceUnavailable".into(), "away".into()));
    maps.list(&ListParams::default()).await.unwrap();
    let made = async |name: &str| cluster.create::<ConfigMap>(json!({"metadata": {"name": name}})).await;
    faults.on("create", "configmaps", "lost").commit_then_cut();
    made("lost").await.unwrap_err();
    assert!(maps.get_opt("lost").await.unwrap().is_some());
    faults.on("create", "configmaps", "late").commit_then(Answer::status(504, "timed out"));
    assert_eq!(refusal(made("late").await).0, 504);
    assert!(maps.get_opt("late").await.unwrap().is_some());
    faults.on("create", "configmaps", "never").refuse();
    made("never").await.unwrap_err();
    assert!(maps.get_opt("never").await.unwrap().is_none());
    faults.on("get", "configmaps", "slow").delay(Duration::from_secs(90));
    maps.get_opt("slow").await.unwrap();
    assert_eq!(cluster.seconds(), 90);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_log_stream_is_cut_while_the_container_runs_on() {
    let cluster = support::paused().await;
    cluster.script(
        Script::new()
            .print("1\n")
            .sleep(Duration::from_secs(5))
            .print("2\n")
            .sleep(Duration::from_secs(5))
            .print("3\n"),
    );
    cluster.cluster.faults().on("get", "pods/log", "p").nth(1).interrupt(After::Lines(2), Interruption::Eof);
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    cluster.until::<Pod>("p", |pod| phase(pod) == "Running").await;
    let pods: Api<Pod> = cluster.api();
    let follow = LogParams { follow: true, ..LogParams::default() };
    let lines: Vec<String> = pods.log_stream("p", &follow).await.unwrap().lines().try_collect().await.unwrap();
    assert_eq!((lines, cluster.seconds()), (vec!["1".to_owned(), "2".to_owned()], 5));
    let lines: Vec<String> = pods.log_stream("p", &follow).await.unwrap().lines().try_collect().await.unwrap();
    assert_eq!((lines.len(), cluster.seconds()), (3, 10));
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_scheduler_finds_no_node_for_a_while() {
    let cluster = support::paused().await;
    cluster.script(Script::new());
    let message = "0/1 nodes are available: 1 Insufficient memory.";
    cluster.cluster.faults().on("schedule", "pods", "*").unschedulable(Some(Duration::from_secs(20)), message);
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    let pod = cluster.pod_of("j").await;
    let waiting =
        cluster.until::<Pod>(&pod, |pod| pod.status.as_ref().is_some_and(|status| status.conditions.is_some())).await;
    let condition = waiting.status.unwrap().conditions.unwrap().remove(0);
    assert_eq!((condition.type_.as_str(), condition.status.as_str()), ("PodScheduled", "False"));
    assert_eq!((condition.reason.as_deref(), condition.message.as_deref()), (Some("Unschedulable"), Some(message)));
    cluster.until::<Job>("j", |job| has(job, "Complete")).await;
    assert_eq!(cluster.seconds(), 20);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn the_node_refuses_a_pod() {
    let cluster = support::paused().await;
    cluster.cluster.faults().on("admit", "pods", "*").reject("OutOfcpu", "Node didn't have enough resource: cpu");
    cluster.create::<Job>(job("j", json!({}))).await.unwrap();
    cluster.until::<Job>("j", |job| has(job, "Failed")).await;
    let status = cluster.pods().await.remove(0).status.unwrap();
    assert_eq!((status.phase.as_deref(), status.reason.as_deref()), (Some("Failed"), Some("OutOfcpu")));
    assert_eq!(status.container_statuses, None);
    cluster.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_script_waits_before_it_runs_and_ends_as_it_likes() {
    let cluster = support::paused().await;
    let script = Script::new()
        .waiting("ErrImagePull", "no such host", Some(Duration::from_secs(10)))
        .waiting("ImagePullBackOff", "Back-off pulling image", Some(Duration::from_secs(10)))
        .out_of_memory(137);
    cluster.script(script);
    cluster.create::<Pod>(pod("p", json!({}))).await.unwrap();
    let seen = cluster.watch_until::<Pod>("p", |pod| pod.is_some_and(|pod| phase(pod) == "Failed")).await;
    let mut waits: Vec<String> = seen.iter().map(|pod| waits_for(pod).0).filter(|reason| !reason.is_empty()).collect();
    waits.dedup();
    assert!(waits.ends_with(&["ErrImagePull".to_owned(), "ImagePullBackOff".to_owned()]), "{waits:?}");
    assert_eq!(end_of(seen.last().unwrap()).1, "OOMKilled");
    assert_eq!(seen.last().unwrap().name_any(), "p");
    cluster.end().await;
}
